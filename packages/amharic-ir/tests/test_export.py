"""The analyzer elsewhere: an interpreter of what the settings say makes the same tokens, and so does Lucene itself."""

import base64
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amharic_ir import Analyzer, format_numeral, parse_numeral
from amharic_ir.datasets import homonyms, masakhanews
from amharic_ir.text.abbreviations import ABBREVIATIONS, BEFORE
from amharic_ir.text.export import differences, elasticsearch, solr
from amharic_ir.text.numerals import NUMERAL
from amharic_ir.text.script import letters
from irworks.errors import ArgumentError

# Knows the classes of letters and numerals that Java's patterns have.
java = pytest.importorskip("regex")

WAYS = {
    "ngram": Analyzer(),
    "ngram of 5": Analyzer(n=5),
    "ngram without boundary": Analyzer(n=4, boundary=False),
    "ngram of 1": Analyzer(n=1, boundary=False),
    "word": Analyzer(tokens="word"),
    "prefix": Analyzer(tokens="prefix", n=4),
    "skeleton": Analyzer(tokens="skeleton"),
    "whitespace": Analyzer(tokens="whitespace"),
    "stopwords": Analyzer(stopwords=frozenset(["ነው", "እና", "the", "በ12"])),
    "tigrinya": Analyzer(lang="ti"),
    "geez": Analyzer(lang="geez", tokens="word"),
    "not folded": Analyzer(steps=("punct", "abbrev", "labial"), tokens="word"),
    "as written": Analyzer(steps=()),
}
# "-" and "_" stand in no word, the last one is a letter that takes two places in Java.
OTHERS = [*"፡።፣፤፥፦፧፨ \n\t/.::_-'\"«»“”’", "፡፡", "\ufeff", "\u200b", *"aBÉß9²½", "\U0001f600", "\U00020000"]
PIECES = [
    *ABBREVIATIONS,
    *BEFORE,
    *(f"{letter}/ሥላሴ" for letter in BEFORE),
    "ት.ቤት",
    "ዓ.ም",
    "ገ/ሥ",
    "ቤቱ",
    "ሉዋ",
    "ነው",
    "the",
    "The",
]
NUMERALS = st.integers(1, 10**9).map(format_numeral) | st.sampled_from(["፻፼", "፼፼", "፼፻", "፳፻፲፩", "፻፩"])
TEXTS = st.lists(
    st.sampled_from([chr(code) for code in letters()]) | st.sampled_from(OTHERS) | st.sampled_from(PIECES) | NUMERALS,
    max_size=20,
).map("".join)


def chosen_texts():
    """Each piece by itself, all of them with each of several marks between, and all pairs that may be labialised."""
    pieces = [*PIECES, *(f"በ{short}" for short in ABBREVIATIONS), *map(format_numeral, range(1, 30_000, 97))]
    joined = [separator.join(pieces) for separator in (" ", "፡", "፡፡", "\ufeff ", "_", "\n", ". ")]
    pairs = ["".join(chr(code) + second for code in letters()) for second in "ዋአዐ"]
    return ["", " ", *pieces, *joined, *pairs, "ABC, déjà: «ÉÀ»", "😀ሀለ 𠀀ab"]


class Elasticsearch:
    """What the settings of an index say, by the words of the reference."""

    def __init__(self, body):
        analysis = body["settings"]["index"]["analysis"]
        self.analyzer = analysis["analyzer"][body["mappings"]["properties"]["text"]["analyzer"]]
        self.filters = [self.filter(analysis["char_filter"][name]) for name in self.analyzer["char_filter"]]
        tokenizer = analysis["tokenizer"][self.analyzer["tokenizer"]]
        assert (tokenizer["type"], self.analyzer["type"]) == ("pattern", "custom")
        self.pattern, self.group = java.compile(tokenizer["pattern"]), tokenizer["group"]

    def filter(self, settings):
        if settings["type"] == "pattern_replace":
            found = java.compile(settings["pattern"])
            by = re.compile(r"\$(\d)")
            return lambda text: found.sub(
                lambda match: by.sub(lambda group: match[int(group[1])], settings["replacement"]), text
            )
        assert settings["type"] == "mapping"
        rules = [[self.unescaped(side.strip()) for side in rule.split("=>")] for rule in settings["mappings"]]
        entries = dict(rules)
        assert "" not in entries
        assert len(entries) == len(rules)
        # The longest of those that begin at a place is found first, and what was written is not read again.
        known = re.compile("|".join(map(re.escape, sorted(entries, key=len, reverse=True))))
        return lambda text: known.sub(lambda match: entries[match[0]], text)

    @staticmethod
    def unescaped(text):
        return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)

    def tokens_of(self, text):
        for each in self.filters:
            text = each(text)
        tokens = [match[self.group] for match in self.pattern.finditer(text) if match[self.group]]
        # Java makes one character of each: of a capital I with a dot the first.
        return [
            "".join(letter.lower()[0] for letter in token) if "lowercase" in self.analyzer["filter"] else token
            for token in tokens
        ]


@pytest.fixture(scope="module", params=WAYS)
def both(request):
    analyzer = WAYS[request.param]
    return analyzer, Elasticsearch(json.loads(json.dumps(elasticsearch(analyzer))))


@pytest.fixture(scope="module")
def real_texts(amharic):
    found = []
    for lang, folder in (("am", "masakhanews"), ("ti", "masakhanews-tir")):
        news = masakhanews(amharic / folder, lang)
        found += [*list(news.queries.values())[:200], *list(news.docs.texts())[:60]]
    return found


def read_as_numbers(text):
    """Whether all Ethiopic numerals mean something, once what is not seen is gone."""
    for match in NUMERAL.finditer(Analyzer(steps=("punct",)).normalize(text)):
        try:
            parse_numeral(match[0])
        except ArgumentError:
            return False
    return True


@given(text=TEXTS)
def test_tokens_of_any_text_are_the_same(both, text):
    analyzer, index = both
    assume(read_as_numbers(text))
    assert index.tokens_of(text) == analyzer.tokens_of(text)


def test_tokens_of_chosen_texts_are_the_same(both):
    analyzer, index = both
    for text in chosen_texts():
        assert index.tokens_of(text) == analyzer.tokens_of(text)


def test_tokens_of_real_texts_are_the_same(both, real_texts):
    analyzer, index = both
    assert len(real_texts) == 520
    for text in real_texts:
        assert index.tokens_of(text) == analyzer.tokens_of(text)


def test_homonyms_are_spelled_as_one_there_too(both, amharic):
    analyzer, index = both
    rows = homonyms(amharic / "geezorg")
    for spelling in (spelling for row in rows for spelling in row):
        assert index.tokens_of(spelling) == analyzer.tokens_of(spelling)


def test_abbreviations_are_written_out_there_too(both):
    analyzer, index = both
    for short in [*ABBREVIATIONS, *(f"{letter}/ጊዮርጊስ" for letter in BEFORE)]:
        for text in (short, short.replace("/", "."), f"በ{short}", f"በየ{short}", f"{short}ቱ", f"({short}/ሀ) {short}."):
            assert index.tokens_of(text) == analyzer.tokens_of(text), text


def test_abbreviations_have_the_form_that_is_exported():
    """One letter and a stroke first; and none of those that stand before names is in the table with a long rest."""
    assert all(short[1] == "/" for short in ABBREVIATIONS)
    assert not [s for s in ABBREVIATIONS if s[0] in BEFORE and s.count("/") == 1 and len(s) > 4]


@given(st.integers(1, 10**10))
def test_numerals_are_numbers_there_too(number):
    words = Elasticsearch(elasticsearch(Analyzer(tokens="word"))).tokens_of(f"በ{format_numeral(number)} ዓመት")
    assert words == [f"በ{number}", "አመት"]


@pytest.mark.parametrize(
    ("text", "ours", "theirs", "told"),
    [
        ("cafe\u0301", ["caf\u00e9"], ["cafe"], "not composed"),
        ("፩፪ ፻፻", ["፩፪", "፻፻"], ["12", "10100"], "an order that means nothing"),
        ("\u0130", ["\u0130"], ["i"], "Capital I with a dot"),
        ("ሀ\ufdd0ለ", ["ሀ", "ለ"], ["ሀለ"], "noncharacters"),
    ],
)
def test_what_is_otherwise_is_told(text, ours, theirs, told):
    analyzer = Analyzer(tokens="word")
    body = elasticsearch(analyzer)
    assert analyzer.tokens_of(text) == ours
    assert Elasticsearch(body).tokens_of(text) == theirs
    assert any(told in sentence for sentence in differences(analyzer))
    assert body["mappings"]["_meta"]["differences"] == list(differences(analyzer))


def test_what_is_not_done_has_no_difference():
    assert len(differences(Analyzer(steps=("punct", "fold")))) == 2


@pytest.mark.parametrize(
    ("analyzer", "message"),
    [
        (Analyzer(tokens="stem"), "tokens='stem' needs a stemmer and cannot be exported"),
        (Analyzer(tokens="mixed"), "tokens='mixed' needs one field with n-grams"),
        (Analyzer(steps=("fold", "punct")), "steps=.*expected in this order: nfc, punct"),
    ],
)
@pytest.mark.parametrize("export", [elasticsearch, solr, differences])
def test_what_cannot_be_made_there_is_refused(export, analyzer, message):
    with pytest.raises(ArgumentError, match=message):
        export(analyzer)


def test_scores_are_set_as_ours():
    body = elasticsearch(Analyzer(lang="ti"))
    assert body["settings"]["index"]["similarity"] == {"tigrinya": {"type": "BM25", "k1": 1.5, "b": 0.75}}
    field = {"type": "text", "analyzer": "tigrinya", "similarity": "tigrinya"}
    assert body["mappings"]["properties"] == {"text": field}
    assert Analyzer.from_json(json.dumps(body["mappings"]["_meta"]["amharic_ir"])) == Analyzer(lang="ti")


@pytest.mark.parametrize("way", WAYS)
def test_files_of_solr_say_the_same_as_the_settings(way):
    analysis = elasticsearch(WAYS[way])["settings"]["index"]["analysis"]
    files = solr(WAYS[way])
    root = ElementTree.fromstring("<schema>" + files.pop("fieldtype.xml") + "</schema>")
    filters = root.findall(".//charFilter")
    assert len(filters) == len(analysis["char_filter"])
    for element, settings in zip(filters, analysis["char_filter"].values(), strict=True):
        if settings["type"] == "mapping":
            rules = re.findall(r'^"(.*)" => "(.*)"$', files.pop(element.get("mapping")), re.MULTILINE)
            assert [f"{key} => {value}" for key, value in rules] == settings["mappings"]
        else:
            assert (element.get("pattern"), element.get("replacement")) == (
                settings["pattern"],
                settings["replacement"],
            )
    assert not files
    tokenizer = next(iter(analysis["tokenizer"].values()))
    assert root.find(".//tokenizer").attrib == {
        "class": "solr.PatternTokenizerFactory",
        "pattern": tokenizer["pattern"],
        "group": "1",
    }


# -- the real thing ---------------------------------------------------------------------------------------------------

# Makes the analyzer that a field type describes, by Lucene's own factories. Texts come in and tokens go out by line.
DRIVER = r"""
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.lucene.analysis.*;
import org.apache.lucene.analysis.custom.CustomAnalyzer;
import org.apache.lucene.analysis.tokenattributes.*;
import org.w3c.dom.*;

public class Driver {
    public static void main(String[] args) throws Exception {
        Path folder = Paths.get(args[0]);
        NodeList nodes = javax.xml.parsers.DocumentBuilderFactory.newInstance().newDocumentBuilder()
            .parse(folder.resolve("fieldtype.xml").toFile()).getElementsByTagName("*");
        CustomAnalyzer.Builder builder = CustomAnalyzer.builder(folder);
        for (int i = 0; i < nodes.getLength(); i++) {
            Element element = (Element) nodes.item(i);
            Map<String, String> settings = new HashMap<>();
            NamedNodeMap attributes = element.getAttributes();
            for (int j = 0; j < attributes.getLength(); j++)
                settings.put(attributes.item(j).getNodeName(), attributes.item(j).getNodeValue());
            String name = settings.remove("class");
            if (name != null) name = name.replace("solr.", "").replaceAll("(CharFilter|Tokenizer|Filter)Factory", "");
            if (element.getTagName().equals("charFilter")) builder.addCharFilter(name, settings);
            if (element.getTagName().equals("tokenizer")) builder.withTokenizer(name, settings);
            if (element.getTagName().equals("filter")) builder.addTokenFilter(name, settings);
        }
        Analyzer analyzer = builder.build();
        StringBuilder out = new StringBuilder();
        for (String line : Files.readAllLines(folder.resolve("texts"))) {
            String text = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
            try (TokenStream stream = analyzer.tokenStream("text", text)) {
                CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
                OffsetAttribute place = stream.addAttribute(OffsetAttribute.class);
                PositionIncrementAttribute step = stream.addAttribute(PositionIncrementAttribute.class);
                stream.reset();
                while (stream.incrementToken())
                    out.append(term).append('\t').append(place.startOffset()).append('\t').append(place.endOffset())
                        .append('\t').append(step.getPositionIncrement()).append('\u0001');
                stream.end();
            }
            out.append('\n');
        }
        Files.write(folder.resolve("tokens"), out.toString().getBytes(StandardCharsets.UTF_8));
    }
}
"""


@pytest.fixture(scope="module")
def lucene(tmp_path_factory):
    """A function: the tokens that Lucene makes of texts with the files for Solr, each with its place."""
    jars, program = os.environ.get("LUCENE_JARS"), shutil.which("java")
    if not jars or not program:
        pytest.skip("LUCENE_JARS is not set: Lucene's core and common analyzers, joined as a class path; or no java")

    def tokens(analyzer, texts):
        folder = tmp_path_factory.mktemp("lucene")
        for name, content in solr(analyzer).items():
            (folder / name).write_text(content, encoding="utf-8")
        (folder / "Driver.java").write_text(DRIVER, encoding="utf-8")
        lines = [base64.b64encode(text.encode()).decode() for text in texts]
        (folder / "texts").write_text("\n".join(lines) + "\n", encoding="utf-8")
        subprocess.run([program, "-cp", jars, folder / "Driver.java", folder], check=True)
        rows = (folder / "tokens").read_text(encoding="utf-8").split("\n")[:-1]
        found = [[token.split("\t") for token in row.split("\1")[:-1]] for row in rows]
        return [[(text, *map(int, numbers)) for text, *numbers in row] for row in found]

    return tokens


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_lucene_makes_the_same_tokens(lucene, way):
    analyzer, texts = WAYS[way], chosen_texts()
    for text, tokens in zip(texts, lucene(analyzer, texts), strict=True):
        assert [token for token, *_ in tokens] == analyzer.tokens_of(text)
        starts = [start for _, start, _, _ in tokens]
        assert starts == sorted(starts)
        assert all(step == 1 for *_, step in tokens)


@pytest.mark.slow
def test_lucene_makes_the_same_tokens_of_real_texts_and_finds_them_in_the_original(lucene, real_texts):
    analyzer, same, every = Analyzer(), 0, 0
    for text, tokens in zip(real_texts, lucene(analyzer, real_texts), strict=True):
        assert [token for token, *_ in tokens] == analyzer.tokens_of(text)
        spans = [tuple(span) for span in analyzer.spans(text)]
        same += sum(span == (*token[:3],) for span, token in zip(spans, tokens, strict=True))
        every += len(spans)
    assert same / every > 0.99
