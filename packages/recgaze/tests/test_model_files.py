import json

import numpy as np
import pytest

from irworks.errors import ArgumentError, DataError
from recgaze.models import CPBM, OEPBM, RCPBM, Features, Fixed, KeyValues, NotFittedError, load_model, pbm_world


@pytest.fixture(scope="module")
def study():
    return pbm_world(np.random.default_rng(0), n_users=10, n_screens=20)[0]


STARS = KeyValues("rating", {"rating": np.arange(1, 6)}, np.arange(1, 6)[:, None] - 3.0)
GIVEN = KeyValues("genre", {"genre": np.array(["Drama", "Crime"])}, np.array([0.1, 0.2]))


@pytest.mark.parametrize(
    "model",
    [CPBM(), RCPBM("rating", l2=0.5), OEPBM("genre"), RCPBM(Features(STARS)), CPBM(Fixed(GIVEN)), CPBM(OEPBM())],
    ids=repr,
)
def test_a_saved_model_predicts_the_same(study, tmp_path, model):
    fitted = model.with_options().fit(study)
    fitted.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert type(again) is type(fitted)
    assert (again.click_prob(study) == fitted.click_prob(study)).all()
    assert {n: v for n, v in again.options().items() if n != "attraction"} == {
        n: v for n, v in fitted.options().items() if n != "attraction"
    }
    again.save(tmp_path / "model")
    assert (load_model(tmp_path / "model").examination_ == fitted.examination_).all()


def test_user_ids_that_are_objects_are_saved_as_text(study, tmp_path):
    objects = type(study)(**{**study.__dict__, "users": study.users.astype(object)})
    fitted = OEPBM().fit(objects)
    fitted.save(tmp_path / "model")
    assert (load_model(tmp_path / "model").click_prob(objects) == fitted.click_prob(objects)).all()


def test_a_function_cannot_be_saved(study, tmp_path):
    model = OEPBM(Features(lambda screens: screens.rating[:, :, None, None])).fit(study)
    with pytest.raises(ArgumentError, match="cannot be saved"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_only_fitted_models_are_saved(tmp_path):
    with pytest.raises(NotFittedError):
        CPBM().save(tmp_path / "model")


def test_other_folders_are_neither_read_nor_replaced(study, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    model = OEPBM("genre").fit(study)
    with pytest.raises(DataError, match="not a saved model"):
        model.save(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(DataError, match="no saved model"):
        load_model(tmp_path)


def test_a_damaged_or_newer_model_is_refused(study, tmp_path):
    OEPBM("genre").fit(study).save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(DataError, match="newer recgaze"):
        load_model(tmp_path / "model")
    path.write_text(json.dumps({**config, "class": "os.system"}))
    with pytest.raises(DataError, match="no saved model"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: np.savez(path, examination=np.ones((10, 15))),
    ],
)
def test_a_damaged_model_is_told(study, tmp_path, damage):
    OEPBM().fit(study).save(tmp_path / "model")
    (arrays,) = (tmp_path / "model").glob("*.npz")
    damage(arrays)
    with pytest.raises(DataError, match="model"):
        load_model(tmp_path / "model")
