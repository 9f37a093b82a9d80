"""Retrievers behind one protocol: from queries to a `Run`."""

from irworks.retrieval.bm25 import BM25
from irworks.retrieval.dense import Dense
from irworks.retrieval.fusion import fuse, reciprocal_rank_fusion
from irworks.retrieval.hybrid import Hybrid, Rerank
from irworks.retrieval.late import LateInteraction
from irworks.retrieval.protocol import Analyzer, Retriever

__all__ = [
    "BM25",
    "Analyzer",
    "Dense",
    "Hybrid",
    "LateInteraction",
    "Rerank",
    "Retriever",
    "fuse",
    "reciprocal_rank_fusion",
]
