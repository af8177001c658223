"""Which split a record is in: by the hash of its text, by a column, or by a group."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from data.facts import same_text
from data.records import SPLITS
from data.tasks import Split

_STEPS = 10_000  # of the hash


def split_of(split: Split, text: str, values: Mapping[str, str | None]) -> str | None:
    """The split of a record; None if the column's value names none.

    Args:
        split: the rule.
        text: of the record; white space is folded before it is hashed, so repeats stay together.
        values: of the columns. A record without a group is a group of its own.
    """
    if split.by == "hash":
        return _by_hash(split, same_text(text))
    value = (values[split.column] or "").strip()
    if split.by == "group":
        return _by_hash(split, value or same_text(text))
    if value in split.names:
        return split.names[value]
    return value.lower() if value.lower() in SPLITS else None


def _by_hash(split: Split, identity: str) -> str:
    """`eval` takes the lowest hashes, `test` the highest, so that one's share leaves the other."""
    step = zlib.crc32(identity.encode("utf-8", "replace")) % _STEPS
    if step < round(split.eval * _STEPS):
        return "eval"
    return "test" if step >= _STEPS - round(split.test * _STEPS) else "train"
