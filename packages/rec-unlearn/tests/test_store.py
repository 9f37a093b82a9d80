import json
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError, DataError, MissingDependencyError
from rec_unlearn import DeletionRequest, resolve
from rec_unlearn.models.base import NotFittedError
from rec_unlearn.models.ease import EASE
from rec_unlearn.models.ials import IALS
from rec_unlearn.models.itemknn import ItemKNN
from rec_unlearn.models.markov import Markov
from rec_unlearn.models.popularity import Popularity
from rec_unlearn.models.store import load, save
from rec_unlearn.models.tifuknn import TIFUKNN

MODELS = [
    EASE(3.0, refit_every=7),
    ItemKNN(4, shrink=0.5, similarity="jaccard"),
    TIFUKNN(3, group_size=2),
    Markov(),
    Popularity(),
    IALS(3, sweeps=2),
]


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


def header_of(path):
    with np.load(path) as archive:
        return json.loads(str(archive["header"]))


def with_header(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["header"] = np.array(json.dumps({**json.loads(str(arrays["header"])), **changes}))
    with path.open("wb") as handle:
        np.savez(handle, **arrays)


@pytest.fixture
def saved(small_log, tmp_path):
    save(ItemKNN(4).fit(small_log(8)), tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_that_was_read_back_scores_as_before_and_forgets_as_before(model, small_log, tmp_path):
    log = small_log(8)
    model.fit(log, seed=3)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model")
    assert (again.settings(), again.seed_) == (model.settings(), 3)
    np.testing.assert_array_equal(again.scores(log, everybody(log)), model.scores(log, everybody(log)))
    if hasattr(model, "remove"):
        removal = resolve(DeletionRequest(user=log.user_ids[log.user[0]]), log)
        assert again.remove(removal) == model.remove(removal) > 0
        np.testing.assert_array_equal(again.scores(log, everybody(log)), model.scores(log, everybody(log)))


@pytest.mark.parametrize("name", ["GRU4Rec", "SASRec", "NextBasketGRU", "NextBasketAttention"])
def test_networks_are_read_back_weight_by_weight(name, small_log, tmp_path):
    sequence = pytest.importorskip("rec_unlearn.models.sequence")
    train = sequence.TrainConfig(epochs=1, device="cpu")
    log = small_log(8)
    model = getattr(sequence, name)(8, max_steps=4, train=train).fit(log, seed=2)
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert (type(again), again.settings(), again.seed_, again.history_) == (
        type(model),
        model.settings(),
        2,
        model.history_,
    )
    np.testing.assert_array_equal(again.scores(log, everybody(log)), model.scores(log, everybody(log)))
    with np.load(tmp_path / "model.npz") as archive:
        stored = {key.removeprefix("array.") for key in archive.files} - {"header"}
    # Neither interactions nor Adam's moments.
    assert stored == set(model.module_.state_dict())


@pytest.mark.parametrize("make", [EASE, ItemKNN])
def test_the_file_holds_nothing_for_each_user_and_no_interaction(make, small_log, tmp_path):
    log = small_log(8)
    make().fit(log).save(tmp_path / "model.npz")
    n = log.n_items
    with np.load(tmp_path / "model.npz") as archive:
        sizes = {name: archive[name].shape for name in archive.files if not name.startswith("array.counts.")}
    allowed = {(), (n,), (n * (n + 1) // 2,)}
    assert set(sizes.values()) <= allowed


@given(where=st.floats(0, 1), flip=st.integers(1, 255))
@settings(max_examples=40)
def test_a_damaged_file_is_refused_or_harmless(small_log, tmp_path_factory, where, flip):
    folder = tmp_path_factory.mktemp("damaged")
    log = small_log(8)
    model = ItemKNN(4).fit(log)
    save(model, folder / "model.npz")
    data = bytearray((folder / "model.npz").read_bytes())
    data[min(int(where * len(data)), len(data) - 1)] ^= flip
    (folder / "model.npz").write_bytes(data)
    # Some bytes of an archive mean nothing, such as its dates.
    with suppress(DataError):
        again = load(folder / "model.npz")
        np.testing.assert_array_equal(again.scores(log, everybody(log)), model.scores(log, everybody(log)))


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30)
def test_half_a_file_is_refused(small_log, tmp_path_factory, share):
    path = tmp_path_factory.mktemp("half") / "model.npz"
    save(EASE().fit(small_log(8)), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"model\.npz"):
        load(path)


def test_a_newer_format_says_which_version_wrote_it(saved):
    with_header(saved, format=2, version="9.1")
    with pytest.raises(DataError, match=r"rec-unlearn 9\.1 in a newer format.*found '?2'?.*expected format 1"):
        load(saved)


def test_an_unknown_class_is_named(saved):
    with_header(saved, **{"class": "DeepThought"})
    with pytest.raises(DataError, match=r"found 'DeepThought'; expected one of: EASE"):
        load(saved)


def test_settings_that_the_class_does_not_have_are_damage(saved):
    with_header(saved, settings={"k": 4, "colour": "red"})
    with pytest.raises(DataError, match=r"the saved model is damaged: .*colour"):
        load(saved)


def test_a_file_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(DataError, match="no model can be read from it"):
        load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no model")
    with pytest.raises(DataError, match=r"text\.npz: no model can be read from it: it is no \.npz file") as caught:
        load(tmp_path / "text.npz")
    assert "pickle" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.npz")


def test_a_pickle_in_a_file_is_never_run(saved):
    with np.load(saved) as archive:
        arrays = dict(archive)
    arrays["array.counts.data"] = np.array([print], dtype=object)
    np.savez(saved, **arrays)
    with pytest.raises(DataError, match=r"damaged.*[Oo]bject"):
        load(saved)


@pytest.mark.parametrize("name", ["shape", "indices", "data"])
def test_arrays_that_do_not_belong_together_are_damage(saved, name):
    with np.load(saved) as archive:
        arrays = dict(archive)
    arrays[f"array.counts.{name}"] = arrays[f"array.counts.{name}"][:-1]
    np.savez(saved, **arrays)
    with pytest.raises(DataError, match="the saved model is damaged"):
        load(saved)


def test_a_file_of_another_model_is_refused_by_the_class_that_reads_it(saved):
    with pytest.raises(DataError, match=r"the file holds another model \(found 'ItemKNN'; expected EASE\)"):
        EASE.load(saved)


def test_a_model_that_is_not_fitted_leaves_the_old_file_as_it_was(saved):
    before = saved.read_bytes()
    with pytest.raises(NotFittedError, match="EASE is not fitted yet"):
        EASE().save(saved)
    assert saved.read_bytes() == before


def test_a_model_of_ones_own_is_refused(small_log, tmp_path):
    class EASE(Popularity):
        pass

    with pytest.raises(ArgumentError, match="EASE is no model of this package"):
        save(EASE().fit(small_log(8)), tmp_path / "model.npz")


def test_the_header_says_who_wrote_it(saved):
    header = header_of(saved)
    assert (header["package"], header["format"], header["class"]) == ("rec-unlearn", 1, "ItemKNN")
    assert header["settings"] == {"k": 4, "shrink": 0.0, "similarity": "cosine"}


def test_a_network_without_torch_is_no_damage(saved, monkeypatch):
    with_header(saved, **{"class": "GRU4Rec"})
    monkeypatch.delitem(sys.modules, "rec_unlearn.models.sequence", raising=False)
    monkeypatch.delitem(sys.modules, "rec_unlearn.models.torch_base", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"GRU4Rec needs torch.*rec-unlearn\[torch\]"):
        load(saved)
