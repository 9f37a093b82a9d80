import os
from pathlib import Path

import numpy as np
import pytest

from irworks.errors import ArgumentError, DataError
from recgaze.models import Selections, pbm_world, read_selections, selection_counts


@pytest.fixture
def published():
    path = Path(os.environ.get("IRWORKS_DATA", "")) / "recgaze" / "ccm" / "CarouselStudy.csv"
    if not os.environ.get("IRWORKS_DATA") or not path.exists():
        pytest.skip("needs recgaze/ccm/CarouselStudy.csv under IRWORKS_DATA")
    return path


@pytest.mark.data
def test_the_published_selections_are_read_in_full(published):
    selections = read_selections(published)
    assert len(selections) == 775
    assert selections.counts().sum() == 775
    assert selections.shape == (6, 5)


@pytest.mark.data
def test_study_8_counts_as_study_3_unless_asked_otherwise(published):
    raw, recoded = read_selections(published, recode=False), read_selections(published)
    eight = (raw.study == 8).sum()
    assert (recoded.study == 8).sum() == 0
    assert (recoded.study == 3).sum() == (raw.study == 3).sum() + eight


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_line_ending_reads_the_same(tmp_path, end):
    path = tmp_path / "selections.csv"
    path.write_bytes(end.join(["0,5,0", "8,2,4", ""]).encode())
    selections = read_selections(path)
    assert selections.study.tolist() == [0, 3]
    assert selections.row.tolist() == [5, 2]
    assert selections.column.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,2\r0,6,0", "line 2, column 'row': a number is out of range .found 6; expected 0 to 5"),
        ("0,1,-1", "line 1, column 'column'"),
        ("0,1,2\r\r0,1", "line 3: a line does not fit .found '0,1'"),
        ("study,row,column\r0,1,2", "line 1: a line does not fit"),
        ("", "the file is empty"),
    ],
)
def test_a_broken_file_names_its_line(tmp_path, text, message):
    path = tmp_path / "selections.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_selections(path)


def test_a_file_that_is_not_there_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_selections(tmp_path / "absent.csv")


def test_all_forms_of_selections_give_the_same_counts():
    impressions, _ = pbm_world(np.random.default_rng(0), n_users=4, n_screens=10)
    _, row, column = np.nonzero(impressions.clicked)
    counts = selection_counts(impressions)
    halves = [impressions.where(np.arange(15)), impressions.where(np.arange(15, 40))]
    for form in [
        halves,
        iter(halves),
        (row, column),
        counts.tolist(),
        Selections(np.zeros(len(row)), row, column, (10, 15)),
    ]:
        assert (selection_counts(form, (10, 15)) == counts).all()


@pytest.mark.parametrize(
    "bad", [[[1, -1]], [[0.5, 1]], [1, 2, 3], [[0, 0]], ([0, 1], [0]), ([0, 9], [0, 0]), [[np.nan, 1]], ["a", "b"]]
)
def test_what_are_no_selections_is_refused(bad):
    with pytest.raises(ArgumentError, match="expected"):
        selection_counts(bad, (6, 5))


def test_a_selection_off_the_grid_is_named():
    with pytest.raises(ArgumentError, match="selection 1 stands at row 2, column 5"):
        Selections([0, 0], [0, 2], [0, 5], (6, 5))
