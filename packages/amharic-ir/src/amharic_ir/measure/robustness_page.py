"""Robustness as a page and in Markdown."""

from typing import TYPE_CHECKING

from amharic_ir.measure.figures import robustness_svg
from amharic_ir.measure.texts import markdown_table, short
from irworks.report import Section, page

if TYPE_CHECKING:
    import pandas as pd

    from amharic_ir.measure.robustness import Robustness

__all__ = ["robustness_markdown", "robustness_page"]

_KINDS = {
    "homophone": "each letter that has homophones becomes one of them, perhaps itself",
    "vowel": "in a word one letter takes another vowel",
    "drop": "in a word one letter is left out",
    "swap": "in a word two neighbouring letters change places",
    "wordspace": "U+1361 stands for a space",
    "nospace": "a space is left out",
    "labial": "a letter with -wa is written as two",
    "sera": "a word is in Latin letters",
}


def robustness_markdown(found: "Robustness") -> str:
    """A table in Markdown."""
    return f"{markdown_table(_cells(found))}\n"


def robustness_page(found: "Robustness") -> str:
    """The page as HTML: the same results give the same bytes."""
    import pandas as pd

    examples = [
        {"kind": kind, "what changes": _KINDS.get(kind, ""), "a query": short(before), "typed": short(after)}
        for kind, (before, after) in found.examples.items()
    ]
    systems, queries = found.table["system"].nunique(), found.per_query.shape[1]
    lead = f"{found.measure} of {systems} systems on {queries:,} queries of {found.collection}, typed in other ways."
    how = (
        f"p is the chance of each letter, word or space that could change; changes are drawn by the id of the query "
        f"and a seed ({', '.join(map(str, found.seeds))}), the same for every system, and each query's values are "
        "averaged over the seeds. The drop is from the queries as they are, with a 95% bootstrap interval over queries "
        "(paired, 2,000 samples, seed 0). changed: share of queries whose text is another, so that a drop has a cause. "
        "same top 10: share with the same ten documents in the same order.\n\n"
        "Documents of equal score stand in the order of the collection; a query without a letter or digit counts 0."
    )
    sections = [
        Section(
            "What it costs",
            figure_svg=robustness_svg(found, "robustness"),
            caption="A panel a kind of change, a line a system.",
            table=_cells(found),
        ),
        Section("What changes", table=pd.DataFrame(examples) if examples else None),
        Section("How it was measured", how),
    ]
    return page(title="Robustness", lead=lead, sections=sections, footer="Made by amharic-ir.")


def _cells(found: "Robustness") -> "pd.DataFrame":
    """The table with intervals in one cell."""
    import pandas as pd

    rows = []
    for row in found.table.to_dict("records"):
        drop = f"{row['drop']:+.3f} [{row['drop low']:+.3f}, {row['drop high']:+.3f}]"
        rows.append(
            {
                "system": row["system"],
                "kind": row["kind"],
                "p": f"{row['p']:g}",
                "changed": f"{row['changed']:.0%}",
                found.measure: f"{row[found.measure]:.3f}",
                "drop": "" if row["kind"] == "none" else drop,
                "same top 10": f"{row['same top 10']:.0%}",
            }
        )
    return pd.DataFrame(rows)
