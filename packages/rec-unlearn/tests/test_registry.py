"""Names of models, and what they stand for."""

import subprocess
import sys

import pytest

from irworks.errors import ArgumentError
from rec_unlearn import models
from rec_unlearn.models.registry import CLASSES, MODELS, class_of, make_model
from rec_unlearn.protocols import Differentiable, ExactlyRemovable


@pytest.mark.parametrize("name", MODELS)
def test_every_name_makes_a_model_and_says_what_it_is(name):
    kind = MODELS[name]
    if kind.network:
        pytest.importorskip("torch")
    model = make_model(name)
    assert type(model).__name__ == kind.name
    assert type(model) is getattr(models, kind.name)
    assert isinstance(model, Differentiable) == kind.network
    assert kind.network or isinstance(model, ExactlyRemovable) or hasattr(model, "sweep")


def test_every_class_that_files_may_name_is_there():
    pytest.importorskip("torch")
    assert all(class_of(name).__name__ == name for name in CLASSES)
    assert set(CLASSES) == {kind.name for kind in MODELS.values()} | {"Sharded"}
    assert set(CLASSES) <= set(models.__all__)


def test_settings_of_training_stand_among_those_of_the_model_and_leave_its_defaults():
    pytest.importorskip("torch")
    model = make_model("mf-bpr", dim=8, lr=0.5)
    assert (model.dim, model.train.lr, model.train.epochs, model.train.weight_decay) == (8, 0.5, 30, 0.5)
    assert make_model("attention").train.lr == 1e-3
    assert make_model("attention", lr=2.0).train.lr == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("crystal", {}), "there is no model 'crystal'; there are: gru, "),
        (("ease", {"epochs": 3}), "ease has no setting 'epochs'; it has: l2, refit_every"),
        (("itemknn", {"k": "many"}), "itemknn: "),
    ],
)
def test_what_cannot_be_made_is_refused(words, message):
    with pytest.raises(ArgumentError, match=message):
        make_model(words[0], **words[1])


def test_the_names_are_known_without_torch():
    code = "import sys; from rec_unlearn.models.registry import make_model; make_model('ease'); "
    code += "import rec_unlearn.bench; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
