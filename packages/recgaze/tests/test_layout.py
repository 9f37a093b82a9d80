import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError, DataError
from recgaze import Aoi, CarouselLayout, study

EDGES = ["AOI_min_x", "AOI_max_x", "AOI_min_y", "AOI_max_y"]
LAYOUT = CarouselLayout.recgaze()


@pytest.fixture(scope="module")
def published():
    folder = os.environ.get("IRWORKS_DATA")
    if folder is None or not (Path(folder) / "recgaze" / "study" / "aoi_data.csv").is_file():
        pytest.skip("IRWORKS_DATA has no recgaze/study/aoi_data.csv")
    return Path(folder) / "recgaze" / "study" / "aoi_data.csv"


def by_brute_force(layout, x, y, page, rule, radius=60.0):
    """Every point against every box, in the order in which equally near ones win."""
    boxes = []
    for row in range(layout.rows):
        boxes.append((Aoi.GENRE, row + 1, 0, layout.headings[row]))
        boxes.append((Aoi.BACKWARD, row + 1, 0, layout.backward[row]))
        for place in range(layout.visible):
            column = (page - 1) * layout.visible + place + 1
            box = (layout.left[place], layout.right[place], layout.top[row], layout.bottom[row])
            boxes.append((Aoi.MOVIE, row + 1, column, box))
        boxes.append((Aoi.FORWARD, row + 1, 0, layout.forward[row]))
    edges = np.array([box for *_, box in boxes])
    labels = np.array([label[:3] for label in boxes])
    aside = np.maximum(np.maximum(edges[:, 0] - x[:, None], x[:, None] - edges[:, 1]), 0)
    above = np.maximum(np.maximum(edges[:, 2] - y[:, None], y[:, None] - edges[:, 3]), 0)
    distance = np.where(np.isnan(edges[:, 0]), np.inf, np.hypot(aside, above))
    best = distance.argmin(axis=1)
    near = distance[np.arange(len(x)), best] <= (0.0 if rule == "strict" else radius)
    return np.where(near[:, None], labels[best], 0)


def located(found):
    return np.stack([found.kind, found.row, found.column], axis=1)


# -- the study's page -------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_layout_has_all_240_published_boxes(published):
    boxes = pd.read_csv(published).dropna(subset=["Row_num"])
    ours = LAYOUT.boxes(study.SCREENS[0])
    keys = ["AOI_type", "Row_num", "Row_genre", "Page", "Row_position"]
    both = boxes.merge(ours, on=keys, suffixes=("", "_ours"))
    assert len(boxes) == len(both) == 240
    for edge in EDGES:
        assert (both[edge] == both[f"{edge}_ours"]).all()


@pytest.mark.data
def test_the_layout_is_read_from_the_published_boxes(published):
    read = CarouselLayout.from_csv(published)
    for name in ("left", "right", "top", "bottom", "headings", "backward", "forward"):
        np.testing.assert_array_equal(getattr(read, name), getattr(LAYOUT, name))
    assert (read.pages, read.width, read.bars) == (LAYOUT.pages, LAYOUT.width, LAYOUT.bars)


@pytest.mark.data
def test_the_published_boxes_that_are_broken_are_told(published, tmp_path):
    boxes = pd.read_csv(published)
    poster = int(np.flatnonzero(boxes["AOI_type"] == "Movie")[7])
    for change, problem in (
        ({"AOI_min_x": 430.0}, "size|grid"),
        ({"AOI_max_x": 10.0}, "no area"),
        ({"AOI_type": "Film"}, "unknown area.*found 'Film'"),
    ):
        broken = boxes.copy()
        for name, value in change.items():
            broken.loc[poster, name] = value
        broken.to_csv(tmp_path / "boxes.csv", index=False)
        with pytest.raises(DataError, match=f"line {poster + 2}.*({problem})"):
            CarouselLayout.from_csv(tmp_path / "boxes.csv")
    boxes.drop(index=poster).to_csv(tmp_path / "boxes.csv", index=False)
    with pytest.raises(DataError, match=r"posters are missing.*149 posters"):
        CarouselLayout.from_csv(tmp_path / "boxes.csv")
    boxes.drop(columns="Page").to_csv(tmp_path / "boxes.csv", index=False)
    with pytest.raises(DataError, match=r"'Page'.*missing"):
        CarouselLayout.from_csv(tmp_path / "boxes.csv")


@pytest.mark.parametrize(
    "layout",
    [
        LAYOUT,
        CarouselLayout.grid(6, 4, pages=2, heading=(100, 30)),
        CarouselLayout.grid(3, 3, pages=3, poster=(100.1, 50.3), gap=(10.7, 20.9), origin=(13.37, 40.1)),
    ],
)
def test_a_layout_written_is_read_again(layout, tmp_path):
    layout.boxes().to_csv(tmp_path / "boxes.csv", index=False)
    again = CarouselLayout.from_csv(tmp_path / "boxes.csv")
    for name in ("left", "right", "top", "bottom", "headings", "backward", "forward"):
        np.testing.assert_allclose(getattr(again, name), getattr(layout, name), atol=1e-5)
    assert (again.pages, again.bars) == (layout.pages, layout.bars)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Row_num", 0, "not a number of a place"),
        ("Row_num", 1.5, "not a number of a place"),
        ("Row_num", float("inf"), "not a number"),
        ("Row_position", 77, "a position on another page"),
        ("Row_position", 2, "two posters in one place"),
        ("Page", 0, "not a number of a place"),
    ],
)
def test_places_that_cannot_be_are_told(tmp_path, column, value, message):
    boxes = CarouselLayout.grid(6, 4, pages=2, heading=(100, 30)).boxes()
    boxes = boxes.astype({column: float})
    row = boxes.index[boxes["AOI_type"] == "Movie"][0]
    boxes.loc[row, column] = value
    boxes.to_csv(tmp_path / "boxes.csv", index=False)
    with pytest.raises(DataError, match=message):
        CarouselLayout.from_csv(tmp_path / "boxes.csv")


def test_headings_are_as_wide_as_the_genre_in_them():
    first, second = CarouselLayout.recgaze(1), CarouselLayout.recgaze(2)
    width = {genre: box[1] - box[0] for genre, box in zip(study.SCREENS[0], first.headings, strict=True)}
    assert [width[genre] for genre in study.SCREENS[1]] == (second.headings[:, 1] - second.headings[:, 0]).tolist()


# -- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["strict", "closest"])
@pytest.mark.parametrize("page", [1, 3])
def test_located_points_agree_with_brute_force(rule, page):
    rng = np.random.default_rng(page)
    x, y = rng.uniform(-100, 2000, 50_000), rng.uniform(-100, 3600, 50_000)
    # Whole pixels bring edges and ties.
    x[::2], y[::2] = x[::2].round(), y[::2].round()
    found = LAYOUT.locate(x, y, page, rule=rule)
    np.testing.assert_array_equal(located(found), by_brute_force(LAYOUT, x, y, page, rule))


@given(
    rows=st.integers(1, 4),
    visible=st.integers(1, 4),
    pages=st.integers(1, 3),
    gap=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    radius=st.integers(0, 150),
    seed=st.integers(0, 1000),
)
def test_located_points_agree_with_brute_force_on_any_grid(rows, visible, pages, gap, radius, seed):
    layout = CarouselLayout.grid(
        rows, visible, pages=pages, poster=(40, 30), gap=gap, origin=(20, 60), heading=(90, 20)
    )
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-50, int(layout.width) + 50, 200), rng.integers(-50, int(layout.height) + 50, 200)
    found = layout.locate(x, y, pages, rule="closest", radius=radius)
    np.testing.assert_array_equal(located(found), by_brute_force(layout, x, y, pages, "closest", radius))


def test_ties_go_to_the_upper_carousel_and_to_the_left():
    # Midway between two posters, and midway between two carousels.
    between = LAYOUT.locate([(418 + 427) / 2], [250.0], rule="closest")
    assert located(between).tolist() == [[Aoi.MOVIE, 1, 1]]
    layout = CarouselLayout.grid(2, 2, poster=(100, 100), gap=(20, 20), origin=(0, 0))
    assert located(layout.locate([50], [110], rule="closest")).tolist() == [[Aoi.MOVIE, 1, 1]]


def test_the_swipe_page_decides_which_poster_it_is():
    x, y = np.array([100.0, 100.0, 100.0]), np.array([200.0, 200.0, 600.0])
    assert LAYOUT.locate(x, y, [1, 2, 3]).column.tolist() == [1, 6, 11]
    pages = np.ones((3, 10), dtype=int)
    pages[:, 1] = 3
    assert LAYOUT.locate(x, y, pages).column.tolist() == [1, 1, 11]


def test_scrolling_moves_the_page_and_not_the_bars():
    on_screen = LAYOUT.locate([100.0, 100.0, 100.0], [200.0, 200.0, 50.0], scroll_y=[0.0, 340.0, 480.0])
    assert on_screen.row.tolist() == [1, 2, 0]
    # The browser's bar covers what lies under it, whatever is near.
    assert LAYOUT.locate([100.0], [60.0], scroll_y=120.0, rule="closest").kind.tolist() == [Aoi.BACKGROUND]


def test_points_of_the_stimulus_say_their_page():
    x, page = LAYOUT.unfold([100.0, 2020.0, 3940.0])
    assert x.tolist() == [100, 100, 100]
    assert page.tolist() == [1, 2, 3]


def test_points_that_are_nowhere_are_on_the_background():
    found = LAYOUT.locate([np.nan, 100.0, np.inf], [200.0, np.nan, 200.0], rule="closest")
    assert found.kind.tolist() == [0, 0, 0]
    assert found.row.tolist() == [0, 0, 0]
    assert len(LAYOUT.locate([], [])) == 0


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0], [1.0, 2.0]), {}, "shapes"),
        (([1.0], [1.0], 4), {}, "page holds 4; expected 1 to 3"),
        (([1.0], [1.0], 1.5), {}, "page has dtype float64"),
        (([1.0], [1.0], [1, 2]), {}, "page has shape"),
        (([1.0], [1.0]), {"rule": "nearest"}, "rule='nearest'"),
        (([1.0], [1.0]), {"rule": "closest", "radius": -1}, "radius=-1"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments, options, message):
    with pytest.raises(ArgumentError, match=message):
        LAYOUT.locate(*arguments, **options)


def test_layouts_that_cannot_be_are_told():
    with pytest.raises(ArgumentError, match="rows=0"):
        CarouselLayout.grid(0, 5)
    with pytest.raises(ArgumentError, match="out of order"):
        CarouselLayout.grid(2, 5, gap=(-400, 10))
    with pytest.raises(ArgumentError, match="task=41"):
        CarouselLayout.recgaze(41)
    with pytest.raises(ArgumentError, match="row=11, column=1"):
        LAYOUT.box(11, 1)
    assert LAYOUT.box(2, 6) == (76, 418, 516, 709)


# -- the study --------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_genres_of_the_screens_are_the_published_ones(published):
    import json

    grid = json.loads((published.parent / "screens_grid.json").read_text())
    there = {(task, row): genre for task, row, genre, *_ in grid if task}
    assert {
        (task + 1, row + 1): genre for task, screen in enumerate(study.SCREENS) for row, genre in enumerate(screen)
    } == there


def test_every_genre_stands_in_every_row_of_three_free_screens():
    rows = np.array([[study.GENRES.index(genre) for genre in screen] for screen in study.SCREENS[:30]])
    for row in range(10):
        assert np.bincount(rows[:, row], minlength=10).tolist() == [3] * 10


def test_kinds_of_screens():
    kinds = [study.task_kind(task) for task in study.TASKS]
    assert [kinds.count(kind) for kind in study.TASK_KINDS] == [30, 5, 5]
    assert study.search_target(37) == (10, 14)
    with pytest.raises(KeyError):
        study.task_kind(41)
    assert len(study.USERS) == 87
