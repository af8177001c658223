"""The reader of any task's own text.

Sources: CSV, TSV, JSON or Parquet, where each row is a record; one long text, which is cut into
documents; a folder of text files; a folder or a glob pattern of many files of one format. Text is
as in the source, repaired only where it is not UTF-8; Transform applies the task's normal form.

A table's columns are those of the task's Reading. Text files have the columns `text`, `folder`,
`file` and `document`; rows of tables have `folder` and `file` too, unless they hold others.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from data import features
from data.decoding import printable
from data.errors import DataError
from data.generic import tables, text_files
from data.generic.formats import TEXT, files_of, kind_of
from data.generic.labels import Labels, checked, checked_text
from data.generic.rows import DOCUMENT, FILE, FOLDER, Row, given_values, wanted_columns
from data.generic.splits import split_of
from data.records import (
    BAD_SPLIT,
    EMPTY_TEXT,
    INVALID_UTF8,
    TOO_LONG,
    DeadLetter,
    Record,
    Source,
    file_sha256,
    folder_sha256,
)
from data.tasks import Reading, Task

_NO_VALUE = "(none)"  # of a kept column whose field is empty
_WHOLE = "."  # the shard of a text that is one file
_TEXT_COLUMNS = (FILE, FOLDER, DOCUMENT)  # of text files, beside the text

# Names of features, which no kept column can have.
_TAKEN = (features.TEXT, features.LABEL, features.CHARACTERS, features.LENGTH_BUCKET)


def open_source(path: str | None, reading: Reading) -> Source:
    """Finds, identifies and hashes a source.

    Args:
        path: of a file or folder, or a glob pattern.
        reading: the columns that a table must have.

    Returns:
        A Source of kind "csv", "json", "parquet" or "text". A shard is a file of a table, or a
        folder of text files, relative to the source's folder.

    Raises:
        DataError: if there is no such file, the files have no known format or several, a table
            lacks a column, or `reading` cannot be followed.
    """
    _check_reading(reading)
    if not path:
        raise DataError(
            'the task names no source: write `source = "..."` into its task.toml, or add --source'
        )
    root, files = files_of(path)
    kinds = sorted({kind_of(file) for file in files})
    if len(kinds) > 1:
        raise DataError(
            f"{path}: expected files of one format, got {' and '.join(kinds)}. Name one of them by"
            " a pattern such as '*.csv'."
        )
    names = sorted(file.relative_to(root).as_posix() for file in files)
    if kinds[0] == TEXT:
        single = Path(path).is_file()
        names = [_WHOLE] if single else sorted({str(Path(name).parent) for name in names})
    else:
        for file in files:
            columns = (reading.text, *reading.columns)
            tables.check(kinds[0], file, columns, given_values(file.parent, file))
    sha256 = file_sha256(files[0]) if Path(path).is_file() else folder_sha256(root, files)
    return Source(kinds[0], path, sha256, tuple(names))


def read_shard(
    source: Source, shard: str, task: Task, reading: Reading, max_characters: int
) -> Iterator[Record | DeadLetter]:
    """Yields the records of one shard in the order of the source, one at a time.

    Args:
        source: from `open_source`.
        shard: one of source.shards.
        task: its classes are those that labels name.
        reading: the columns, the rule of the split, the buckets of length.
        max_characters: a longer record becomes a dead letter; a long text is cut into documents
            that are no longer.
    """
    labels = Labels(task.classes, reading.aliases)
    first = f"{source.shards.index(shard):06d}-" if len(source.shards) > 1 else ""
    rows = _shard_rows(source, shard, task, reading, max_characters)
    for number, row in enumerate(rows, start=1):
        if isinstance(row, DeadLetter):
            yield row
        else:
            record = _record(f"{first}{number:09d}", row, labels, task, reading, max_characters)
            if isinstance(record, DeadLetter):
                record = dataclasses.replace(record, row=row.values)
            yield record


def labelled_rows(
    path: Path, task: Task, reading: Reading
) -> Iterator[tuple[str, int] | DeadLetter]:
    """Yields the text and the class's index of each record of a table, for a classification.

    Raises:
        DataError: if the file is no table, cannot be read or lacks a column.
    """
    _, (file, *_) = files_of(str(path))
    if (kind := kind_of(file)) == TEXT:
        raise DataError(f"{path}: expected a table with a text and a label in each row, got text.")
    labels = Labels(task.classes, reading.aliases)
    columns = (reading.text, reading.label)
    for row in tables.rows(kind, file, columns, columns):
        if isinstance(row, DeadLetter):
            yield row
        else:
            text, label = (row.values[name] for name in columns)
            yield checked(text, label, labels, row.file, row.line)


def raw_rows(path: str, reading: Reading) -> Iterator[Mapping[str, str | None] | DeadLetter]:
    """Yields the values of all columns of each record, before anything is known of a task.

    Args:
        path: as in `open_source`.
        reading: only `documents_at` counts.
    """
    root, files = files_of(path)
    whole = Path(path).is_file()
    for file in files:
        given, kind = given_values(root, file), kind_of(file)
        if kind == TEXT:
            for row in _text_rows(file, given, whole, True, reading.documents_at, 20_000):
                yield row if isinstance(row, DeadLetter) else row.values
            continue
        names = tables.columns(kind, file)
        extra = {} if whole else {n: v for n, v in given.items() if n not in names and v}
        for row in tables.rows(kind, file, (), (*names, *extra), extra):
            yield row if isinstance(row, DeadLetter) else row.values


def _record(
    key: str, row: Row, labels: Labels, task: Task, reading: Reading, max_characters: int
) -> Record | DeadLetter:
    values, file, line = row.values, row.file, row.line
    found: dict[str, str | int] = {}
    if task.kind == "classification":
        labelled = checked(values[reading.text], values[reading.label], labels, file, line)
        if isinstance(labelled, DeadLetter):
            return labelled
        text, found[features.LABEL] = labelled
    else:
        readable = checked_text(values[reading.text], file, line)
        if isinstance(readable, DeadLetter):
            return readable
        text = readable
    if len(text) > max_characters:
        return DeadLetter(file, line, TOO_LONG, text)
    split = split_of(reading.split, text, values)
    if split is None:
        shown = printable((values[reading.split.column] or "").strip())[:40]
        return DeadLetter(file, line, BAD_SPLIT, f"{shown!r}: {text}")
    if reading.length_buckets:
        found[features.LENGTH_BUCKET] = features.length_bucket(text, reading.length_buckets)
    for name in reading.columns:
        kept = checked_text(values[name], file, line)
        if isinstance(kept, DeadLetter) and kept.reason == INVALID_UTF8:
            return kept
        found[name] = _NO_VALUE if isinstance(kept, DeadLetter) else kept.strip()
    return Record(key, split, {features.TEXT: text, **found}, file, line)


def _shard_rows(
    source: Source, shard: str, task: Task, reading: Reading, max_characters: int
) -> Iterator[Row | DeadLetter]:
    root, files = files_of(source.path)
    if source.kind != TEXT:
        file = root / shard
        required = _required(task, reading)
        given = given_values(root, file)
        yield from tables.rows(source.kind, file, required, wanted_columns(task, reading), given)
        return
    _check_text_columns(source, task, reading)
    whole, documents = shard == _WHOLE and len(files) == 1, task.kind == "next-token"
    for file in files:
        if whole or str(file.relative_to(root).parent) == shard:
            for row in _text_rows(
                file,
                given_values(root, file),
                Path(source.path).is_file(),
                documents,
                reading.documents_at,
                max_characters,
            ):
                if isinstance(row, Row) and reading.text not in row.values:
                    yield Row({**row.values, reading.text: row.values["text"]}, row.file, row.line)
                else:
                    yield row


def _required(task: Task, reading: Reading) -> tuple[str, ...]:
    """Columns without which a JSON object is no record."""
    label = (reading.label,) if task.kind == "classification" else ()
    return (reading.text, *label)


def _text_rows(
    file: Path,
    given: Mapping[str, str],
    long: bool,
    documents: bool,
    documents_at: str,
    max_characters: int,
) -> Iterator[Row | DeadLetter]:
    """Yields the records of a text file.

    Args:
        long: it is the whole source, and is cut into documents.
        documents: a file of a folder may hold several documents; false: it is one record.
    """
    if not documents:
        text = text_files.whole_file(file)
        yield text if isinstance(text, DeadLetter) else Row({"text": text, **given}, str(file), 0)
        return
    cut = text_files.long_text if long else text_files.whole_texts
    empty = True
    for document in cut(file, documents_at, max_characters):
        empty = False
        values = {"text": document.text, **given, DOCUMENT: document.title}
        yield Row(values, str(file), document.line)
    if empty:
        yield DeadLetter(str(file), 0, EMPTY_TEXT, "no text")


def _check_reading(reading: Reading) -> None:
    """Raises DataError if a kept column has a feature's name, or documents_at is no pattern."""
    for name in reading.columns:
        if name in _TAKEN:
            raise DataError(
                f"reading.columns: {name!r} is the name of a feature. Rename this column in the"
                " source, or leave it out."
            )
    try:
        re.compile(reading.documents_at)
    except re.error as error:
        raise DataError(
            f"reading.documents_at: expected a regular expression, got {reading.documents_at!r}:"
            f" {error}. Correct it in the task's task.toml."
        ) from error


def _check_text_columns(source: Source, task: Task, reading: Reading) -> None:
    """Raises DataError if the task wants a column that text files do not have."""
    if task.kind == "classification" and Path(source.path).is_file():
        raise DataError(
            f"{source.path}: expected texts with their classes, got one text. Give a table (.csv,"
            " .tsv, .jsonl, .parquet), or a folder with one sub-folder of text files per class."
        )
    for name in wanted_columns(task, reading):
        if name not in (reading.text, *_TEXT_COLUMNS):
            hint = ' The class of a text may be its folder: label = "folder".'
            raise DataError(
                f"{source.path}: expected the column {name!r}, but text files have only"
                f" {', '.join(_TEXT_COLUMNS)}. Name one of these in [reading] of the task's"
                f" task.toml.{hint if name == reading.label else ''}"
            )
