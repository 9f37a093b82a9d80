from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze import Impressions
from recgaze.models import Tally, pbm_world
from recgaze.models.keys import distinct_rows, match_rows

KINDS = ["movie", "genre", "user_genre", "rating"]


def random_screens(seed, n=12, users=("b", "a", "c"), genres=("x", "y")):
    rng = np.random.default_rng(seed)
    shape = (n, 3, 4)
    examined = rng.random(shape) < 0.5
    return Impressions(
        users=np.array(users),
        genres=genres,
        user=rng.integers(len(users), size=n),
        task=np.arange(n),
        examined=examined,
        dwell=examined * 0.3,
        clicked=rng.random(shape) < 0.2,
        genre=rng.integers(-1, len(genres), size=shape[:2]),
        movie=rng.choice([-1, 7, 10**12, 3, 0], size=shape),
        rating=rng.integers(0, 6, size=shape[:2]),
        pages=np.ones(shape[:2]),
        visible=2,
    )


def counted_one_by_one(screens, kind):
    result = {}
    for n in range(len(screens)):
        for r in range(screens.rows):
            for c in range(screens.columns):
                genre = screens.genre[n, r]
                key = {
                    "movie": screens.movie[n, r, c] if screens.movie[n, r, c] >= 0 else None,
                    "genre": screens.genres[genre] if genre >= 0 else None,
                    "rating": screens.rating[n, r] if screens.rating[n, r] > 0 else None,
                    "user_genre": (screens.users[screens.user[n]], screens.genres[genre]) if genre >= 0 else None,
                }[kind]
                if key is None:
                    continue
                counts = result.setdefault((key if isinstance(key, tuple) else (key,), r * 4 + c), Counter())
                examined, clicked = screens.examined[n, r, c], screens.clicked[n, r, c]
                counts.update(shown=1, examined=int(examined), clicked=int(clicked), both=int(examined and clicked))
    return {(tuple(map(str, key)), at): dict(counts) for (key, at), counts in result.items()}


def as_dict(tally):
    names = list(tally.table)
    return {
        (tuple(str(tally.table[name][key]) for name in names), int(at)): dict(
            zip(("shown", "examined", "clicked", "both"), map(int, counts), strict=True)
        )
        for key, at, *counts in zip(
            tally.key, tally.position, tally.shown, tally.examined, tally.clicked, tally.both, strict=True
        )
    }


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32))
def test_a_tally_counts_what_loops_count(kind, seed):
    screens = random_screens(seed)
    assert as_dict(Tally.of(screens, kind)) == counted_one_by_one(screens, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_with_users_of_their_own_add_up_to_the_whole(kind):
    blocks = [
        random_screens(0),
        random_screens(1, users=("z", "a")),
        random_screens(2, genres=("y", "w", "x")),
        random_screens(3, n=1),
    ]
    expected = Counter()
    for block in blocks:
        for cell, counts in counted_one_by_one(block, kind).items():
            expected.update({(cell, name): count for name, count in counts.items()})
    for order in (blocks, blocks[::-1]):
        total = as_dict(Tally.collect(iter(order), kind))
        assert {(cell, name): n for cell, counts in total.items() for name, n in counts.items()} == dict(expected)


def test_a_sum_does_not_grow_with_the_number_of_screens():
    screens, _ = pbm_world(np.random.default_rng(0), n_users=5, n_screens=10)
    once = Tally.of(screens, "genre")
    many = Tally.collect((screens for _ in range(20)), "genre")
    assert len(many) == len(once)
    assert (many.shown == 20 * once.shown).all()


def test_rare_keys_are_counted_without_a_table_of_all_pairs():
    # 4,500 films at one position each: the dense table would have 675,000 entries.
    screens, _ = pbm_world(np.random.default_rng(0), n_users=2)
    tally = Tally.of(screens, "movie")
    assert len(tally) == tally.n_keys == 4500
    assert (tally.shown == 2).all()


def test_a_click_that_the_tracker_saw_no_look_for_counts_as_a_look():
    tally = Tally.of(random_screens(5), "genre")
    assert (tally.clicked > tally.both).any()
    assert (tally.seen == tally.examined + (tally.clicked - tally.both)).all()


def test_tallies_of_different_keys_or_grids_do_not_add():
    screens = random_screens(0)
    with pytest.raises(ArgumentError, match="cannot be added"):
        Tally.of(screens, "genre") + Tally.of(screens, "movie")
    with pytest.raises(ArgumentError, match="10 x 15 cells; expected 3 x 4"):
        Tally.collect([screens, pbm_world(np.random.default_rng(0), 1, 1)[0]], "genre")


@pytest.mark.parametrize("bad", [[], 3, ["screens"]])
def test_what_holds_no_impressions_is_refused(bad):
    with pytest.raises(ArgumentError, match="expected"):
        Tally.collect(bad, "genre")


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=30))
def test_distinct_rows_are_those_of_a_set(rows):
    columns = [np.array([row[0] for row in rows]), np.array([row[1] for row in rows])]
    first, codes = distinct_rows(columns)
    assert [rows[at] for at in first] == sorted(set(rows))
    assert [rows[first[code]] for code in codes] == rows
    table = {"n": columns[0], "s": columns[1]}
    into = {name: column[first] for name, column in table.items()}
    assert (match_rows(table, into) == codes).all()
    assert match_rows({"n": np.array([9]), "s": np.array(["a"])}, into).tolist() == [-1]
