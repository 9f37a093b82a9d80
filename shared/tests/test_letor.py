import gzip
import io
import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from irworks.data import RankingDataset, letor, read_letor, write_letor
from irworks.data.letor_text import Grammar, parse_block, parse_lines
from irworks.errors import ArgumentError, DataError

GRAMMAR = Grammar(Path("some.txt"))


def write(folder, text, name="rank.txt"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path, **options):
    return read_letor(path, cache=False, **options)


def random_lines(rng, n_queries, n_features, *, dense=False):
    """Ragged sparse lines in several number styles, with comments now and then."""
    styles = ["{:.6f}", "{:.0f}", "{:.3e}", "{!r}", "{:g}"]
    lines = []
    for query in rng.choice(10**9, n_queries, replace=False):
        for _ in range(rng.integers(1, 6)):
            columns = range(n_features) if dense else np.flatnonzero(rng.random(n_features) < 0.4)
            values = rng.normal(scale=100, size=n_features)
            pairs = [f"{c + 1}:{styles[rng.integers(len(styles))].format(float(values[c]))}" for c in columns]
            comment = ["", " ", " # docid = 7:3 qid:4"][rng.integers(3)]
            lines.append(f"{rng.integers(5)} qid:{query} {' '.join(pairs)}{comment}\n")
    return "".join(lines)


def assert_equal_to_sklearn(path, dataset):
    features, labels, query = load_svmlight_file(
        str(path), query_id=True, dtype=np.float32, zero_based=False, n_features=dataset.n_features
    )
    np.testing.assert_array_equal(dataset.features, features.toarray())
    np.testing.assert_array_equal(dataset.labels, labels)
    np.testing.assert_array_equal(dataset.query_ids[dataset.query_of_doc], query)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dense", [False, True])
def test_values_are_those_of_scikit_learn(tmp_path, seed, dense):
    path = write(tmp_path, random_lines(np.random.default_rng(seed), 40, 30, dense=dense))
    assert_equal_to_sklearn(path, read(path))


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_the_size_of_the_blocks_does_not_matter(tmp_path, monkeypatch, size):
    path = write(tmp_path, random_lines(np.random.default_rng(5), 20, 12))
    whole = read(path)
    monkeypatch.setattr(letor, "_READ_AT_ONCE", size)
    parts = read(path)
    np.testing.assert_array_equal(parts.features, whole.features)
    np.testing.assert_array_equal(parts.offsets, whole.offsets)
    np.testing.assert_array_equal(parts.query_ids, whole.query_ids)


@pytest.mark.data
@pytest.mark.parametrize("name", ["rank.train", "rank.test"])
def test_the_lightgbm_example_is_read_as_scikit_learn_and_its_query_file_say(name):
    root = os.environ.get("IRWORKS_DATA")
    if not root:
        pytest.skip("IRWORKS_DATA is not set")
    path = Path(root) / "ltr" / "letor" / name
    dataset = read(path, n_features=300)
    features, labels = load_svmlight_file(str(path), dtype=np.float32, zero_based=False, n_features=300)
    np.testing.assert_array_equal(dataset.features, features.toarray())
    np.testing.assert_array_equal(dataset.labels, labels)
    np.testing.assert_array_equal(dataset.list_sizes, np.loadtxt(f"{path}.query", dtype=int))


def test_blank_lines_comments_tabs_carriage_returns_and_a_missing_last_newline_change_nothing(tmp_path):
    plain = write(tmp_path, "2 qid:1 1:0.5 3:1\n0 qid:1 2:7\n1 qid:2 1:1\n")
    odd = write(
        tmp_path,
        "# head: 1:2\r\n\r\n  2\tqid:1  1:0.5\t3:1 # 4:9\r\n \n0 qid:1 2:7 #\r\n#x\n\n1 qid:2 1:1",
        "odd.txt",
    )
    expected, found = read(plain), read(odd)
    np.testing.assert_array_equal(found.features, [[0.5, 0, 1], [0, 7, 0], [1, 0, 0]])
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.offsets, expected.offsets)


number_texts = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(-1e30, 1e30, allow_nan=False).map(repr),
    st.sampled_from(["+1", "1.", ".5", "-.5e-3", "1E5", "-0", "00.10", "1e-320", "123456789.123456789"]),
)
blanks = st.sampled_from([" ", "  ", "\t", " \r"])


@st.composite
def lines(draw):
    with_qid = draw(st.booleans())
    text = []
    for _ in range(draw(st.integers(1, 6))):
        columns = draw(st.lists(st.integers(1, 40), unique=True, max_size=6))
        fields = [draw(number_texts), *([f"qid:{draw(st.integers(0, 3))}"] if with_qid else [])]
        fields += [f"{column}:{draw(number_texts)}" for column in columns]
        text.append(draw(st.sampled_from(["", " "])) + "".join(field + draw(blanks) for field in fields) + "\n")
        text.append(draw(st.sampled_from(["", "\n", "# 3:4\n"])))
    return "".join(text).encode()


@settings(max_examples=200, deadline=None)
@given(lines())
def test_the_fast_parser_agrees_with_the_one_that_goes_pair_by_pair(text):
    fast = parse_block(text, 1, GRAMMAR)
    slow = parse_lines(b"\n".join(line.split(b"#")[0] for line in text.split(b"\n")), 1, GRAMMAR)
    np.testing.assert_array_equal(fast.labels, slow.labels)
    np.testing.assert_array_equal(fast.lines, slow.lines)
    assert (fast.qids is None) == (slow.qids is None)
    if fast.qids is not None:
        np.testing.assert_array_equal(fast.qids, slow.qids)
    matrices = []
    for block in (fast, slow):
        matrix = np.zeros((len(block.labels), 41), dtype=np.float32)
        matrix[block.row, block.column] = block.values
        matrices.append(matrix)
    np.testing.assert_array_equal(*matrices)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text("01 qid:.e-#\n\t", max_size=60).map(str.encode))
def test_any_text_is_either_parsed_or_refused_with_its_line(text):
    row, parsed = "", True
    try:
        parse_block(text + b"\n", 1, GRAMMAR)
    except DataError as error:
        row, parsed = str(error.row), False
    assert parsed or row.startswith("line ")


GOOD = "1 qid:1 1:0.5 2:1\n0 qid:1 2:2\n"


@pytest.mark.parametrize(
    ("line", "found", "says"),
    [
        ("x qid:2 1:1", "x", "label"),
        ("nan qid:2 1:1", "nan", "label"),
        ("0x1 qid:2 1:1", "0x1", "label"),
        ("1_0 qid:2 1:1", "1_0", "label"),
        ("qid:2 1:1", "qid:2", "label"),
        ("1 qid:2 1:abc", "abc", "feature 1"),
        ("1 qid:2 2:nan", "nan", "feature 2"),
        ("1 qid:2 3:inf", "inf", "feature 3"),
        ("1 qid:2 3:-Infinity", "-Infinity", "feature 3"),
        ("1 qid:2 3:1e60", "3:1e60", "feature 3"),
        ("1 qid:2 3:", "", "feature 3"),
        ("1 qid:2 3: 4", "", "feature 3"),
        ("1 qid:2 3:4:5", "4:5", "feature 3"),
        ("1 qid:2 :5", ":5", "index"),
        ("1 qid:2 1:1 1:2", "1:2", "twice"),
        ("1 qid:2 3:1 1:5 3:2", "3:2", "twice"),
        ("1 qid:2 0:1", "0:1", "index is 0"),
        ("1 qid:2 -3:1", "-3:1", "whole number"),
        ("1 qid:2 1.0:1", "1.0:1", "whole number"),
        ("1 qid:2 a:1", "a:1", "whole number"),
        ("1 qid:2 99999999999:1", "99999999999:1", "too large"),
        ("1 qid:2 7", "7", "index:value"),
        ("1 qid:2 1:1 qid:3", "qid:3", "query id"),
        ("1 qid: 1:1", "qid:", "query id"),
        ("1 1:1", "1", "query id"),
        ("1 qid:2 3:\xff", "", "feature 3"),
    ],
)
def test_a_broken_line_is_named_with_what_was_found(tmp_path, line, found, says):
    path = write(tmp_path, GOOD + "\n" + line + "\n" + GOOD.replace("qid:1", "qid:3"))
    with pytest.raises(DataError, match=says) as caught:
        read(path)
    assert caught.value.source == path
    assert caught.value.row == "line 4"
    assert found in str(caught.value.found)
    assert caught.value.expected
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_broken_line_far_into_the_file_keeps_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(letor, "_READ_AT_ONCE", 4096)
    body = random_lines(np.random.default_rng(2), 200, 20)
    path = write(tmp_path, body + "1 qid:5 1:1:1\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.row == f"line {body.count(chr(10)) + 1}"


def test_queries_whose_lines_are_scattered_are_refused_with_both_lines(tmp_path):
    path = write(tmp_path, "0 qid:7 1:1\n0 qid:8 1:1\n\n0 qid:7 1:1\n")
    with pytest.raises(DataError, match="line 4") as caught:
        read(path)
    assert "line 1" in caught.value.found
    assert "sort" in caught.value.hint


def test_query_ids_beyond_the_precision_of_a_float_stay_exact(tmp_path):
    ids = [2**53, 2**53 + 1, 2**62 + 1, 2**63 - 1, -4, 0]
    path = write(tmp_path, "".join(f"1 qid:{one} 1:1\n" for one in ids))
    assert read(path).query_ids.tolist() == ids


@pytest.mark.parametrize("ids", [["q-1", "7", "007"], ["7", "07"], [str(2**64), "1"], ["1e3", "1000"]])
@pytest.mark.parametrize("size", [8, 1 << 20])
def test_query_ids_that_are_no_whole_numbers_stay_texts(tmp_path, monkeypatch, ids, size):
    monkeypatch.setattr(letor, "_READ_AT_ONCE", size)
    path = write(tmp_path, "".join(f"1 qid:{one} 1:1\n2 qid:{one} 1:2\n" for one in ids))
    dataset = read(path)
    assert dataset.query_ids.tolist() == ids
    assert dataset.list_sizes.tolist() == [2] * len(ids)


def test_labels_are_whole_numbers_if_they_can_be(tmp_path):
    assert read(write(tmp_path, "1.0 qid:1 1:1\n3 qid:1 1:1\n")).labels.dtype == np.int32
    graded = read(write(tmp_path, "1.25 qid:1 1:1\n3 qid:1 1:1\n", "graded"))
    assert graded.labels.dtype == np.float64
    assert graded.labels.tolist() == [1.25, 3]


def test_indices_may_count_from_zero(tmp_path):
    zero = write(tmp_path, "1 qid:1 0:5 2:7\n", "zero")
    one = write(tmp_path, "1 qid:1 1:5 3:7\n", "one")
    assert read(zero, zero_based=True).features.tolist() == [[5, 0, 7]]
    assert read(zero, zero_based="auto").features.tolist() == [[5, 0, 7]]
    assert read(one, zero_based="auto").features.tolist() == [[5, 0, 7]]
    assert read(one, zero_based=True).features.tolist() == [[0, 5, 0, 7]]


def test_the_number_of_features_can_be_given_and_is_kept_to(tmp_path):
    path = write(tmp_path, "1 qid:1 1:5 3:7\n")
    assert read(path, n_features=5).features.tolist() == [[5, 0, 7, 0, 0]]
    with pytest.raises(DataError, match="up to 2"):
        read(path, n_features=2)


@pytest.mark.parametrize("options", [{"n_features": 0}, {"zero_based": "maybe"}])
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(ArgumentError):
        read(write(tmp_path, GOOD), **options)


def test_documents_per_query_are_found_in_the_file_beside(tmp_path):
    path = write(tmp_path, "1 1:1\n0 1:2\n2 1:3\n")
    write(tmp_path, "1\n\n2\r\n", "rank.txt.query")
    dataset = read(path)
    assert dataset.offsets.tolist() == [0, 1, 3]
    assert dataset.query_ids.tolist() == [0, 1]


def test_documents_per_query_can_be_in_a_file_of_another_name(tmp_path):
    path = write(tmp_path, "1 1:1\n0 1:2\n")
    assert read(path, query_file=write(tmp_path, "1\n1\n", "sizes")).n_queries == 2


@pytest.mark.parametrize(
    ("sizes", "says"), [("1\n1\n", "do not add up"), ("2\nx\n", "line 2"), ("3\n0\n", "line 2"), ("-3\n", "line 1")]
)
def test_a_query_file_that_does_not_fit_is_refused(tmp_path, sizes, says):
    path = write(tmp_path, "1 1:1\n0 1:2\n2 1:3\n")
    write(tmp_path, sizes, "rank.txt.query")
    with pytest.raises(DataError, match=says) as caught:
        read(path)
    assert caught.value.source == tmp_path / "rank.txt.query"


def test_a_query_file_for_lines_that_have_ids_is_refused(tmp_path):
    with pytest.raises(DataError, match="too"):
        read(write(tmp_path, GOOD), query_file=write(tmp_path, "2\n", "sizes"))


def test_lines_without_ids_and_without_a_query_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="no query id"):
        read(write(tmp_path, "1 1:1\n"))


@pytest.mark.parametrize("text", ["", "\n \n", "# nothing\n"])
def test_a_file_without_documents_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="no line with a document"):
        read(write(tmp_path, text))


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent")
    with pytest.raises(DataError, match="sizes: no such file"):
        read(write(tmp_path, GOOD), query_file=tmp_path / "sizes")


def test_gzip_is_read_whatever_the_name_and_its_query_file_found(tmp_path):
    text = "1 1:1\n0 1:2\n"
    write(tmp_path, "2\n", "rank.txt.query")
    packed = write(tmp_path, gzip.compress(text.encode()), "rank.txt.gz")
    assert read(packed).features.tolist() == [[1], [2]]
    hidden = write(tmp_path, gzip.compress(GOOD.encode()), "hidden")
    assert read(hidden).n_docs == 2


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_gzip_file_is_one_clear_error(tmp_path, keep):
    whole = gzip.compress(random_lines(np.random.default_rng(1), 30, 10).encode())
    with pytest.raises(DataError, match="cannot be read"):
        read(write(tmp_path, whole[: int(len(whole) * keep)], "rank.gz"))


@st.composite
def datasets(draw):
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    n_docs, n_features = sum(sizes), draw(st.integers(1, 5))
    cell = st.one_of(st.just(0.0), st.floats(width=32, allow_nan=False, allow_infinity=False))
    features = [[draw(cell) for _ in range(n_features)] for _ in range(n_docs)]
    label = draw(st.sampled_from([st.integers(-1, 4), st.floats(-1e6, 1e6)]))
    labels = [draw(label) for _ in range(n_docs)]
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(sizes), max_size=len(sizes), unique=True))
    query_ids = np.array(ids) if draw(st.booleans()) else np.array([f"q{one}" for one in ids])
    return RankingDataset(np.array(features), np.array(labels), np.concatenate([[0], np.cumsum(sizes)]), query_ids)


@settings(max_examples=60, deadline=None)
@given(dataset=datasets(), name=st.sampled_from(["a.txt", "a.txt.gz"]))
def test_what_is_written_is_read_back(tmp_path_factory, dataset, name):
    path = tmp_path_factory.mktemp("letor") / name
    write_letor(dataset, path)
    again = read(path)
    np.testing.assert_array_equal(again.features, dataset.features)
    np.testing.assert_array_equal(again.labels, dataset.labels)
    np.testing.assert_array_equal(again.offsets, dataset.offsets)
    assert again.query_ids.tolist() == dataset.query_ids.tolist()


@pytest.mark.parametrize("query", ["a b", "a:b", "a#b", ""])
def test_a_query_id_that_would_break_the_line_is_not_written(tmp_path, query):
    dataset = RankingDataset(np.ones((1, 1)), np.array([1]), np.array([0, 1]), np.array([query]))
    with pytest.raises(ArgumentError, match="cannot be written"):
        write_letor(dataset, tmp_path / "out.txt")
    assert list(tmp_path.iterdir()) == []


def edited_in_place(path, text):
    """Change a file, its size and time kept."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_second_read_comes_from_the_cache(tmp_path, monkeypatch):
    path, folder = write(tmp_path, GOOD), tmp_path / "cache"
    first = read_letor(path, cache=folder)
    monkeypatch.setattr(letor, "parse_block", lambda *_: pytest.fail("parsed again"))
    second = read_letor(path, cache=folder)
    np.testing.assert_array_equal(second.features, first.features)
    np.testing.assert_array_equal(second.query_ids, first.query_ids)


def test_a_stale_cache_is_never_used(tmp_path):
    path, folder = write(tmp_path, GOOD), tmp_path / "cache"
    read_letor(path, cache=folder)
    edited_in_place(path, GOOD.replace("1:0.5", "1:0.7"))
    assert read_letor(path, cache=folder).features[0, 0] == np.float32(0.7)
    path.write_text(GOOD + "1 qid:9 1:1\n")
    assert read_letor(path, cache=folder).n_docs == 3
    assert read_letor(path, cache=folder, n_features=4).n_features == 4
    assert read_letor(path, cache=folder).n_features == 2


def test_a_change_of_the_query_file_is_noticed(tmp_path):
    path, folder = write(tmp_path, "1 1:1\n0 1:2\n2 1:3\n"), tmp_path / "cache"
    sizes = write(tmp_path, "1\n2\n", "rank.txt.query")
    assert read_letor(path, cache=folder).list_sizes.tolist() == [1, 2]
    edited_in_place(sizes, "2\n1\n")
    assert read_letor(path, cache=folder).list_sizes.tolist() == [2, 1]


@pytest.mark.parametrize("suffix", ["npz", "json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_cache_is_made_anew(tmp_path, suffix, damage):
    path, folder = write(tmp_path, random_lines(np.random.default_rng(0), 10, 5)), tmp_path / "cache"
    first = read_letor(path, cache=folder)
    [kept] = folder.glob(f"*.{suffix}")
    content = bytearray(kept.read_bytes())
    if damage == "truncate":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
    else:
        content = b""
    kept.write_bytes(content)
    for _ in range(2):
        np.testing.assert_array_equal(read_letor(path, cache=folder).features, first.features)
    assert RankingDataset.load(next(folder.glob("*.npz"))).n_docs == first.n_docs


def test_a_cache_that_cannot_be_written_does_not_stand_in_the_way(tmp_path):
    blocked = write(tmp_path, "a file, not a folder", "cache")
    assert read_letor(write(tmp_path, GOOD), cache=blocked).n_docs == 2


def test_by_default_large_files_are_kept_in_the_cache_folder_and_small_ones_not(tmp_path, monkeypatch):
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
    read_letor(write(tmp_path, GOOD))
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(letor, "_WORTH_CACHING", 10)
    read_letor(tmp_path / "rank.txt", cache=False)
    assert not (tmp_path / "cache").exists()
    read_letor(tmp_path / "rank.txt")
    assert len(list((tmp_path / "cache" / "letor").iterdir())) == 2


def dense_text(n_docs, n_features):
    pairs = " ".join(f"{column}:{column % 7}.5" for column in range(1, n_features + 1))
    return "".join(f"{doc % 5} qid:{doc // 100} {pairs}\n" for doc in range(n_docs)).encode()


def test_the_memory_peak_stays_near_the_size_of_the_result(tmp_path):
    path = write(tmp_path, dense_text(30_000, 136))
    read(path)
    tracemalloc.start()
    size = read(path).features.nbytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.8 * size


def test_reading_is_several_times_faster_than_scikit_learn(tmp_path):
    text = dense_text(6_000, 136)
    path = write(tmp_path, text)
    read(path)
    start = time.process_time()
    read(path)
    ours = time.process_time() - start
    start = time.process_time()
    load_svmlight_file(io.BytesIO(text), dtype=np.float32, query_id=True, zero_based=False)
    theirs = time.process_time() - start
    assert ours * 2 < theirs


# -- what test_fuzz_readers.py found -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 qid:a\0 1:2", "line 1: the query id holds a NUL"),
        (f"1 qid:1 {'7' * 5000}:2", "line 1: a feature index is too large"),
        (f"1 qid:1 1:{'7' * 5000}", "line 1: the value of feature 1 is not a finite number"),
    ],
    ids=["NUL", "index of 5,000 digits", "value of 5,000 digits"],
)
def test_ids_with_nuls_and_endless_digits_are_refused(tmp_path, line, says):
    with pytest.raises(DataError, match=says):
        read(write(tmp_path, f"{line}\n"))


@pytest.mark.parametrize("blank", [" ", "\t", "\v", "\f", "\r"])
def test_every_blank_separates_wherever_it_stands(tmp_path, blank):
    # The plus sign sends the block to the parser that goes pair by pair.
    for text in ("1 qid:a", "+1 qid:a"):
        data = read(write(tmp_path, f"{text}{blank}1:2{blank}\n"))
        assert (data.query_ids.tolist(), data.features.tolist()) == (["a"], [[2.0]])
        with pytest.raises(DataError, match="line 1"):
            read(write(tmp_path, f"{text}{blank}b 1:2\n"))


@pytest.mark.parametrize("ids", [["0", "-0"], ["7" * 5000, "7"]], ids=["minus zero", "5,000 digits"])
def test_query_ids_that_no_int64_spells_are_texts(tmp_path, ids):
    path = write(tmp_path, "".join(f"1 qid:{query} 1:2\n" for query in ids))
    assert read(path).query_ids.tolist() == ids


def test_a_query_size_of_endless_digits_is_refused(tmp_path):
    write(tmp_path, "7" * 5000, "rank.txt.query")
    with pytest.raises(DataError, match="line 1: not a query size"):
        read(write(tmp_path, "1 1:2\n"))


def test_endless_digits_with_a_bad_end_are_refused_in_no_time(tmp_path):
    start = time.perf_counter()
    with pytest.raises(DataError, match="not a finite number"):
        read(write(tmp_path, f"1 qid:1 1:{'7' * 300_000}x\n"))
    assert time.perf_counter() - start < 5
