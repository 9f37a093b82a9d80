import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest
from rec_unlearn.algorithms import NotApplicableError, make_algorithm
from rec_unlearn.curvature import flatten
from rec_unlearn.data import UnknownIdError
from rec_unlearn.models.sharded import Sharded
from rec_unlearn.simulate import simulate_baskets
from rec_unlearn.unlearn import unlearn

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(1), n_users=60, n_items=30).log
ACCOUNT = DeletionRequest(user="u5")


def weights(model):
    return flatten([parameter.detach().clone() for parameter in model.parameters()])


@pytest.fixture
def model():
    return OWN["WithEverything"](LOG.n_items).fit(LOG, steps=40)


def test_an_own_model_of_two_methods_forgets_an_account():
    model = OWN["LossesOnly"](LOG.n_items).fit(LOG, steps=40)
    report = unlearn(model, ACCOUNT, log=LOG)
    assert (report.algorithm, report.applied, report.exact) == ("scif", True, False)
    assert report.users == 1
    assert report.rows == len(LOG.rows_of([5]))
    assert 5 not in report.log.active_users
    assert report.loss_after > report.loss_before
    assert "removed approximately" in str(report)


def test_a_model_that_removes_exactly_is_asked_to():
    model = Sharded(lambda: OWN["WithEverything"](LOG.n_items), n_shards=3).fit(LOG)
    report = unlearn(model, ACCOUNT, log=LOG)
    assert (report.algorithm, report.exact) == ("exact", True)
    assert "removed exactly" in str(report)


def test_retraining_is_exact_too(model):
    report = unlearn(model, ACCOUNT, log=LOG, algorithm="retrain")
    again = OWN["WithEverything"](LOG.n_items).fit(report.log)
    assert report.exact
    assert torch.equal(weights(model), weights(again))


def test_requests_follow_one_another(model):
    log = LOG
    algorithm = make_algorithm("scif")
    for user in ("u5", "u6", "u7"):
        report = unlearn(model, DeletionRequest(user=user), log=log, algorithm=algorithm)
        log = report.log
    assert not set(log.active_users) & {5, 6, 7}
    assert len(algorithm.history_.norms) == 3


@pytest.mark.parametrize("name", ["scif", "fine-tune", "gradient-ascent", "kookmin", "fanchuan", "block", "imcorrect"])
def test_a_gradient_that_is_not_a_number_undoes_the_step_and_is_reported(name, model):
    class Poisoned(type(model)):
        asked = 0

        def losses(self, log, users):
            return super().losses(log, users) * self.poison()

        def outputs(self, log, users):
            values, losses = super().outputs(log, users)
            return values * self.poison(), losses

        def output_layer(self, log, users):
            layer = super().output_layer(log, users)
            return layer._replace(logits=layer.logits * self.poison())

        def poison(self):
            # Right at first, so that training has begun when it fails.
            self.asked += 1
            return float("nan") if self.asked > 3 else 1.0

    poisoned = Poisoned(LOG.n_items)
    for mine, theirs in zip(poisoned.parameters(), model.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    before = weights(poisoned)
    report = unlearn(poisoned, ACCOUNT, log=LOG, algorithm=make_algorithm(name))
    if report.applied:
        # The algorithm was done before the poison worked.
        poisoned.asked = 10
        before = weights(poisoned)
        report = unlearn(poisoned, DeletionRequest(user="u6"), log=report.log, algorithm=name)
    assert not report.applied
    assert not report.exact
    assert report.reason
    assert report.touched == 0
    assert torch.equal(weights(poisoned), before)
    assert 6 in report.log.active_users
    assert "NOT removed" in str(report)


def test_a_parameter_that_became_infinite_undoes_the_step(model):
    class Breaking(type(make_algorithm("none"))):
        def apply(self, model, removal, rng):
            model.bias.data[0] = float("inf")
            return super().apply(model, removal, rng)

    before = weights(model)
    report = unlearn(model, ACCOUNT, log=LOG, algorithm=Breaking())
    assert not report.applied
    assert "infinite" in report.reason
    assert torch.equal(weights(model), before)


def test_any_other_error_leaves_the_model_as_it_was(model):
    class Failing(type(make_algorithm("none"))):
        def apply(self, model, removal, rng):
            model.bias.data[0] = 7.0
            raise RuntimeError("out of memory")

    before = weights(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        unlearn(model, ACCOUNT, log=LOG, algorithm=Failing())
    assert torch.equal(weights(model), before)


def test_a_request_for_an_unknown_user_changes_nothing(model):
    before = weights(model)
    with pytest.raises(UnknownIdError, match="nobody"):
        unlearn(model, DeletionRequest(user="nobody"), log=LOG)
    assert torch.equal(weights(model), before)


def test_an_algorithm_that_does_not_fit_the_model_says_why():
    with pytest.raises(NotApplicableError, match="output_layer"):
        unlearn(OWN["LossesOnly"](LOG.n_items), ACCOUNT, log=LOG, algorithm="block")
    with pytest.raises(ArgumentError, match="there is no algorithm"):
        unlearn(OWN["LossesOnly"](LOG.n_items), ACCOUNT, log=LOG, algorithm="magic")


@pytest.fixture
def prepared(monkeypatch):
    """How often what was prepared."""
    counted = []
    for name in ("scif", "calibrated"):
        kind = type(make_algorithm(name))

        def prepare(self, *given, name=name, do=kind.prepare):
            counted.append(name)
            do(self, *given)

        monkeypatch.setattr(kind, "prepare", prepare)
    return counted


def test_an_algorithm_is_prepared_once_and_apart_from_what_a_request_costs(model, prepared):
    algorithm = make_algorithm("calibrated")
    first = unlearn(model, ACCOUNT, log=LOG, algorithm=algorithm)
    assert prepared == ["calibrated", "scif"]
    assert first.prepare_seconds > first.seconds
    second = unlearn(model, DeletionRequest(user="u6"), log=first.log, algorithm=algorithm)
    assert len(prepared) == 2
    assert second.prepare_seconds < second.seconds
    unlearn(model, DeletionRequest(user="u7"), log=second.log, algorithm="scif")
    unlearn(model, DeletionRequest(user="u8"), log=second.log, algorithm="scif")
    assert prepared[2:] == ["scif", "scif"]


def test_a_service_and_a_benchmark_prepare_once(prepared, tmp_path):
    from rec_unlearn.bench import Trial, make_controls, serve
    from rec_unlearn.data import leave_last_out
    from rec_unlearn.models import NextBasketGRU, TrainConfig
    from rec_unlearn.scenarios import accounts
    from rec_unlearn.service import UnlearningService

    def train(log, seed):
        return NextBasketGRU(4, train=TrainConfig(epochs=1, device="cpu")).fit(log, seed=seed)

    split = leave_last_out(LOG)
    trial = Trial(accounts(split.train, np.random.default_rng(0), n=3), split, train, other_seeds=(7,))
    rows = serve(trial, make_controls(trial), make_algorithm("scif"))
    assert prepared == ["scif"]
    assert rows[-1]["prepare_seconds"] > 0
    service = UnlearningService(tmp_path / "s", model=train(LOG, 0), log=LOG, algorithm="scif", max_batch=1)
    with service:
        service.submit([DeletionRequest(user=name) for name in ("u5", "u6", "u7")])
        service.run()
    with UnlearningService(tmp_path / "s") as again:
        again.submit(DeletionRequest(user="u8"))
        assert again.run()[0].report.prepare_seconds < 0.01
    assert prepared == ["scif", "scif"]


def test_a_preparation_that_fails_by_its_numbers_is_a_step_that_is_undone(model):
    with torch.no_grad():
        model.bias[0] = float("nan")
    report = unlearn(model, ACCOUNT, log=LOG, algorithm="calibrated")
    assert not report.applied
    assert "NaN" in report.reason


def test_a_report_can_be_written_as_json(model):
    import json

    report = unlearn(model, ACCOUNT, log=LOG, algorithm=make_algorithm("scif", damping=0.1))
    stored = json.loads(json.dumps(report.to_json()))
    assert stored["settings"]["damping"] == 0.1
    assert stored["facts"]["cg_steps"] >= 1
    assert "log" not in stored
