r"""An analyzer for other search engines: settings of Elasticsearch and OpenSearch, files of Solr.

They are made from the tables that the steps themselves work with. Each stage is one that Lucene has, and is used as its
documentation says it works:

- Tables: the longest string that is known wins at each place, in one pass, and places in the text are corrected, so
  that highlighting finds the original (Lucene, MappingCharFilter; Elasticsearch reference, mapping character filter).
  A rule is `key => value`, with \uXXXX for what is not seen (Solr reference guide, CharFilterFactories).
- Replacements by a pattern of Java (Elasticsearch reference, pattern replace character filter). Lucene warns that
  places are wrong within what changes its length (PatternReplaceCharFilter): abbreviations and numerals.
- Tokens by a pattern with a group (Elasticsearch reference, pattern tokenizer), n-grams too: the n-gram filter puts all
  n-grams of a word at one position (Lucene, NGramTokenFilter), where queries take tokens for synonyms, scored as one
  term (SynonymQuery), and the length of a document counts them once (discount_overlaps, similarity settings). The
  pattern gives each a position, and BM25 counts as ours does.
"""

import json
import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from amharic_ir.text.analyzer import Analyzer
from amharic_ir.text.export_stages import Chain, Replacement, Table, chain

__all__ = ["differences", "elasticsearch", "solr"]

# As in `irworks.retrieval.BM25`.
_K1, _B = 1.5, 0.75


def differences(analyzer: Analyzer) -> tuple[str, ...]:
    """What other engines do otherwise than the analyzer, a sentence each.

    Raises:
        ArgumentError: It cannot be exported.
    """
    return chain(analyzer).differences


def elasticsearch(analyzer: Analyzer) -> dict[str, Any]:
    """Settings and mappings for a new index of Elasticsearch or OpenSearch, with a field "text"; no plugin is needed.

    Send it as the body of `PUT /name`, and ask with a `match` query. What is not as in Python stands in its
    `mappings._meta.differences`, where the index keeps it; see `differences`.

    Args:
        analyzer: With tokens "ngram", "word", "prefix", "skeleton" or "whitespace".

    Raises:
        ArgumentError: It cannot be exported: it stems, makes mixed tokens, or its steps are in an unusual order.
    """
    made = chain(analyzer)
    filters = {f"{made.name}_{stage.name}": _char_filter(stage) for stage in made.filters}
    analysis = {
        "char_filter": filters,
        "tokenizer": {f"{made.name}_tokens": {"type": "pattern", "pattern": made.tokens, "group": 1}},
        "analyzer": {
            made.name: {
                "type": "custom",
                "char_filter": list(filters),
                "tokenizer": f"{made.name}_tokens",
                "filter": ["lowercase"] if made.lower else [],
            }
        },
    }
    similarity = {made.name: {"type": "BM25", "k1": _K1, "b": _B}}
    about = {"amharic_ir": json.loads(analyzer.to_json()), "differences": list(made.differences)}
    field = {"type": "text", "analyzer": made.name, "similarity": made.name}
    return {
        "settings": {"index": {"analysis": analysis, "similarity": similarity}},
        "mappings": {"_meta": about, "properties": {"text": field}},
    }


def solr(analyzer: Analyzer) -> dict[str, str]:
    """Files for Solr, by name: `fieldtype.xml`, for the schema, and the mappings that it reads, for the same folder.

    Args:
        analyzer: As for `elasticsearch`.

    Raises:
        ArgumentError: As for `elasticsearch`.
    """
    made = chain(analyzer)
    tables = [stage for stage in made.filters if isinstance(stage, Table)]
    files = {_file(made, table): "".join(f"{rule}\n" for rule in _rules(table, quote='"')) for table in tables}
    return {"fieldtype.xml": _field_type(made)} | files


def _char_filter(stage: Table | Replacement) -> dict[str, Any]:
    if isinstance(stage, Table):
        return {"type": "mapping", "mappings": _rules(stage)}
    return {"type": "pattern_replace", "pattern": stage.pattern, "replacement": stage.by}


def _rules(table: Table, quote: str = "") -> list[str]:
    return [f"{quote}{_seen(key)}{quote} => {quote}{_seen(value)}{quote}" for key, value in table.entries.items()]


def _seen(text: str) -> str:
    """With escapes for what is not seen, or means something in a rule."""
    return re.sub(r"[^\w:/.']", lambda match: f"\\u{ord(match[0]):04x}", text)


def _file(made: Chain, table: Table) -> str:
    return f"{made.name}-{table.name}.txt"


def _field_type(made: Chain) -> str:
    stages = []
    for stage in made.filters:
        if isinstance(stage, Table):
            stages.append(f'<charFilter class="solr.MappingCharFilterFactory" mapping="{_file(made, stage)}"/>')
        else:
            how = f"pattern={_quoted(stage.pattern)} replacement={_quoted(stage.by)}"
            stages.append(f'<charFilter class="solr.PatternReplaceCharFilterFactory" {how}/>')
    stages.append(f'<tokenizer class="solr.PatternTokenizerFactory" pattern={_quoted(made.tokens)} group="1"/>')
    if made.lower:
        stages.append('<filter class="solr.LowerCaseFilterFactory"/>')
    lines = [
        *(f"<!-- {escape(difference)} -->" for difference in made.differences),
        f'<fieldType name="text_{made.name}" class="solr.TextField" positionIncrementGap="100">',
        "  <analyzer>",
        *(f"    {stage}" for stage in stages),
        "  </analyzer>",
        '  <similarity class="solr.BM25SimilarityFactory">',
        f'    <float name="k1">{_K1}</float><float name="b">{_B}</float>',
        "  </similarity>",
        "</fieldType>",
    ]
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    """As an attribute of XML, with references for what is not seen."""
    return re.sub("[\ufdd0-\ufdd2]", lambda match: f"&#x{ord(match[0]):x};", quoteattr(text))
