import numpy as np
import pytest

from cltr_twostage import (
    Attribution,
    DoublyRobust,
    ExposureIPS,
    ItemPositionIPS,
    MixturePolicy,
    NotFittedError,
    TwoStagePolicy,
    attribute,
)
from irworks.errors import ArgumentError


@pytest.fixture(scope="module")
def world(tiny_world):
    return tiny_world(41, sizes=(5, 5), n_candidates=3, k=2, scale=0.7)


@pytest.fixture(scope="module")
def log(world):
    return world.simulate(800, 0)


@pytest.mark.parametrize("cls", [ExposureIPS, ItemPositionIPS, DoublyRobust])
def test_the_parts_are_those_of_four_separate_estimates(cls, world, log):
    fitted = cls(world.examination, method="exact").fit(log, world.logging)
    split = attribute(fitted, world.logging, world.target)
    old, new = world.logging, world.target
    generator = TwoStagePolicy(new.candidate_scores, old.ranker_scores, 3, 2, pool=world.pool)
    ranker = TwoStagePolicy(old.candidate_scores, new.ranker_scores, 3, 2, pool=world.pool)
    values = [one.value for one in fitted.values([old, generator, ranker, new])]
    expected = {
        "old": values[0],
        "new": values[3],
        "gain": values[3] - values[0],
        "generator": values[1] - values[0],
        "ranker": values[2] - values[0],
        "interaction": values[3] - values[1] - values[2] + values[0],
    }
    for name, value in expected.items():
        assert getattr(split, name).value == pytest.approx(value, abs=1e-12), name
    assert split.gain.stderr == pytest.approx(fitted.difference(new, old).stderr, rel=1e-12)
    assert split.generator.stderr == pytest.approx(fitted.difference(generator, old).stderr, rel=1e-12)


def test_the_parts_sum_to_the_gain(world, log):
    split = attribute(ExposureIPS(world.examination).fit(log, world.logging), world.logging, world.target)
    parts = split.generator.value + split.ranker.value + split.interaction.value
    assert parts == pytest.approx(split.gain.value, abs=1e-12)
    assert split.shapley_generator.value + split.shapley_ranker.value == pytest.approx(split.gain.value, abs=1e-12)
    assert split.shapley_ranker.value == pytest.approx(split.ranker.value + split.interaction.value / 2, abs=1e-12)


def test_the_expected_parts_are_the_true_ones(world):
    log, chances = world.sessions()
    fitted = ExposureIPS(world.examination, method="exact").fit(log, world.logging, weights=chances)
    old, new = world.logging, world.target
    split = attribute(fitted, old, new)
    generator, ranker = old.replace(candidate=new.candidate_scores), old.replace(ranker=new.ranker_scores)
    values = [world.truth(policy) for policy in (old, generator, ranker, new)]
    assert split.generator.value == pytest.approx(values[1] - values[0], abs=1e-10)
    assert split.ranker.value == pytest.approx(values[2] - values[0], abs=1e-10)
    assert split.interaction.value == pytest.approx(values[0] - values[1] - values[2] + values[3], abs=1e-10)


def test_every_part_covers_its_truth(world, on_trial):
    old, new = world.logging, world.target
    generator, ranker = old.replace(candidate=new.candidate_scores), old.replace(ranker=new.ranker_scores)
    values = np.array([world.truth(policy) for policy in (old, generator, ranker, new)])
    contrasts = {
        "gain": [-1, 0, 0, 1],
        "generator": [-1, 1, 0, 0],
        "ranker": [-1, 0, 1, 0],
        "interaction": [1, -1, -1, 1],
        "shapley_generator": [-0.5, 0.5, -0.5, 0.5],
        "shapley_ranker": [-0.5, -0.5, 0.5, 0.5],
    }
    estimator = ExposureIPS(world.examination, method="exact")
    corners = [old, generator, ranker, new]
    # As `attribute` does it, but the exposures of the four pairs are computed once.
    splits = [
        estimator.fit(world.simulate(500, [5, number]), world.logging).contrasts(corners, contrasts)
        for number in range(300)
    ]
    for name, coefficients in contrasts.items():
        truth = values @ coefficients
        trials = on_trial(lambda split, name=name: split[name], splits, truth)
        assert trials.standard_errors_off(truth) < 4, name
        assert 0.91 <= trials.coverage <= 0.99, name


def test_one_stage_that_stays_brings_nothing(world, log):
    fitted = ExposureIPS(world.examination, method="exact").fit(log, world.logging)
    split = attribute(fitted, world.logging, world.logging.replace(ranker=world.target.ranker_scores))
    for part in (split.generator, split.interaction):
        assert part.value == pytest.approx(0, abs=1e-12)
        assert part.stderr == pytest.approx(0, abs=1e-9)
    assert split.ranker.value == pytest.approx(split.gain.value, abs=1e-12)


def advice(old, generator, ranker, new):
    """What is said of four values that are known exactly."""
    from types import SimpleNamespace

    def exactly(value):
        return SimpleNamespace(value=value, ci=SimpleNamespace(low=value, high=value))

    parts = {
        "old": old,
        "new": new,
        "gain": new - old,
        "generator": generator - old,
        "ranker": ranker - old,
        "interaction": old + new - generator - ranker,
        "shapley_generator": (generator - old + new - ranker) / 2,
        "shapley_ranker": (ranker - old + new - generator) / 2,
    }
    return Attribution(**{name: exactly(value) for name, value in parts.items()})._advice()


def test_the_advice_follows_the_parts():
    assert advice(old=1, generator=2, ranker=2, new=3) == "Ship both."
    assert advice(old=1, generator=1, ranker=2, new=2) == "The new ranker alone brings it."
    assert advice(old=2, generator=3, ranker=3, new=2) == "Do not ship the pair on this evidence."
    assert "both or neither: the new ranker alone would lose" in advice(old=1, generator=2, ranker=0.5, new=3)
    assert "The new generator alone earns as much" in advice(old=1, generator=3, ranker=2, new=2.5)


def test_the_split_reads_as_a_sentence_and_as_a_table(world, log):
    split = attribute(ExposureIPS(world.examination).fit(log, world.logging), world.logging, world.target)
    assert split.text.startswith(f"The new pair earns {split.gain} more than the old one")
    frame = split.to_frame()
    assert list(frame.columns) == ["part", "value", "stderr", "low", "high"]
    assert frame.part.tolist()[:4] == ["old", "new", "gain", "generator"]
    row = frame[frame.part == "interaction"].iloc[0]
    assert (row.value, row.low, row.high) == (
        split.interaction.value,
        split.interaction.ci.low,
        split.interaction.ci.high,
    )


def test_pairs_that_differ_in_more_than_their_stages_are_refused(world, log):
    fitted = ExposureIPS(world.examination).fit(log, world.logging)
    wider = TwoStagePolicy(np.zeros(10), np.zeros(10), 4, 2, pool=world.pool)
    with pytest.raises(ArgumentError, match="n_candidates=3, k=2 and new n_candidates=4, k=2"):
        attribute(fitted, world.logging, wider)
    elsewhere = TwoStagePolicy(np.zeros(10), np.zeros(10), 3, 2, pool=[0, 4, 10])
    with pytest.raises(ArgumentError, match="different pools"):
        attribute(fitted, world.logging, elsewhere)
    mixture = MixturePolicy([world.logging], [1.0])
    with pytest.raises(ArgumentError, match="old is a MixturePolicy; expected a TwoStagePolicy"):
        attribute(fitted, mixture, world.target)
    with pytest.raises(NotFittedError):
        attribute(ExposureIPS(world.examination), world.logging, world.target)
