"""A text that is being rewritten, and which part of the original each of its characters stands for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from amharic_ir.text.codepoints import Codes, codes_of, text_of

__all__ = ["Aligned", "Edit"]

# From where, to where, and what stands there instead.
Edit = tuple[int, int, str]


@dataclass(frozen=True, eq=False)
class Aligned:
    """A text with spans of the original.

    Attributes:
        codes: uint32 [n], the text as it is now.
        start: int32 [n], where in the original each character begins; None: nobody asks.
        end: int32 [n], and where it ends.
    """

    codes: Codes
    start: NDArray[np.int32] | None = None
    end: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, text: str, *, spans: bool = True) -> Self:
        """A text as it is in the beginning."""
        codes = codes_of(text)
        if not spans:
            return cls(codes)
        start = np.arange(len(codes), dtype=np.int32)
        return cls(codes, start, start + 1)

    @property
    def text(self) -> str:
        """The text as it is now."""
        return text_of(self.codes)

    def mapped(self, table: Codes) -> Self:
        """Each character replaced by one other, by a table over all code points."""
        return replace(self, codes=table[self.codes])

    def kept(self, mask: NDArray[np.bool_]) -> Self:
        """Without the characters that a mask [n] leaves out."""
        if mask.all():
            return self
        start, end = (None if each is None else each[mask] for each in (self.start, self.end))
        return replace(self, codes=self.codes[mask], start=start, end=end)

    def edited(self, edits: Iterable[Edit]) -> Self:
        """Parts replaced by other text, each of whose characters stands for the whole part.

        Args:
            edits: In rising order, apart from one another; from and to are places in the text as it is now.
        """
        codes, starts, ends, place = [], [], [], 0
        for begin, until, new in edits:
            codes += [self.codes[place:begin], codes_of(new)]
            if self.start is not None and self.end is not None:
                starts += [self.start[place:begin], np.full(len(new), self.start[begin], dtype=np.int32)]
                ends += [self.end[place:begin], np.full(len(new), self.end[until - 1], dtype=np.int32)]
            place = until
        if not codes:
            return self
        codes.append(self.codes[place:])
        if self.start is None or self.end is None:
            return replace(self, codes=np.concatenate(codes))
        starts.append(self.start[place:])
        ends.append(self.end[place:])
        return replace(self, codes=np.concatenate(codes), start=np.concatenate(starts), end=np.concatenate(ends))
