"""Indexes of vectors of the core, against brute force."""

import json
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.encoders import TokenVectors
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.retrieval import Dense, LateInteraction, Retriever

WORDS = ["a", "b", "c", "d", "e", "f"]
TEXT = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
CORPORA = st.lists(TEXT, max_size=7)
KINDS = [Dense, LateInteraction]


class OfWords:
    """A word is a vector of small whole numbers, a text their sum: every score is exact, and many are equal."""

    def __init__(self, seed=0, dim=3, name="of-words"):
        self.seed, self.dim, self.token_dim, self.name = seed, dim, dim, name

    def word(self, word):
        return np.random.default_rng([self.seed, zlib.crc32(word.encode())]).integers(-2, 3, self.dim)

    def tokens(self, text):
        return np.array([self.word(word) for word in text.split()], dtype=np.float32).reshape(-1, self.dim)

    def encode(self, texts, kind="doc"):
        return np.array([self.tokens(text).sum(axis=0) for text in texts], dtype=np.float32).reshape(-1, self.dim)

    def encode_tokens(self, texts, kind="doc"):
        parts = [self.tokens(text) for text in texts]
        offsets = np.append(0, np.cumsum([len(part) for part in parts])).astype(np.int64)
        return TokenVectors(np.concatenate([np.zeros((0, self.dim), np.float32), *parts]), offsets)


ENCODER = OfWords()


def passages_of(text, words, most):
    found = text.split()
    if words is None:
        return [text]
    return [" ".join(found[begin : begin + words]) for begin in range(0, len(found), words)][:most]


def dense_value(query, text, words=None, passages=8):
    """By brute force: of the best passage that says something, None if none does."""
    vectors = ENCODER.encode(passages_of(text, words, passages))
    values = [float(vector @ ENCODER.encode([query])[0]) for vector in vectors if vector.any()]
    return max(values, default=None)


def late_value(query, text):
    tokens = ENCODER.tokens(text)
    return float(sum((tokens @ asked).max() for asked in ENCODER.tokens(query))) if len(tokens) else None


VALUE = {Dense: dense_value, LateInteraction: late_value}


def sorted_by(value, texts, k):
    """What a search has to find: {id: text} in order of their values, equal ones as they come."""
    values = [(doc, value(text)) for doc, text in texts.items()]
    return sorted([pair for pair in values if pair[1] is not None], key=lambda pair: -pair[1])[:k]


def asks_something(kind, query):
    return bool(ENCODER.encode([query]).any()) if kind is Dense else bool(query.strip())


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@settings(deadline=None)
@given(texts=CORPORA, queries=st.lists(TEXT, max_size=4), k=st.integers(1, 9))
def test_a_search_is_a_sort_of_all_values(kind, dtype, texts, queries, k):
    docs = {f"d{place}": text for place, text in enumerate(texts)}
    found = kind(ENCODER, dtype=dtype).add(docs).search(queries, k)
    assert list(found) == [str(place) for place in range(len(queries))]
    for place, query in enumerate(queries):
        expected = sorted_by(lambda text, asked=query: VALUE[kind](asked, text), docs, k)
        assert found[str(place)] == (expected if asks_something(kind, query) else [])


@settings(deadline=None)
@given(texts=CORPORA, query=TEXT, words=st.integers(1, 3), passages=st.integers(1, 3), k=st.integers(1, 9))
def test_a_document_is_worth_its_best_passage(texts, query, words, passages, k):
    docs = {f"d{place}": text for place, text in enumerate(texts)}
    index = Dense(ENCODER, words=words, passages=passages).add(docs)
    expected = sorted_by(lambda text: dense_value(query, text, words, passages), docs, k)
    assert index.search({"q": query}, k)["q"] == (expected if asks_something(Dense, query) else [])


@pytest.mark.parametrize("factory", ["Flat", "HNSW8"])
@settings(deadline=None)
@given(texts=CORPORA, query=TEXT, k=st.integers(1, 9))
def test_an_index_of_faiss_finds_what_exact_search_finds(factory, texts, query, k):
    near = Dense(ENCODER, words=2, factory=factory).add(texts).search(query, k)["0"]
    exact = Dense(ENCODER, words=2).add(texts).search(query, 99)["0"]
    # Which of equal documents stand at the cut is up to faiss.
    assert [score for _, score in near] == [score for _, score in exact[:k]]
    assert set(near) <= set(exact)
    assert len({doc for doc, _ in near}) == len(near)


def test_inverted_lists_miss_little():
    rng = np.random.default_rng(0)
    encoder = Numbers(rng.standard_normal((2000, 16)).astype(np.float32))
    texts, queries = [str(place) for place in range(1900)], [str(place) for place in range(1900, 2000)]
    near = Dense(encoder, factory="IVF32,Flat").add(texts).search(queries, 10)
    exact = Dense(encoder).add(texts).search(queries, 10)
    shares = [len(set(dict(near[query])) & set(dict(exact[query]))) / 10 for query in exact]
    assert np.mean(shares) > 0.75


class Numbers:
    """The text "7" has the vector in row 7."""

    def __init__(self, table, name="numbers"):
        self.table, self.dim, self.name = table, table.shape[1], name

    def encode(self, texts, kind="doc"):
        return self.table[[int(text) if text.isdigit() else 0 for text in texts]].reshape(-1, self.dim)


def test_more_queries_and_documents_than_are_done_at_once(monkeypatch):
    monkeypatch.setattr("irworks.retrieval.dense._TEXTS_AT_ONCE", 3)
    monkeypatch.setattr("irworks.retrieval.late._TEXTS_AT_ONCE", 3)
    monkeypatch.setattr("irworks.retrieval.dense._SCORES_AT_ONCE", 40)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(0, 9))) for _ in range(20)]
    queries = [" ".join(rng.choice(WORDS, 2)) for _ in range(70)]
    for kind in KINDS:
        whole, one_by_one = kind(ENCODER).add(texts), kind(ENCODER)
        for place, text in enumerate(texts):
            one_by_one.add({str(place): text})
        apart = {str(place): one_by_one.search(query, 5)["0"] for place, query in enumerate(queries)}
        assert {query: whole.search(queries, 5)[query] for query in apart} == apart


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_where_nothing_is_asked_or_said(kind):
    index = kind(ENCODER)
    assert isinstance(index, Retriever)
    assert (len(index), index.search({"q": "a"}).to_dict(), index.search({}).to_dict()) == (0, {"q": {}}, {})
    index.add(["", " \n"])
    assert (len(index), index.search("a").to_dict()) == (2, {"0": {}})
    index.add({"x": "a b"})
    assert index.search(["", "a", " \t"]).to_dict().keys() == {"0", "1", "2"}
    assert [len(found) for found in index.search(["", "a", " \t"], 99).to_dict().values()] == [0, 1, 0]
    assert list(dict(index.search("b", 99)["0"])) == ["x"]
    index.remove(["x"])
    assert index.search("a").to_dict() == {"0": {}}


# -- scores, for reranking --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(texts=CORPORA, query=TEXT, random=st.randoms())
def test_scores_of_some_documents_are_those_of_a_search(kind, texts, query, random):
    docs = {f"d{place}": text for place, text in enumerate(texts)}
    index = kind(ENCODER).add(docs)
    some = random.sample(sorted(docs), k=random.randint(0, len(docs)))
    values = [VALUE[kind](query, docs[doc]) for doc in some]
    scores = index.score(query, {doc: docs[doc] for doc in some})
    assert scores.dtype == np.float32
    assert scores.tolist() == [-np.inf if value is None else value for value in values]
    index.remove(some[:1])
    index.add({"new": "a"})
    assert index.score(query, {"new": "a"}).tolist() == [VALUE[kind](query, "a")]


@settings(deadline=None)
@given(texts=CORPORA, query=TEXT, words=st.integers(1, 3))
def test_the_score_of_a_long_document_is_that_of_its_best_passage(texts, query, words):
    docs = {f"d{place}": text for place, text in enumerate(texts)}
    values = [dense_value(query, text, words) for text in texts]
    scores = Dense(ENCODER, words=words).add(docs).score(query, docs)
    assert scores.tolist() == [-np.inf if value is None else value for value in values]


# -- documents come and go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Dense, LateInteraction, lambda encoder: Dense(encoder, words=2, factory="Flat")])
@settings(deadline=None)
@given(texts=CORPORA, query=TEXT, random=st.randoms())
def test_adding_and_removing_in_any_order_is_indexing_what_is_left(make, texts, query, random):
    index, left = make(ENCODER), {}
    for place, text in enumerate(texts):
        index.add({f"d{place}": text})
        left[f"d{place}"] = text
        if random.random() < 0.3:
            index.search(query)
        if left and random.random() < 0.4:
            gone = random.sample(sorted(left), k=random.randint(1, len(left)))
            index.remove(gone)
            left = {doc: each for doc, each in left.items() if doc not in gone}
    anew = make(ENCODER).add(left)
    assert (index.ids, len(index)) == (anew.ids, len(left))
    assert index.search(query, 99).to_dict() == anew.search(query, 99).to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_already_or_is_not_there_is_told(kind):
    index = kind(ENCODER).add({"x": "a b"})
    with pytest.raises(ArgumentError, match="document 'x' is indexed already; remove it first"):
        index.add({"y": "a", "x": "c"})
    with pytest.raises(ArgumentError, match="there is no document 'y'"):
        index.remove(["x", "y"])
    with pytest.raises(ArgumentError, match="there is no document 'y'; expected documents of the index"):
        index.score("a", {"x": "a b", "y": "b"})
    with pytest.raises(ArgumentError, match="k=0; expected at least 1"):
        index.search("a", 0)
    with pytest.raises(ArgumentError, match=r"dtype='float64'.*expected.*float32"):
        kind(ENCODER, dtype="float64")
    assert index.ids == ["x"]
    assert index.add({}).remove([]).ids == ["x"]


def test_bad_settings_of_passages_are_told():
    with pytest.raises(ArgumentError, match="words=0; expected at least 1, or None"):
        Dense(ENCODER, words=0)
    with pytest.raises(ArgumentError, match="passages=0, dtype='float32'; expected at least 1"):
        Dense(ENCODER, passages=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda vectors: vectors * np.float32(np.nan), "of-words made vectors that are not finite"),
        (lambda vectors: vectors[:, :2], r"of-words made vectors \(2, 2\); expected \[\w, 3\]"),
    ],
)
def test_vectors_that_cannot_be_are_told_and_change_nothing(kind, wrong, said):
    encoder = OfWords()
    index = kind(encoder).add({"x": "a"})
    encode, encode_tokens = encoder.encode, encoder.encode_tokens
    encoder.encode = lambda texts, kind: wrong(encode(texts))

    def wrong_tokens(texts, kind):
        right = encode_tokens(texts)
        return TokenVectors(wrong(right.vectors), right.offsets)

    encoder.encode_tokens = wrong_tokens
    with pytest.raises(ArgumentError, match=said):
        index.add(["b", "c"])
    with pytest.raises(ArgumentError, match="of-words made vectors"):
        index.search("b")
    encoder.encode, encoder.encode_tokens = encode, encode_tokens
    assert (index.ids, len(index.search("a")["0"])) == (["x"], 1)


# -- on disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@settings(deadline=None)
@given(texts=CORPORA, query=TEXT)
def test_an_index_survives_its_folder(tmp_path_factory, kind, dtype, texts, query):
    index = kind(ENCODER, dtype=dtype).add(texts)
    folder = tmp_path_factory.mktemp("index") / "inside" / "index"
    index.save(folder)
    again = kind.load(folder, ENCODER)
    assert again.ids == index.ids
    assert again.search(query, 99).to_dict() == index.search(query, 99).to_dict()
    # It may take its own place while its vectors are still on disk, and grow as any other does.
    again.save(folder)
    more = [kind.load(folder, ENCODER).add({"new": "a b"}), index.add({"new": "a b"})]
    assert more[0].search(query, 99).to_dict() == more[1].search(query, 99).to_dict()
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


def test_settings_survive_the_folder(tmp_path):
    Dense(ENCODER, words=2, passages=3, dtype="float16").add(["a b c", "d"]).save(tmp_path / "index")
    again = Dense.load(tmp_path / "index", ENCODER)
    assert (again.words, again.passages, again.factory, again.vectors.dtype) == (2, 3, None, np.float16)
    LateInteraction(ENCODER, dtype="float32").add(["a b c", "d"]).save(tmp_path / "index")
    assert LateInteraction.load(tmp_path / "index", ENCODER).docs.vectors.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_stay_on_disk_until_they_are_searched(tmp_path, kind):
    kind(ENCODER, dtype="float32").add(["a b c", "d"]).save(tmp_path / "index")
    index = kind.load(tmp_path / "index", ENCODER)
    vectors = index.vectors if kind is Dense else index.docs.vectors
    assert isinstance(vectors, np.memmap)
    index.search("a")
    assert (index.vectors if kind is Dense else index.docs.vectors) is vectors


@pytest.mark.parametrize("factory", ["HNSW8", "IVF2,Flat"])
def test_an_index_of_faiss_is_not_built_again(tmp_path, monkeypatch, factory):
    import faiss

    index = Dense(ENCODER, factory=factory).add(["a b", "b c", "d e f", ""])
    index.save(tmp_path / "index")
    expected = index.search(["a", "b d"], 3).to_dict()
    with monkeypatch.context() as patch:
        patch.delattr(faiss, "index_factory")
        assert Dense.load(tmp_path / "index", ENCODER).search(["a", "b d"], 3).to_dict() == expected
    grown = Dense.load(tmp_path / "index", ENCODER).add({"new": "a a a"})
    assert "new" in dict(grown.search("a", 5)["0"])
    Dense(ENCODER, factory=factory).save(tmp_path / "empty")
    assert Dense.load(tmp_path / "empty", ENCODER).search("a").to_dict() == {"0": {}}


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_of_another_encoder_is_told(tmp_path, kind):
    kind(ENCODER).add(["a b", "c"]).save(tmp_path / "index")
    with pytest.raises(DataError, match="another encoder made its vectors: of-words"):
        kind.load(tmp_path / "index", OfWords(seed=1))
    with pytest.raises(DataError, match=r"its vectors are \(\d, 3\), those of other have 4"):
        kind.load(tmp_path / "index", OfWords(dim=4, name="other"))
    # A name says little: a model can be moved.
    assert len(kind.load(tmp_path / "index", OfWords(name="moved"))) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_holds_no_such_index_is_told(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        kind.load(tmp_path / "none", ENCODER)
    with pytest.raises(DataError, match=r"can be read from it.*expected a folder that \w+.save wrote"):
        kind.load(tmp_path, ENCODER)
    other = KINDS[1 - KINDS.index(kind)]
    other(ENCODER).add(["a"]).save(tmp_path / "other")
    with pytest.raises(DataError, match="can be read from it"):
        kind.load(tmp_path / "other", ENCODER)


def _facts(**changed):
    def damage(folder):
        (file,) = folder.glob("*.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))

    return damage


def _array(name, change):
    def damage(folder):
        file = next(file for file in folder.glob("*.npy") if file.stem in name)
        np.save(file, change(np.load(file)))

    return damage


def _cut(name):
    def damage(folder):
        file = next(file for file in folder.iterdir() if file.name in name)
        file.write_bytes(file.read_bytes()[:-3])

    return damage


PLACES = ("doc_of", "offsets")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "damage",
    [
        _facts(format=99),
        _facts(ids=["0"]),
        _facts(ids=[str(place) for place in range(2)]),
        _cut(("dense.json", "late.json")),
        _cut(("vectors.npy",)),
        _cut(("sample.npy",)),
        _array(("vectors",), lambda vectors: vectors[:-1]),
        _array(("vectors",), lambda vectors: vectors.astype(np.float64)),
        _array(("vectors",), lambda vectors: vectors.astype(np.int32)),
        _array(("vectors",), lambda vectors: vectors.ravel()),
        _array(PLACES, lambda places: places[::-1]),
        _array(PLACES, lambda places: places.astype(np.float64)),
        _array(PLACES, lambda places: places - 1),
        _array(PLACES, lambda places: places + 1),
        _array(PLACES, lambda places: places[:, None]),
        _array(PLACES, lambda places: np.array(["0"] * len(places))),
    ],
)
def test_a_damaged_index_is_told(tmp_path, kind, damage):
    kind(ENCODER).add(["a b", "c", "d e"]).save(tmp_path / "index")
    damage(tmp_path / "index")
    with pytest.raises(DataError, match="can be read from it"):
        kind.load(tmp_path / "index", ENCODER)


def test_a_damaged_index_of_faiss_is_told(tmp_path):
    Dense(ENCODER, factory="HNSW8").add(["a b", "c", "d e"]).save(tmp_path / "index")
    Dense(ENCODER, factory="HNSW8").add(["a b", "c"]).save(tmp_path / "other")
    file = tmp_path / "index" / "faiss.index"
    whole = file.read_bytes()
    file.write_bytes((tmp_path / "other" / "faiss.index").read_bytes())
    with pytest.raises(DataError, match="its vectors are not those beside it"):
        Dense.load(tmp_path / "index", ENCODER)
    file.write_bytes(whole[:-20])
    with pytest.raises(DataError, match="no index of faiss can be read from it"):
        Dense.load(tmp_path / "index", ENCODER)
    file.unlink()
    with pytest.raises(DataError, match="no index of faiss can be read from it"):
        Dense.load(tmp_path / "index", ENCODER)


@pytest.mark.parametrize("kind", KINDS)
def test_writing_that_is_interrupted_leaves_what_was_there(tmp_path, monkeypatch, kind):
    old = kind(ENCODER).add(["a"])
    old.save(tmp_path / "index")
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        for name in ("index", "new"):
            with pytest.raises(KeyboardInterrupt):
                kind(ENCODER).add(["b", "c"]).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert kind.load(tmp_path / "index", ENCODER).ids == old.ids


# -- faiss ------------------------------------------------------------------------------------------------------------


def test_a_factory_that_makes_no_index_of_these_vectors_is_told(capfd):
    few = Dense(ENCODER, factory="IVF16,Flat").add(["a", "b"])
    with pytest.raises(ArgumentError, match=r"factory='IVF16,Flat' makes no index of 2 vectors: .*16"):
        few.search("a")
    with pytest.raises(ArgumentError, match="factory='no such' makes no index of 1 vectors"):
        Dense(ENCODER, factory="no such").add(["a"]).search("a")


def test_faiss_is_needed_for_an_approximate_index_alone(tmp_path, monkeypatch):
    near = Dense(ENCODER, factory="Flat").add(["a"])
    near.save(tmp_path / "index")
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert len(Dense(ENCODER).add(["a"]).search("a")["0"]) == 1
    with pytest.raises(MissingDependencyError, match=r"needs faiss.*irworks\[faiss\]"):
        Dense(ENCODER, factory="Flat").add(["a"]).search("a")
    with pytest.raises(MissingDependencyError, match="needs faiss"):
        Dense.load(tmp_path / "index", ENCODER)
