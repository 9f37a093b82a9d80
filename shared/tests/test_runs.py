"""Runs and their measures, against ir-measures."""

import ir_measures
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import Run
from irworks.errors import ArgumentError, DataError
from irworks.metrics import evaluate_run

# Without what ir-measures asks Perl for.
NAMES = ["nDCG@10", "nDCG@3", "RR@10", "RR", "P@5", "R@5", "R@100", "AP", "AP@3", "Success@1"]


@st.composite
def judged_runs(draw):
    docs = [f"d{i}" for i in range(12)]
    qrels, found = {}, {}
    for query in [f"q{i}" for i in range(draw(st.integers(1, 4)))]:
        known = draw(st.lists(st.sampled_from(docs), unique=True, min_size=1))
        qrels[query] = {doc: draw(st.integers(0, 3)) for doc in known}
        ranking = draw(st.lists(st.sampled_from(docs), unique=True))
        # No ties: peers break them in ways of their own.
        found[query] = {doc: float(len(ranking) - place) for place, doc in enumerate(ranking)}
    return Run.of(found), qrels


@settings(max_examples=60)
@given(judged_runs())
def test_measures_are_those_of_ir_measures(drawn):
    run, qrels = drawn
    ours = evaluate_run(run, qrels, NAMES)
    wanted = {name: ir_measures.parse_measure(name) for name in NAMES}
    # An empty run is none to ir-measures.
    found = {query: docs for query, docs in run.to_dict().items() if docs} or {"other": {"d0": 1.0}}
    for row in ir_measures.iter_calc(list(wanted.values()), qrels, found):
        name = next(name for name, one in wanted.items() if one == row.measure)
        assert ours.loc[row.query_id, name] == pytest.approx(row.value, abs=1e-9)
    nothing = [query for query in qrels if query not in found]
    assert not ours.loc[nothing].to_numpy().any()


@given(judged_runs())
def test_a_run_survives_its_file_and_a_frame(tmp_path_factory, drawn):
    run, _ = drawn
    path = tmp_path_factory.mktemp("runs") / "a.run"
    run.write(path)
    filled = {query: docs for query, docs in run.to_dict().items() if docs}
    assert Run.read(path).to_dict() == filled
    frame = run.to_pandas().sample(frac=1, random_state=0)
    assert {query: docs for query, docs in Run.from_pandas(frame).to_dict().items() if docs} == filled


def test_queries_that_found_nothing_or_are_not_judged():
    run = Run.of({"a": {"x": 1.0, "y": 2.0}, "b": {}, "c": {"x": 1.0}}, name="one")
    values = evaluate_run(run, {"a": {"x": 1}, "b": {"x": 1}, "d": {"x": 0}}, ["RR@10", "R@10"])
    assert values.index.tolist() == ["a", "b", "d"]
    assert values["RR@10"].tolist() == [0.5, 0.0, 0.0]
    assert np.isnan(evaluate_run(run, {"a": {"x": 1}, "d": {"x": 0}}, ["RR"], empty="skip").loc["d", "RR"])
    with pytest.raises(ArgumentError, match=r"none of the 3 queries of run 'one' is judged; the first is 'a'"):
        evaluate_run(run, {"z": {"x": 1}})


def test_what_it_holds():
    run = Run.of({"a": [("x", 1.0), ("y", 2.0), ("z", 1.0)], "b": []}, name="one")
    assert run["a"] == [("y", 2.0), ("x", 1.0), ("z", 1.0)]
    assert (len(run), "b" in run, list(run)) == (2, True, ["a", "b"])
    assert run.top(2)["a"] == [("y", 2.0), ("x", 1.0)]
    assert run.of_queries(["b", "q", "a"]).to_dict() == {"b": {}, "q": {}, "a": {"y": 2.0, "x": 1.0, "z": 1.0}}
    assert run.to_pandas()["rank"].tolist() == [1, 2, 3]
    assert repr(run) == "Run('one', queries=2, documents=3)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 d 1 2.0\n", "line 1: a run has six fields"),
        ("q Q0 d 1 2.0 x\nq Q0 e 2 two x\n", "line 2: the score is no number"),
        ("q Q0 d 1 nan x\n", "line 1: the score is NaN"),
        ("q Q0 d 1 2.0 x\n\nq Q0 d 2 1.0 x\n", "line 3: query 'q' has the document twice"),
    ],
)
def test_a_bad_file_is_told_by_its_line(tmp_path, text, message):
    path = tmp_path / "bad.run"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        Run.read(path)


def test_bad_arguments():
    with pytest.raises(ArgumentError, match="'q' has document 'd' twice"):
        Run.of({"q": [("d", 2.0), ("d", 1.0)]})
    with pytest.raises(ArgumentError, match="the score of document 'd' is NaN"):
        Run.of({"q": {"d": float("nan")}})
    with pytest.raises(ArgumentError, match="holds a space"):
        Run.of({"a b": {"d": 1.0}}).write("never.run")
    with pytest.raises(ArgumentError, match="no column 'score'"):
        Run.from_pandas(pd.DataFrame({"query": ["a"], "doc": ["b"]}))
    with pytest.raises(ArgumentError, match="k=0"):
        Run.of({"q": {"d": 1.0}}).top(0)
