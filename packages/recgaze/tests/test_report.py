import json
import re
from dataclasses import replace

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze import Impressions, simulate_study
from recgaze.browse import Browsing
from recgaze.models import OEPBM, RCPBM
from recgaze.report import multiverse, page_order, report


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.fixture(scope="module")
def part(dataset):
    """Enough for every section."""
    return dataset.where(tasks=[*range(1, 11), 36, 38])


@pytest.fixture(scope="module")
def written(part, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    screens = part.impressions()
    screens = screens.where(screens.task <= 30)
    browsing = Browsing.of(
        screens,
        part.fixations(),
        part.cursor(),
        part.click_events(),
        rng=np.random.default_rng(1),
        n=100,
    )
    models = {"RCPBM": RCPBM(), "OEPBM": OEPBM()}
    path = report(
        part, folder / "report.html", rng=np.random.default_rng(2), models=models, browsing=browsing, max_screens=60
    )
    return path, browsing


def screens_of(examined, clicked, *, users):
    """Impressions of one carousel with two pages in view: arrays [n, 10], the screens of each user together."""
    n = len(examined)
    return Impressions(
        users=np.arange(users),
        genres=("Drama",),
        user=np.repeat(np.arange(users), n // users),
        task=np.tile(np.arange(n // users), users),
        examined=examined[:, None],
        dwell=examined[:, None],
        clicked=clicked[:, None],
        genre=np.zeros((n, 1)),
        movie=np.arange(n * 10).reshape(n, 1, 10),
        rating=np.full((n, 1), 3),
        pages=np.full((n, 1), 2),
        visible=5,
    )


def planted(rng, *, theta, attraction, users=60, screens=20):
    """Screens with known examination of the places of their second page, and known attraction of its films."""
    looked, liked = np.zeros((2, users * screens, 10), dtype=bool)
    looked[:, 5:] = rng.random((len(looked), 5)) < theta
    liked[:, 5:] = rng.random((len(looked), 5)) < attraction
    return screens_of(looked, looked & liked, users=users)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_report_is_one_small_file_that_needs_no_network(written):
    path, _ = written
    html = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 5_000_000
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    data = re.search(r'<script type="application/json" data-part="data">(.*?)</script>', html, re.S)
    assert len(json.loads(data[1])["screens"]) == 60
    rest = html.replace(data[1], "").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|src=\"(?!data:)|<link(?! rel=\"icon\" href=\"data:)|@import", rest)
    assert html.count("</html>") == 1
    assert "viewer stands here" not in html


def test_it_says_what_was_found_in_the_words_of_the_measures(written, part):
    path, browsing = written
    text = re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8").split('data-part="data"')[0])
    for title in ("The data", "Triangle, F and L", "Swipes", "Cursor against gaze", "Click models", "Replay"):
        assert title in text
    assert str(browsing.shares["golden triangle of looks"]) in text
    assert f"{len(part.clicks):,} selections" in text
    assert "every key (movie) was shown at one position only" in text
    assert "not identifiable" in text
    assert "identifiable up to scale" in text
    assert "Not measured" not in text


def test_what_a_study_lacks_is_said_and_the_rest_is_there(dataset, tmp_path, rng):
    bare = replace(
        dataset.where(users=["KInIT_1", "KInIT_2"], tasks=range(1, 9)),
        summary=dataset.where(users=["KInIT_1", "KInIT_2"], tasks=range(1, 9)).summary.filter(regex="^(?!Cursor)"),
    )
    path = report(bare, tmp_path / "report.html", rng=rng, models={"OEPBM": OEPBM()})
    html = path.read_text(encoding="utf-8")
    assert "no cursor" in html
    assert "Not measured: cursor_agreement was not measured" not in html
    assert re.search(r"Cursor against gaze</h2>\s*<p>Not measured:.*cursor", html)
    assert re.search(r"Click models</h2>\s*<p>Not measured: folds=5", html)
    assert "2 users; expected at least 10" in html
    assert "What was looked at" in html


def test_the_same_generator_gives_the_same_page(dataset, tmp_path):
    small = dataset.where(users=["KInIT_1", "KInIT_2"], tasks=range(1, 3))
    browsing = Browsing.of(small.impressions(), rng=np.random.default_rng(0), n=20)
    models = {"OEPBM": OEPBM()}
    first, second = (
        report(small, tmp_path / name, rng=np.random.default_rng(4), models=models, browsing=browsing).read_bytes()
        for name in ("a.html", "b.html")
    )
    assert first == second


def test_an_unknown_kind_is_refused(dataset, tmp_path, rng):
    with pytest.raises(ArgumentError, match="'semi_free'"):
        report(dataset, tmp_path / "x.html", rng=rng, kind="paid")


# -- the decision -----------------------------------------------------------------------------------------------------


def test_expected_clicks_are_sums_of_examination_and_attraction(rng):
    # All look at places 1 and 3; each user clicks on place 3 on one of two screens.
    looked, clicked = np.zeros((2, 40, 10), dtype=bool)
    looked[:, [5, 7]] = True
    clicked[::2, 7] = True
    screens = screens_of(looked, clicked, users=20)
    found = page_order(screens, rng=rng, n=200)
    assert found.order == (1, 3, 2, 4, 5)
    assert (found.as_shown.estimate, found.reordered.estimate) == pytest.approx((500, 500))
    # Attraction of 1/4 in the mean, falling by a tenth from film to film.
    falling = page_order(screens, rng=rng, attraction="falling", n=200)
    unit = 250 / np.mean(0.9 ** np.arange(5))
    assert falling.as_shown.estimate == pytest.approx(unit * (1 + 0.81))
    assert falling.reordered.estimate == pytest.approx(unit * (1 + 0.9))
    assert falling.gain.estimate == pytest.approx(unit * 0.09)


def test_gaze_finds_the_planted_order_and_its_gain(rng):
    theta, attraction = np.array([0.6, 0.2, 0.1, 0.3, 0.5]), np.array([0.05, 0.1, 0.2, 0.3, 0.4])
    found = page_order(planted(rng, theta=theta, attraction=attraction, users=100, screens=40), rng=rng)
    assert found.order == (1, 5, 4, 2, 3)
    assert found.confirmed
    assert found.verdict == "better"
    assert 1000 * (np.sort(theta) @ np.sort(attraction) - theta @ attraction) == pytest.approx(115)
    assert found.gain.low < 115 < found.gain.high


def test_an_order_that_changes_nothing_is_not_called_better():
    verdicts = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        screens = planted(rng, theta=np.array([0.6, 0.2, 0.1, 0.3, 0.5]), attraction=np.full(5, 0.1))
        verdicts.append(page_order(screens, rng=rng, n=400).verdict)
    # Valued by other users, an order fitted to noise gains nothing; 2.5% would be called better by chance.
    assert verdicts.count("better") <= 2


def test_each_choice_of_the_multiverse_is_the_decision_made_alone(study):
    dataset = study.dataset
    by_rule = {"strict": dataset.impressions("strict"), "closest": dataset.impressions("closest")}
    table = multiverse(by_rule, rng=np.random.default_rng(0), n=50)
    assert len(table) == 12
    assert table["looks by"].nunique() == 3
    alone = page_order(by_rule["strict"], rng=np.random.default_rng(0), n=50)
    row = table.iloc[0]
    assert (row["pages"], row["attraction"], row["looks by"]) == ("swiped", "estimated", "gaze, strict")
    assert (row["gain"], row["low"], row["high"]) == (alone.gain.estimate, alone.gain.low, alone.gain.high)
    assert row["order"].rstrip(" *") == " ".join(map(str, alone.order))


def test_too_little_data_is_refused(rng):
    made = screens_of(np.ones((12, 10), dtype=bool), np.zeros((12, 10), dtype=bool), users=12)
    with pytest.raises(ArgumentError, match="clicked anything on swiped pages"):
        page_order(made, rng=rng)
    with pytest.raises(ArgumentError, match="expected at least 10"):
        page_order(made.where(np.arange(5)), rng=rng)
    with pytest.raises(ArgumentError, match="'gaze' or 'clicks'"):
        page_order(made, rng=rng, by="cursor")


def test_the_simulated_entry_from_the_right_shows_in_the_order(rng):
    data = simulate_study(40, rng=rng, tasks=range(1, 31), gaps=False).dataset
    found = page_order(data.impressions(), rng=rng, attraction="falling", n=200)
    assert found.order[:2] == (1, 5)
    assert found.verdict == "better"
