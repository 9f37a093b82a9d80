"""What published models expect in front of a text."""

from collections.abc import Mapping

__all__ = ["prompts_of"]

_INSTRUCTION = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "

# Model, in small letters, from its beginning; what stands before a query and before a document.
# Sources: the models' cards. A model that says nothing here and in its own settings gets texts as they are.
_KNOWN: dict[str, tuple[str, str]] = {
    "snowflake/snowflake-arctic-embed-l-v2": ("query: ", ""),
    "snowflake/snowflake-arctic-embed-m-v2": ("query: ", ""),
    "snowflake/snowflake-arctic-embed": ("Represent this sentence for searching relevant passages: ", ""),
    "intfloat/multilingual-e5-large-instruct": (_INSTRUCTION, ""),
    "intfloat/e5-mistral-7b-instruct": (_INSTRUCTION, ""),
    "intfloat/multilingual-e5": ("query: ", "passage: "),
    "intfloat/e5": ("query: ", "passage: "),
}
_QUERY = ("query", "s2p_query", "search_query", "web_search_query")
_DOC = ("document", "passage", "corpus", "search_document")


def prompts_of(name: str, settings: Mapping[str, str | None]) -> tuple[str, str]:
    """What stands before a query and before a document.

    Args:
        name: Of the model on the hub.
        settings: {name: prompt} that the model brings along; they come first.
    """
    query = next((settings[key] for key in _QUERY if settings.get(key)), None)
    doc = next((settings[key] for key in _DOC if settings.get(key)), None)
    known = next((pair for begin, pair in _KNOWN.items() if name.lower().startswith(begin)), ("", ""))
    if query is None and doc is None:
        return known
    return query or "", doc or ""
