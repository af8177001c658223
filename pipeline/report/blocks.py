"""What a section of the page is made of: plain values, which page.html.j2 turns into HTML.

All text is escaped there; only a Drawing brings markup of its own, made in figures.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

_NUMBER = re.compile(r"|[+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?(?:%| MiB)?")  # or an empty cell


@dataclass(frozen=True)
class Sentence:
    """A paragraph; a `warning` stands out."""

    text: str
    tone: Literal["plain", "good", "warning"] = "plain"
    kind: str = "sentence"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a caption; the first cell of a row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "table"

    @property
    def numeric(self) -> list[bool]:
        """Which columns after the first hold numbers only, and so stand at the right."""
        if not self.rows:
            return [False] * len(self.head)
        columns = list(zip(*self.rows, strict=True))[1:]
        return [False, *(all(map(_NUMBER.fullmatch, column)) for column in columns)]


@dataclass(frozen=True)
class Drawing:
    """A plot as inline SVG, with its title and description inside."""

    svg: Markup
    caption: str
    kind: str = "drawing"


@dataclass(frozen=True)
class Passage:
    """Text of the corpus or of the model, in parts; a part may be marked `up` or `down`."""

    heading: str
    parts: Sequence[tuple[str, str]]  # text, and mark ("" for none)
    note: str = ""
    kind: str = "passage"


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown when asked for."""

    summary: str
    blocks: Sequence[Block]
    kind: str = "fold"


Block = Sentence | Table | Drawing | Passage | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own, and a name to link to."""

    name: str
    title: str
    blocks: Sequence[Block]
