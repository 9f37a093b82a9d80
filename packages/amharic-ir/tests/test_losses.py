"""What training makes small, against loops, closed forms and scipy; and the batches it is made of."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

torch = pytest.importorskip("torch")

from amharic_ir.text.folding import same_text  # noqa: E402
from amharic_ir.train import Pairs, TrainConfig, losses  # noqa: E402
from amharic_ir.train.batches import Batches  # noqa: E402
from irworks.encoders.network import Embedded  # noqa: E402

few = settings(max_examples=40, deadline=None)


def tensor(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@given(st.integers(1, 6), st.integers(1, 8), st.booleans(), st.floats(0.02, 2), st.integers(0, 99))
@few
def test_the_contrastive_loss_is_that_of_a_loop(n, m, symmetric, temperature, seed):
    rng = np.random.default_rng(seed)
    scores, mine = rng.normal(size=(n, m)), rng.integers(m, size=n)
    answers, repeated = rng.random((n, m)) < 0.3, rng.random(n) < 0.3
    answers[np.arange(n), mine] = True
    logits = scores / temperature
    total = back = 0.0
    for row, column in enumerate(mine):
        kept = [logits[row, other] for other in range(m) if other == column or not answers[row, other]]
        total -= (logits[row, column] - np.logaddexp.reduce(kept)) / n
        kept = [
            logits[other, column]
            for other in range(n)
            if other == row or not (answers[other, column] or repeated[other])
        ]
        back -= (logits[row, column] - np.logaddexp.reduce(kept)) / n
    given_ = (torch.from_numpy(each) for each in (scores, mine, answers, repeated))
    found = losses.contrastive(*given_, temperature=temperature, symmetric=symmetric)
    assert float(found) == pytest.approx((total + back) / 2 if symmetric else total, rel=1e-6, abs=1e-9)


def of_loop(queries, docs):
    """Mean over query tokens by importance, of the largest cosine."""
    found = np.zeros((len(queries), len(docs)))
    for row, query in enumerate(queries):
        for column, doc in enumerate(docs):
            weights = [np.linalg.norm(token) for token in query]
            best = [max((token @ other for other in doc), default=-np.linalg.norm(token)) for token in query]
            found[row, column] = sum(best) / max(sum(weights), 1e-6)
    return found


def padded(texts, dim, longest):
    tokens, mask = np.zeros((len(texts), longest, dim)), np.zeros((len(texts), longest), dtype=bool)
    for place, text in enumerate(texts):
        tokens[place, : len(text)], mask[place, : len(text)] = text, True
    return Embedded(torch.zeros(len(texts), dim), torch.from_numpy(tokens), torch.from_numpy(mask))


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.integers(4, 7),
    st.integers(0, 99),
    st.booleans(),
)
@few
def test_scores_of_tokens_are_those_of_a_loop_whatever_the_padding(sizes, doc_sizes, longest, seed, opposed):
    rng = np.random.default_rng(seed)

    def unit(n):
        found = rng.normal(size=(n, 3))
        # All in one half of the space, and queries in the other: no product is near 0.
        found = np.abs(found) + 0.1 if opposed else found
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    docs = [unit(size) for size in doc_sizes]
    sign = -1 if opposed else 1
    queries = [sign * unit(size) * rng.uniform(0.2, 5, size=(size, 1)) for size in sizes]
    found = losses.of_tokens(padded(queries, 3, longest), padded(docs, 3, longest + 1))
    np.testing.assert_allclose(found.numpy(), of_loop(queries, docs), atol=1e-9)


def test_tokens_are_scored_some_queries_at_a_time_to_the_same_numbers(monkeypatch):
    queries = Embedded(tensor(5, 3), tensor(5, 4, 3), torch.ones(5, 4, dtype=torch.bool))
    docs = Embedded(tensor(6, 3), tensor(6, 7, 3, seed=1), torch.ones(6, 7, dtype=torch.bool))
    whole = losses.of_tokens(queries, docs)
    monkeypatch.setattr(losses, "_AT_ONCE", 1)
    torch.testing.assert_close(losses.of_tokens(queries, docs), whole)


def test_a_query_without_a_token_scores_nothing_and_has_a_gradient():
    tokens = tensor(2, 3, 4).requires_grad_()
    queries = Embedded(tensor(2, 4), tokens, torch.tensor([[True, True, False], [False] * 3]))
    docs = Embedded(tensor(2, 4), tensor(2, 3, 4, seed=1), torch.tensor([[True] * 3, [False] * 3]))
    scores = losses.of_tokens(queries, docs)
    scores.sum().backward()
    assert scores[1, 0].item() == 0
    assert scores[:, 1].tolist() == [-1, -1]
    assert bool(tokens.grad.isfinite().all())


def test_vectors_cut_short_are_compared_by_their_angle():
    queries, docs = (
        Embedded(torch.nn.functional.normalize(tensor(n, 8, seed=n)), tensor(n, 1, 8), torch.ones(n, 1, dtype=bool))
        for n in (3, 5)
    )
    for score, dim in zip(losses.nested([8, 4, 1]), (8, 4, 1), strict=True):
        one, other = queries.vectors[:, :dim].numpy(), docs.vectors[:, :dim].numpy()
        norms = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
        np.testing.assert_allclose(score(queries, docs).numpy(), one @ other.T / norms, atol=1e-9)
    torch.testing.assert_close(losses.nested([8])[0](queries, docs), losses.of_vectors(queries, docs))


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.05, 2), st.integers(0, 99))
@few
def test_the_loss_of_distillation_is_the_divergence_that_scipy_finds(n, c, temperature, seed):
    rng = np.random.default_rng(seed)
    scores, taught = rng.normal(size=(n, c)), rng.normal(size=(n, c))
    known = rng.random((n, c)) < 0.7
    known[:, 0] = True
    expected = np.mean(
        [
            entropy(softmax(teacher[there]), softmax(ours[there] / temperature))
            for ours, teacher, there in zip(scores, taught, known, strict=True)
        ]
    )
    ours = torch.from_numpy(scores).requires_grad_()
    found = losses.distilled(ours, torch.from_numpy(taught), torch.from_numpy(known), temperature=temperature)
    found.backward()
    assert found.item() == pytest.approx(expected, abs=1e-9)
    wanted = np.zeros_like(scores)
    for row, there in enumerate(known):
        ours_row = np.exp(log_softmax(scores[row][there] / temperature))
        wanted[row][there] = (ours_row - softmax(taught[row][there])) / temperature / n
    np.testing.assert_allclose(ours.grad.numpy(), wanted, atol=1e-9)


# -- batches ----------------------------------------------------------------------------------------------------------

TEXTS = ["ሠላም ለዓለም", "ሰላም  ለአለም", "አዲስ አበባ", "ሐይቅ ጣና", "ሃይቅ ጣና", "ወንዝ"]


@st.composite
def pairs_of(draw):
    n = draw(st.integers(1, 14))
    queries = draw(st.lists(st.sampled_from([f"ጥያቄ {i}" for i in range(8)]), min_size=n, max_size=n))
    docs = draw(st.lists(st.sampled_from(TEXTS), min_size=n, max_size=n))
    negatives = draw(st.lists(st.lists(st.sampled_from(TEXTS), max_size=4), min_size=n, max_size=n))
    return Pairs(queries, docs, negatives, [[float(i) for i in range(1 + len(each))] for each in negatives])


@given(pairs_of(), st.integers(2, 5), st.integers(0, 3), st.integers(0, 3))
@few
def test_an_epoch_has_every_pair_once_and_no_answer_among_the_negatives(pairs, size, n_negatives, epoch):
    batches = Batches(pairs, TrainConfig(batch_size=size, negatives=n_negatives))
    found = list(batches.epoch(epoch))
    assert len(found) == len(batches)
    assert sorted(np.concatenate([batch.queries for batch in found]).tolist()) == list(range(len(pairs)))
    if len(pairs) > 1:
        assert all(len(batch.queries) > 1 for batch in found)
    answers = {(same_text(q), same_text(d)) for q, d in zip(pairs.queries, pairs.docs, strict=True)}
    for batch in found:
        texts = [batches.texts[doc] for doc in batch.docs]
        assert len({same_text(text) for text in texts}) == len(texts)
        asked = [same_text(pairs.queries[pair]) for pair in batch.queries]
        assert batch.repeated.tolist() == [query in asked[:row] for row, query in enumerate(asked)]
        for row, pair in enumerate(batch.queries):
            assert same_text(texts[batch.own[row, 0]]) == same_text(pairs.docs[pair])
            for column, text in enumerate(texts):
                assert batch.answers[row, column] == ((asked[row], same_text(text)) in answers)
            own = [texts[column] for column in batch.own[row][batch.known[row]]]
            assert len(own) == 1 + min(n_negatives, len(pairs.negatives[pair]))
            assert {same_text(text) for text in own[1:]} <= {same_text(text) for text in pairs.negatives[pair]}
            # Of each document its own score, so that their order is that of the teacher.
            values = batch.taught[row][batch.known[row]]
            assert values[0] == values.min()
            assert np.isclose(values.mean(), 0, atol=1e-5)


def test_what_stands_twice_in_a_batch_counts_once():
    twice = Pairs(["ጥያቄ 0", "ጥያቄ 1", "ጥያቄ 2"], ["መልስ 0", "መልስ 1", "መልስ 1"], [["ሌላ"], ["ሌላ"], ["መልስ 0"]])
    batch = next(Batches(twice, TrainConfig(batch_size=3, negatives=1)).epoch(0))
    assert len(batch.docs) == 3

    def loss(pairs):
        batch = next(Batches(pairs, TrainConfig(batch_size=len(pairs))).epoch(0))
        given_ = (batch.own[:, 0], batch.answers, batch.repeated)
        scores = torch.zeros(batch.answers.shape, dtype=torch.float64)
        return losses.contrastive(scores, *map(torch.from_numpy, given_), temperature=1, symmetric=True).item()

    # Equal scores: of three documents and as many queries the right one has a third, whoever stands twice.
    three = Pairs([f"ጥያቄ {i}" for i in range(3)], [f"መልስ {i}" for i in range(3)])
    assert loss(three) == pytest.approx(math.log(3))
    assert loss(three.joined(three)) == pytest.approx(math.log(3))


def test_each_document_has_the_score_that_the_teacher_gave_it():
    negatives = [[f"ሌላ {i} {j}" for j in range(5)] for i in range(4)]
    given = np.random.default_rng(0).normal(size=(4, 6))
    pairs = Pairs([f"ጥያቄ {i}" for i in range(4)], [f"መልስ {i}" for i in range(4)], negatives, given.tolist())
    score = {text: given[i, j] for i in range(4) for j, text in enumerate([pairs.docs[i], *negatives[i]])}
    batches = Batches(pairs, TrainConfig(batch_size=4, negatives=3))
    for batch in (next(batches.epoch(epoch)) for epoch in range(5)):
        for own, taught in zip(batch.own, batch.taught, strict=True):
            expected = np.array([score[batches.texts[batch.docs[column]]] for column in own])
            np.testing.assert_allclose(taught, (expected - expected.mean()) / expected.std(), atol=1e-5)


@given(pairs_of(), st.integers(2, 5), st.integers(2, 3))
@few
def test_processes_divide_every_batch(pairs, size, processes):
    batches = Batches(pairs, TrainConfig(batch_size=size, negatives=2))
    together = list(batches.epoch(1))
    apart = [list(batches.epoch(1, process, processes)) for process in range(processes)]
    for step, whole in enumerate(together):
        parts = [each[step] for each in apart]
        assert sorted(np.concatenate([part.queries for part in parts]).tolist()) == sorted(whole.queries.tolist())
        assert math.isclose(sum(part.share for part in parts), 1)
        for part in parts:
            for row, pair in enumerate(part.queries):
                there = whole.queries.tolist().index(pair)
                ours, theirs = part.docs[part.own[row][part.known[row]]], whole.docs[whole.own[there]]
                assert ours.tolist() == theirs[whole.known[there]].tolist()


def test_epochs_and_seeds_have_orders_of_their_own():
    pairs = Pairs([f"ጥያቄ {i}" for i in range(40)], [f"መልስ {i}" for i in range(40)])

    def order(seed, epoch):
        batches = Batches(pairs, TrainConfig(seed=seed, batch_size=8))
        return [batch.queries.tolist() for batch in batches.epoch(epoch)]

    assert order(0, 0) == order(0, 0)
    assert len({str(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_pairs_differ_if_anything_of_them_does():
    first = Pairs(["a", "b", "c"], ["x", "y", "x"], [["z"], [], []], [[1, 0], [1], [1]])
    others = [
        Pairs(["a", "b", "c"], ["x", "y", "y"], [["z"], [], []], [[1, 0], [1], [1]]),
        Pairs(["a", "b", "c"], ["x", "y", "x"], [[], ["z"], []], [[1], [1, 0], [1]]),
        Pairs(["a", "b", "c"], ["x", "y", "x"], [["z"], [], []], [[1, 0.5], [1], [1]]),
        Pairs(["a", "b", "c"], ["x", "y", "x"], [["z"], [], []]),
        Pairs(["a", "b", "c"], ["x", "y", "x"]),
        Pairs(["a", "bc", ""], ["x", "y", "x"]),
    ]
    digests = {Batches(each, TrainConfig()).digest() for each in [first, *others]}
    assert len(digests) == 7
    assert Batches(first, TrainConfig()).digest() in digests
