"""A model knows the data it stands for, and a log that is not they is noticed."""

import json
import runpy
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rec_unlearn import DeletionRequest, Interactions, resolve, unlearn
from rec_unlearn.data import store as log_store
from rec_unlearn.data.fingerprint import Fingerprint, OtherDataWarning, difference
from rec_unlearn.models.registry import MODELS, make_model
from rec_unlearn.models.store import load, save
from rec_unlearn.models.torch_base import TrainingError
from rec_unlearn.service import UnlearningService

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
QUICK = {name: {"epochs": 1, "device": "cpu"} if kind.network else {} for name, kind in MODELS.items()}


def fresh(log):
    """The same computed anew."""
    return Fingerprint._of_rows(log)


def without(frame, user):
    return frame[frame.user != user]


@pytest.fixture
def frame():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"user": rng.integers(0, 30, 400) * 7, "item": rng.integers(0, 12, 400)})
    return frame.assign(day=np.arange(400))


@pytest.mark.parametrize("text", [False, True])
def test_neither_the_order_of_rows_nor_the_numbers_of_users_count_but_every_row_does(frame, text):
    if text:
        frame["user"] = "u " + frame["user"].astype(str) + "é"
    log = Interactions.from_pandas(frame, time="day")
    found = Fingerprint.of(log)
    assert (found.rows, found.users) == (400, 30)
    assert Fingerprint.of(Interactions.from_pandas(frame.sample(frac=1, random_state=1), time="day")) == found
    user = frame.user.iloc[0]
    left = Interactions.from_pandas(without(frame, user), time="day")
    assert left.n_users == 29
    assert Fingerprint.of(left) == Fingerprint.of(log.without(users=[user])) != found
    other = frame.copy()
    other.loc[3, "item"] += 1
    assert Fingerprint.of(Interactions.from_pandas(other, time="day")).what != found.what


@pytest.mark.parametrize(
    "make",
    [
        lambda i: i if i % 2 else f"u{i}",
        lambda i: 2**64 + i if i % 2 else i,
        lambda i: (i, "a"),
        lambda i: i + 0.5,
    ],
)
def test_the_hash_of_an_id_does_not_depend_on_those_beside_it(frame, make):
    log = Interactions.from_pandas(frame.assign(user=[make(int(user)) for user in frame.user // 7]), time="day")
    found, alone = fresh(log), [fresh(log.of_users([user])) for user in range(log.n_users)]
    assert sum(one.what for one in alone) % 2**64 == found.what
    assert sum(one.when for one in alone) % 2**64 == found.when
    assert len({one.what for one in alone}) == 30


def test_the_order_of_steps_has_a_digest_of_its_own(frame):
    one = Fingerprint.of(Interactions.from_pandas(frame, time="day"))
    other = Fingerprint.of(Interactions.from_pandas(frame.assign(day=-frame.day), time="day"))
    assert one.what == other.what
    assert one.when != other.when


def test_what_is_left_has_the_fingerprint_of_what_is_left(small_log, removals):
    for seed in range(20):
        log = small_log(seed)
        for removal in removals(log, seed, 4):
            rows = removal.before.rows_of(removal.users)
            old, new = removal.before.keep(rows), removal.before.keep(rows[~removal.rows[rows]])
            assert Fingerprint.of(removal.before).changed(old, new) == fresh(removal.after)
            assert fresh(removal.after.renumbered()) == fresh(removal.after)


def test_a_stored_log_without_the_ids_of_those_who_left_has_the_same(frame, tmp_path):
    log = Interactions.from_pandas(frame).without(users=[frame.user.iloc[0]])
    log_store.save(log, tmp_path / "log.npz")
    again = log_store.load(tmp_path / "log.npz")
    assert again.user_ids.dtype == object
    assert fresh(again) == fresh(log)
    assert Fingerprint.from_json(json.loads(json.dumps(fresh(log).to_json()))) == fresh(log)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_stands_for_what_it_was_trained_on_less_what_was_removed_and_its_file_says_so(name, frame, tmp_path):
    log = Interactions.from_pandas(frame, time="day")
    model = make_model(name, **QUICK[name])
    assert model.fingerprint_ is None
    model.fit(log)
    assert model.fingerprint_ == fresh(log)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OtherDataWarning)
        report = unlearn(model, DeletionRequest(user=7), log=log)
        report = unlearn(model, DeletionRequest(user=14, items=[3]), log=report.log)
        save(model, tmp_path / "model.npz")
        again = load(tmp_path / "model.npz")
        assert again.fingerprint_ == model.fingerprint_ == fresh(report.log) == Fingerprint.of(report.log)
        unlearn(again, DeletionRequest(user=21), log=report.log)
    if hasattr(model, "remove"):
        removal = resolve(DeletionRequest(user=21), report.log)
        model.remove(removal)
        assert model.fingerprint_ == fresh(removal.after)


def test_the_data_of_before_an_earlier_removal_are_noticed_once(frame):
    log = Interactions.from_pandas(frame)
    model = make_model("popularity").fit(log)
    unlearn(model, DeletionRequest(user=7), log=log)
    with pytest.warns(OtherDataWarning, match=r"has 400 rows of 30 users; the model stands for \d+ of 29"):
        report = unlearn(model, DeletionRequest(user=14), log=log)
    assert not report.exact
    with warnings.catch_warnings():
        warnings.simplefilter("error", OtherDataWarning)
        assert unlearn(model, DeletionRequest(user=21), log=report.log).exact


def test_a_user_removed_twice_is_not_said_to_be_removed_exactly(frame):
    log = Interactions.from_pandas(frame)
    model = make_model("popularity").fit(log)
    unlearn(model, DeletionRequest(user=7), log=log)
    with pytest.warns(OtherDataWarning):
        assert not unlearn(model, DeletionRequest(user=7), log=log).exact
    unlearn(model, DeletionRequest(user=14), log=log.without(users=[7]))
    with pytest.warns(OtherDataWarning):
        assert unlearn(model, DeletionRequest(user=7), log=log, algorithm="retrain").exact


def test_other_rows_and_other_steps_are_told_apart(frame):
    model = make_model("popularity").fit(Interactions.from_pandas(frame, time="day"))
    backwards = Interactions.from_pandas(frame.assign(day=-frame.day), time="day")
    assert "in other steps: name the columns" in difference(model, backwards)
    assert difference(model, backwards).endswith("as in training.")
    changed = frame.assign(item=np.roll(frame.item, 1))
    assert "stands for other 400 of 30" in difference(model, Interactions.from_pandas(changed, time="day"))
    assert difference(model, Interactions.from_pandas(frame.iloc[::-1], time="day")) == ""


def test_a_model_of_ones_own_does_not_know_its_data(frame):
    log = Interactions.from_pandas(frame)
    model = OWN["LossesOnly"](log.n_items).fit(log, steps=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unlearn(model, DeletionRequest(user=7), log=log)
        unlearn(model, DeletionRequest(user=14), log=log)


def test_a_file_of_an_earlier_version_is_read_and_does_not_know_its_data(frame, tmp_path):
    log = Interactions.from_pandas(frame)
    save(make_model("popularity").fit(log), tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    del header["facts"]["data"]
    np.savez(tmp_path / "model.npz", **{**arrays, "header": np.array(json.dumps(header))})
    model = load(tmp_path / "model.npz")
    assert model.fingerprint_ is None
    assert difference(model, log.without(users=[7])) == ""


def test_a_step_that_is_undone_leaves_what_the_model_stands_for(frame, monkeypatch):
    log = Interactions.from_pandas(frame)
    model = make_model("gru", epochs=1, device="cpu").fit(log)
    known = model.fingerprint_
    monkeypatch.setattr(type(model), "losses", lambda self, log, users: torch.full((len(users),), float("nan")))
    with pytest.raises(TrainingError, match="the loss is nan"):
        unlearn(model, DeletionRequest(user=7), log=log, algorithm="retrain")
    assert model.fingerprint_ == known


def test_a_service_says_once_that_model_and_log_do_not_belong_together(frame, tmp_path):
    log = Interactions.from_pandas(frame)
    model = make_model("popularity").fit(log)
    with pytest.warns(OtherDataWarning, match="the model stands for"):
        service = UnlearningService(tmp_path / "service", model=model, log=log.without(users=[7]))
    with service, warnings.catch_warnings():
        warnings.simplefilter("error", OtherDataWarning)
        service.submit([DeletionRequest(user=14), DeletionRequest(user=21)])
        service.run()
        assert difference(service.model, service.log) == ""
