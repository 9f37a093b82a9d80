import copy
import sys
from dataclasses import replace

import numpy as np
import pytest

from cltr_twostage import ExposureIPS
from cltr_twostage.learning.ascent import Ascent
from cltr_twostage.learning.models import Adam, LinearScores
from cltr_twostage.learning.neural import ModuleScores, is_module
from cltr_twostage.simulate import tiny_world
from cltr_twostage.train import TwoStageLearner
from irworks.errors import ArgumentError, IrworksError, MissingDependencyError
from irworks.testing import run_together

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More of them only get into each other's way in modules this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


QUICK = {"n_steps": 40, "eval_every": 10, "eval_samples": 32, "n_samples": 8, "device": "cpu"}


def mlp(n_features=2, dropout=0.0, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(n_features, 16), torch.nn.Tanh(), torch.nn.Dropout(dropout), torch.nn.Linear(16, 1)
        )


def zero_layer(n_features):
    layer = torch.nn.Linear(n_features, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    return layer


@pytest.fixture(scope="module")
def bent():
    """Relevance is the square of a feature: no linear score can tell good documents from bad."""
    rng = np.random.default_rng(0)
    world = tiny_world(rng, n_docs=10, n_candidates=4, k=2, n_queries=20)
    X = rng.normal(size=(world.pool.n_rows, 2))
    world = replace(
        world,
        relevance=1 - np.exp(-(X[:, 0] ** 2)),
        generator_features=X.astype(np.float32),
        ranker_features=X.astype(np.float32),
    )
    return world, X


def fit(learner, bent, **changes):
    world, X = bent
    return learner.fit_relevance(
        world.relevance, X, X, rank_weights=world.rank_weights, logging=world.logging, **changes
    )


def value(policy, world):
    exposure = policy.exposure(world.rank_weights, "mc", n_samples=2000).value
    return float(world.query_weights[world.pool.owner()] * exposure @ world.relevance)


def assert_same(first, second):
    for stage in ("candidate_scores", "ranker_scores"):
        np.testing.assert_array_equal(getattr(first.learned_policy_, stage), getattr(second.learned_policy_, stage))


# -- what is learned --------------------------------------------------------------------------------------------------


def test_adam_is_that_of_torch():
    import torch

    rng = np.random.default_rng(0)
    mine, parameters = np.zeros(4), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    adam, oracle = Adam(0.05, 4), torch.optim.Adam([parameters], lr=0.05, maximize=True)
    for _ in range(30):
        gradient = rng.normal(size=4)
        mine += adam.step(gradient)
        parameters.grad = torch.as_tensor(gradient)
        oracle.step()
    np.testing.assert_allclose(mine, parameters.detach().numpy(), atol=1e-10)


def test_a_linear_module_climbs_as_linear_scores_do():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, 3))
    plain = LinearScores(X, 0.1, 0.01)
    module = ModuleScores(zero_layer(3), plain.X, 0.1, 0.01, device="cpu")
    for step in range(20):
        rows = rng.permutation(9)[:6]
        gradient = rng.normal(size=6)
        np.testing.assert_allclose(module.open(rows, step), plain.open(rows, step), atol=1e-5)
        module.ascend(rows, gradient)
        plain.ascend(rows, gradient)
    np.testing.assert_allclose(module.scores(), plain.scores(), atol=1e-5)


def test_deep_stages_learn_what_linear_ones_cannot(bent):
    world, _ = bent
    deep = fit(TwoStageLearner(candidate=mlp(), ranker=mlp(seed=1), module_learning_rate=0.05, device="cpu"), bent)
    linear = fit(TwoStageLearner(), bent)
    assert value(deep.policy_, world) > 0.95 * world.ideal()
    assert value(linear.policy_, world) < 0.9 * world.ideal()


def test_a_deep_generator_and_a_linear_ranker_learn_from_a_log(bent):
    world, X = bent
    log = world.simulate(6000, np.random.default_rng(0))
    learner = TwoStageLearner(candidate=mlp(), module_learning_rate=0.02, eval_samples=32, device="cpu")
    estimator = ExposureIPS(world.examination, world.rank_weights, n_samples=64)
    learner.fit(log, X, X, logging=world.logging, estimator=estimator)
    assert value(learner.policy_, world) > value(world.logging, world) + 0.2


def test_the_given_module_is_left_as_it_was(bent):
    module = mlp()
    before = copy.deepcopy(module.state_dict())
    fit(TwoStageLearner(candidate=module, ranker=module, **QUICK), bent)
    for name, weights in module.state_dict().items():
        assert torch.equal(weights, before[name])


def test_learned_modules_score_new_documents(bent):
    world, X = bent
    learner = fit(TwoStageLearner(candidate=mlp(dropout=0.3), ranker=mlp(seed=1), **QUICK), bent)
    again = learner.policy_for(world.pool, X, X)
    np.testing.assert_allclose(again.candidate_scores, learner.learned_policy_.candidate_scores, atol=1e-5)


def test_learning_can_begin_with_fitted_modules(bent):
    first = fit(TwoStageLearner(candidate=mlp(), ranker=mlp(seed=1), **QUICK), bent)
    learner = TwoStageLearner(candidate=mlp(seed=5), ranker=mlp(seed=6), **(QUICK | {"n_steps": 1}))
    again = fit(replace(learner, module_learning_rate=1e-9), bent, start=first)
    expected = first.learned_policy_.candidate_scores
    np.testing.assert_allclose(again.learned_policy_.candidate_scores, expected, atol=1e-5)
    with pytest.raises(ArgumentError, match="the ranker stage is linear in 2 features"):
        fit(replace(learner, ranker="linear"), bent, start=first)
    with pytest.raises(ArgumentError, match="the candidate stage is a module"):
        fit(learner, bent, start=fit(TwoStageLearner(**QUICK), bent))


# -- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_modules_and_leaves_the_global_generator_alone(bent):
    learner = TwoStageLearner(candidate=mlp(dropout=0.3), ranker=mlp(dropout=0.3, seed=1), **QUICK)
    before = torch.get_rng_state()
    first = fit(replace(learner), bent)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    assert_same(first, fit(replace(learner), bent))


def test_an_interrupted_run_with_dropout_ends_as_if_nothing_had_happened(bent, tmp_path, monkeypatch):
    learner = TwoStageLearner("joint", candidate=mlp(dropout=0.3), ranker=mlp(seed=1), batch_queries=6, **QUICK)
    whole = fit(replace(learner), bent)
    step = Ascent._step

    def dies(self, number):
        if number == 27:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Ascent, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(replace(learner), bent, checkpoint=tmp_path)
    monkeypatch.setattr(Ascent, "_step", step)
    assert_same(fit(replace(learner), bent, checkpoint=tmp_path), whole)


def test_bfloat16_learns_too(bent):
    world, _ = bent
    learner = TwoStageLearner(candidate=mlp(), ranker=mlp(seed=1), module_learning_rate=0.05, precision="bf16")
    learner = fit(replace(learner, n_steps=200, device="cpu"), bent)
    assert value(learner.policy_, world) > 0.85 * world.ideal()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_cuda_device_learns_as_the_processor_does(bent, precision, tmp_path):
    world, X = bent
    learner = TwoStageLearner(candidate=mlp(dropout=0.1), ranker=mlp(seed=1), module_learning_rate=0.05)
    learner = fit(replace(learner, precision=precision, device="cuda"), bent, checkpoint=tmp_path)
    assert value(learner.policy_, world) > 0.85 * world.ideal()
    assert learner.policy_for(world.pool, X, X).pool is world.pool
    assert_same(fit(replace(learner), bent, checkpoint=tmp_path), learner)


# -- more than one process --------------------------------------------------------------------------------------------

SCRIPT = """
import numpy as np
import torch

from cltr_twostage.simulate import tiny_world
from cltr_twostage.train import TwoStageLearner
from irworks.testing import meet

accelerator = meet(folder, process, processes)
world = tiny_world(np.random.default_rng(0), n_docs=10, n_candidates=4, k=2, n_queries=21)
X = np.stack([world.relevance, world.relevance**2], axis=1)
for kind in ("linear", "table", "module"):
    torch.manual_seed(0)
    stages = [torch.nn.Linear(2, 1) for _ in range(2)] if kind == "module" else [kind, kind]
    learner = TwoStageLearner(
        candidate=stages[0], ranker=stages[1], n_steps=60, module_learning_rate=0.1, accelerator=accelerator
    )
    learner.fit_relevance(
        world.relevance, X, X, rank_weights=world.rank_weights, logging=world.logging, checkpoint=folder / kind
    )
    policy = learner.learned_policy_
    name = f"{kind}-{processes}-{accelerator.process_index}.npz"
    np.savez(folder / name, candidate=policy.candidate_scores, ranker=policy.ranker_scores)
accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_learn_one_policy_together(tmp_path):
    pytest.importorskip("accelerate")
    script = tmp_path / "learn.py"
    script.write_text(SCRIPT, encoding="utf-8")
    # The first optimiser makes torch import its compiler: once here, or else in each process.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for name, processes in (("two", 2), ("one", 1)):
        (tmp_path / name).mkdir()
        assert run_together(script, {"folder": tmp_path / name}, processes=processes) == [0] * processes
    for kind in ("linear", "table", "module"):
        first, second = (dict(np.load(tmp_path / "two" / f"{kind}-2-{process}.npz")) for process in (0, 1))
        alone = dict(np.load(tmp_path / "one" / f"{kind}-1-0.npz"))
        for stage in ("candidate", "ranker"):
            np.testing.assert_array_equal(first[stage], second[stage])
            # Other random numbers, the same number of queries a step: they end up close.
            assert np.corrcoef(first[stage], alone[stage])[0, 1] > 0.95
            assert 0.7 < first[stage].std() / alone[stage].std() < 1.4


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (
            torch.nn.Linear(2, 3),
            ArgumentError,
            r"returned shape \[200, 3\] for 200 rows; expected \[200\] or \[200, 1\]",
        ),
        (torch.nn.Identity(), ArgumentError, "no parameters to train"),
        (torch.nn.Linear(5, 1), ArgumentError, r"does not take features \[n, 2\]: .*shapes"),
        (torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Threshold(1e9, np.nan)), IrworksError, "not finite"),
    ],
)
def test_a_module_that_cannot_score_is_refused(bent, module, error, message):
    with pytest.raises(error, match=message):
        fit(TwoStageLearner(candidate=module, **QUICK), bent)


def test_the_class_of_a_module_is_no_module():
    with pytest.raises(ArgumentError, match="'linear', 'table' or a torch module"):
        TwoStageLearner(candidate=torch.nn.Identity)


def test_new_documents_need_the_features_that_a_module_learned_on(bent):
    world, X = bent
    learner = fit(TwoStageLearner(candidate=mlp(), **QUICK), bent)
    with pytest.raises(ArgumentError, match=rf"X has shape \({world.pool.n_rows}, 1\); expected \[n, 2\]"):
        learner.policy_for(world.pool, X[:, :1], X)


def test_an_unknown_device_is_refused(bent):
    with pytest.raises(ArgumentError, match="'abacus'"):
        fit(TwoStageLearner(candidate=mlp(), **(QUICK | {"device": "abacus"})), bent)


def test_without_torch_the_error_says_what_to_install(bent, monkeypatch):
    module = mlp()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert is_module(module)
    assert not is_module("linear")
    with pytest.raises(MissingDependencyError, match=r"pip install 'cltr-twostage\[torch\]'"):
        fit(TwoStageLearner(candidate=module, **QUICK), bent)
