import numpy as np
import pandas as pd
import pytest

from irworks.errors import ArgumentError
from irworks.report import figure_to_svg
from irworks.report.style import INK, context
from recgaze import plots
from recgaze.browse import Browsing, aoi_transitions


@pytest.fixture(scope="module")
def browsing(dataset):
    rng = np.random.default_rng(1)
    return Browsing.of(
        dataset.impressions(), dataset.fixations(), dataset.cursor(), dataset.click_events(), rng=rng, n=50
    )


def cells(figure):
    """The numbers that the meshes of a map hold, left to right."""
    return np.hstack([np.asarray(mesh.get_array()) for mesh in figure.axes[0].collections])


def test_a_map_shows_the_numbers_at_their_places_with_pages_apart():
    values = np.arange(60.0).reshape(4, 15)
    figure = plots.heatmap_figure(values, visible=5, label="x", spec=".0f")
    np.testing.assert_array_equal(cells(figure), values)
    axes = figure.axes[0]
    written = {text.get_text(): text.get_position() for text in axes.texts}
    assert len(written) == 60
    # Row by row from the top, columns to the right, wider steps between pages.
    assert axes.yaxis_inverted()
    assert written["15"][1] - written["0"][1] == 1
    assert written["1"][0] - written["0"][0] < written["5"][0] - written["4"][0]


def test_numbers_in_a_map_are_black_or_white_so_that_they_do_not_follow_the_page():
    figure = plots.heatmap_figure(np.array([[0.0, 1.0]]), visible=2, label="x")
    assert [text.get_color() for text in figure.axes[0].texts] == ["#ffffff", "#000000"]


def test_maps_of_examination_dwell_and_first_looks_agree_with_the_arrays(dataset):
    screens, fixations = dataset.impressions(excluded=True), dataset.fixations()
    np.testing.assert_allclose(cells(plots.examination_figure(screens)), screens.examined.mean(axis=0))
    dwell = cells(plots.dwell_figure(screens))
    assert dwell.sum() == pytest.approx(1)
    first = fixations.to_frame().query("kind == 'Movie'").groupby(["user", "task"], observed=True).first()
    expected = pd.crosstab(first["row"], first["column"], normalize="all")
    drawn = cells(plots.first_fixation_figure(fixations, 10, 15, 5))
    assert drawn.sum() == pytest.approx(1)
    for row, column in expected.stack()[lambda share: share > 0].index:
        assert drawn[row - 1, column - 1] == pytest.approx(expected.loc[row, column])


def test_unknown_cells_stay_empty_and_shapes_are_checked():
    figure = plots.heatmap_figure(np.full((2, 4), np.nan), visible=2, label="x")
    assert not figure.axes[0].texts
    with pytest.raises(ArgumentError, match="pages of 4 columns"):
        plots.heatmap_figure(np.zeros((2, 6)), visible=4, label="x")


def test_a_scanpath_has_a_circle_inside_its_poster_for_every_look(dataset):
    looks = dataset.fixations().where(dataset.fixations().row > 0)
    user, task = str(looks.users[looks.user[0]]), int(looks.task[0])
    here = looks.where((looks.user == looks.user[0]) & (looks.task == task))
    figure = plots.scanpath_figure(dataset, user, task)
    points = figure.axes[0].collections[-1].get_offsets()
    assert len(points) == len(here)
    layout = dataset.layout
    for (x, y), row, column in zip(points, here.row, here.column, strict=True):
        if column:
            left, right, top, bottom = layout.box(int(row), int(column))
            shift = (int(column) - 1) // layout.visible * layout.width
            assert left + shift <= x <= right + shift
            assert top <= y <= bottom
    with pytest.raises(ArgumentError, match="no fixations of that screen"):
        plots.scanpath_figure(dataset, "nobody", 1)


def test_figures_take_the_colour_of_the_page_and_are_the_same_each_time(browsing, dataset):
    found = browsing.estimates
    pairs = aoi_transitions(dataset.impressions(), dataset.fixations(), rng=np.random.default_rng(0), n=5)
    table = pd.DataFrame(
        {"difference": [np.nan, 0.1], "difference_low": [np.nan, 0.0], "difference_high": [np.nan, 0.2]},
        index=["one", "other"],
    )
    seen = dataset.impressions().examined.mean(axis=0)
    makers = {
        "moves": lambda: plots.move_figure(found["transitions"]),
        "rows": lambda: plots.transition_figure(found["row_transitions"]),
        "flow": lambda: plots.flow_figure(pairs, 10, 15, visible=5, top=10),
        "models": lambda: plots.model_figure(table),
        "curves": lambda: plots.examination_curves_figure({"a": seen}, seen),
        "cursor": lambda: plots.cursor_figure(found["cursor_agreement"], found["cursor_row_agreement"]),
    }
    for name, make in makers.items():
        with context():
            drawn = figure_to_svg(make(), name)
        assert "currentColor" in drawn, name
        assert INK not in drawn, name
    with context():
        assert figure_to_svg(makers["flow"](), "flow") == figure_to_svg(makers["flow"](), "flow")


def test_bars_of_moves_are_their_shares(browsing):
    moves = browsing.estimates["transitions"]
    figure = plots.move_figure(moves)
    widths = sorted(patch.get_width() for patch in figure.axes[0].patches)
    assert widths == pytest.approx(sorted(moves.value))
