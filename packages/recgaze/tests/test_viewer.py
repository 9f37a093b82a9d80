import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze import Aoi, CarouselLayout, Visits, simulate_study
from recgaze.models import CCM, OEPBM
from recgaze.simulate import Behaviour
from recgaze.viewer import view, viewer_fragment, viewer_html
from recgaze.viewer.content import Options, content, packed
from recgaze.viewer.events import area_codes, page_turns, screen_keys

HOSTILE = '</script><img src=x onerror="alert(1)"><!-- \u2028 {{ 7 * 7 }} &amp;'
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)


class Page(HTMLParser):
    """The elements of a page, and the text of its data."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.inside, self.data = [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("data-part", "") if tag == "script" else ""

    def handle_data(self, data):
        if self.inside == "data":
            self.data += data

    def names(self):
        return [tag for tag, _ in self.elements]


def data_of(html):
    return json.loads(Page(html).data)


@pytest.fixture(scope="module")
def model(dataset):
    return OEPBM().fit(dataset.impressions())


@pytest.fixture(scope="module")
def html(dataset, model):
    return viewer_html(dataset, model=model)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_the_page_refers_to_nothing_outside_of_itself(html):
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html.replace("http-equiv", ""))
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "action", "data"):
            assert attributes.get(name, "data:,").startswith("data:"), (tag, name)
    assert "default-src 'none'" in html


def test_every_control_has_a_name(html):
    labelled = 0
    for tag, attributes in Page(html).elements:
        if tag in ("button", "canvas") and "aria-hidden" not in attributes:
            assert attributes.get("aria-label"), attributes
            labelled += 1
    assert labelled >= 10
    # Selects and checkboxes stand inside their labels.
    inside = re.findall(r"<label[^>]*>(?:(?!</label>).)*<(?:select|input)", html, re.S)
    assert len(inside) == len(re.findall(r"<select|<input type=\"checkbox\"", html))
    assert 'aria-live="polite"' in html


def test_hostile_titles_and_users_stay_text(dataset, model):
    named = replace(
        dataset,
        items=dataset.items.assign(TMDB_title=HOSTILE),
        users=dataset.users.assign(UserID=dataset.users["UserID"].astype(str).replace("KInIT_1", HOSTILE)),
        summary=dataset.summary.assign(UserID=dataset.summary["UserID"].astype(str).replace("KInIT_1", HOSTILE)),
        clicks=dataset.clicks.assign(UserID=dataset.clicks["UserID"].astype(str).replace("KInIT_1", HOSTILE)),
    )
    page = Page(viewer_html(named, max_screens=20))
    assert page.names() == Page(viewer_html(dataset, max_screens=20)).names()
    data = json.loads(page.data)
    assert HOSTILE in data["users"]
    assert data["tasks"]["1"]["films"][0] == HOSTILE[:90]


def test_a_whole_study_stays_under_five_megabytes_and_what_does_not_fit_is_said():
    data = simulate_study(25, rng=np.random.default_rng(0), tasks=range(1, 9)).dataset
    whole = content(data, Options())
    assert len(whole["screens"]) == 200
    assert "are on this page" not in whole["notes"]
    small = content(data, Options(limit=60_000))
    assert len(json.dumps(small)) <= 70_000
    assert f"{len(small['screens'])} of the 200 screens" in small["notes"]
    # Every user is there before any comes twice.
    assert {screen["u"] for screen in small["screens"]} == set(range(25))
    with pytest.raises(ArgumentError, match="no room"):
        content(data, Options(limit=1000))


def test_the_file_appears_whole(dataset, tmp_path, model):
    path = view(dataset, "KInIT_3", 7, out=tmp_path / "a" / "view.html", model=model, max_screens=5)
    data = data_of(path.read_text(encoding="utf-8"))
    first = data["screens"][data["first"]]
    assert (data["users"][first["u"]], first["t"]) == ("KInIT_3", 7)
    assert [one.name for one in path.parent.iterdir()] == ["view.html"]
    with pytest.raises(ArgumentError, match="no such screen"):
        view(dataset, "KInIT_99", out=tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()


def test_a_fragment_holds_no_page(dataset):
    fragment = viewer_fragment(dataset, max_screens=3)
    assert fragment.n_screens == 3
    assert not {"html", "head", "body"} & set(Page(fragment.html).names())
    assert "data-alone" not in dict(Page(fragment.html).elements[0][1])


# -- what is in it ----------------------------------------------------------------------------------------------------


def test_events_come_back_as_they_were(dataset, html):
    data = data_of(html)
    fixations, layout = dataset.fixations(), dataset.layout
    codes = area_codes(fixations, layout)
    for screen in data["screens"][::37]:
        here = (fixations.user == screen["u"]) & (fixations.task == screen["t"])
        triples = np.array(screen["f"]).reshape(-1, 3)
        np.testing.assert_allclose(np.cumsum(triples[:, 0]) / 1000, fixations.time[here], atol=1e-3)
        np.testing.assert_allclose(triples[:, 1] / 1000, fixations.duration[here], atol=1e-3)
        np.testing.assert_array_equal(triples[:, 2], codes[here])
        assert screen["d"] >= np.cumsum(triples[:, 0])[-1] + triples[-1, 1] - 1


def test_areas_have_codes_of_their_own():
    layout = CarouselLayout.recgaze()
    kind = np.repeat([1, 2, 3, 4], [150, 10, 10, 10])
    row = np.concatenate([np.repeat(np.arange(1, 11), 15), *[np.arange(1, 11)] * 3])
    column = np.concatenate([np.tile(np.arange(1, 16), 10), np.zeros(30)])
    n = len(kind)
    visits = Visits(np.array(["a"]), np.zeros(n), np.ones(n), np.arange(n), np.ones(n), kind, row, column)
    np.testing.assert_array_equal(area_codes(visits, layout), np.arange(180))


def test_pages_in_view_are_those_that_the_simulator_turned():
    made = simulate_study(
        8, rng=np.random.default_rng(2), tasks=range(1, 13), behaviour=Behaviour(error=0.0, swipe=0.5)
    )
    dataset, steps = made.dataset, made.fixations.steps
    turns = page_turns(dataset.fixations(), dataset.click_events(), dataset.layout)
    keys = screen_keys(made.user, made.task)[steps.screen]
    # The study counts from the first event of a screen, the simulator from when the screen appears.
    time = np.rint(1000 * dataset.fixations().time)
    checked = 0
    for at in np.flatnonzero(steps.kind == Aoi.MOVIE):
        done = [page for when, row, page in turns.get(int(keys[at]), []) if when <= time[at] and row == steps.row[at]]
        assert (done[-1] if done else 0) == steps.page[at]
        checked += bool(done)
    assert checked > 100


_EVENT = st.tuples(
    st.sampled_from(["look", "click", "forward", "backward"]), st.integers(1, 2), st.integers(1, 6), st.integers(0, 2)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(_EVENT, min_size=1, max_size=25))
def test_page_turns_are_those_of_a_walk_through_the_events(events):
    layout = CarouselLayout.grid(2, 2, pages=3)
    kinds = {"look": Aoi.MOVIE, "click": Aoi.MOVIE, "forward": Aoi.FORWARD, "backward": Aoi.BACKWARD}

    def visits(which):
        chosen = [(n, *event) for n, event in enumerate(events) if (event[0] == "look") == which]
        number, kind, row, column, user = ([event[i] for event in chosen] for i in range(5))
        kind = [kinds[one] for one in kind]
        column = [c if k == Aoi.MOVIE else 0 for c, k in zip(column, kind, strict=True)]
        n = len(chosen)
        users = np.array(["a", "b", "c"])
        return Visits(users, user, np.ones(n), np.array(number, dtype=float), np.zeros(n), kind, row, column)

    found = page_turns(visits(True), visits(False), layout)
    state, expected = {}, {}
    for n, (kind, row, column, user) in enumerate(events):
        before = state.get((user, row), 0)
        step = {"forward": 1, "backward": -1}.get(kind)
        after = (before + step) % 3 if step else (column - 1) // 2
        state[user, row] = after
        if after != before:
            expected.setdefault(user * 64 + 1, []).append([1000 * n, row - 1, after])
    assert {key: rows.tolist() for key, rows in found.items()} == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1e3), st.just(float("nan"))), min_size=1, max_size=30))
def test_packed_numbers_are_right_to_a_four_thousandth_of_the_largest(values):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    made = packed(np.array(values))
    level = np.array([[letters.index(one) for one in made["q"][i : i + 2]] for i in range(0, len(made["q"]), 2)])
    level = level @ [64, 1]
    back = np.where(level == 4095, np.nan, level * made["max"] / 4094)
    np.testing.assert_allclose(back, values, atol=made["max"] * (0.5 / 4094 + 1e-5) + 1e-300, equal_nan=True)


def test_the_model_is_that_which_was_fitted(dataset, model, html):
    data = data_of(html)
    assert data["model"]["name"] == "OEPBM"
    assert data["model"]["exam"] == packed(model.examination_)
    screens = dataset.impressions(excluded=True)
    click = model.click_prob(screens)
    for screen in data["screens"][::53]:
        at = int(np.flatnonzero((screens.user == screen["u"]) & (screens.task == screen["t"]))[0])
        assert screen["m"] == packed(click[at])
        clicked = screens.clicked[at].ravel()
        assert screen["s"] == (int(clicked.argmax()) if clicked.any() else -1)


def test_a_cascade_model_shows_its_selections_and_no_examination(dataset):
    cascade = CCM().fit(dataset.impressions(), grid=np.linspace(0.1, 0.5, 5))
    data = content(dataset, Options(model=cascade, max_screens=2))
    assert data["model"] == {"name": "CCM", "exam": None}
    assert data["screens"][0]["m"] == packed(cascade.probability())


def test_measured_positions_are_shown_where_there_are_some(study, dataset):
    data = content(study, Options())
    x, y = np.rint(study.fixations.x), np.rint(study.fixations.y)
    fixations = dataset.fixations()
    for screen in data["screens"][::61]:
        here = (fixations.user == screen["u"]) & (fixations.task == screen["t"])
        np.testing.assert_array_equal(np.array(screen["xy"]).reshape(-1, 2), np.stack([x, y], axis=1)[here])
    assert "saw the gaze" in data["notes"]
    assert "fixed rule" in content(dataset, Options(max_screens=1))["notes"]
    with pytest.raises(ArgumentError, match="x and y of each fixation"):
        content(dataset, Options(positions=(x[1:], y[1:])))


def test_a_study_without_cursor_or_titles_is_shown_without_them(dataset):
    bare = replace(
        dataset,
        summary=dataset.summary.filter(regex="^(?!Cursor)"),
        items=dataset.items.drop(columns="TMDB_title"),
    )
    data = content(bare, Options(max_screens=4))
    assert all(screen["c"] == [] for screen in data["screens"])
    assert data["tasks"]["1"]["films"][0] == int(dataset.grid.movie[0, 0, 0])


def test_bad_options_are_refused(dataset):
    for options, words in (
        (Options(max_screens=0), "at least 1"),
        (Options(model=object()), "click_prob or probability"),
        (Options(rule="nearest"), "strict"),
    ):
        with pytest.raises(ArgumentError, match=words):
            content(dataset, options)
    with pytest.raises(ArgumentError, match="expected a RecGazeDataset"):
        content(dataset.clicks, Options())


# -- in a browser -----------------------------------------------------------------------------------------------------

# Chromium draws no frames in virtual time; timers run.
_WATCH = """<script>window.seen = []; addEventListener("error", (e) => seen.push(e.message));
window.requestAnimationFrame = (act) => setTimeout(() => act(performance.now()), 16);</script>"""
_TRY = """<pre id="result"></pre><script>
const part = (name) => document.querySelector(`[data-part=${name}]`);
const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const clock = () => parseFloat(part("clock").textContent);
(async () => {
  const out = { ready: document.querySelector(".recgaze-viewer").dataset.ready, start: clock() };
  out.wide = document.documentElement.scrollWidth <= innerWidth;
  part("play").click();
  await wait(900);
  Object.assign(out, { playing: part("play").textContent.trim(), played: clock() });
  press(" ");
  const at = clock();
  await wait(300);
  Object.assign(out, { paused: part("play").textContent.trim(), still: clock() === at });
  press("Home");
  out.home = clock();
  press("ArrowRight");
  out.stepped = part("now").textContent;
  press(".");
  out.swiped = part("pagenumber").textContent;
  press(",");
  press(",");
  out.wrapped = part("pagenumber").textContent;
  press("ArrowDown");
  part("forward").click();
  Object.assign(out, { row: part("row").value, second: part("pagenumber").textContent });
  press("End");
  Object.assign(out, { end: part("now").textContent, said: part("say").textContent });
  press("]");
  out.next = part("task").value;
  press("3");
  out.third = part("task").value;
  part("overlay").value = "exam";
  part("overlay").dispatchEvent(new Event("change"));
  const { width, height } = part("page");
  out.colours = new Set(part("page").getContext("2d").getImageData(0, 0, width, height).data).size;
  out.errors = seen;
  const names = performance.getEntriesByType("resource").map((entry) => entry.name);
  out.requests = names.filter((name) => !name.startsWith("data:"));
  document.getElementById("result").textContent = JSON.stringify(out);
})();
</script></body>"""


@pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")
@pytest.mark.parametrize("width", [1200, 400])
def test_it_plays_steps_swipes_and_listens_to_keys_in_a_browser(html, tmp_path, width):
    page = tmp_path / "view.html"
    page.write_text(html.replace("<style>", _WATCH + "<style>", 1).replace("</body>", _TRY), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    found = re.search(r'<pre id="result">(.*?)</pre>', run.stdout, re.S)
    if not found or not found[1]:
        pytest.skip(f"chromium did not run: {run.stderr[-300:]}")
    out = json.loads(found[1])
    assert out["ready"] == "true"
    assert out["errors"] == []
    assert out["requests"] == []
    assert out["wide"]
    assert (out["start"], out["home"]) == (0, 0)
    assert out["playing"] == "Pause"
    assert out["paused"] == "Play"
    assert out["still"]
    assert 0.2 < out["played"] < 3
    assert out["stepped"].startswith("Look 2 of" if data_of(html)["screens"][0]["f"][0] == 0 else "Look 1 of")
    assert (out["swiped"], out["wrapped"], out["second"]) == ("page 2 of 3", "page 3 of 3", "page 2 of 3")
    assert out["row"] == "1"
    assert out["end"].startswith("The end. Selected:")
    assert out["said"] == out["end"]
    assert (out["next"], out["third"]) == ("1", "2")
    assert out["colours"] > 20
