"""The page: one file, safe whatever the claims say, readable by everyone; figures that can share a page."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from irworks.claims import Claim, ClaimResult, PackageInfo, Paper, Results, Verdict
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.report import Section, Table, claims_page, duration, figure_to_svg, page, style, svg, write_report
from irworks.report.tables import format_number, typeset

HOSTILE = "<script>alert('x')</script>\"'&{{ 7 * 7 }}<img src=x onerror=alert(1)>"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests ask about, and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def figure(colour="C0"):
    drawn = Figure()
    axes = drawn.subplots()
    axes.plot([1, 2, 3], [1, 4, 9], color=colour, label="line")
    axes.imshow(np.eye(3))
    axes.legend()
    axes.set_title("A title")
    return drawn


def result(name="a-claim", **changes) -> ClaimResult:
    words = {"says": f"{name} holds.", "where": "Section 5.2", "paper": "nDCG unchanged", "rule": "If it holds."}
    base = ClaimResult("pack", name, **words, measured="0.002", verdict=Verdict.REPRODUCED, values={"x": 0.0021})
    return replace(base, seconds=41.0, seeds=(0, 1, 2), command=f"irworks reproduce pack --claim {name}", **changes)


def results(*claims, **changes) -> Results:
    authors, note = ("A. Author", "B. Author"), "A world.\n\nAnother."
    paper = Paper("A Paper", authors, "Venue", "https://example.org/paper", 2025, note)
    packages = (PackageInfo("pack", "1.2", paper, "What one gets."),)
    environment = {"packages": {"irworks": "0.1"}, "python": "CPython 3.11", "cpus": 2, "memory_gib": None, "gpus": []}
    return Results(**{"claims": claims, "packages": packages, "environment": environment, "scale": "small", **changes})


@pytest.fixture(scope="module")
def drawing():
    with style.context():
        return figure_to_svg(figure())


# The page of claims


def test_every_row_of_the_summary_leads_to_its_claim(drawing):
    parsed = Page(claims_page(results(result("one", figure=drawing), result("two"), result("three"))))
    links = [attributes["href"] for attributes in parsed.all("a") if attributes["href"].startswith("#")]
    assert {"#pack-one", "#pack-two", "#pack-three"} <= set(links)
    assert {link[1:] for link in links} <= set(parsed.ids)


def test_the_page_says_everything_about_a_claim(drawing):
    table = Table(("T", "nDCG"), ((0.05, 0.912), (1.0, None)))
    claim = result(figure=drawing, caption="See the line.", table=table, notes="A note.")
    parsed = Page(claims_page(results(claim)))
    for words in [
        "a-claim holds.",
        "The paper, Section 5.2",
        "nDCG unchanged",
        "0.002",
        "reproduced",
        "41 s",
        "If it holds.",
        "See the line.",
        "0.912",
        "A note.",
        "x 0.0021",
        "seeds 0–2",
        "irworks reproduce pack --claim a-claim",
        "A. Author, B. Author (2025). A Paper . Venue.",
        "A world. Another.",
        "What one gets.",
        "irworks reproduce pack --scale small",
        "CPython 3.11",
    ]:
        assert words in parsed.text, words
    [drawn] = parsed.all("svg")
    assert (drawn["role"], drawn["aria-label"]) == ("img", "See the line.")


def test_verdicts_are_counted_and_failures_folded_in():
    claims = [
        result("one"),
        result("two"),
        result("three", verdict=Verdict.NOT_RUN, measured="", reason="no data", remedy="irworks data get it"),
        result("four", verdict=Verdict.NOT_RUN, measured="").with_error("Traceback\nKeyError: 'theta'"),
    ]
    pending = Claim("pack", "five", "Five holds.", "Section 9", "42", "If so.", lambda ctx: None)
    parsed = Page(claims_page(results(*claims, pending=(pending,), broken={"other": "Traceback\nImportError: gone"})))
    assert "2 reproduced 1 not run 1 errored 1 pending" in parsed.text
    assert "4 of 5 claims are in" in parsed.text
    assert "no data To get what is missing: irworks data get it" in parsed.text
    assert "The error in full Traceback KeyError: 'theta'" in parsed.text
    assert "Packages that could not be loaded other The error in full Traceback ImportError: gone" in parsed.text


def test_hostile_words_are_words():
    paper = Paper(HOSTILE, HOSTILE, HOSTILE, "javascript:alert(1)", note=HOSTILE)
    fields = ("says", "where", "paper", "rule", "measured", "caption", "notes", "command", "remedy")
    words = dict.fromkeys(fields, HOSTILE)
    failed = replace(result("bad", verdict=Verdict.NOT_RUN, measured=""), **words).with_error(HOSTILE)
    drawn = replace(result(), **words, figure='<svg xmlns="http://www.w3.org/2000/svg"/>')
    claim = replace(drawn, values={HOSTILE: 1.0}, table=Table((HOSTILE,), ((HOSTILE,),)))
    packages = (PackageInfo("pack", HOSTILE, paper, HOSTILE),)
    parsed = Page(claims_page(results(claim, failed, packages=packages, broken={HOSTILE: HOSTILE})))
    assert len(parsed.all("script")) == 1
    assert not parsed.all("img")
    assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    assert not any(attributes["href"].startswith("javascript") for attributes in parsed.all("a"))
    assert "49" not in parsed.text
    assert parsed.text.count("<script>alert('x')</script>") > 15


def test_the_page_needs_nothing_from_elsewhere(drawing):
    text = claims_page(results(result(figure=drawing)))
    parsed = Page(text)
    named = [pair for _, attributes in parsed.elements for pair in attributes.items()]
    sources = [value for name, value in named if name in ("src", "srcset", "poster", "data", "action")]
    targets = [attributes["href"] for tag, attributes in parsed.elements if tag != "a" and "href" in attributes]
    assert all(source.startswith("data:") for source in sources)
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert "@import" not in text
    assert not re.search(r"url\((?!['\"]?#)", text)


def test_the_page_works_without_scripts(drawing):
    parsed = Page(claims_page(results(result("one"), result("two", figure=drawing))))
    assert [attributes.get("id") for _, attributes in parsed.elements if "hidden" in attributes] == ["filter"]
    assert len([1 for attributes in parsed.all("tr") if attributes.get("data-status")]) == 2


def test_what_stands_between_backticks_is_code():
    parsed = Page(claims_page(results(replace(result(), notes="`joint` & <b>, `a` and ` alone"))))
    assert "joint & <b>, a and ` alone" in parsed.text
    assert not parsed.all("b")[1:]


@pytest.fixture
def shown_by_browser(tmp_path):
    """What a browser makes of a page, opened with a query or at a place in it."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no browser to open the page with")

    def show(claims, address=""):
        file = write_report(claims, tmp_path)
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
        ]
        done = subprocess.run(
            [browser, *options, f"file://{file}{address}"], capture_output=True, text=True, timeout=120
        )
        return Page(done.stdout)

    return show


def visible(parsed):
    return [
        attributes["id"] for attributes in parsed.all("article") if "id" in attributes and "hidden" not in attributes
    ]


def test_an_address_can_choose_package_and_verdict_or_a_claim(shown_by_browser):
    claims = results(result("one"), result("two", verdict=Verdict.PARTLY))
    assert visible(shown_by_browser(claims)) == ["pack-one", "pack-two"]
    chosen = shown_by_browser(claims, "?status=partly")
    assert visible(chosen) == ["pack-two"]
    assert "1 of 2 claims" in chosen.text
    assert visible(shown_by_browser(claims, "?status=nonsense")) == ["pack-one", "pack-two"]
    assert visible(shown_by_browser(claims, "?status=partly#pack-one")) == ["pack-one", "pack-two"]


def test_the_report_is_written_as_one_file(tmp_path):
    assert write_report(results(result()), tmp_path) == tmp_path / "index.html"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_without_jinja_the_report_says_what_to_install(monkeypatch):
    from irworks.report import page as page_function
    from irworks.report.page import _environment

    _environment.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"irworks\[report\]"):
        page_function(title="t")


# Colours


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def themes():
    sheet = (Path(svg.__file__).parent / "templates" / "style.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", sheet, flags=re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(theme):
    for name in ("ink", "muted", "link"):
        assert contrast(theme[name], theme["page"]) >= 4.5, name
        assert contrast(theme[name], theme["shade"]) >= 4.5, name
    for name in ("good", "fair", "poor", "none", "broken"):
        assert contrast(theme[name], theme[f"{name}-bg"]) >= 4.5, name


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_lines_can_be_seen_in_light_and_in_dark(theme):
    assert len(themes()) == 2
    for colour in style.PALETTE:
        shown = theme["ink"] if colour == style.INK else colour
        assert contrast(shown, theme["page"]) >= 3, colour


# Figures


def test_the_same_figure_gives_the_same_bytes(drawing):
    with style.context():
        assert figure_to_svg(figure()) == drawing
        assert figure_to_svg(figure("C1")) != drawing


def test_figures_on_one_page_do_not_share_ids(drawing):
    parsed = Page(claims_page(results(result("one", figure=drawing), result("two", figure=drawing))))
    assert len(parsed.all("svg")) == 2
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = Page(page(title="t", sections=[Section("a", figure_svg=drawing), Section("b", figure_svg=drawing)]))
    assert len(inside.ids) == len(set(inside.ids)) > 20


def test_references_inside_a_figure_still_lead_somewhere(drawing):
    renamed = svg.clean(drawing, "new prefix")
    targets = set(re.findall(r"url\(#([^)]+)\)", renamed)) | set(re.findall(r'href="#([^"]+)"', renamed))
    assert targets
    assert targets <= set(re.findall(r'\bid="([^"]+)"', renamed))


def test_text_and_axes_take_the_colour_of_the_page(drawing):
    assert "currentColor" in drawing
    assert style.INK not in drawing
    assert "<style" not in drawing


def test_a_figure_of_another_style_keeps_its_colours_and_background():
    import matplotlib as mpl

    with mpl.rc_context({"text.color": style.INK}):
        drawn = figure_to_svg(figure())
    assert style.INK in drawn
    assert "currentColor" not in drawn


def test_the_palette_is_that_of_the_style_file():
    import matplotlib as mpl

    before = mpl.rcParams["figure.figsize"]
    with style.context({"figure.figsize": (2, 2)}):
        assert tuple(mpl.rcParams["axes.prop_cycle"].by_key()["color"]) == style.PALETTE
        assert mpl.rcParams["text.color"].removeprefix("#") == style.INK.removeprefix("#")
        assert mpl.rcParams["figure.figsize"] == [2, 2]
    assert mpl.rcParams["figure.figsize"] == before


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        "<foreignObject><b>x</b></foreignObject>",
        "<style>@import 'https://evil.example/x.css'; * { display: none }</style>",
        '<image href="https://evil.example/x.png"/>',
        '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="https://evil.example/x.png"/>',
        '<use href="https://evil.example/x.svg#a"/>',
        '<rect style="fill: url(https://evil.example/x.svg#a)"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        '<set attributeName="href" to="javascript:alert(1)"/>',
        '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>',
        "<metadata>made by someone</metadata>",
        "<!-- evil -->",
    ],
)
def test_a_drawing_cannot_act_or_reach_out(payload):
    cleaned = svg.clean(f'<svg xmlns="http://www.w3.org/2000/svg"><rect id="r"/>{payload}</svg>', "p")
    assert 'id="p-r"' in cleaned
    traces = ["evil", "alert", "script", "foreignObject", "onload", "svg+xml", "someone", "<style", "display: none"]
    assert [trace for trace in traces if trace in cleaned] == []


def test_embedded_pixels_stay():
    pixels = "data:image/png;base64,iVBORw0KGgo="
    assert pixels in svg.clean(f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{pixels}"/></svg>', "p")


@pytest.mark.parametrize("text", ["", "no svg", "<html/>", "<svg/>", "<svg xmlns='http://www.w3.org/2000/svg'>"])
def test_what_is_no_svg_document_is_refused(text):
    with pytest.raises(ArgumentError, match="SVG"):
        svg.clean(text, "p")


# Pages of packages


def test_a_package_can_make_its_own_page(drawing):
    frame = pd.DataFrame({"rank": [1, 2], "theta": [0.0, -0.6931]})
    graph = Section("Swap graph", "First.\n\nSecond.", drawing, "A caption.", frame, "Small print.")
    sections = [graph, Section("End")]
    parsed = Page(page(title="Log <check>", lead="What it is.", sections=sections, footer="Made by irworks."))
    assert "Log <check>" in parsed.text
    assert "Swap graph First. Second." in parsed.text
    assert "A caption. rank theta 1 0.0000 2 -0.6931 Small print." in parsed.text
    assert len(parsed.all("section")) == 2
    assert not parsed.all("script")


# Numbers


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ((0, 0.02, 1), ("0.00", "0.02", "1.00")),
        ((0.123456, 1e-7, 0.0), ("0.1235", "1.0e-07", "0.0000")),
        ((12345.6789, 1.5), ("12,346", "2")),
        ((1, 200, None), ("1", "200", "")),
        (("inf", 0.5, "-inf", None), ("∞", "0.5", "-∞", "")),
        ((True, False, None), ("yes", "no", "")),
        (("a", 1, None), ("a", "1", "")),
    ],
)
def test_the_numbers_of_a_column_share_their_decimals(cells, shown):
    [column] = typeset(Table(("x",), tuple((cell,) for cell in cells)))
    assert column.cells == shown


def test_an_empty_table_keeps_its_headings():
    assert [column.name for column in typeset(Table(("a", "b"), ()))] == ["a", "b"]


@given(st.floats(1e-4, 1e6) | st.floats(-1e6, -1e-4))
def test_a_number_is_shown_to_four_digits(value):
    shown = float(format_number(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=5.1e-4)


def test_a_missing_number_is_a_dash():
    assert format_number(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (41.4, "41 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7260, "2 h 01 min"),
    ],
)
def test_lengths_of_time_are_said_in_words(seconds, words):
    assert duration(seconds) == words
