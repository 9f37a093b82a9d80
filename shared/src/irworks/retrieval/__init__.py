"""Retrievers behind one protocol: from queries to a `Run`."""

from irworks.retrieval.bm25 import BM25
from irworks.retrieval.fusion import fuse, reciprocal_rank_fusion
from irworks.retrieval.protocol import Analyzer, Retriever

__all__ = ["BM25", "Analyzer", "Retriever", "fuse", "reciprocal_rank_fusion"]
