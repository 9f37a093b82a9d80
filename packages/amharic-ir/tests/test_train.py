"""Training: what it learns, what it keeps, and that it goes on where it was interrupted."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from amharic_ir.encoders import Ngrams, TinyEncoder, TinySettings, tiny  # noqa: E402
from amharic_ir.train import Pairs, TrainConfig, bi_encoder, late_interaction  # noqa: E402
from amharic_ir.train.batches import Batches  # noqa: E402
from amharic_ir.train.loop import Training  # noqa: E402
from amharic_ir.train.losses import contrastive, of_tokens, of_vectors  # noqa: E402
from amharic_ir.train.validation import Validation  # noqa: E402
from irworks.data import Collection, Documents  # noqa: E402
from irworks.encoders.network import Embedded  # noqa: E402
from irworks.errors import ArgumentError, DataError  # noqa: E402

N_TRAIN, N = 200, 250
QUICK = TrainConfig(epochs=3, learning_rate=1e-2, batch_size=16)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world():
    """Word k of one language means word k of another: without training nothing of a query is in its document."""
    rng = np.random.default_rng(0)
    letters = [chr(0x1208 + row * 8 + order) for row in (0, 3, 4, 6, 10, 18, 34, 42) for order in range(7)]
    words = ["".join(rng.choice(letters, 4)) for _ in range(60)]
    meanings = [rng.choice(30, 5, replace=False) for _ in range(N)]
    docs = [" ".join(words[30 + each] for each in meaning) for meaning in meanings]
    queries = [" ".join(words[each] for each in meaning[:3]) for meaning in meanings]
    return queries, docs


@pytest.fixture(scope="module")
def pairs(world):
    queries, docs = world
    return Pairs(queries[:N_TRAIN], docs[:N_TRAIN])


@pytest.fixture(scope="module")
def validation(world):
    queries, docs = world
    asked = range(N_TRAIN, N)
    return Collection(
        Documents.of(docs), {str(i): queries[i] for i in asked}, {str(i): {str(i): 1} for i in asked}, "v", "validation"
    )


def small(layers=0, seed=0, docs=()):
    settings = TinySettings(dim=32, token_dim=16, layers=layers, heads=2, query_length=8, doc_length=16)
    return tiny(Ngrams(buckets=1024), settings, docs=docs, seed=seed)


def weights(encoder):
    return {name: each.clone() for name, each in encoder.network.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# -- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
def test_a_planted_task_is_learned_and_the_encoder_handed_in_stays_as_it_was(train, pairs, validation):
    base = small(docs=pairs.docs)
    before, state = weights(base), torch.get_rng_state()
    late = train is late_interaction
    untrained = Validation(base, validation, late)()
    encoder, history = train(pairs, base, config=TrainConfig(epochs=8, learning_rate=1e-2), validation=validation)
    assert untrained < 0.1
    assert Validation(encoder, validation, late)() == max(value for _, value in history.checks) > 0.35
    assert history.losses[-1] < 0.3 * history.losses[0]
    assert same(weights(base), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_alone_decide(pairs):
    found = [weights(bi_encoder(pairs, small(layers=1), config=QUICK)[0]) for _ in range(2)]
    assert same(*found)
    other = weights(bi_encoder(pairs, small(layers=1), config=TrainConfig(**{**vars(QUICK), "seed": 1}))[0])
    assert not same(found[0], other)
    scratch = [
        bi_encoder(pairs, config=TrainConfig(epochs=1, learning_rate=1e-9, batch_size=100, seed=seed))[0]
        for seed in (0, 0, 1)
    ]
    assert same(weights(scratch[0]), weights(scratch[1]))
    # An encoder from scratch begins elsewhere with another seed.
    assert not torch.allclose(scratch[0].network.table.weight, scratch[2].network.table.weight, atol=1e-3)


def test_the_first_dimensions_are_better_for_having_been_trained(pairs):
    config = TrainConfig(epochs=8, learning_rate=1e-2)
    rows = np.arange(N_TRAIN)

    def cut_short(encoder, dim):
        docs, asked = encoder.encode(pairs.docs)[:, :dim], encoder.encode(pairs.queries, "query")[:, :dim]
        docs, asked = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (docs, asked))
        scores = asked @ docs.T
        return np.mean(1 / (scores >= scores[rows, rows][:, None]).sum(axis=1))

    plain = bi_encoder(pairs, small(), config=config)[0]
    nested = bi_encoder(pairs, small(), loss="matryoshka", config=config)[0]
    assert cut_short(nested, 8) > cut_short(plain, 8) + 0.1
    assert cut_short(nested, 16) > cut_short(plain, 16) + 0.05
    assert cut_short(nested, 32) > cut_short(plain, 32) - 0.1


class Reversed:
    """Holds that the last of the documents is the best."""

    def score(self, query, docs):
        return np.arange(len(docs), dtype=np.float32)


@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
def test_distillation_goes_to_the_teacher_against_the_labels(train, world):
    queries, docs = world
    shifted = [[docs[(i + 1) % N], docs[(i + 2) % N]] for i in range(40)]
    taught = Pairs(queries[:40], docs[:40], shifted).taught(Reversed())
    assert taught.scores[3] == [0.0, 1.0, 2.0]
    config = TrainConfig(epochs=15, learning_rate=1e-2, negatives=2, temperature=0.2)
    encoder, history = train(taught, small(), loss="distill", config=config)
    assert history.losses[-1] < 0.2 * history.losses[0]
    asked = [encoder.prepare([text], "query") for text in taught.queries]
    right = 0
    score = of_tokens if train is late_interaction else of_vectors
    for row, query in enumerate(asked):
        texts = [taught.docs[row], *taught.negatives[row]]
        with torch.no_grad():
            found = score(encoder.embed(query, "query"), encoder.embed(encoder.prepare(texts, "doc"), "doc"))[0]
        right += found.tolist() == sorted(found.tolist())
    assert right > 30


# -- gradients --------------------------------------------------------------------------------------------------------


def gradients(encoder, pairs, config, scores, *, dropout=True):
    training = Training(encoder, Batches(pairs, config), scores, config)
    encoder.network.train(dropout)
    batch = next(training.batches.epoch(0))
    torch.manual_seed(5)
    loss = training._through(batch) if config.chunk is None else training._by_chunks(batch, config.chunk)
    return float(loss), {name: each.grad for name, each in encoder.network.named_parameters() if each.grad is not None}


def alike(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[1].keys() == other[1].keys()
    for name, each in one[1].items():
        torch.testing.assert_close(each, other[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("score", [of_vectors, of_tokens])
@pytest.mark.parametrize("layers", [0, 1])
def test_gradients_by_chunks_are_those_of_the_batch(pairs, score, layers):
    settings = {"batch_size": 16, "negatives": 2}
    pairs = Pairs(pairs.queries, pairs.docs, [[pairs.docs[i - 1], pairs.docs[i - 2]] for i in range(N_TRAIN)])
    whole = gradients(small(layers), pairs, TrainConfig(**settings), [score], dropout=False)
    for chunk in (1, 5, 16, 400):
        alike(gradients(small(layers), pairs, TrainConfig(**settings, chunk=chunk), [score], dropout=False), whole)


@pytest.mark.parametrize("score", [of_vectors, of_tokens])
def test_a_chunk_is_dropped_out_of_in_the_same_way_twice(pairs, score):
    encoder, size = small(1), 5
    found = gradients(encoder, pairs, TrainConfig(batch_size=16, chunk=size), [score])
    # The same, embedded once by chunks and kept in memory with gradients.
    encoder = small(1)
    encoder.network.train()
    batches = Batches(pairs, TrainConfig(batch_size=16))
    batch = next(batches.epoch(0))
    torch.manual_seed(5)
    parts = []
    for kind, texts, rows in (("query", pairs.queries, batch.queries), ("doc", batches.texts, batch.docs)):
        prepared = encoder.prepare(texts, kind)
        made = [encoder.embed(prepared.take(rows[i : i + size]), kind) for i in range(0, len(rows), size)]
        longest = max(each.mask.shape[1] for each in made)
        wide = [torch.nn.functional.pad(each.tokens, (0, 0, 0, longest - each.tokens.shape[1])) for each in made]
        masks = [torch.nn.functional.pad(each.mask, (0, longest - each.mask.shape[1])) for each in made]
        parts.append(Embedded(torch.cat([each.vectors for each in made]), torch.cat(wide), torch.cat(masks)))
    mine, answers, repeated = (torch.from_numpy(each) for each in (batch.own[:, 0], batch.answers, batch.repeated))
    loss = contrastive(score(*parts), mine, answers, repeated, temperature=0.05, symmetric=True)
    loss.backward()
    expected = {name: each.grad for name, each in encoder.network.named_parameters() if each.grad is not None}
    alike(found, (loss.item(), expected))
    one_chunk = gradients(small(1), pairs, TrainConfig(batch_size=16, chunk=16), [score])
    alike(one_chunk, gradients(small(1), pairs, TrainConfig(batch_size=16), [score]))


def test_chunks_draw_from_the_generator_of_their_device(pairs, monkeypatch):
    training = Training(small(), Batches(pairs, QUICK), [of_vectors], QUICK)
    training.device = torch.device("mps")
    seen = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "state of the chip")
    for name in ("set_rng_state", "manual_seed"):
        monkeypatch.setattr(torch.mps, name, seen.append)
    state = torch.get_rng_state()
    training._draw_from(training._drawing())
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        training._seed(5)
    assert seen == ["state of the chip", 5]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_as_well(pairs, precision):
    config = TrainConfig(epochs=3, learning_rate=1e-2, precision=precision, chunk=8)
    _, history = bi_encoder(pairs, small(layers=1), config=config)
    assert history.losses[-1] < 0.8 * history.losses[0]


# -- stopping, keeping, going on --------------------------------------------------------------------------------------


def interrupt(monkeypatch, after):
    """Stop training when so many batches of texts have been read."""
    read = TinyEncoder.embed
    left = iter(range(after))

    def embed(self, batch, kind, *wanted):
        if self.network.training and next(left, None) is None:
            raise KeyboardInterrupt
        return read(self, batch, kind, *wanted)

    monkeypatch.setattr(TinyEncoder, "embed", embed)


@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
@pytest.mark.parametrize("judged", [False, True])
def test_what_was_interrupted_goes_on_to_the_same_numbers(train, judged, pairs, validation, tmp_path, monkeypatch):
    config = TrainConfig(epochs=3, learning_rate=1e-2, batch_size=40)
    options = {"config": config, "validation": validation if judged else None}
    whole, history = train(pairs, small(layers=1), **options)
    file = tmp_path / "state.pt"
    # Five steps an epoch, each of queries and documents: in the third step of the second.
    interrupt(monkeypatch, after=15)
    with pytest.raises(KeyboardInterrupt):
        train(pairs, small(layers=1), **options, checkpoint=file)
    monkeypatch.undo()
    state = torch.load(file, weights_only=True)
    assert state["epoch"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["state.pt"]
    again, resumed = train(pairs, small(layers=1), **options, checkpoint=file)
    assert same(weights(whole), weights(again))
    assert resumed == history
    # Of a training that is done nothing is left to do.
    done, same_history = train(pairs, small(layers=1), **options, checkpoint=file)
    assert same(weights(whole), weights(done))
    assert same_history == history


def test_a_checkpoint_of_another_training_is_refused(pairs, validation, tmp_path):
    file = tmp_path / "state.pt"
    config = TrainConfig(epochs=1, batch_size=100)
    bi_encoder(pairs, small(), config=config, validation=validation, checkpoint=file)
    docs = [*pairs.docs[:-1], pairs.docs[0]]
    known = {"pairs": pairs, "base": small(), "config": config, "validation": validation, "checkpoint": file}
    fewer = validation.of_queries(list(validation.queries)[1:])
    for changed in (
        {"pairs": Pairs(pairs.queries, docs)},
        {"pairs": Pairs([*pairs.queries[:-1], "ሌላ"], pairs.docs)},
        {"base": small(seed=1)},
        {"base": small(layers=1)},
        {"config": TrainConfig(epochs=2, batch_size=100)},
        {"validation": None},
        {"validation": fewer},
        {"loss": "matryoshka"},
    ):
        with pytest.raises(DataError, match=r"state.pt: the checkpoint is of another training"):
            bi_encoder(**{**known, **changed})
    with pytest.raises(DataError, match="of another training"):
        late_interaction(**known)
    nested = {"loss": "matryoshka", "checkpoint": tmp_path / "nested.pt"}
    bi_encoder(**{**known, **nested, "dims": (8,)})
    with pytest.raises(DataError, match="of another training"):
        bi_encoder(**{**known, **nested, "dims": (4,)})
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"state.pt: no checkpoint can be read from it"):
        bi_encoder(**known)


def scripted(monkeypatch, values):
    """Validation finds these values, one after the other; what the encoder was like at each."""
    seen = []

    def measure(self):
        seen.append(weights(self.encoder))
        return values[len(seen) - 1]

    monkeypatch.setattr(Validation, "__call__", measure)
    return seen


def test_the_best_step_is_kept_and_the_first_of_equals(pairs, validation, monkeypatch):
    seen = scripted(monkeypatch, [0.1, 0.2, 0.5, 0.5, 0.1])
    config = TrainConfig(epochs=4, batch_size=50, checks_per_epoch=1)
    encoder, history = bi_encoder(pairs, small(), config=config, validation=validation)
    assert same(weights(encoder), seen[2])
    assert not same(weights(encoder), seen[4])
    assert (history.best_step, [step for step, _ in history.checks]) == (8, [0, 4, 8, 12, 16])
    assert not encoder.network.training


def test_an_encoder_that_training_makes_no_better_stays_as_it_was(pairs, validation, monkeypatch):
    base = small()
    scripted(monkeypatch, [0.5, 0.4, 0.5])
    config = TrainConfig(epochs=2, batch_size=100)
    encoder, history = bi_encoder(pairs, base, config=config, validation=validation)
    assert same(weights(encoder), weights(base))
    assert history.best_step == 0


def test_patience_stops_in_the_middle_of_an_epoch(pairs, validation, monkeypatch, tmp_path):
    file = tmp_path / "state.pt"
    options = {
        "config": TrainConfig(epochs=4, batch_size=50, checks_per_epoch=2, patience=2),
        "validation": validation,
        "checkpoint": file,
    }
    seen = scripted(monkeypatch, [0.1, 0.5, 0.4, 0.5, 0.9])
    encoder, history = bi_encoder(pairs, small(), **options)
    # Four steps an epoch, looked at after the second and the last.
    assert [step for step, _ in history.checks] == [0, 2, 4, 6]
    assert (history.best_step, len(history.losses)) == (2, 2)
    assert same(weights(encoder), seen[1])
    again, same_history = bi_encoder(pairs, small(), **options)
    assert same_history == history
    assert same(weights(again), seen[1])
    assert len(seen) == 4


def test_all_checks_are_made_where_there_are_fewer_steps_than_checks(pairs, validation, monkeypatch):
    scripted(monkeypatch, [0.0, 0.1, 0.2, 0.3, 0.4])
    config = TrainConfig(epochs=2, batch_size=100, checks_per_epoch=9)
    _, history = bi_encoder(pairs, small(), config=config, validation=validation)
    assert [step for step, _ in history.checks] == [0, 1, 2, 3, 4]


def test_numbers_that_are_no_longer_finite_are_an_error(pairs, monkeypatch):
    broken = small()
    broken.network.head.weight.data[:] = float("nan")
    with pytest.raises(ArgumentError, match=r"the loss is nan at step 0; expected a finite number: a lower learning"):
        bi_encoder(pairs, broken, config=QUICK)
    # A gradient that is not: no loss follows the last step, by which it would show.
    spoil = lambda parameters, norm: [each.grad.mul_(float("nan")) for each in parameters if each.grad is not None]  # noqa: E731
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoil)
    with pytest.raises(ArgumentError, match=r"numbers of the encoder are not finite at step 0; expected"):
        bi_encoder(pairs, small(), config=TrainConfig(epochs=1, batch_size=N_TRAIN))
