"""The report end to end: every claim of every package, at the smallest scale, as `irworks reproduce` leaves it."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from irworks.claims.discovery import discover

pytestmark = pytest.mark.slow

FIELDS = {
    "package": str,
    "id": str,
    "says": str,
    "where": str,
    "paper": str,
    "measured": str,
    "verdict": str,
    "values": dict,
    "seconds": float | int | None,
    "scale": str,
    "seeds": list,
    "error": str | None,
}
VERDICTS = {"reproduced", "partly", "not reproduced", "not run"}


class Page(HTMLParser):
    """What a page loads, links to within itself, and can be linked at."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.targets, self.ids, self.styles = [], [], [], []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = {name.removeprefix("xlink:"): value or "" for name, value in attributes}
        addresses = [found[name] for name in ("src", "srcset", "href", "data", "poster", "background") if name in found]
        self.targets += [address[1:] for address in addresses if address.startswith("#")]
        if tag != "a":
            self.loads += [address for address in addresses if not address.startswith("#")]
        self.ids += [found["id"]] if "id" in found else []
        self.styles += [found["style"]] if "style" in found else []
        self._in_style = tag == "style"

    def handle_data(self, data):
        if self._in_style:
            self.styles.append(data)


@pytest.fixture(scope="module")
def out(workshop):
    program = Path(sys.executable).with_name("irworks")
    workshop.output(program, "reproduce", "--scale", "smoke", "--offline", "--out", "report")
    return workshop.folder / "report"


@pytest.fixture(scope="module")
def results(out):
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(out):
    return Page((out / "index.html").read_text(encoding="utf-8"))


def test_the_page_is_small_enough_to_be_sent(out):
    assert 10_000 < (out / "index.html").stat().st_size < 3_000_000


def test_the_results_hold_every_claim_with_every_field(results, members):
    assert results["irworks"] == members[0].project["version"]
    assert results["environment"]["packages"].keys() >= {member.name for member in members}
    assert {claim["package"] for claim in results["claims"]} == {package.folder.name for package in members[1:]}
    for claim in results["claims"]:
        assert claim.keys() >= FIELDS.keys()
        wrong = {name: claim[name] for name, kind in FIELDS.items() if not isinstance(claim[name], kind)}
        assert not wrong, claim["id"]


def test_no_claim_fails_and_what_needs_nothing_of_the_user_is_run(results):
    assert {claim["verdict"] for claim in results["claims"]} <= VERDICTS
    assert not any(claim["error"] for claim in results["claims"])
    lacking = {(claims.package, claim.id) for claims in discover().sets for claim in claims if claim.data}
    # Or the user's own copy, or the paper's scale.
    given = {
        (claim["package"], claim["id"])
        for claim in results["claims"]
        if re.search(r"--option \S+=|--scale full", claim["remedy"] or "")
    }
    left = {(claim["package"], claim["id"]) for claim in results["claims"] if claim["verdict"] == "not run"}
    assert left <= lacking | given
    assert len(left) < len(results["claims"])


def test_a_claim_that_ran_has_the_numbers_behind_its_verdict(results):
    for claim in results["claims"]:
        numbers = claim["values"].values()
        assert all(isinstance(number, int | float) for number in numbers)
        assert bool(numbers) == (claim["verdict"] != "not run"), claim["id"]
        assert claim["scale"] == "smoke"


def test_a_claim_without_its_data_says_how_to_get_it(results):
    missing = [claim for claim in results["claims"] if claim["verdict"] == "not run"]
    assert missing
    assert all(claim["reason"] and claim["remedy"] for claim in missing)


def test_the_table_for_machines_holds_the_same(out, results):
    table = pd.read_parquet(out / "results.parquet")
    for name in ("package", "id", "verdict", "measured"):
        assert table[name].tolist() == [claim[name] for claim in results["claims"]]


def test_the_page_shows_every_claim_beside_what_the_paper_says(out, results):
    text = re.sub(r"\s+", " ", re.sub(r"&#39;", "'", (out / "index.html").read_text(encoding="utf-8")))
    for claim in results["claims"]:
        assert claim["says"] in text


def test_the_page_loads_nothing(page):
    assert [address for address in page.loads if not address.startswith("data:")] == []
    fetched = re.findall(r"@import|url\(\s*['\"]?(?!data:|#)[^)]*", "\n".join(page.styles))
    assert fetched == []


def test_links_within_the_page_arrive(page):
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)


def test_nothing_half_written_is_left(out):
    assert {path.name for path in out.iterdir()} == {"index.html", "results.json", "results.parquet", "claims"}
