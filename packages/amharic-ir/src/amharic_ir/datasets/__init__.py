"""Collections of Amharic and Tigrinya text as they are published, one function each, and how to divide them."""

from amharic_ir.datasets.airtc import HUB_AIRTC, airtc
from amharic_ir.datasets.hub import read_hub
from amharic_ir.datasets.news import HUB_NEWS, News, amharic_news, masakhanews
from amharic_ir.datasets.questions import amqa
from amharic_ir.datasets.sentences import multilingual, ntrex
from amharic_ir.datasets.splits import Splits, split
from amharic_ir.datasets.words import abbreviations, homonyms

__all__ = [
    "HUB_AIRTC",
    "HUB_NEWS",
    "News",
    "Splits",
    "abbreviations",
    "airtc",
    "amharic_news",
    "amqa",
    "homonyms",
    "masakhanews",
    "multilingual",
    "ntrex",
    "read_hub",
    "split",
]
