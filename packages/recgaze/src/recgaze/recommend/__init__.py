"""From how people look to what to show: taste read from gaze, posters placed for swipes, and measures of a grid."""

from recgaze.recommend.measures import Metric, evaluate
from recgaze.recommend.placing import PageOrder, SwipeModel, page_order, rerank
from recgaze.recommend.profiles import (
    ClickProfile,
    GazeProfile,
    GenreProfile,
    click_profile,
    compare_profiles,
    genre_auc,
)

__all__ = [
    "ClickProfile",
    "GazeProfile",
    "GenreProfile",
    "Metric",
    "PageOrder",
    "SwipeModel",
    "click_profile",
    "compare_profiles",
    "evaluate",
    "genre_auc",
    "page_order",
    "rerank",
]
