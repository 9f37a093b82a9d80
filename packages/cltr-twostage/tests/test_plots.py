"""Figures: what they draw is what was estimated."""

import numpy as np
import pytest

from cltr_twostage import ExposureIPS, attribute
from cltr_twostage.attribution import Attribution
from cltr_twostage.plots import gain_figure, weight_figure
from cltr_twostage.simulate import tiny_world
from irworks.errors import ArgumentError
from irworks.report import figure_to_svg
from irworks.report.style import context


def attribution(n_sessions: int) -> Attribution:
    world = tiny_world(np.random.default_rng(0))
    log = world.simulate(n_sessions, np.random.default_rng(1))
    new = world.logging.replace(candidate=world.relevance, ranker=world.relevance)
    return attribute(ExposureIPS(world.examination).fit(log, world.logging), world.logging, new)


def test_the_gain_is_drawn_by_stage_with_its_intervals() -> None:
    split = attribution(500)

    with context():
        figure = gain_figure(split)
        svg = figure_to_svg(figure)

    axes = figure.axes[0]
    points, _, (bars,) = axes.containers[0]
    estimates = [split.generator, split.ranker, split.interaction, split.gain]
    assert points.get_xdata() == pytest.approx([estimate.value for estimate in estimates])
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert ends == pytest.approx(np.array([[estimate.ci.low, estimate.ci.high] for estimate in estimates]))
    assert axes.get_yticklabels()[0].get_text().startswith("new generator")
    assert svg.startswith("<svg")


def test_an_infinite_interval_is_drawn_without_ends() -> None:
    figure = gain_figure(attribution(1))

    assert np.isfinite(figure.axes[0].get_xlim()).all()
    assert "<svg" in figure_to_svg(figure)


def test_weights_are_counted_by_impressions_and_what_has_none_is_left_out() -> None:
    figure = weight_figure([0.5, 2.0, 2.0, 0.0, 7.0], [10, 3, 4, 5, 0])

    heights = {bar.get_x() + bar.get_width() / 2: bar.get_height() for bar in figure.axes[0].patches}
    drawn = {x: height for x, height in heights.items() if height}
    assert sorted(drawn.values()) == [7, 10]
    assert list(drawn) == pytest.approx([0.5, 2.0], rel=0.1)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1e-12, 1e12], [0.0, 0.0], []])
def test_weights_without_a_spread_are_drawn_too(weights: list[float]) -> None:
    assert "<svg" in figure_to_svg(weight_figure(weights, np.ones(len(weights)), clip=3.0))


def test_weights_and_impressions_of_different_shapes_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"\(2,\).*\(3,\)"):
        weight_figure([1, 2], [1, 2, 3])
