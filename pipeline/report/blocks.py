"""The blocks of a section of the page: plain values, which page.html.j2 turns into HTML.

The template escapes all text. Only a Drawing holds markup, which figures.py and
lineage_drawing.py make.
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
    """A paragraph; a `warning` is highlighted."""

    text: str
    tone: Literal["plain", "good", "warning"] = "plain"
    kind: str = "sentence"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a caption; the first cell of a row is the row's heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "table"

    @property
    def numeric(self) -> list[bool]:
        """Which columns are right-aligned: those after the first that hold only numbers."""
        if not self.rows:
            return [False] * len(self.head)
        columns = list(zip(*self.rows, strict=True))[1:]
        return [False, *(all(map(_NUMBER.fullmatch, column)) for column in columns)]


@dataclass(frozen=True)
class Drawing:
    """A plot as inline SVG, which includes a title and a description."""

    svg: Markup
    caption: str
    kind: str = "drawing"


@dataclass(frozen=True)
class Passage:
    """Text of the corpus or of the model, in parts; a part may have a mark, such as `up`."""

    heading: str
    parts: Sequence[tuple[str, str]]  # text and mark ("": none)
    note: str = ""
    kind: str = "passage"


@dataclass(frozen=True)
class Fold:
    """Blocks that the reader can unfold."""

    summary: str
    blocks: Sequence[Block]
    kind: str = "fold"


Block = Sentence | Table | Drawing | Passage | Fold
