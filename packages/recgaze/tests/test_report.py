import json
import re
from dataclasses import replace

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze.browse import Browsing, Planted, planted_study
from recgaze.models import CPBM, OEPBM, RCPBM
from recgaze.recommend import page_order
from recgaze.report import multiverse, page, report
from recgaze.report.sections import best_in_words


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


def test_a_study_without_screens_of_the_kind_is_refused_as_the_other_verbs_do(dataset, tmp_path, rng):
    searches = dataset.where(users=["KInIT_1", "KInIT_2"], tasks=[31, 32, 36, 37, 38])
    out = tmp_path / "x.html"
    with pytest.raises(
        ArgumentError, match=r"no screen of kind 'free'; the study has 'semi_free' and 'direct': pass k"
    ):
        report(searches, out, rng=rng)
    assert not out.exists()
    report(searches, out, rng=rng, kind=None, models={"OEPBM": OEPBM()})
    assert "Analysed: all screens." in out.read_text(encoding="utf-8")


def test_a_model_is_the_best_only_if_its_lead_is_more_than_chance(part, rng):
    screens = part.impressions()
    twins = page._models(screens, {"A": RCPBM(), "B": RCPBM()}, rng)
    assert set(twins.leaders) == {"A", "B"}
    assert best_in_words(twins.leaders).startswith(f"{twins.leaders[0]} and {twins.leaders[1]} are not told apart")
    assert best_in_words(["A"]) == "A predicts clicks of users that it has not seen best."


def test_a_clear_lead_is_told(rng):
    class Flat(CPBM):
        """With penalties that leave no effect of the place."""

        tuning = (1e9,)

    found = page._models(planted_study(rng, Planted(users=60, screens=30)), {"Flat": Flat(), "OEPBM": OEPBM()}, rng)
    assert found.leaders == ("OEPBM",)


def test_the_same_words_stand_in_the_lead_and_in_the_section(written):
    text = re.sub(r"<[^>]+>", " ", written[0].read_text(encoding="utf-8").split('data-part="data"')[0])
    assert len(re.findall(r"(RCPBM|OEPBM) (?:and \w+ are not told apart|predicts clicks of users)", text)) == 2
    assert "Best of the click models" not in text


# -- the decision -----------------------------------------------------------------------------------------------------


def test_each_choice_of_the_multiverse_is_the_decision_made_alone(study):
    dataset = study.dataset
    by_rule = {"strict": dataset.impressions("strict"), "closest": dataset.impressions("closest")}
    table = multiverse(by_rule, rng=np.random.default_rng(0), n=50)
    assert len(table) == 12
    assert table["looks by"].nunique() == 3
    seed = int(np.random.default_rng(0).integers(2**63))
    alone = page_order(by_rule["strict"], rng=np.random.default_rng(seed), n=50)
    row = table.iloc[0]
    assert (row["pages"], row["attraction"], row["looks by"]) == ("swiped", "estimated", "gaze, strict")
    assert (row["gain"], row["low"], row["high"]) == (alone.gain.estimate, alone.gain.low, alone.gain.high)
    assert row["order"].rstrip(" *") == " ".join(map(str, alone.order))


def test_rows_of_the_multiverse_differ_by_the_choice_alone(dataset):
    screens = dataset.task("free").impressions()
    table = multiverse({"strict": screens, "closest": screens}, dataset.click_events(), rng=np.random.default_rng(0))
    one, other = (
        table[table["looks by"] == f"gaze, {rule}"].drop(columns="looks by") for rule in ("strict", "closest")
    )
    assert one.reset_index(drop=True).equals(other.reset_index(drop=True))
