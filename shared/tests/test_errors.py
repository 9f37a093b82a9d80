import copy
import pickle
from pathlib import Path

import pytest

from irworks.errors import ArgumentError, DataError, DownloadError, IrworksError, MissingDependencyError

PARTS = {"source": Path("log.csv"), "row": 7, "column": "click", "found": 2, "expected": "0 or 1", "hint": "Mend it"}


class MoonDataError(DataError):
    """A package's own kind."""


def parts_of(error):
    return {name: getattr(error, name) for name in ("problem", *PARTS)}


def test_a_data_error_says_where_what_was_found_what_was_expected_and_how_to_mend_it():
    error = DataError("click is not 0 or 1", **PARTS)
    assert str(error) == "log.csv, row 7, column 'click': click is not 0 or 1 (found 2; expected 0 or 1). Mend it"


def test_a_data_error_leaves_out_what_it_does_not_know():
    assert str(DataError("the log is empty")) == "the log is empty"
    assert str(DataError("broken", source="x")) == "x: broken"
    assert str(DataError("broken", row="line 3")) == "line 3: broken"
    assert str(DataError("broken", column="f", expected="a number")) == "column 'f': broken (expected a number)"


@pytest.mark.parametrize("found", [0, 0.0, False, "", [], float("nan")])
def test_a_falsy_value_that_was_found_is_still_named(found):
    assert f"found {found!r}" in str(DataError("broken", found=found))


def test_row_zero_is_named():
    assert "row 0" in str(DataError("broken", row=0))


def test_a_long_value_is_cut_so_that_the_message_stays_one_line():
    message = str(DataError("broken", found=["x" * 50] * 1000))
    assert len(message) < 200
    assert "\n" not in message


@pytest.mark.parametrize("kind", [DataError, MoonDataError])
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("parts", [PARTS, {}])
def test_a_data_error_keeps_its_parts_and_its_type_when_copied(kind, clone, parts):
    error = kind("click is not 0 or 1", **parts)
    twin = clone(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert parts_of(twin) == parts_of(error)


def test_a_missing_dependency_names_the_command_and_survives_pickling():
    error = MissingDependencyError("torch", "a neural tower", "ltr-twotower[torch]")
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error)
    assert "pip install 'ltr-twotower[torch]'" in str(twin)
    assert (twin.library, twin.feature, twin.install) == ("torch", "a neural tower", "ltr-twotower[torch]")


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ArgumentError("x"), ValueError),
        (DataError("x"), ValueError),
        (MissingDependencyError("a", "b", "c"), ImportError),
        (DownloadError("x"), Exception),
    ],
)
def test_every_error_is_an_irworks_error_and_its_builtin_relative(error, builtin):
    assert isinstance(error, IrworksError)
    assert isinstance(error, builtin)
