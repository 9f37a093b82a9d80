"""The inside of `EmbeddingGenerator`: the faiss index, the sampler that leaves most documents alone, pools, files."""
