from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from irworks.errors import ArgumentError
from recgaze import survey
from recgaze.data.schema import FAMILIARITY, REASONS

WITH_COMMA = next(reason for reason in REASONS if "," in reason)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def answered(dataset, column, answer):
    """The study with other answers: a function of the row's user and number."""
    users = dataset.clicks["UserID"].astype(str).tolist()
    return replace(dataset, clicks=dataset.clicks.assign(**{column: [answer(u, n) for n, u in enumerate(users)]}))


# -- reasons ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(REASONS), unique=True, min_size=1), st.sampled_from([", ", ",", "; ", " , "]))
def test_joined_reasons_come_apart_again_whatever_commas_are_in_them(reasons, joint):
    assert survey.parse_reasons(joint.join(reasons)) == (tuple(reasons), "")


def test_what_stands_after_other_is_free_text_even_if_it_names_a_reason():
    text = f"Because of the poster, {WITH_COMMA}, Other: my friend, who said: {REASONS[2]}"
    found, own = survey.parse_reasons(text)
    assert found == ("Because of the poster", WITH_COMMA, survey.OTHER)
    assert own == f"my friend, who said: {REASONS[2]}"


def test_apostrophes_spaces_and_case_do_not_matter():
    assert survey.parse_reasons("i am not sure/  I don\u2019t know")[0] == ("I am not sure/ I don't know",)


def test_a_reason_that_only_begins_like_a_known_one_is_not_recognised():
    assert survey.parse_reasons("Because of the posters, I don't remember")[0] == (survey.UNKNOWN, "I don't remember")


def test_reasons_are_counted_as_by_hand(dataset, rng):
    choices = [f"{a}, {b}" for a, b in permutations(REASONS[:6], 2)]
    changed = answered(dataset, "Why_Selected", lambda user, n: choices[n % len(choices)])
    found = survey.reasons(changed, rng=rng).set_index("reason")
    for reason in REASONS:
        assert found.loc[reason, "n"] == sum(reason in choices[n % len(choices)] for n in range(len(dataset.clicks)))
    assert found.loc[WITH_COMMA, "n"] > 0
    assert found["n_screens"].eq(len(dataset.clicks)).all()


def test_users_that_always_say_the_same_count_as_one_answer_each(dataset, rng):
    changed = answered(dataset, "Why_Selected", lambda user, n: REASONS[0] if user <= "KInIT_4" else REASONS[1])
    found = survey.reasons(changed, rng=rng).set_index("reason").loc[REASONS[0]]
    by_user = binomtest(round(found["share"] * found["n_users"]), int(found["n_users"]), found["share"]).proportion_ci(
        method="wilson"
    )
    by_screen = binomtest(int(found["n"]), int(found["n_screens"])).proportion_ci(method="wilson")
    width = found["high"] - found["low"]
    assert width == pytest.approx(by_user.high - by_user.low, rel=0.25)
    assert width > 3 * (by_screen.high - by_screen.low)


def test_what_nobody_said_may_still_be_said(dataset, rng):
    found = survey.reasons(dataset, rng=rng).set_index("reason").loc["I don't remember"]
    assert found["n"] == 0
    assert found["high"] == pytest.approx(binomtest(0, 12).proportion_ci(method="wilson").high)


def test_without_answers_in_the_clicks_those_of_the_survey_count(dataset, rng):
    silent = replace(dataset, clicks=dataset.clicks.drop(columns="Why_Selected"))
    first, second = (survey.reasons(one, rng=rng)["n"].tolist() for one in (dataset, silent))
    assert first == second
    mute = replace(silent, users=dataset.users.filter(regex="^(?!TaskID_)"))
    with pytest.raises(ArgumentError, match="no answers Why_Selected"):
        survey.reasons(mute, rng=rng)


@pytest.mark.parametrize("column", ["Why_Selected", "Movie_Familiarity"])
def test_answers_of_the_survey_are_those_of_the_screens_that_are_kept(dataset, rng, column):
    make = survey.reasons if column == "Why_Selected" else survey.familiarity
    part = dataset.where(tasks=range(1, 11))
    silent = replace(part, clicks=part.clicks.drop(columns=column))
    first, second = (make(one, rng=rng) for one in (part, silent))
    assert second["n_screens"].tolist() == first["n_screens"].tolist()
    assert second["n"].tolist() == first["n"].tolist()
    assert (make(dataset, rng=rng)["n_screens"] > first["n_screens"]).all()


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_familiarity_shares_are_those_of_the_answers(dataset, rng):
    found = survey.familiarity(dataset, rng=rng)
    assert found["familiarity"].tolist() == list(FAMILIARITY)
    counts = dataset.clicks["Movie_Familiarity"].astype(str).value_counts()
    assert found["n"].tolist() == [int(counts.get(one, 0)) for one in FAMILIARITY]
    assert found["share"].sum() == pytest.approx(1)


def test_shares_of_users_have_wilson_intervals(dataset):
    found = survey.summary(dataset)
    for row in found.sample(8, random_state=1).itertuples():
        expected = binomtest(row.n, row.n_users).proportion_ci(method="wilson")
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    genres = found[found["question"] == "Preferred_genres"].set_index("answer")["n"]
    assert genres["Drama"] == dataset.users["Preferred_genres"].astype(str).str.contains("Drama").sum()


def test_maximization_is_the_mean_of_six_items_and_alpha_that_of_the_covariances(dataset, rng):
    items = np.random.default_rng(0).integers(1, 5, size=(12, 1)) + np.random.default_rng(1).integers(0, 4, (12, 6))
    users = dataset.users.assign(**{f"MAX_Q{n + 1}": items[:, n] for n in range(6)})
    changed = replace(dataset, users=users)
    assert survey.maximization_scores(changed)["score"].to_numpy() == pytest.approx(items.mean(axis=1))
    found = survey.maximization(changed, rng=rng).set_index("measure")
    covariance = np.cov(items.T)
    between = covariance[~np.eye(6, dtype=bool)].mean()
    alpha = 6 * between / (np.diag(covariance).mean() + 5 * between)
    assert found.loc["Cronbach's alpha", "value"] == pytest.approx(alpha)
    assert found.loc["Cronbach's alpha", "low"] < alpha < found.loc["Cronbach's alpha", "high"]
    assert found.loc["mean of the six", "value"] == pytest.approx(items.mean())


def test_a_user_who_left_an_item_out_has_no_score(dataset, rng):
    users = dataset.users.copy()
    users.loc[3, "MAX_Q4"] = None
    changed = replace(dataset, users=users)
    assert np.isnan(survey.maximization_scores(changed)["score"][3])
    assert survey.maximization(changed, rng=rng)["n_users"].eq(11).all()


def test_ratings_are_means_over_those_who_gave_one(dataset, rng):
    users = dataset.users.copy()
    users.loc[0, "Crime_rating"] = None
    changed = replace(dataset, users=users)
    row = survey.scores(changed, rng=rng).set_index("score").loc["Crime (1-5)"]
    stars = users["Crime_rating"].dropna().astype(str).str[0].astype(int)
    assert row["n_users"] == 11
    assert row["mean"] == pytest.approx(stars.mean())
    assert row["sd"] == pytest.approx(stars.std())
