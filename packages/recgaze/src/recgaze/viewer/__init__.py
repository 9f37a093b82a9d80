"""A screen viewer in one HTML file: replays gaze, cursor, swipes and clicks beside a model's prediction."""

from recgaze.viewer.pages import Fragment, view, viewer_fragment, viewer_html

__all__ = ["Fragment", "view", "viewer_fragment", "viewer_html"]
