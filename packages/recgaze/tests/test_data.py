import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from irworks.errors import ArgumentError, DataError
from recgaze import RecGazeDataset, StudyWarning, study
from recgaze.data.naming import canonical_columns, canonical_user
from recgaze.data.schema import SUMMARY
from recgaze.simulate import simulate_study

FILES = ["click_feedback.csv", "item_features.csv", "summary_feedback.csv", "user_features.csv"]


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the study to break."""
    return shutil.copytree(saved, tmp_path / "study")


def rewrite(path, change):
    """Change a table as text, keeping everything else byte for byte."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    changed = change(frame)
    (frame if changed is None else changed).to_csv(path, index=False)


# -- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_saving_what_was_loaded_gives_the_same_bytes(dataset, tmp_path, form):
    dataset.save(tmp_path / "a", format=form)
    RecGazeDataset.load(tmp_path / "a").save(tmp_path / "b", format=form)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_files_are_the_four_published_ones_with_the_published_columns(saved):
    assert sorted(path.name for path in saved.iterdir()) == FILES
    header = (saved / "summary_feedback.csv").read_text().splitlines()[0].split(",")
    assert header == [column.name for column in SUMMARY.columns]


def test_what_is_loaded_is_what_was_simulated(dataset, saved):
    loaded = RecGazeDataset.load(saved)
    for name in ("summary", "clicks", "items", "users"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(dataset, name))
    ours, theirs = loaded.impressions(), dataset.impressions()
    for name in ("examined", "clicked", "genre", "movie", "rating", "pages", "dwell", "user", "task"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_columns_that_nobody_knows_are_kept(folder):
    rewrite(folder / "click_feedback.csv", lambda frame: frame.assign(Mood=["a\nb" for _ in range(len(frame))]))
    loaded = RecGazeDataset.load(folder)
    assert loaded.clicks["Mood"].iloc[0] == "a\nb"
    loaded.save(folder / "again")
    assert "Mood" in RecGazeDataset.load(folder / "again").clicks


def test_a_compressed_table_is_read(folder):
    import gzip

    path = folder / "summary_feedback.csv"
    (folder / "summary_feedback.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert len(RecGazeDataset.load(folder).summary)


# -- one name for each thing ------------------------------------------------------------------------------------------


def test_the_published_naming_traps_are_normalised(folder, dataset):
    def written_otherwise(frame):
        frame["UserID"] = frame["UserID"].str.replace("KInIT_", "KINIT_")
        for name in frame.columns:
            if name.endswith("Carousel_genre"):
                frame[name] = frame[name].replace({"Comedy": "Comedies", "Drama": "Dramas", "Sci-Fi": "Sci-fi"})
            if name.endswith("_type"):
                frame[name] = frame[name].replace({"Genre": "Genre_text", "Forward": "Forward_swipe"})

    rewrite(folder / "summary_feedback.csv", written_otherwise)
    rewrite(folder / "click_feedback.csv", written_otherwise)
    rewrite(
        folder / "user_features.csv",
        lambda frame: frame.assign(
            UserID=frame["UserID"].str.replace("KInIT_", "kinit_0"),
            Top_genre=frame["Top_genre"].replace("Sci-Fi", "Science Fiction"),
            Preferred_genres=frame["Preferred_genres"].str.replace("Drama", "Dramas"),
        ),
    )
    loaded = RecGazeDataset.load(folder)
    for name in ("summary", "clicks", "users"):
        found, expected = getattr(loaded, name), getattr(dataset, name)
        for column in ("UserID", "Top_genre", "Preferred_genres", "Click_AOI_type", "Fixation_AOI_Carousel_genre"):
            if column in expected:
                assert (
                    found[column].astype(object).fillna("").tolist()
                    == expected[column].astype(object).fillna("").tolist()
                )


def test_without_normalisation_the_tables_stay_as_they_are_written(folder):
    rewrite(
        folder / "summary_feedback.csv",
        lambda frame: frame.assign(
            Click_AOI_Carousel_genre=frame["Click_AOI_Carousel_genre"].replace("Drama", "Dramas")
        ),
    )
    raw = RecGazeDataset.load(folder, normalize=False)
    assert "Dramas" in set(raw.summary["Click_AOI_Carousel_genre"])
    with pytest.raises(ArgumentError, match="normalize=True"):
        raw.fixations()
    assert any("Dramas" in str(error) for error in raw.validate().errors)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Fixation_AOI_Closest_AOI_type", "Fixation_AOI_Closest_type"),
        ("Fixation_Closest_AOI_MovieID", "Fixation_AOI_Closest_MovieID"),
        ("Fixation_AOI_Duration", "Fixation_Duration"),
        ("Cursor_AOI_rating", "Cursor_AOI_Carousel_genre_rating"),
        ("Click_AOI_is_top_genre", "Click_AOI_Carousel_genre_is_top_genre"),
        ("SubjectIDs", "SubjectID"),
        ("taskid", "TaskID"),
    ],
)
def test_columns_are_found_under_other_names(name, published):
    assert canonical_columns([name], SUMMARY) == {published: [name]}


def test_columns_read_under_other_names_are_reported(folder):
    rewrite(
        folder / "summary_feedback.csv",
        lambda frame: frame.rename(columns={"Fixation_Duration": "Fixation_AOI_Duration"}),
    )
    loaded = RecGazeDataset.load(folder)
    assert "Fixation_Duration" in loaded.summary
    assert any("Fixation_AOI_Duration as Fixation_Duration" in warning for warning in loaded.validate().warnings)


def test_two_columns_that_can_be_one_are_told(folder):
    rewrite(folder / "summary_feedback.csv", lambda frame: frame.assign(Fixation_AOI_Duration="1"))
    with pytest.raises(
        DataError, match=r"summary_feedback.csv.*Fixation_Duration.*several columns.*Fixation_AOI_Duration"
    ):
        RecGazeDataset.load(folder)


def test_users_of_other_studies_keep_their_names():
    assert [canonical_user(name) for name in ("kinit_007", "UVA_3", "P12")] == ["KInIT_7", "UvA_3", "P12"]


# -- what is wrong ----------------------------------------------------------------------------------------------------


def in_row(column, value, row=5):
    def change(frame):
        frame.loc[row, column] = value

    return change


def first_film(frame):
    return int(np.flatnonzero(frame["Click_AOI_type"] == "Movie")[0])


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("summary", lambda frame: frame.drop(columns="Fixation_AOI_type"), "'Fixation_AOI_type': a column is missing"),
        ("clicks", in_row("Click_AOI_Carousel_genre", "Dramma"), r"line 7.*'Dramma'.*Did you mean 'Drama'"),
        ("clicks", in_row("Click_AOI_Movie_position_in_carousel", "16"), r"line 7.*found 16; expected .*from 1 to 15"),
        ("clicks", in_row("Click_AOI_Carousel_position", "0"), r"line 7.*found 0; expected .*from 1 to 10"),
        ("summary", in_row("TaskID", "41"), r"line 7, column 'TaskID'.*found 41; expected a whole number from 1 to 40"),
        ("clicks", lambda frame: pd.concat([frame, frame.iloc[[3]]]), "two final clicks"),
        ("summary", in_row("UserID", "KInIT_99"), r"line 7, column 'UserID': an unknown user.*'KInIT_99'"),
        ("clicks", in_row("UserID", ""), "line 7, column 'UserID': a value is missing"),
        ("summary", in_row("Timestamp", "soon"), r"line 7, column 'Timestamp': not a number \(found 'soon'"),
        ("summary", in_row("Timestamp", "-1"), r"line 7, column 'Timestamp'.*at least 0"),
        ("clicks", in_row("TaskID", "3.5"), r"line 7, column 'TaskID': not a whole number"),
        ("clicks", in_row("Click_AOI_MovieID", "1"), r"line 7.*does not stand there \(found 1; expected film"),
        ("clicks", in_row("Click_AOI_type", "Poster"), r"'Poster'; expected Movie, Genre"),
        ("users", in_row("Horror_rating", "6 stars"), r"line 7, column 'Horror_rating'.*'6 stars'"),
        ("users", lambda frame: pd.concat([frame, frame.iloc[[0]]]), "a user stands in the table twice"),
        ("items", lambda frame: pd.concat([frame, frame.iloc[[0]]]), "two films in one place"),
        ("items", lambda frame: frame.iloc[:0], "the table is empty"),
        ("items", lambda frame: frame.iloc[1:], "a film at a place that has none"),
    ],
)  # fmt: skip
def test_malformed_tables_are_one_error_that_says_where(folder, table, change, message):
    name = {
        "summary": "summary_feedback",
        "clicks": "click_feedback",
        "users": "user_features",
        "items": "item_features",
    }
    rewrite(folder / f"{name[table]}.csv", change)
    with pytest.raises(DataError, match=message) as raised:
        RecGazeDataset.load(folder)
    assert str(raised.value).count("\n") == 0


def test_validation_lists_every_error_and_warning(folder):
    rewrite(folder / "click_feedback.csv", in_row("Click_AOI_Carousel_genre", "Dramma"))
    rewrite(folder / "user_features.csv", in_row("MAX_Q3", "9"))
    report = RecGazeDataset.load(folder, check=False).validate()
    assert len(report.errors) == 2
    assert not report.ok
    assert "2 errors" in report.text
    with pytest.raises(DataError, match="Dramma"):
        report.raise_if_errors()


def test_fixations_in_seconds_are_noticed_and_read_as_such(folder, dataset):
    def seconds(frame):
        filled = frame["Fixation_Duration"] != ""
        frame.loc[filled, "Fixation_Duration"] = (frame.loc[filled, "Fixation_Duration"].astype(float) / 1000).astype(
            str
        )

    rewrite(folder / "summary_feedback.csv", seconds)
    loaded = RecGazeDataset.load(folder)
    assert any("seconds" in warning for warning in loaded.validate().warnings)
    np.testing.assert_allclose(loaded.fixations().duration, dataset.fixations().duration)


def test_events_that_lack_what_they_are_on_are_left_out_and_counted(folder, dataset):
    def gap(frame):
        rows = np.flatnonzero(frame["Fixation_AOI_type"] == "Movie")[:3]
        frame.loc[rows, "Fixation_AOI_Movie_position_in_carousel"] = ""

    rewrite(folder / "summary_feedback.csv", gap)
    loaded = RecGazeDataset.load(folder)
    assert len(loaded.fixations("strict")) == len(dataset.fixations("strict")) - 3
    assert any("3 events Fixation_AOI lack" in warning for warning in loaded.validate().warnings)


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("item_features", in_row("Carousel_genre", "Horror", 14), "line 16, .*: a carousel of two genres"),
        ("click_feedback", in_row("Click_AOI_Carousel_genre", "Horror"), "line 7, .*another genre than that"),
        ("summary_feedback", lambda frame: frame.drop(columns="Cursor_AOI_MovieID"), "'Cursor_AOI_MovieID': a column"),
        ("click_feedback", in_row("Click_AOI_MovieID", "9" * 20), r"line 7.*a whole number beyond 64 bits"),
        ("summary_feedback", in_row("Timestamp", "inf"), r"line 7.*not a number"),
    ],
)  # fmt: skip
def test_what_a_cold_reader_found_is_told(folder, table, change, message):
    rewrite(folder / f"{table}.csv", change)
    with pytest.raises(DataError, match=message):
        RecGazeDataset.load(folder)


@pytest.mark.parametrize("column", ["Timestamp", "Cursor_Duration"])
def test_times_in_milliseconds_are_told(folder, column):
    def thousandfold(frame):
        filled = frame[column] != ""
        frame.loc[filled, column] = (frame.loc[filled, column].astype(float) * 1000).astype(str)

    rewrite(folder / "summary_feedback.csv", thousandfold)
    with pytest.raises(DataError, match=rf"{column}'.*expected seconds"):
        RecGazeDataset.load(folder)


def test_fixations_in_microseconds_are_told(folder):
    def thousandfold(frame):
        filled = frame["Fixation_Duration"] != ""
        durations = 1000 * frame.loc[filled, "Fixation_Duration"].astype(float)
        frame.loc[filled, "Fixation_Duration"] = durations.astype(str)

    rewrite(folder / "summary_feedback.csv", thousandfold)
    with pytest.raises(DataError, match=r"Fixation_Duration'.*taken for milliseconds.*Divide microseconds by 1,000"):
        RecGazeDataset.load(folder)


def first_look(frame):
    return int(np.flatnonzero(frame["Fixation_Duration"] != "")[7])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: in_row("Fixation_Duration", "99999", first_look(frame))(frame), "lasts longer than its screen"),
        (in_row("Timestamp", "90000", 20), "line 22, column 'Timestamp': an event far from the others of its screen"),
        (lambda frame: pd.concat([frame, frame.iloc[[3, 3]]]), "stands in the table twice, and 1 more"),
    ],
)
def test_events_that_cannot_have_been_are_warned_of_with_their_place(folder, change, message):
    assert not RecGazeDataset.load(folder).validate().warnings
    rewrite(folder / "summary_feedback.csv", change)
    with pytest.warns(StudyWarning, match=message) as caught:
        loaded = RecGazeDataset.load(folder)
    assert loaded.validate().warnings == tuple(str(one.message) for one in caught)
    assert all("line " in str(one.message) for one in caught)


def test_damage_is_warned_of_in_blocks_too(dataset, tmp_path):
    twice = pd.concat([dataset.summary, dataset.summary.iloc[-3:]], ignore_index=True)
    replace(dataset, summary=twice).save(tmp_path, format="parquet")
    with pytest.warns(StudyWarning, match="an event stands in the table twice, and 2 more"):
        list(RecGazeDataset.stream(tmp_path, users_per_block=5))


def test_ids_beyond_floating_point_stay_apart(folder):
    large = {"100000": str(2**60 + 1), "100001": str(2**60 + 2)}
    for table in ("item_features", "summary_feedback", "click_feedback"):
        rewrite(folder / f"{table}.csv", lambda frame: frame.replace(large))
    assert set(RecGazeDataset.load(folder).grid.movie[0, 0, :2]) == {2**60 + 1, 2**60 + 2}


def test_other_encodings_and_separators_are_told(folder):
    path = folder / "click_feedback.csv"
    text = path.read_text()
    path.write_text(text, encoding="utf-16")
    with pytest.raises(DataError, match="not UTF-8"):
        RecGazeDataset.load(folder)
    path.write_text(text.replace(",", ";"))
    with pytest.raises(DataError, match="separated by ';'"):
        RecGazeDataset.load(folder)


def test_a_parquet_table_of_other_types_is_told(dataset, tmp_path):
    dataset.save(tmp_path, format="parquet")
    path = tmp_path / "summary_feedback.parquet"
    frame = pd.read_parquet(path)
    frame.assign(Timestamp=pd.to_datetime(frame["Timestamp"], unit="s")).to_parquet(path)
    with pytest.raises(DataError, match=r"'Timestamp': a column of another type"):
        RecGazeDataset.load(tmp_path)


def test_a_folder_holds_one_format(dataset, tmp_path):
    dataset.save(tmp_path)
    with pytest.raises(ArgumentError, match="is there already"):
        dataset.save(tmp_path, format="parquet")
    assert not list(tmp_path.glob("*.parquet"))


def test_times_since_1970_change_nothing(folder, dataset):
    def later(frame):
        frame["Timestamp"] = (frame["Timestamp"].astype(float) + 1.7e9).map("{:.3f}".format)

    for table in ("summary_feedback", "click_feedback"):
        rewrite(folder / f"{table}.csv", later)
    late, usual = RecGazeDataset.load(folder).fixations(), dataset.fixations()
    same = np.diff(usual.screen) == 0
    np.testing.assert_allclose(np.diff(late.time)[same], np.diff(usual.time)[same], atol=2e-6)
    # When a screen appeared, such times do not say: its first event stands for that.
    assert late.time.min() == 0 < usual.time.min()
    one = RecGazeDataset.load(folder).where(users="KInIT_1", tasks=[1])
    assert one.clock == "recording"
    assert one.fixations().time[0] == 0


def test_users_without_events_are_in_the_last_block(dataset, tmp_path):
    quiet = dataset.summary[dataset.summary["UserID"] != "KInIT_2"].reset_index(drop=True)
    replace(dataset, summary=quiet).save(tmp_path, format="parquet")
    blocks = [block.impressions() for block in RecGazeDataset.stream(tmp_path, users_per_block=5)]
    assert sum(len(block) for block in blocks) == len(RecGazeDataset.load(tmp_path).impressions())


def test_strangers_are_told(dataset):
    assert dataset.where(users="KINIT_3").user_ids.tolist() == ["KInIT_3"]
    with pytest.raises(ArgumentError, match="'nobody'"):
        dataset.where(users=["nobody"])


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "user_features.csv").unlink(), "a table is missing.*user_features.csv"),
        (lambda folder: shutil.rmtree(folder), "no such folder"),
        (lambda folder: (folder / "item_features.csv").write_text(""), "item_features.csv: the table is empty"),
        (lambda folder: (folder / "item_features.csv").write_text('TaskID,MovieID\n1,"2'), "item_features.csv"),
        (lambda folder: (folder / "item_features.parquet").write_bytes(b"PAR1"), "stands there several times"),
        (lambda folder: (folder / "item_features.csv").rename(folder / "item_features.parquet"), "not a readable"),
    ],
)
def test_files_that_cannot_be_read_are_told(folder, prepare, message):
    prepare(folder)
    with pytest.raises(DataError, match=message):
        RecGazeDataset.load(folder)


# -- parts ------------------------------------------------------------------------------------------------------------


def test_tasks_and_users_can_be_picked(dataset):
    direct = dataset.task("direct")
    assert set(direct.clicks["TaskID"]) == set(range(36, 41))
    two = dataset.where(users=["KInIT_1", "KInIT_3"])
    assert two.user_ids.tolist() == ["KInIT_1", "KInIT_3"]
    assert len(two.screens) == 80
    with pytest.raises(ArgumentError, match="kind='search'"):
        dataset.task("search")


def test_the_two_rules_differ_on_the_background_alone(dataset):
    strict, closest = dataset.fixations("strict"), dataset.fixations("closest")
    beside = strict.kind == 0
    assert beside.any()
    assert (closest.kind[beside] > 0).mean() > 0.5
    np.testing.assert_array_equal(strict.row[~beside], closest.row[~beside])
    with pytest.raises(ArgumentError, match="rule='near'"):
        dataset.fixations("near")


def test_impressions_count_what_the_visits_say(dataset):
    impressions, visits = dataset.impressions(excluded=True), dataset.fixations()
    seen = pd.DataFrame(
        {"user": visits.user, "task": visits.task, "row": visits.row, "column": visits.column, "s": visits.duration}
    )[visits.on_poster]
    sums = seen.groupby(["user", "task", "row", "column"])["s"].sum()
    where = np.argwhere(impressions.examined)
    keys = [(impressions.user[n], impressions.task[n], row + 1, column + 1) for n, row, column in where]
    assert set(keys) == set(sums.index)
    found = impressions.dwell[tuple(where.T)]
    np.testing.assert_allclose(found, sums.loc[keys].to_numpy(), rtol=1e-5)


def test_every_screen_has_the_click_that_the_click_table_says(dataset):
    impressions = dataset.impressions()
    assert (impressions.clicked.sum(axis=(1, 2)) == 1).all()
    screens, rows, columns = np.nonzero(impressions.clicked)
    clicks = dataset.clicks.assign(UserID=dataset.clicks["UserID"].astype(str)).set_index(["UserID", "TaskID"])
    keys = list(zip(dataset.user_ids[impressions.user[screens]], impressions.task[screens].astype(int), strict=True))
    assert clicks.loc[keys, "Click_AOI_Carousel_position"].tolist() == (rows + 1).tolist()
    assert clicks.loc[keys, "Click_AOI_Movie_position_in_carousel"].tolist() == (columns + 1).tolist()
    assert clicks.loc[keys, "Click_AOI_MovieID"].tolist() == impressions.movie[screens, rows, columns].tolist()


def test_swipe_pages_follow_from_the_arrows_and_wrap_round(dataset):
    frame = dataset.summary.iloc[:0]
    user, movie = "KInIT_1", dataset.clicks.iloc[0]
    rows = [
        {"UserID": user, "TaskID": 1, "Timestamp": second, "Click_AOI_type": kind, "Click_AOI_Carousel_position": row}
        for second, (kind, row) in enumerate(
            [("Forward", 1), ("Forward", 1), ("Forward", 1), ("Backward", 2), ("Forward", 3), ("Backward", 3)]
        )
    ]
    summary = pd.DataFrame(rows).reindex(columns=frame.columns).astype({"Click_AOI_Carousel_position": "Int64"})
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            summary[name] = summary[name].astype("category")
    alone = replace(dataset, summary=summary, clicks=dataset.clicks.iloc[[0]].assign(TaskID=1), paths={})
    assert movie["UserID"] == user
    assert alone.impressions().pages[0].tolist() == [3, 3, 2, 1, 1, 1, 1, 1, 1, 1]


def test_failed_searches_and_lost_clicks_are_flagged_and_left_out():
    full = simulate_study(87, rng=np.random.default_rng(0), tasks=[3, 18, 20, 36, 37, 38, 39]).dataset
    flagged = full.screens[full.screens["excluded"]]
    failed, lost = flagged[flagged["failed_search"]], flagged[~flagged["has_click"]]
    assert set(zip(failed["user"], failed["task"], strict=True)) == set(study.FAILED_SEARCHES)
    assert set(zip(lost["user"], lost["task"], strict=True)) == set(study.LOST_CLICKS)
    assert len(full.impressions(excluded=True)) - len(full.impressions()) == 10


# -- larger than memory -----------------------------------------------------------------------------------------------


def test_a_study_read_in_blocks_is_the_study(dataset, tmp_path):
    dataset.save(tmp_path, format="parquet")
    blocks = list(RecGazeDataset.stream(tmp_path, users_per_block=5))
    assert [len(block.users) for block in blocks] == [5, 5, 2]
    whole = dataset.impressions()
    parts = [block.impressions() for block in blocks]
    assert np.concatenate([part.examined for part in parts]).tolist() == whole.examined.tolist()


def test_users_whose_rows_are_scattered_are_told(dataset, tmp_path):
    scattered = pd.concat([dataset.summary, dataset.summary.iloc[:1]], ignore_index=True)
    replace(dataset, summary=scattered).save(tmp_path, format="parquet")
    with pytest.raises(DataError, match=r"rows of a user are not together.*KInIT_1"):
        list(RecGazeDataset.stream(tmp_path, users_per_block=5))


def test_only_parquet_is_read_in_blocks(saved):
    with pytest.raises(DataError, match="only Parquet"):
        next(RecGazeDataset.stream(saved))


def test_blocks_written_one_after_the_other_are_one_study(tmp_path):
    rng = np.random.default_rng(8)
    blocks = [simulate_study(2, rng=rng, tasks=[1, 2], first_user=start).dataset for start in (0, 2, 4)]
    RecGazeDataset.save_blocks(iter(blocks), tmp_path)
    whole = RecGazeDataset.load(tmp_path)
    assert whole.user_ids.tolist() == [f"KInIT_{number}" for number in range(1, 7)]
    assert len(whole.summary) == sum(len(block.summary) for block in blocks)
    read = list(RecGazeDataset.stream(tmp_path, users_per_block=2))
    for ours, theirs in zip(read, blocks, strict=True):
        np.testing.assert_array_equal(ours.impressions().examined, theirs.impressions().examined)
    with pytest.raises(ArgumentError, match="no blocks"):
        RecGazeDataset.save_blocks([], tmp_path / "none")
    narrow = replace(blocks[1], clicks=blocks[1].clicks.drop(columns="Why_Selected"))
    with pytest.raises(DataError, match="other columns"):
        RecGazeDataset.save_blocks([blocks[0], narrow], tmp_path / "broken")
    assert not list((tmp_path / "broken").iterdir())
