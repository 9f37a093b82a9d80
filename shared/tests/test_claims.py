"""The nouns of a claim, the registry, discovery, the order of a run, and what is written down of it."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.claims import (
    Claim,
    ClaimResult,
    ClaimSet,
    Context,
    Evidence,
    NotRun,
    Paper,
    Settings,
    Table,
    Verdict,
    discover,
    select,
    verdict_from,
)
from irworks.claims.schedule import Estimate, in_starting_order
from irworks.errors import ArgumentError

FAKES = Path(__file__).parent / "fakes"
PAPER = Paper("Title", ("A. Author", "B. Author"), "Venue", "https://example.org")
WORDS = {"says": "It holds.", "where": "Section 1", "paper": "42", "rule": "If it holds."}


def measured(ctx: Context) -> Evidence:
    return Evidence("something", Verdict.REPRODUCED)


def claim(**changes) -> Claim:
    return Claim(**{"package": "p", "id": "an-id", "function": measured, **WORDS, **changes})


def context(tmp_path, **changes) -> Context:
    return Context(**{"scale": "smoke", "seeds": (0,), "run_dir": tmp_path, **changes})


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.syspath_prepend(FAKES)


# Verdicts and evidence


@given(st.dictionaries(st.text(), st.booleans(), min_size=1))
def test_a_verdict_says_whether_all_some_or_no_checks_hold(checks):
    holding = sum(checks.values())
    expected = {len(checks): Verdict.REPRODUCED, 0: Verdict.NOT_REPRODUCED}.get(holding, Verdict.PARTLY)
    assert verdict_from(checks) is expected


def test_there_is_no_verdict_without_checks():
    with pytest.raises(ArgumentError):
        verdict_from({})


def test_evidence_takes_numbers_of_any_kind_and_keeps_plain_floats():
    evidence = Evidence("m", "partly", {"a": np.float32(0.5), "b": np.int64(3), "c": True})
    assert evidence.values == {"a": 0.5, "b": 3.0, "c": 1.0}
    assert {type(value) for value in evidence.values.values()} == {float}
    assert evidence.verdict is Verdict.PARTLY


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"measured": " ", "verdict": "partly"}, "must say what was measured"),
        (
            {"measured": "m", "verdict": "partly", "values": {"x": "high"}},
            r"\['x'\] must be a number, found 'high'",
        ),
    ],
)
def test_evidence_that_says_nothing_is_refused(arguments, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        Evidence(**arguments)


# Claims


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": "Not Kebab"}, "kebab-case"),
        ({"id": "../up"}, "kebab-case"),
        ({"rule": ""}, "'rule' must not be empty"),
        ({"cost": 0}, "cost must be above 0"),
        ({"seeds": {"tiny": 3}}, "'tiny': 3"),
        ({"seeds": {"small": 0}}, "'small': 0"),
    ],
)
def test_a_claim_with_a_slip_is_refused_when_it_is_declared(changes, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        claim(**changes)


def test_seeds_follow_the_scale_the_claim_and_the_user_in_that_order():
    assert claim().seeds_at("small") == (0, 1, 2)
    assert claim(seeds={"small": 5}).seeds_at("small") == (0, 1, 2, 3, 4)
    assert claim(seeds={"small": 5}).seeds_at("smoke") == (0,)
    assert claim(seeds={"small": 5}).seeds_at("small", 2) == (0, 1)
    assert claim(seeds={"small": 5}).seeds_at("small", 2, first=7) == (7, 8)


def test_two_claims_of_one_package_cannot_share_an_id():
    claims = ClaimSet(package="p", paper=PAPER)
    assert claims.claim(id="twice", **WORDS)(measured) is measured
    with pytest.raises(ArgumentError, match="two claims with the id 'twice'"):
        claims.claim(id="twice", **WORDS)


def test_a_set_keeps_the_order_of_declaration_and_names_its_claims_when_asked_for_another():
    claims = ClaimSet(package="p", paper=PAPER)
    for name in ("zebra", "ape", "mole"):
        claims.claim(id=name, **WORDS)(measured)
    assert [c.id for c in claims] == ["zebra", "ape", "mole"]
    assert [c.id for c in claims.only(["mole", "zebra"])] == ["zebra", "mole"]
    assert "ape" in claims
    with pytest.raises(ArgumentError, match="no claim 'newt'; it has: zebra, ape, mole"):
        claims["newt"]


def test_a_claim_runs_in_this_process_when_asked_to(tmp_path):
    claims = ClaimSet(package="p", paper=PAPER)
    claims.claim(id="one", **WORDS)(measured)
    assert claims.run(context(tmp_path), "one").measured == "something"


def test_a_claim_whose_library_is_absent_is_not_run(tmp_path):
    claims = ClaimSet(package="p", paper=PAPER)
    claims.claim(id="one", needs=("json", "no_such_library"), **WORDS)(measured)
    with pytest.raises(NotRun, match="needs no_such_library") as gap:
        claims.run(context(tmp_path), "one")
    assert gap.value.command == "pip install no_such_library"


def test_a_claim_must_return_evidence(tmp_path):
    claims = ClaimSet(package="p", paper=PAPER)
    claims.claim(id="one", **WORDS)(lambda ctx: 0.5)
    with pytest.raises(TypeError, match="must return Evidence, found float"):
        claims.run(context(tmp_path), "one")


def test_not_run_keeps_its_command_across_processes():
    gap = pickle.loads(pickle.dumps(NotRun("no GPU", command="buy one")))
    assert (gap.reason, gap.command, str(gap)) == ("no GPU", "buy one", "no GPU")


# Context


def test_the_scale_picks_the_size(tmp_path):
    sizes = {"smoke": 1, "small": 2, "full": 3}
    assert [context(tmp_path, scale=scale).pick(**sizes) for scale in sizes] == [1, 2, 3]


@pytest.mark.parametrize("changes", [{"scale": "huge"}, {"seeds": ()}])
def test_a_context_without_scale_or_seeds_is_refused(tmp_path, changes):
    with pytest.raises(ArgumentError):
        context(tmp_path, **changes)


def test_a_replicate_always_draws_the_same(tmp_path):
    ctx = context(tmp_path)
    assert ctx.rng(3).random() == ctx.rng(3).random() == np.random.default_rng(3).random()
    assert ctx.rng(3).random() != ctx.rng(4).random()


def test_data_that_is_absent_offline_is_not_run_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.delenv("IRWORKS_DATA", raising=False)
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(NotRun) as gap:
        context(tmp_path, offline=True).data("letor")
    assert gap.value.command == "irworks data get letor"


def test_data_that_no_catalogue_has_is_a_mistake_and_not_a_gap(tmp_path):
    with pytest.raises(ArgumentError, match="letorr"):
        context(tmp_path, offline=True).data("letorr")


# Discovery


def test_a_package_that_cannot_be_loaded_is_reported_and_the_others_are_found(fakes):
    found = discover(["brokenpaper", "fakepapers"])
    assert [claims.package for claims in found.sets] == ["fakepapers"]
    assert "brokenpaper_is_not_here" in found.broken["brokenpaper"]
    assert found.broken["brokenpaper"].startswith("Traceback")


def test_only_the_packages_that_are_asked_for_are_loaded(fakes):
    found = discover(["fakepapers"])
    assert [claims.package for claims in found.sets] == ["fakepapers"]
    assert not found.broken


def test_an_unknown_package_is_refused_with_those_that_are_known(fakes):
    with pytest.raises(ArgumentError, match=r"'fakepaper'; installed: .*fakepapers.*Did you mean 'fakepapers'\?"):
        discover(["fakepaper"])


def test_an_unknown_claim_is_refused_with_those_that_are_known(fakes):
    found = discover(["fakepapers"])
    with pytest.raises(ArgumentError, match=r"no claim is named 'quik'; known: drawn, quick, .*Did you mean 'quick'\?"):
        select(found, ["drawn", "quik"])
    assert [c.id for claims in select(found, ["quick", "drawn"]).sets for c in claims] == ["drawn", "quick"]


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        ("CLAIMS = 3", "must name a ClaimSet, found int"),
        ("from irworks.claims import *\nCLAIMS = ClaimSet(package='other', paper=None)", "package='other'"),
        ("raise SystemExit('no')", "SystemExit: no"),
    ],
)
def test_an_entry_point_that_is_no_claim_set_of_its_package_is_broken(tmp_path, monkeypatch, module, complaint):
    name = f"odd{abs(hash(module))}"
    (tmp_path / f"{name}.py").write_text(module)
    (tmp_path / f"{name}-1.dist-info").mkdir()
    (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (tmp_path / f"{name}-1.dist-info" / "entry_points.txt").write_text(f"[irworks.claims]\n{name} = {name}:CLAIMS\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = discover([name])
    assert found.sets == ()
    assert complaint in found.broken[name]


# Order and estimate


@given(st.lists(st.floats(0.1, 1e4), max_size=30), st.integers(1, 8))
def test_every_claim_starts_once_and_the_longest_are_not_left_to_the_end(costs, jobs):
    claims = [claim(id=f"c{number}", cost=cost) for number, cost in enumerate(costs)]
    order = in_starting_order(claims, jobs)
    assert sorted(c.id for c in order) == sorted(c.id for c in claims)
    first = [c.cost for c in order[:jobs]]
    if costs:
        assert min(costs) in first
        assert (max(costs) if jobs > 1 else min(costs)) in first


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=20), st.integers(1, 4), st.floats(0.5, 20))
def test_the_estimate_learns_how_fast_this_machine_is(costs, jobs, slowness):
    claims = [claim(id=f"c{number}", cost=cost) for number, cost in enumerate([*costs, 10.0])]
    estimate = Estimate(claims, jobs, "full")
    assert estimate.seconds_left() is None
    estimate.finished("p", claims[-1].id, 10.0 * slowness)
    assert estimate.seconds_left() == pytest.approx(slowness * max(sum(costs) / jobs, max(costs)))
    for c in claims[:-1]:
        estimate.finished("p", c.id, c.cost)
    assert estimate.seconds_left() == 0


# Settings


def test_the_fingerprint_changes_with_everything_that_decides_the_values():
    prints = [
        Settings().fingerprint(claim()),
        Settings(scale="smoke").fingerprint(claim()),
        Settings(seeds=2).fingerprint(claim()),
        Settings(first_seed=1).fingerprint(claim()),
        Settings(device="cpu").fingerprint(claim()),
        Settings(options={"a": "b"}).fingerprint(claim()),
        Settings().fingerprint(claim(id="another")),
    ]
    assert len(set(prints)) == len(prints)
    assert Settings().fingerprint(claim(rule="Put otherwise.")) == Settings().fingerprint(claim())
    assert Settings(seeds=3).fingerprint(claim()) == Settings().fingerprint(claim())


def test_checks_without_names_are_refused():
    with pytest.raises(ArgumentError, match="needs checks by name"):
        verdict_from([True, False])


def test_the_command_of_a_claim_can_be_pasted_into_a_shell():
    settings = Settings(scale="full", seeds=2, first_seed=40, options={"mslr": "/a path/with spaces"})
    assert settings.command(claim()) == (
        "irworks reproduce p --claim an-id --scale full --seeds 2 --first-seed 40 --option 'mslr=/a path/with spaces'"
    )


@pytest.mark.parametrize("arguments", [{"scale": "tiny"}, {"seeds": 0}, {"first_seed": -1}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ArgumentError):
        Settings(**arguments)


# Results


def test_a_result_survives_json_and_undefined_numbers_become_null():
    evidence = Evidence("m", "reproduced", {"fine": 0.1, "nan": float("nan"), "inf": float("inf")}, caption="c")
    blank = ClaimResult.blank(claim(), scale="small", seeds=(0, 1), command="irworks …")
    result = blank.with_evidence(evidence, None)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text)["values"] == {"fine": 0.1, "nan": None, "inf": None}
    assert ClaimResult.from_json(json.loads(text)) == result


def test_an_errored_claim_is_not_run_and_says_why():
    result = ClaimResult.blank(claim(), scale="small", seeds=(0,), command="").with_error("Traceback …\nKeyError: 'x'")
    assert (result.verdict, result.status, result.reason) == (Verdict.NOT_RUN, "errored", "KeyError: 'x'")
    assert result.errored
    assert not result.settled


def test_a_table_keeps_what_the_frame_says_in_plain_values():
    frame = pd.DataFrame(
        {"n": np.array([1, 2], dtype=np.int32), "x": [0.5, np.nan], "big": [np.inf, 1.0], "ok": [True, False]},
        index=pd.Index(["a", "b"], name="policy"),
    )
    table = Table.from_frame(frame)
    assert table.columns == ("policy", "n", "x", "big", "ok")
    assert table.rows == (("a", 1, 0.5, "inf", True), ("b", 2, None, 1.0, False))
    text = json.dumps({"columns": table.columns, "rows": table.rows}, allow_nan=False)
    assert Table.from_json(json.loads(text)) == table


def test_a_table_names_the_columns_of_a_grouped_frame():
    frame = pd.DataFrame({"g": ["a", "a", "b"], "x": [1.0, 3.0, 5.0]}).groupby("g").agg({"x": ["mean", "count"]})
    table = Table.from_frame(frame)
    assert table.columns == ("g", "x mean", "x count")
    assert table.rows == (("a", 2.0, 2), ("b", 5.0, 1))


def test_a_command_names_only_options_that_its_package_takes():
    settings = Settings(options={"mslr": "/data", "gaze": "x"})
    assert settings.package_command("pack", ["mslr"]) == "irworks reproduce pack --scale small --option mslr=/data"
    assert settings.package_command("pack").endswith("--option mslr=/data --option gaze=x")
    command = settings.command(claim(), ["gaze"])
    assert command.endswith("--option gaze=x")
    assert "mslr" not in command
