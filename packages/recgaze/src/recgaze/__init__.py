"""Eye tracking and clicks on carousel interfaces, from raw gaze to a decision."""

from recgaze.impressions import Impressions
from recgaze.layout import Aoi, CarouselLayout, Located
from recgaze.visits import Visits

__all__ = ["Aoi", "CarouselLayout", "Impressions", "Located", "Visits"]
