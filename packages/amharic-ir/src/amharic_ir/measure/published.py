"""Numbers that others reported, each with where it stands: to be shown beside what is measured, never tested."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["published", "reported_values", "told"]

_PAPER = "Mekonnen et al., Findings of ACL 2025, https://aclanthology.org/2025.findings-acl.543/"
_CODE = "https://github.com/kidist-amde/amharic-ir-benchmarks/blob/c70c9b5/baselines/embedding_models/"
_NEWS = "Amharic News"
_AIRTC = "2AIRTC"

# Model, parameters in millions, then RR@10, nDCG@10, R@10, R@50, R@100. Headlines of Amharic News ask for their bodies.
_PUBLISHED = (
    ("BM25 (llama-index default)", None, 0.657, 0.682, 0.774, 0.847, 0.871),
    ("gte-modernbert-base", 149, 0.019, 0.023, 0.033, 0.051, 0.067),
    ("gte-multilingual-base", 305, 0.600, 0.638, 0.760, 0.851, 0.882),
    ("multilingual-e5-large-instruct", 560, 0.672, 0.709, 0.825, 0.911, 0.931),
    ("snowflake-arctic-embed-l-v2.0", 568, 0.659, 0.701, 0.831, 0.922, 0.942),
    ("BERT-Medium-Amharic-Embed", 40, 0.682, 0.720, 0.843, 0.931, 0.954),
    ("RoBERTa-Medium-Amharic-Embed", 42, 0.735, 0.771, 0.884, 0.955, 0.971),
    ("RoBERTa-Base-Amharic-Embed", 110, 0.775, 0.808, 0.913, 0.964, 0.979),
    ("ColBERT on BERT-Medium-Amharic", 40, 0.806, 0.831, 0.911, 0.954, 0.968),
    ("ColBERT on RoBERTa-Medium-Amharic", 42, 0.831, 0.855, 0.928, 0.966, 0.976),
    ("ColBERT on RoBERTa-Base-Amharic", 110, 0.843, 0.866, 0.939, 0.972, 0.979),
)
# Not in the paper's tables: the multilingual model trained on the same pairs.
_NOTEBOOK_NEWS = (("snowflake-arctic-embed-l-v2.0, fine-tuned", 568, 0.827, 0.855, 0.942, 0.977, 0.985),)
# Then RR@100, nDCG@100, R@100. Titles of topics; 12,192 documents of fewer than 1,200 words.
_NOTEBOOK_AIRTC = (
    ("snowflake-arctic-embed-l-v2.0, fine-tuned", 568, 0.865, 0.795, 0.856),
    ("RoBERTa-Base-Amharic-Embed", 110, 0.861, 0.770, 0.831),
    ("RoBERTa-Medium-Amharic-Embed", 42, 0.853, 0.735, 0.798),
    ("BERT-Medium-Amharic-Embed", 40, 0.805, 0.667, 0.727),
    ("gte-modernbert-base", 149, 0.046, 0.017, 0.021),
    ("gte-multilingual-base", 305, 0.879, 0.749, 0.790),
    ("multilingual-e5-large-instruct", 560, 0.905, 0.808, 0.853),
    ("snowflake-arctic-embed-l-v2.0", 568, 0.876, 0.781, 0.830),
)
_NEWS_MEASURES = ("RR@10", "nDCG@10", "R@10", "R@50", "R@100")
_AIRTC_MEASURES = ("RR@100", "nDCG@100", "R@100")


def published(collection: str | None = None) -> "pd.DataFrame":
    """The paper's table, and what the authors' notebooks report beside it; `compare(..., reported=published())`.

    The multilingual models were asked without the prompts that they were trained with, and the checkpoints of the
    Amharic ones were chosen on the test queries.

    Args:
        collection: "Amharic News" or "2AIRTC"; by default both.

    Returns:
        A row a model and collection, the index its name: collection, mark ("published", or "reported in notebooks"),
        source, parameters (in millions), and a column a measure, NaN where it was not reported.

    Raises:
        ArgumentError: Nothing was published on that collection.
    """
    import pandas as pd

    rows = [
        {"system": name, "collection": where, "mark": mark, "source": source, "parameters": size} | values
        for where, mark, source, name, size, values in _all()
        if collection in (None, where)
    ]
    if not rows:
        raise ArgumentError(f"collection={collection!r}; expected {_NEWS!r} or {_AIRTC!r}")
    return pd.DataFrame(rows).set_index("system")


def reported_values(collection: str) -> dict[str, dict[str, float]]:
    """{system: {measure: value}} of what `published` holds on a collection.

    Raises:
        ArgumentError: Nothing was published on that collection.
    """
    found = {name: values for where, _, _, name, _, values in _all() if where == collection}
    if not found:
        raise ArgumentError(f"collection={collection!r}; expected {_NEWS!r} or {_AIRTC!r}")
    return found


def told(collection: str, measure: str, systems: Sequence[str]) -> str:
    """Reported numbers in words, those that are in the authors' notebooks alone behind the others and marked so.

    Args:
        collection: "Amharic News" or "2AIRTC".
        measure: One that was reported on it.
        systems: Whose numbers, in this order.
    """
    parts: dict[str, list[str]] = {}
    known = {name: (mark, values) for where, mark, _, name, _, values in _all() if where == collection}
    for name in systems:
        mark, values = known[name]
        parts.setdefault(mark, []).append(f"{name} {values[measure]:.3f}")
    marked = [("" if mark == "published" else f"{mark}: ") + ", ".join(parts[mark]) for mark in sorted(parts)]
    return f"{measure} {'; '.join(marked)}"


def _all() -> Iterator[tuple[str, str, str, str, int | None, dict[str, float]]]:
    """Collection, mark, source, system, parameters, {measure: value}."""
    notes = "reported in notebooks"
    parts: tuple[tuple[str, str, str, Sequence[str], Any], ...] = (
        (_NEWS, "published", _PAPER, _NEWS_MEASURES, _PUBLISHED),
        (_NEWS, notes, f"{_CODE}evaluate_amharic_multilingual_embeddings.ipynb", _NEWS_MEASURES, _NOTEBOOK_NEWS),
        (_AIRTC, notes, f"{_CODE}evaluate_amharic_embeddings_2airtc.ipynb", _AIRTC_MEASURES, _NOTEBOOK_AIRTC),
    )
    for where, mark, source, measures, found in parts:
        for name, size, *values in found:
            yield where, mark, source, name, size, dict(zip(measures, values, strict=True))
