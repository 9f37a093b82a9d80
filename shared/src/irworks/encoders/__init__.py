"""Encoders behind one protocol: from texts to vectors, one a text or one a token."""

from irworks.encoders.bags import Bags, Cut, HashedNgrams
from irworks.encoders.protocol import Encoder, Kind, Scorer, TokenEncoder
from irworks.encoders.sentence import CrossEncoder, SentenceEncoder, minilm
from irworks.encoders.tiny import TinyEncoder, TinySettings, tiny
from irworks.encoders.vectors import TokenVectors

__all__ = [
    "Bags",
    "CrossEncoder",
    "Cut",
    "Encoder",
    "HashedNgrams",
    "Kind",
    "Scorer",
    "SentenceEncoder",
    "TinyEncoder",
    "TinySettings",
    "TokenEncoder",
    "TokenVectors",
    "minilm",
    "tiny",
]
