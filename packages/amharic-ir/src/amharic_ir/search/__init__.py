"""Search behind one interface: build, search, add, remove, save, open."""

from amharic_ir.search.highlight import highlight
from amharic_ir.search.searcher import Hit, Searcher

__all__ = ["Hit", "Searcher", "highlight"]
