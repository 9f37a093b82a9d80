"""Propensities in the columns of a log: the arrays that they become, and what is said of columns that must be wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cltr_twostage import ExposureIPS, ItemPositionIPS, Pool
from cltr_twostage.logged import (
    LoggedPropensities,
    MissingPropensitiesError,
    PropensityColumns,
    log_with_propensities,
    read_propensities,
)
from cltr_twostage.simulate import World, tiny_world
from irworks.data.click_columns import LongColumns
from irworks.errors import DataError

EXAMINATION = np.array([1.0, 0.5])


@pytest.fixture(autouse=True)
def in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def small_table() -> pd.DataFrame:
    """Two sessions of one query, documents a and b at both ranks."""
    return pd.DataFrame(
        {
            "session_id": [0, 0, 1, 1],
            "query_id": ["q"] * 4,
            "doc_id": ["a", "b", "b", "a"],
            "position": [1, 2, 1, 2],
            "click": [1, 0, 1, 1],
            "p_candidate": [0.8, 0.5, 0.5, 0.8],
            "p_rank": [0.5, 0.4, 0.6, 0.25],
        }
    )


def read(table: pd.DataFrame, name: str = "log.csv", **options: object) -> LoggedPropensities:
    table.to_csv(name, index=False) if name.endswith(".csv") else table.to_parquet(name)
    return read_propensities(name, **options)  # type: ignore[arg-type]


POOL = Pool([0, 3], ["q"], ["a", "b", "c"])


# -- arrays -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world(np.random.default_rng(4), n_queries=3)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
@pytest.mark.parametrize("kept", [["rho0"], ["p_candidate", "p_rank"], ["rho0", "p_candidate", "p_rank", "propensity"]])
def test_an_estimate_from_columns_is_the_estimate_from_the_policy(world: World, name: str, kept: list[str]) -> None:
    log = world.simulate(5000, np.random.default_rng(1))
    frame = log_with_propensities(log, world.logging, world.examination)
    found = read(frame.drop(columns={"rho0", "p_candidate", "p_rank", "propensity"} - set(kept)), name)
    target = world.logging.replace(ranker=np.linspace(-1, 1, world.pool.n_rows))
    exposure = found.exposure(world.pool, world.examination)

    by_columns = ExposureIPS(world.examination, method="exact").fit(found.log, exposure, pool=world.pool)
    by_policy = ExposureIPS(world.examination, method="exact").fit(log, world.logging)

    assert str(by_columns.value(target)) == str(by_policy.value(target))
    assert by_columns.value(target).value == pytest.approx(by_policy.value(target).value, rel=1e-9)
    assert exposure == pytest.approx(world.logging.exposure(world.examination, "exact").value, rel=1e-9)


@pytest.mark.parametrize("kept", [["propensity"], ["p_candidate", "p_rank"], ["propensity", "p_candidate", "p_rank"]])
def test_placement_propensities_serve_the_item_position_estimate(world: World, kept: list[str]) -> None:
    log = world.simulate(5000, np.random.default_rng(1))
    frame = log_with_propensities(log, world.logging, world.examination)
    found = read(frame.drop(columns={"rho0", "p_candidate", "p_rank", "propensity"} - set(kept)))

    placement = found.placement(world.pool)

    by_columns = (
        ItemPositionIPS(world.examination, method="exact")
        .fit(found.log, placement, pool=world.pool)
        .value(world.logging)
    )
    by_policy = ItemPositionIPS(world.examination, method="exact").fit(log, world.logging).value(world.logging)
    assert by_columns.value == pytest.approx(by_policy.value, rel=1e-9)
    assert placement == pytest.approx(world.logging.placement("exact").value, rel=1e-9)


def test_the_order_of_rows_does_not_matter() -> None:
    table = small_table()
    shuffled = table.iloc[[3, 0, 2, 1]]

    assert np.array_equal(read(table).placement(POOL), read(shuffled).placement(POOL))


def test_candidate_times_rank_is_the_placement_and_examined_placements_are_the_exposure() -> None:
    found = read(small_table())

    assert found.placement(POOL) == pytest.approx(np.array([[0.4, 0.2], [0.3, 0.2], [0, 0]]))
    assert found.exposure(POOL, EXAMINATION) == pytest.approx([0.5, 0.4, 0])


def test_a_document_that_was_never_logged_has_no_propensity() -> None:
    assert read(small_table()).exposure(POOL, EXAMINATION)[2] == 0
    assert read(small_table()).placement(POOL)[2].tolist() == [0, 0]


def test_ranks_that_were_not_logged_are_not_needed_where_the_others_are_all_there_are() -> None:
    table = small_table().iloc[:2].assign(p_rank=[1.0, 1.0])

    assert read(table).exposure(POOL, EXAMINATION) == pytest.approx([0.8, 0.25, 0])


def test_the_probability_of_a_list_is_one_a_session() -> None:
    found = read(small_table().assign(p_list=[0.25, 0.25, 0.5, 0.5]))

    assert found.list_probability().tolist() == [0.25, 0.5]


def test_columns_can_have_other_names() -> None:
    table = small_table().rename(columns={"query_id": "search", "p_candidate": "in", "p_rank": "at"})
    table = table.assign(rho_0=[0.5, 0.4, 0.4, 0.5])

    found = read(table, columns=PropensityColumns("rho_0", "in", "at"), log_columns=LongColumns(query="search"))

    assert found.exposure(POOL, EXAMINATION).tolist() == [0.5, 0.4, 0]
    assert found.placement(POOL)[0] == pytest.approx([0.4, 0.2])


def test_rows_without_a_session_column_are_lists_of_one_rank() -> None:
    table = small_table().drop(columns="session_id")

    assert read(table).placement(POOL)[1] == pytest.approx([0.3, 0.2])


def test_of_the_wide_form_the_placements_are_read() -> None:
    wide = pd.DataFrame(
        {
            "query_id": ["q", "q"],
            "query_doc_ids": [["a", "b"], ["b", "a"]],
            "positions": [[1, 2], [1, 2]],
            "clicks": [[1, 0], [1, 1]],
            "mask": [[True, True], [True, False]],
            "propensity": [[0.4, 0.2], [0.3, 0.2]],
        }
    )

    assert read(wide, "wide.parquet").placement(POOL).tolist() == [[0.4, 0], [0.3, 0.2], [0, 0]]
    with pytest.raises(DataError, match="'rho0': read from the long form only"):
        read(wide.assign(rho0=0.5), "wide.parquet")


# -- what cannot be right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["rho0", "p_candidate", "p_rank", "propensity", "p_list"])
@pytest.mark.parametrize("value", [0.0, -0.1, 1.5, np.nan, np.inf, "often"])
def test_a_value_that_is_no_probability_is_named_by_line_and_column(column: str, value: object) -> None:
    table = small_table().assign(**{column: [0.5] * 4}).astype({column: object})
    table.loc[2, column] = value

    with pytest.raises(DataError) as caught:
        read(table)

    assert f"log.csv, line 4, column '{column}'" in str(caught.value)
    assert "a probability in (0, 1]" in str(caught.value)


def test_two_values_for_one_document_are_refused_as_nothing_says_which_policy_they_are_from() -> None:
    found = read(small_table().assign(rho0=[0.5, 0.4, 0.4, 0.6]))

    with pytest.raises(DataError, match="one document has two values") as caught:
        found.exposure(POOL, EXAMINATION)

    message = str(caught.value)
    assert "log.csv, line 5, column 'rho0'" in message
    assert "found 0.6; expected 0.5 as at line 2" in message
    assert "which" in message
    assert "policy" in message


def test_two_values_for_one_list_or_one_candidate_are_refused() -> None:
    with pytest.raises(DataError, match=r"line 3, column 'p_list': one list has two values"):
        read(small_table().assign(p_list=[0.25, 0.2, 0.5, 0.5])).list_probability()
    with pytest.raises(DataError, match=r"row 3, column 'p_candidate': one document has two values"):
        read(small_table().assign(p_candidate=[0.8, 0.5, 0.5, 0.7]), "log.parquet").placement(POOL)


def test_rounding_does_not_make_two_values() -> None:
    found = read(small_table().assign(rho0=[0.5, 0.4, 0.4, 0.5000004]))

    assert found.exposure(POOL, EXAMINATION)[0] == 0.5


def test_missing_columns_are_listed() -> None:
    found = read(small_table().drop(columns=["p_rank"]))

    for ask, words in (
        (lambda: found.exposure(POOL, EXAMINATION), ["'rho0', or 'p_candidate' and 'p_rank'", "found 'p_candidate'"]),
        (lambda: found.placement(POOL), ["'propensity', or 'p_candidate' and 'p_rank'"]),
        (found.list_probability, ["p_list"]),
    ):
        with pytest.raises(MissingPropensitiesError) as caught:
            ask()
        assert all(word in str(caught.value) for word in words)


def test_exposure_is_not_guessed_for_documents_that_were_logged_at_some_ranks_only() -> None:
    found = read(small_table().iloc[:2])

    with pytest.raises(MissingPropensitiesError, match=r"document a\) never logged at rank 2, and 1 more") as caught:
        found.exposure(POOL, EXAMINATION)

    assert "'rho0'" in str(caught.value)


def test_a_document_is_not_examined_more_often_than_any_rank() -> None:
    found = read(small_table().assign(rho0=[0.5, 0.9, 0.9, 0.5]))

    with pytest.raises(DataError, match=r"line 3, column 'rho0': a document is examined more often than any rank"):
        found.exposure(POOL, 0.8 * EXAMINATION)


def test_a_document_does_not_stand_at_two_ranks() -> None:
    found = read(small_table().assign(p_rank=[0.8, 0.4, 0.6, 0.4]))

    with pytest.raises(DataError, match=r"line 2, column 'p_rank': .*document a\).*more than one \(found 1.2"):
        found.placement(POOL)


def test_columns_that_contradict_each_other_are_refused() -> None:
    found = read(small_table().assign(propensity=[0.4, 0.2, 0.35, 0.2]))

    with pytest.raises(DataError, match=r"line 4, column 'propensity': columns contradict each other.*0\.3, p_cand"):
        found.placement(POOL)


def test_a_document_outside_the_pool_is_refused() -> None:
    with pytest.raises(DataError, match="b"):
        read(small_table()).placement(Pool([0, 2], ["q"], ["a", "c"]))
