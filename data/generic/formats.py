"""Which files a source has, and their format."""

from __future__ import annotations

import glob
import itertools
from pathlib import Path

from data.errors import DataError
from data.generic import parquet
from data.generic.streams import first_bytes
from data.regular_files import is_file

CSV, JSON, PARQUET, TEXT = "csv", "json", "parquet", "text"
_SUFFIXES = {
    ".csv": CSV,
    ".tsv": CSV,
    ".tab": CSV,
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".txt": TEXT,
    ".text": TEXT,
    ".md": TEXT,
}


def files_of(path: str) -> tuple[Path, list[Path]]:
    """The folder of a source and its files, sorted.

    Args:
        path: of a file or folder, or a glob pattern. In a folder, hidden files and those that are
            no data by their names are left out.

    Raises:
        DataError: if there is no such file, or one is no regular file.
    """
    place = Path(path)
    if is_file(place):
        return place.parent, [place]
    if place.is_dir():
        files = sorted(
            file
            for file in place.rglob("*")
            if not any(part.startswith(".") for part in file.relative_to(place).parts)
            and _by_suffix(file) is not None
            and file.suffix.lower() != ".md"  # a README beside the data
            and is_file(file)
        )
        if not files:
            raise DataError(
                f"{path}: expected files that end in {', '.join(_SUFFIXES)}, found none. Name the"
                " folder that holds them."
            )
        return place, files
    if glob.has_magic(path):
        found = map(Path, glob.glob(path, recursive=True))
        files = sorted(file for file in found if is_file(file))
        if not files:
            raise DataError(f"{path}: expected files that match the pattern, found none.")
        fixed = itertools.takewhile(lambda part: not glob.has_magic(part), place.parts[:-1])
        return Path(*fixed), files
    raise DataError(f"{path}: no such file or folder.")


def _by_suffix(file: Path) -> str | None:
    return _SUFFIXES.get(Path(file.name.removesuffix(".gz")).suffix.lower())


def kind_of(file: Path) -> str:
    """The format of a file, by its name or else by its first bytes.

    Raises:
        DataError: if neither tells it.
    """
    if (kind := _by_suffix(file)) is not None:
        return kind
    start = first_bytes(file, 64).lstrip()
    if start.startswith(parquet.MAGIC):
        return PARQUET
    if start.startswith((b"{", b"[")):
        return JSON
    raise DataError(
        f"{file}: expected a name that ends in {', '.join(_SUFFIXES)}, which tells the format (also"
        " with .gz). Rename it."
    )
