"""The report on a gain: by hand on a pool of two queries, and as text, JSON and a page."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cltr_twostage import (
    ClickLog,
    DoublyRobust,
    Estimator,
    ExposureIPS,
    ItemPositionIPS,
    Pool,
    RankerOnlyIPS,
    SupportError,
    SupportWarning,
    TwoStagePolicy,
)
from cltr_twostage.report import GainReport, explain_gain
from cltr_twostage.simulate import tiny_world
from irworks.errors import ArgumentError

EXAMINATION = np.array([1.0, 0.5])
POOL = Pool([0, 3, 6], ["first", "second"], ["a", "b", "c", "a", "b", "<i>c</i>"])
INF = np.inf


def policy(candidate: list[float], ranker: list[float]) -> TwoStagePolicy:
    return TwoStagePolicy(candidate, ranker, n_candidates=2, k=2, pool=POOL)


OLD = policy([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0])
NEW = policy([2, 1, 0, 0, 1, 2], [0, 0, 1, 1, 0, 0])


def log(n: int = 400, logging: TwoStagePolicy = OLD) -> ClickLog:
    rng = np.random.default_rng(0)
    query = rng.integers(2, size=n).astype(np.int32)
    docs = logging.sample(query, rng)
    clicks = (rng.random(docs.shape) < 0.6 * EXAMINATION) & (docs >= 0)
    return ClickLog(query, docs, clicks, query_ids=POOL.query_ids, doc_ids=POOL.doc_ids)


def report(estimator: Estimator | None = None, new: TwoStagePolicy = NEW) -> GainReport:
    made = ExposureIPS(EXAMINATION, method="exact") if estimator is None else estimator
    return explain_gain(made.fit(log(), OLD), OLD, new)


def test_the_heaviest_documents_are_listed_with_what_they_carry() -> None:
    found = report()
    rho, rho_0 = NEW.exposure(EXAMINATION, "exact").value, OLD.exposure(EXAMINATION, "exact").value

    table = found.documents
    assert table["weight"].is_monotonic_decreasing
    assert table["weight"].tolist() == pytest.approx(sorted(rho / rho_0, reverse=True))
    assert table["share"].sum() == pytest.approx(1)
    assert table["impressions"].sum() == 800
    first = table.iloc[0]
    carried = first["weight"] * first["clicks"] / 400
    assert first["share"] == pytest.approx(carried / found.attribution.new.value)
    assert (first["query_id"], first["doc_id"]) in [("first", "a"), ("second", "<i>c</i>")]


def test_at_most_ten_documents_are_listed() -> None:
    world = tiny_world(np.random.default_rng(0), n_queries=4)
    fitted = ExposureIPS(world.examination).fit(world.simulate(2000, np.random.default_rng(1)), world.logging)

    found = explain_gain(fitted, world.logging, world.logging.replace(ranker=world.relevance))

    assert len(found.documents) == 10
    assert 0 < found.documents["share"].sum() < 1
    assert len(found.weights) == 24


def test_the_gap_of_support_is_told_by_query() -> None:
    logging = policy([0, 0, 0, 0, 0, -INF], [0] * 6)
    fitted = ExposureIPS(EXAMINATION, support="drop", method="exact").fit(log(logging=logging), logging)

    found = explain_gain(fitted, logging, NEW)

    rho = NEW.exposure(EXAMINATION, "exact").value
    assert found.n_unsupported_queries == 1
    row = found.queries.iloc[0]
    assert row["query_id"] == "second"
    assert row["support_gap"] == pytest.approx(rho[5] / rho[3:].sum())
    assert found.new.support_gap == pytest.approx(row["support_gap"] * row["sessions"] / 400)
    assert "in 1 query, falls on documents that the logging policy never shows" in found.text


def test_support_that_must_not_be_missing_is_still_an_error() -> None:
    logging = policy([0, 0, 0, 0, 0, -INF], [0] * 6)
    fitted = ExposureIPS(EXAMINATION).fit(log(logging=logging), logging)

    with pytest.raises(SupportError, match="second"):
        explain_gain(fitted, logging, NEW)


def test_clipping_is_told() -> None:
    found = report(ExposureIPS(EXAMINATION, clip=1.0, method="exact"))

    assert found.clip == 1.0
    assert "are clipped, which biases the value towards zero" in found.text
    assert found.documents["weight"].max() > 1
    assert found.documents["share"].sum() == pytest.approx(1)


def test_the_text_tells_stages_weights_and_support() -> None:
    stages, weights, support = report().text.split("\n")

    assert stages.startswith("The new pair earns")
    assert re.search(r"effective of 800 logged impressions; the largest weight is 1\.\d", weights)
    assert support.startswith("Every document that the new pair shows was within reach")


def test_a_doubly_robust_estimate_is_explained_too() -> None:
    found = report(DoublyRobust(EXAMINATION))

    assert found.attribution.gain.value == pytest.approx(
        found.attribution.generator.value + found.attribution.ranker.value + found.attribution.interaction.value
    )


@pytest.mark.parametrize("relevance", ["fit", np.linspace(0.2, 0.9, 6)])
def test_the_shares_of_a_doubly_robust_estimate_are_of_the_whole_value(relevance: object) -> None:
    estimator = DoublyRobust(EXAMINATION, relevance=relevance, clip=1.2, method="exact")  # type: ignore[arg-type]

    found = report(estimator)

    # All documents were logged: together they carry all of it.
    assert found.documents["share"].sum() == pytest.approx(1)
    assert estimator.earned(NEW.exposure(EXAMINATION, "exact").value).sum() == pytest.approx(found.new.value)
    assert "of the value, the modelled part included" in found.text
    assert "biases the value towards what the model of relevance says" in found.text


def test_what_was_never_logged_is_told_by_how_the_estimator_counts_it() -> None:
    logging = policy([0, 0, 0, 0, 0, -INF], [0] * 6)
    options = {"support": "drop", "method": "exact"}
    relevance = np.full(6, 0.5)

    weighed, modelled = (
        explain_gain(estimator.fit(log(logging=logging), logging), logging, NEW)
        for estimator in (
            ExposureIPS(EXAMINATION, **options),
            DoublyRobust(EXAMINATION, relevance=relevance, **options),
        )
    )

    assert "they count as if they never were" in weighed.text
    assert "they count as often as the model of relevance says" in modelled.text
    unlogged = 0.5 * NEW.exposure(EXAMINATION, "exact").value[5] * (log().query == 1).mean()
    assert 1 - modelled.documents["share"].sum() == pytest.approx(unlogged / modelled.new.value)


@pytest.mark.parametrize("cls", [ItemPositionIPS, RankerOnlyIPS])
def test_an_estimate_by_other_weights_is_refused(cls: type[Estimator]) -> None:
    with pytest.raises(ArgumentError, match=f"estimator is {cls.__name__}; expected ExposureIPS or DoublyRobust"):
        report(cls(EXAMINATION))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("n", [1, 400])
def test_the_dictionary_is_json_even_where_an_interval_is_infinite(n: int) -> None:
    found = explain_gain(ExposureIPS(EXAMINATION).fit(log(n), OLD), OLD, NEW)

    data = json.loads(json.dumps(found.to_dict(), allow_nan=False), parse_constant=refuse)

    assert set(data["attribution"]) >= {"old", "new", "gain", "generator", "ranker", "interaction"}
    assert data["attribution"]["gain"]["value"] == pytest.approx(found.attribution.gain.value)
    assert (data["attribution"]["gain"]["high"] is None) == (n == 1)
    assert data["documents"][0]["weight"] == pytest.approx(found.documents["weight"].iloc[0])


def test_the_page_shows_figures_and_tables_and_takes_ids_for_text(tmp_path: Path) -> None:
    report().to_html(tmp_path / "page.html", about="A against B.")

    html = (tmp_path / "page.html").read_text()
    assert html.count("<svg") == 2
    assert "&lt;i&gt;c&lt;/i&gt;" in html
    assert "<i>c</i>" not in html
    assert "A against B. Made by cltr-twostage." in html
    assert "Gain by stage" in html
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(svg)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_log_without_clicks_has_a_report(tmp_path: Path) -> None:
    silent = ClickLog(
        [0, 1], [[0, 1], [3, 4]], np.zeros((2, 2), dtype=bool), query_ids=POOL.query_ids, doc_ids=POOL.doc_ids
    )

    found = explain_gain(ExposureIPS(EXAMINATION).fit(silent, OLD), OLD, NEW)
    found.to_html(tmp_path / "page.html")

    assert found.documents["share"].tolist() == [0] * 4
    assert "Do not ship" in found.text


def test_missing_support_is_warned_of_once() -> None:
    logging = policy([0, 0, 0, 0, 0, -INF], [0] * 6)
    fitted = ExposureIPS(EXAMINATION, support="warn", method="exact").fit(log(logging=logging), logging)
    with pytest.warns(SupportWarning) as caught:
        explain_gain(fitted, logging, NEW)
    assert len({str(one.message) for one in caught}) == 1
