"""Finds the columns, the classes and the split of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from data import features
from data.decoding import repaired
from data.errors import UserError
from data.generic.reader import raw_rows
from data.records import SPLITS, DeadLetter
from data.tasks import Reading, Split
from pipeline.new_task.asked import Asked

MOST_CLASSES = 1_000
_ROWS = 2_000  # at even distances, by which columns are told; many sources are sorted by label
_LEAST_PER_LABEL = 5  # rows with each value on average, for a column that nobody named to be labels
_LEAST_WORDS = 3  # in the mean, for a column that nobody named to be the text

_SPLIT_NAMES: dict[str, Literal["train", "eval", "test"]] = {
    "train": "train",
    "training": "train",
    "eval": "eval",
    "evaluation": "eval",
    "valid": "eval",
    "validation": "eval",
    "val": "eval",
    "dev": "eval",
    "test": "test",
    "testing": "test",
}
_TAKEN = (features.TEXT, features.CHARACTERS, features.LABEL, features.LENGTH_BUCKET)

RawRow = Mapping[str, str | None]


@dataclass(frozen=True)
class Chosen:
    """How a source is to be read, and what it calls its classes."""

    reading: Reading
    classes: tuple[str, ...]  # sorted by name; () if the task predicts the next token
    columns: tuple[str, ...]  # all that the source has


def chosen(asked: Asked) -> Chosen:
    """Chooses the columns; reads the whole source, twice if it has labels or a split.

    Raises:
        UserError: if a column is missing or cannot be told, if a column of labels has fewer than
            two or more than MOST_CLASSES values, or a column of splits has other values.
    """
    reading = Reading(documents_at=asked.documents_at)
    rows = _spread(_rows(asked.source, reading))
    if not rows:
        raise UserError(f"{asked.source}: expected records, found none that can be read")
    found = tuple(dict.fromkeys(name for row in rows for name in row))  # in JSON they may differ
    for option, name in _named(asked):
        if name not in found:
            raise UserError(
                f"{option} {name}: {asked.source} has no such column; it has {', '.join(found)}"
            )
    for name in asked.columns:
        if name in _TAKEN:
            raise UserError(
                f"--columns {name}: expected another name, as the pipeline has a feature {name} of"
                " its own; rename the column"
            )
    text = asked.text or _text_column(asked, found, rows)
    label = ""
    if asked.kind == "classification":
        label = asked.label or _label_column(asked, [n for n in found if n != text], rows)
    wanted = [name for name in (label, asked.split_column) if name]
    values = _all_values(asked.source, reading, wanted)
    return Chosen(
        Reading(
            text=text,
            label=label or Reading.label,
            columns=asked.columns,
            documents_at=asked.documents_at,
            split=_split(asked, values),
        ),
        _classes(asked.source, label, values[label]) if label else (),
        found,
    )


def _named(asked: Asked) -> Iterator[tuple[str, str]]:
    options = {
        "--text": asked.text,
        "--label": asked.label,
        "--split-column": asked.split_column,
        "--group-column": asked.group_column,
    }
    yield from ((option, name) for option, name in options.items() if name)
    yield from (("--columns", name) for name in asked.columns)


def _rows(source: str, reading: Reading) -> Iterator[RawRow]:
    return (row for row in raw_rows(source, reading) if not isinstance(row, DeadLetter))


def _spread(rows: Iterator[RawRow]) -> list[RawRow]:
    """At most twice _ROWS rows at even distances."""
    kept: list[RawRow] = []
    step = 1
    for number, row in enumerate(rows):
        if number % step == 0:
            kept.append(row)
            if len(kept) == 2 * _ROWS:
                kept, step = kept[::2], 2 * step
    return kept


def _text_column(asked: Asked, found: Sequence[str], rows: Sequence[RawRow]) -> str:
    """The column `text`, or the only one with sentences, or one with by far the longest."""
    if features.TEXT in found:
        return features.TEXT
    words = {
        name: sum(len((row.get(name) or "").split()) for row in rows) / len(rows)
        for name in found
        if name != asked.label
    }
    first, *others = sorted(words, key=lambda name: -words[name])
    if words[first] >= _LEAST_WORDS and all(words[first] >= 3 * words[name] for name in others):
        return first
    raise _not_told(asked, "text", found, rows)


def _label_column(asked: Asked, found: Sequence[str], rows: Sequence[RawRow]) -> str:
    """The column `label`, or the only one, or the only one with few values that come again."""
    taken = (asked.split_column, asked.group_column, *asked.columns)
    others = [name for name in found if name not in taken]
    if features.LABEL in others:
        return features.LABEL
    likely = [
        name
        for name in others
        if 1 < len({row.get(name) for row in rows}) <= len(rows) / _LEAST_PER_LABEL
    ]
    if len(likely) == 1:
        return likely[0]
    raise _not_told(asked, "label", found, rows)


def _not_told(asked: Asked, what: str, found: Sequence[str], rows: Sequence[RawRow]) -> UserError:
    examples = "; ".join(
        f"{name} ({', '.join(repr((row.get(name) or '')[:30]) for row in rows[:2])})"
        for name in found
    )
    return UserError(
        f"{asked.source}: cannot tell which column holds the {what}; give --{what} COLUMN, one of:"
        f" {examples or 'none'}"
    )


def _all_values(source: str, reading: Reading, names: Sequence[str]) -> dict[str, Counter[str]]:
    """How often each value of some columns occurs in the whole source."""
    values: dict[str, Counter[str]] = {name: Counter() for name in names}
    if names:
        for row in _rows(source, reading):
            for name, counter in values.items():
                # Many more than can be used are not kept, as they may be as long as the source.
                value = (row.get(name) or "").strip()
                if value in counter or len(counter) <= MOST_CLASSES * 10:
                    counter[value] += 1
    return values


def _classes(source: str, label: str, values: Counter[str]) -> tuple[str, ...]:
    """The different labels, in their commonest spelling; the reader takes any case."""
    spellings: dict[str, list[str]] = {}
    for value, _ in values.most_common():
        # A record without a label, or with one that is no text, cannot be used.
        if value and repaired(value) == value:
            spellings.setdefault(value.casefold(), []).append(value)
    names = sorted((same[0] for same in spellings.values()), key=_in_order)
    where = f"{source}: the column {label}"
    if len(names) < 2:
        raise UserError(f"{where}: expected two or more labels, found {', '.join(names) or 'none'}")
    if len(names) > MOST_CLASSES:
        raise UserError(
            f"{where}: has more than {MOST_CLASSES:,} different values, such as"
            f" {', '.join(repr(name[:30]) for name in names[:3])}; it looks like no column of"
            " labels: give --label COLUMN"
        )
    return tuple(names)


def _in_order(name: str) -> tuple[int, float, str]:
    """Numbers by their value, then names."""
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)


def _split(asked: Asked, values: Mapping[str, Iterable[str]]) -> Split:
    if asked.group_column:
        return Split(by="group", column=asked.group_column)
    if not asked.split_column:
        return Split()
    where = f"--split-column {asked.split_column}"
    names: dict[str, Literal["train", "eval", "test"]] = {}
    for value in sorted(values[asked.split_column]):
        if value.lower() not in _SPLIT_NAMES:
            raise UserError(
                f"{where}: expected {', '.join(SPLITS)} or the like, found {value[:40]!r}; if its"
                " values are groups whose records belong together, give --group-column"
            )
        names[value] = _SPLIT_NAMES[value.lower()]
    if "eval" not in names.values():  # a model is judged on split eval
        names = {value: "eval" if split == "test" else split for value, split in names.items()}
    missing = sorted({"train", "eval"} - set(names.values()))
    if missing:
        raise UserError(f"{where}: expected records of {' and '.join(missing)}, found none")
    return Split(
        by="column",
        column=asked.split_column,
        names={value: split for value, split in names.items() if value.lower() != split},
    )
