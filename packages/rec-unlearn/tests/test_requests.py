"""Deletion requests: what they may ask for, and the rows that they mean."""

from datetime import datetime

import pandas as pd
import pytest

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, UnknownIdError
from rec_unlearn.requests import DeletionRequest, EmptyRequestError, resolve

LOG = Interactions.from_pandas(
    pd.DataFrame({"user": list("aaabbc"), "item": list("xyxxzx"), "basket": [0, 0, 1, 0, 1, 0]}), basket="basket"
)


def rows(*requests, **arguments):
    removal = resolve(requests, LOG, **arguments)
    gone = removal.forgotten
    return [LOG.user_ids[u] + LOG.item_ids[i] for u, i in zip(gone.user, gone.item, strict=True)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (DeletionRequest(user="a"), ["ax", "ay", "ax"]),
        (DeletionRequest(user="a", items=["x"]), ["ax", "ax"]),
        (DeletionRequest(items=["z"]), ["bz"]),
        (DeletionRequest(category="drinks"), ["ay", "bz"]),
        (DeletionRequest(user="b", category="drinks"), ["bz"]),
        (DeletionRequest(pairs=[("a", "y"), ("c", "x")]), ["ay", "cx"]),
    ],
)
def test_each_kind_of_request_means_its_rows(request_, expected):
    assert rows(request_, categories={"drinks": ["y", "z", "of another shop"]}) == expected


def test_requests_together_are_one_removal():
    removal = resolve(
        [DeletionRequest(user="a", items=["y"]), DeletionRequest(user="c"), DeletionRequest(items=["z"])], LOG
    )
    assert removal.users.tolist() == [0, 1, 2]
    assert removal.emptied_users.tolist() == [2]
    assert removal.emptied_items.tolist() == [1, 2]
    assert len(removal) == 3
    assert len(removal.after) == 3


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: DeletionRequest(), "asks for nothing"),
        (lambda: DeletionRequest(user="a", items=[]), "items is empty"),
        (lambda: DeletionRequest(pairs=[]), "pairs is empty"),
        (lambda: resolve([], LOG), "there is no request"),
        (lambda: resolve(DeletionRequest(user="c", items=["y"]), LOG), "holds nothing of what is asked for"),
        (lambda: resolve(DeletionRequest(user="a", category="toys"), LOG, categories={"toys": []}), "holds nothing"),
    ],
)
def test_a_request_for_nothing_is_refused(make, complaint):
    with pytest.raises(EmptyRequestError, match=complaint):
        make()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"user": "a", "pairs": [("a", "x")]}, "no user, items or category"),
        ({"items": ["x"], "category": "toys"}, "items or a category, not both"),
        ({"user": "a", "items": "x"}, "expected a list"),
        ({"user": "a", "received": datetime(2025, 1, 2), "deadline": datetime(2025, 1, 1)}, "before the request"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(arguments, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        DeletionRequest(**arguments)


@pytest.mark.parametrize(
    "request_",
    [DeletionRequest(user="nobody"), DeletionRequest(items=["nothing"]), DeletionRequest(user="a", category="toys")],
)
def test_what_the_log_does_not_know_is_refused_by_name(request_):
    with pytest.raises(UnknownIdError, match=r"nobody|nothing|toys"):
        resolve(request_, LOG)


@pytest.mark.parametrize(
    ("requests", "log", "complaint"),
    [
        ("a", LOG, "'a' is no request; expected DeletionRequest"),
        (["a"], LOG, "'a' is no request"),
        (DeletionRequest(user=["a", "b"]), LOG, "is no id of a user; expected one value"),
        (DeletionRequest(user="a"), LOG.to_pandas(), "log is a DataFrame; expected Interactions"),
        (DeletionRequest(user="c", items=["z"]), LOG, "holds nothing of what is asked for: items 'z' of user 'c'$"),
        ([DeletionRequest(items=["z"]), DeletionRequest(pairs=[("c", "z")])], LOG, r"asked for: pairs \('c', 'z'\)$"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_its_own_words(requests, log, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        resolve(requests, log)
