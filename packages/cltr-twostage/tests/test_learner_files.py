"""Saving and loading a fitted learner."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from cltr_twostage import ExposureIPS, MixturePolicy, Safe, TwoStageLearner
from cltr_twostage.simulate import tiny_world
from irworks.errors import ArgumentError, DataError

WORLD = tiny_world(np.random.default_rng(0), n_queries=3)
LOG = WORLD.simulate(1000, np.random.default_rng(1))
X = (WORLD.generator_features, WORLD.ranker_features)
QUICK = {"n_steps": 20, "eval_every": 10, "eval_samples": 32, "n_samples": 8}

pytestmark = pytest.mark.filterwarnings("ignore::cltr_twostage.LearningWarning")


def fitted(*args: object, **settings: object) -> TwoStageLearner:
    estimator = ExposureIPS(WORLD.examination, WORLD.rank_weights, n_samples=64)
    return TwoStageLearner(*args, **(QUICK | settings)).fit(LOG, *X, logging=WORLD.logging, estimator=estimator)


def assert_same_pair(one, other):
    np.testing.assert_array_equal(one.candidate_scores, other.candidate_scores)
    np.testing.assert_array_equal(one.ranker_scores, other.ranker_scores)
    np.testing.assert_array_equal(one.pool.doc_ids, other.pool.doc_ids)
    assert (one.n_candidates, one.k) == (other.n_candidates, other.k)


def assert_same(back: TwoStageLearner, learner: TwoStageLearner) -> None:
    assert_same_pair(back.learned_policy_, learner.learned_policy_)
    np.testing.assert_equal([vars(look) for look in back.history_], [vars(look) for look in learner.history_])
    assert back.best_step_ == learner.best_step_
    rng = np.random.default_rng(9)
    new = [
        rng.normal(size=(9, part.shape[1])) if scorer is not None else rng.normal(size=9)
        for part, scorer in zip(X, (learner.candidate_scorer_, learner.ranker_scorer_), strict=True)
    ]
    assert_same_pair(back.policy_for([0, 4, 9], *new), learner.policy_for([0, 4, 9], *new))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "joint", "n_candidates": np.int64(4), "l2": 0.1, "random_state": 3},
        {"mode": "ranker_only"},
        {"mode": "independent", "candidate": "table"},
        {"held_out": 0, "learning_rate": 0.2, "k": 2},
    ],
    ids=str,
)
def test_a_learner_comes_back_with_its_settings_and_scores_new_documents_alike(tmp_path: Path, settings) -> None:
    learner = fitted(**settings)
    learner.save(tmp_path / "l")
    back = TwoStageLearner.load(tmp_path / "l")
    assert_same(back, learner)
    names = [field.name for field in fields(learner) if field.init]
    assert [getattr(back, name) for name in names] == [getattr(learner, name) for name in names]
    assert back.policy_ is back.learned_policy_
    assert back.held_out_ is None


def test_a_loaded_learner_can_learn_again_and_be_started_from(tmp_path: Path) -> None:
    learner = fitted(random_state=2)
    learner.save(tmp_path / "l")
    back = TwoStageLearner.load(tmp_path / "l")
    given = {"rank_weights": WORLD.rank_weights, "logging": WORLD.logging}
    again = TwoStageLearner(**QUICK).fit_relevance(WORLD.relevance, *X, **given, start=back)
    direct = TwoStageLearner(**QUICK).fit_relevance(WORLD.relevance, *X, **given, start=learner)
    assert_same_pair(again.policy_, direct.policy_)
    assert_same_pair(
        back.fit_relevance(WORLD.relevance, *X, **given).policy_,
        learner.fit_relevance(WORLD.relevance, *X, **given).policy_,
    )


def test_a_safe_learner_comes_back_with_its_mixture(tmp_path: Path) -> None:
    learner = fitted("joint", safe=Safe(1.5))
    learner.save(tmp_path / "l")
    back = TwoStageLearner.load(tmp_path / "l")
    assert_same(back, learner)
    assert isinstance(back.policy_, MixturePolicy)
    assert isinstance(learner.policy_, MixturePolicy)
    np.testing.assert_array_equal(back.policy_.weights, learner.policy_.weights)
    assert back.safe == Safe(1.5)


def test_the_files_are_plain(tmp_path: Path) -> None:
    fitted("ranker_only").save(tmp_path / "l")
    names = sorted(str(file.relative_to(tmp_path / "l")) for file in (tmp_path / "l").rglob("*") if file.is_file())
    policy = [f"learned_policy/{name}" for name in ("config.json", "scores.parquet")]
    assert names == ["config.json", "history.csv", *policy, "ranker.npy"]


# -- modules ----------------------------------------------------------------------------------------------------------


def test_a_ready_made_tower_comes_back_whole(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from cltr_twostage.learning.towers import mlp_tower

    learner = fitted(candidate=mlp_tower(X[0], [4, 3]), ranker=mlp_tower(X[1], []), device="cpu")
    learner.save(tmp_path / "l")
    back = TwoStageLearner.load(tmp_path / "l")
    assert_same(back, learner)
    # What learning begins with is that of the first time, too.
    given = {"rank_weights": WORLD.rank_weights, "logging": WORLD.logging}
    assert_same_pair(
        back.fit_relevance(WORLD.relevance, *X, **given).policy_,
        learner.fit_relevance(WORLD.relevance, *X, **given).policy_,
    )
    with pytest.raises(ArgumentError, match="expected candidate=None"):
        TwoStageLearner.load(tmp_path / "l", candidate=mlp_tower(X[0]))


def test_a_module_of_ones_own_is_handed_over_again(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    def make(width: int = 5) -> object:
        torch.manual_seed(0)
        shapes = (X[0].shape[1], width), (width, 1)
        return torch.nn.Sequential(torch.nn.Linear(*shapes[0]), torch.nn.Tanh(), torch.nn.Linear(*shapes[1]))

    learner = fitted(candidate=make(), device="cpu")
    learner.save(tmp_path / "l")
    module = make()
    before = module[0].weight.clone()
    back = TwoStageLearner.load(tmp_path / "l", candidate=module)
    assert_same(back, learner)
    # A copy got what was learned.
    assert torch.equal(module[0].weight, before)
    with pytest.raises(ArgumentError, match="pass it as candidate="):
        TwoStageLearner.load(tmp_path / "l")
    with pytest.raises(ArgumentError, match=r"candidate\.safetensors"):
        TwoStageLearner.load(tmp_path / "l", candidate=make(width=6))
    with pytest.raises(ArgumentError, match="expected ranker=None"):
        TwoStageLearner.load(tmp_path / "l", candidate=module, ranker=make())


def test_only_what_a_tower_is_made_as_passes_for_one() -> None:
    torch = pytest.importorskip("torch")
    from cltr_twostage.learning.towers import mlp_tower, tower_sizes

    tower = mlp_tower(X[0], [4, 3])
    assert tower_sizes(tower) == [X[0].shape[1], 4, 3]
    assert tower_sizes(mlp_tower(X[0], [])) == [X[0].shape[1]]
    assert tower_sizes(torch.nn.Sequential()) is None
    assert tower_sizes(torch.nn.Linear(2, 1)) is None
    assert tower_sizes(torch.nn.Sequential(*tower, torch.nn.Tanh())) is None
    tower[2] = torch.nn.Tanh()
    assert tower_sizes(tower) is None
    assert tower_sizes(mlp_tower(X[0], [4]).double()) is None
    assert tower_sizes(mlp_tower(X[0], [4]).requires_grad_(True)) is None


# -- what cannot be ---------------------------------------------------------------------------------------------------


def test_what_is_not_fitted_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="not fitted"):
        TwoStageLearner().save(tmp_path / "l")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_learner_is_replaced_and_everything_else_survives(tmp_path: Path) -> None:
    learner = fitted()
    (tmp_path / "l").mkdir()
    fitted("ranker_only").save(tmp_path / "l")
    learner.save(tmp_path / "l")
    assert_same(TwoStageLearner.load(tmp_path / "l"), learner)
    learner.policy_.save(tmp_path / "policy")
    (tmp_path / "file").write_text("mine")
    for name, problem in (("policy", "exists and is not a saved learner"), ("file", "a file stands where")):
        with pytest.raises(DataError, match=problem):
            learner.save(tmp_path / name)
    with pytest.raises(DataError, match="exists and is not a saved policy"):
        learner.policy_.save(tmp_path / "l")
    with pytest.raises(DataError, match="not the configuration of a saved learner"):
        TwoStageLearner.load(tmp_path / "policy")
    with pytest.raises(DataError, match="not a saved learner"):
        TwoStageLearner.load(tmp_path / "absent")


@pytest.fixture(scope="module")
def linear() -> TwoStageLearner:
    return fitted()


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


@pytest.mark.parametrize("name", ["candidate.npy", "history.csv", "learned_policy/scores.parquet", "config.json"])
@pytest.mark.parametrize("damage", [truncated, Path.unlink])
def test_a_damaged_or_missing_file_is_named(linear: TwoStageLearner, tmp_path: Path, name: str, damage) -> None:
    linear.save(tmp_path / "l")
    damage(tmp_path / "l" / name)
    with pytest.raises(DataError) as caught:
        TwoStageLearner.load(tmp_path / "l")
    missing = damage is Path.unlink and name == "config.json"
    assert str(caught.value.source) == str(tmp_path / "l" / ("" if missing else name))


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(format=2),
        lambda config: config.update(package="other"),
        lambda config: config.pop("stages"),
        lambda config: config.update(settings=[]),
        lambda config: config["settings"].update(mode="cascade"),
        lambda config: config["settings"].update(surprise=1),
        lambda config: config["settings"].update(learning_rate="fast"),
        lambda config: config["settings"].update(safe={"max_ratio": 0}),
        lambda config: config["stages"]["ranker"].update(scorer="module", n_features=3),
        lambda config: config["settings"].update(ranker="module"),
    ],
)
def test_a_damaged_configuration_is_told_by_its_file(linear: TwoStageLearner, tmp_path: Path, change) -> None:
    linear.save(tmp_path / "l")
    file = tmp_path / "l" / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    with pytest.raises((DataError, ArgumentError), match=r"config\.json|is a module of your own|pass it as ranker="):
        TwoStageLearner.load(tmp_path / "l")


def test_a_damaged_state_of_a_module_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from cltr_twostage.learning.towers import mlp_tower

    fitted(ranker=mlp_tower(X[1], [4]), device="cpu").save(tmp_path / "l")
    for name in ("ranker.safetensors", "ranker_start.safetensors"):
        file = tmp_path / "l" / name
        whole = file.read_bytes()
        truncated(file)
        with pytest.raises(DataError, match=name):
            TwoStageLearner.load(tmp_path / "l")
        file.unlink()
        with pytest.raises(DataError, match=name):
            TwoStageLearner.load(tmp_path / "l")
        file.write_bytes(whole)


def test_weights_of_another_number_of_features_are_told(tmp_path: Path) -> None:
    fitted().save(tmp_path / "l")
    np.save(tmp_path / "l" / "ranker.npy", np.zeros(7))
    with pytest.raises(
        DataError, match=rf"ranker\.npy: weights are missing or added .*found 7; expected {X[1].shape[1]}"
    ):
        TwoStageLearner.load(tmp_path / "l")
