import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from irworks.retrieval.maxsim import TokenVectors, maxsim


def by_loops(query, docs):
    scores = []
    for number in range(len(docs)):
        tokens = docs.of(number)
        best = [max(float(asked @ token) for token in tokens) for asked in query] if len(tokens) else [-np.inf]
        scores.append(sum(best))
    return scores


@given(st.lists(st.integers(0, 4), max_size=8), st.integers(0, 3), st.sampled_from([1, 3, 100]), st.integers(0, 99))
def test_blocks_are_the_loop_over_documents(sizes, n_query, block, seed):
    rng = np.random.default_rng(seed)
    docs = TokenVectors(
        rng.standard_normal((sum(sizes), 3)).astype(np.float32), np.append(0, np.cumsum(sizes)).astype(np.int64)
    )
    query = rng.standard_normal((n_query, 3))
    expected = by_loops(query.astype(np.float32), docs)
    np.testing.assert_allclose(maxsim(query, docs, block=block), expected, atol=1e-5)


def test_half_precision_and_bad_shapes():
    vectors = np.array([[1, 0], [0, 1]], dtype=np.float16)
    docs = TokenVectors(vectors, np.array([0, 1, 2]))
    assert maxsim(np.array([[1.0, 0.0]]), docs).tolist() == [1, 0]
    with pytest.raises(ArgumentError, match=r"query is \(1, 3\); expected \[q, 2\]"):
        maxsim(np.zeros((1, 3)), docs)
    with pytest.raises(ArgumentError, match="offsets must rise from 0 to 2"):
        TokenVectors(vectors, np.array([0, 3]))
