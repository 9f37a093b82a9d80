"""What the site takes from a run of `irworks reproduce`: the verdicts on its first page, and the report itself."""

import html
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "irworks-report"
PLACE = "<!-- verdicts -->"
KINDS = ("reproduced", "partly", "not reproduced", "not run", "errored")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the verdicts where a page asks for them."""
    return markdown.replace(PLACE, verdicts()) if PLACE in markdown else markdown


def on_post_build(config: Any, **_: Any) -> None:
    """Put the report beside the pages."""
    if (REPORT / "index.html").is_file():
        folder = Path(config["site_dir"]) / "report"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(REPORT / "index.html", folder / "index.html")


def verdicts() -> str:
    """A table of packages by verdicts, and the way to the report; a sentence where there is none yet."""
    file = REPORT / "results.json"
    if not file.is_file():
        return "The report of all claims is made by `uv run irworks reproduce`, and then stands here."
    results = json.loads(file.read_text(encoding="utf-8"))
    # A claim that failed has an error in the place of a verdict, which stays what it was before: "not run".
    counts = Counter((one["package"], "errored" if one["error"] else one["verdict"]) for one in results["claims"])
    kinds = [kind for kind in KINDS if any(found == kind for _, found in counts)]
    lines = [f"| package | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    for package in dict.fromkeys(package for package, _ in counts):
        link = f'<a href="report/index.html#{html.escape(package)}">{html.escape(package)}</a>'
        lines.append(f"| {link} | {' | '.join(str(counts[package, kind] or '') for kind in kinds)} |")
    lines += [
        "",
        f'<a class="md-button md-button--primary" href="report/index.html">The report, scale {results["scale"]}</a>',
    ]
    return "\n".join(lines)
