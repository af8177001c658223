"""The output of a corpus reader: records and dead letters; and the source that it reads.

data/readers.py says what a reader is. `components/text_example_gen` turns its output into Examples,
a dead-letter file and the ledger that data/checks.py reads.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.regular_files import BROKEN_LINK, FOLDER, kind_of, open_bytes

SPLITS = ("train", "eval", "test")
ONE_SHARD = "all"  # of a source that cannot be read in parts

INVALID_UTF8 = "invalid_utf8"
EMPTY_TEXT = "empty_text"
BAD_LABEL = "bad_label"
MALFORMED_LINE = "malformed_line"
TOO_LONG = "too_long"
BAD_SPLIT = "bad_split"
REASONS = (INVALID_UTF8, EMPTY_TEXT, BAD_LABEL, MALFORMED_LINE, TOO_LONG, BAD_SPLIT)

EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class Record:
    """One usable example.

    Attributes:
        key: unique in its corpus; keys sort in the order of the source (zero-padded numbers).
        split: one of SPLITS.
        features: raw feature names (as in data/features.py) to values.
        file: the file that holds it, for messages.
        line: its first line in the file, from 1; 0 if the file is one record.
    """

    key: str
    split: str
    features: Mapping[str, str | int]
    file: str
    line: int


@dataclass(frozen=True)
class DeadLetter:
    """A record that cannot be used, and why.

    Attributes:
        file, line: as in Record.
        reason: one of REASONS.
        excerpt: the start of its text, at most EXCERPT_CHARACTERS.
        row: the whole record: its columns, or what else the file holds; None: it is too long, or
            there is none. See data/dead_letters.py.
    """

    file: str
    line: int
    reason: str
    excerpt: str
    row: Mapping[str, Any] | str | None = None

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"reason: expected one of {REASONS}, got {self.reason!r}")
        object.__setattr__(self, "excerpt", self.excerpt[:EXCERPT_CHARACTERS])


@dataclass(frozen=True)
class Source:
    """A verified source of records. Holds plain values only.

    Attributes:
        kind: the format, such as "packaged", "csv", "text".
        path: of the file or folder, or a glob pattern.
        sha256: of the content, in hexadecimal; of a folder, by `folder_sha256`.
        shards: names of the parts, each of which can be read on its own.
    """

    kind: str
    path: str
    sha256: str
    shards: tuple[str, ...]


def file_of_package(package: str, name: str) -> Path:
    """Finds a file, "<module>/<path>", of an installed package without importing it.

    Raises:
        DataError: if the package is not installed or lacks the file.
    """
    module, _, path = name.partition("/")
    spec = importlib.util.find_spec(module)
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / path
        if file.is_file():
            return file
    raise DataError(
        f"the package {package} is not installed: install it, or name a file as source."
    )


def packaged_source(package: str, file: Path, sha256: str) -> Source:
    """Returns a package's file as a source with one shard, ONE_SHARD.

    Raises:
        DataError: if the SHA-256 of `file` is not `sha256`.
    """
    if (got := file_sha256(file)) != sha256:
        raise DataError(
            f"{file}: the packaged text has changed: expected SHA-256 {sha256}, got {got}. "
            f"Install the pinned {package} again, or name your file as source."
        )
    return Source("packaged", str(file), sha256, (ONE_SHARD,))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; reads in pieces and raises as `open_bytes`."""
    digest = hashlib.sha256()
    with open_bytes(path) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def folder_sha256(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 of the sorted list of (name relative to `folder`, SHA-256 of the file).

    Of a folder and of a link that leads nowhere only the name counts. Raises as `open_bytes`.
    """
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        content = "" if kind_of(path) in (BROKEN_LINK, FOLDER) else file_sha256(path)
        digest.update(f"{name}\t{content}\n".encode())
    return digest.hexdigest()
