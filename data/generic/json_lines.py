"""JSON: one object per line, or one array of objects; plain or gzipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from data import dead_letters
from data.decoding import printable
from data.errors import DataError
from data.generic.rows import Row, as_text
from data.generic.streams import LONGEST_LINE, BoundedLines, open_text
from data.records import MALFORMED_LINE, TOO_LONG, DeadLetter

_PIECE = 1 << 16  # characters


def rows(
    path: Path,
    required: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Row | DeadLetter]:
    """Yields the objects of a file.

    Args:
        path: of objects, one per line, with blank lines between them or not; or of one array,
            whose objects may span lines.
        required: keys without which an object is malformed.
        wanted: all keys that are read; values are as `as_text` gives them.
        given: values of keys that an object may lack.

    Raises:
        DataError: if the file cannot be read, or its array is damaged.
    """
    for line, value in _values(path):
        try:
            yield (
                value
                if isinstance(value, DeadLetter)
                else _row(value, str(path), line, required, wanted, given)
            )
        except RecursionError:  # by the message about it
            yield DeadLetter(str(path), line, MALFORMED_LINE, "values within values, too deep")


def columns(path: Path) -> list[str]:
    """The keys of the first object, but for that of a dead letter; raises as `rows`."""
    for _, value in _values(path):
        if isinstance(value, dict):
            return [key for key in value if key != dead_letters.KEY]
    return []


def _row(
    value: Any,
    file: str,
    line: int,
    required: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, str],
) -> Row | DeadLetter:
    def malformed(what: str) -> DeadLetter:
        plain = isinstance(value, dict) and not any(
            isinstance(each, dict | list) for each in value.values()
        )
        whole = value if plain else json.dumps(value, ensure_ascii=False)
        return DeadLetter(file, line, MALFORMED_LINE, printable(what), whole)

    if not isinstance(value, dict):
        return malformed(f"no object: {value!s:.150}")
    missing = [key for key in required if key not in value and key not in given]
    if missing:
        return malformed(f"no {', '.join(map(repr, missing))} among {', '.join(value)!s:.120}")
    try:
        return Row({key: as_text(value.get(key, given.get(key))) for key in wanted}, file, line)
    except TypeError as error:
        return malformed(str(error))


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields (line, value or dead letter)."""
    if _begins_array(path):
        with open_text(path) as stream:
            yield from _array(path, stream)
        return
    with open_text(path) as stream:
        lines = BoundedLines(stream)
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            if lines.cut:
                yield number, DeadLetter(str(path), number, TOO_LONG, printable(line[:200]))
                continue
            try:
                yield number, json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                what = printable(f"{error}: {line[:150]}")
                yield number, DeadLetter(str(path), number, MALFORMED_LINE, what, line.rstrip())


def _begins_array(path: Path) -> bool:
    with open_text(path) as stream:
        while (piece := stream.read(_PIECE)) and not piece.strip():
            pass
        return piece.lstrip().startswith("[")


def _array(path: Path, stream: TextIO) -> Iterator[tuple[int, Any]]:
    """Yields (line, value) of an array, which may be one long line, one at a time."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    text, line = "", 1

    def skip(characters: str) -> None:
        """Skips white space and these characters, and reads on at the end of `text`."""
        nonlocal text, line
        while True:
            rest = text.lstrip(" \t\r\n" + characters)
            line += text.count("\n", 0, len(text) - len(rest))
            text = rest or stream.read(_PIECE)
            if rest or not text:
                return

    skip("")
    text = text[1:]  # [
    skip("")
    while text and text[0] != "]":
        try:
            value, end = decoder.raw_decode(text)
            complete = end < len(text) or isinstance(value, dict)
        except (ValueError, RecursionError) as error:
            value, end, complete, what = None, 0, False, error
        else:
            what = ValueError("it does not end")
        if not complete:
            more = stream.read(_PIECE) if len(text) < LONGEST_LINE else ""
            if not more:
                raise DataError(
                    f"{path}:{line}: damaged JSON array ({what}): {printable(text[:60])!r}. Correct"
                    " it, or write one object per line as .jsonl, where a fault costs one line."
                )
            text += more
            continue
        yield line, value
        line += text.count("\n", 0, end)
        text = text[end:]
        skip(",")
    if not text:
        raise DataError(f"{path}:{line}: the JSON array has no end. Get the file again.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} twice")
    return found
