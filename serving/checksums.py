"""SHA-256 of the files of a folder, and what differs from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

_BYTES = 1 << 20  # read at a time


def of_files(path: Path) -> dict[str, str]:
    """SHA-256, in hexadecimal, of each file below a folder, by its name relative to the folder.

    Of a file itself, which is named "."; empty if there is nothing at `path`.

    Raises:
        OSError: if a file cannot be read.
    """
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return {each.relative_to(path).as_posix(): _sha256(each) for each in found if each.is_file()}


def differences(path: Path, expected: Mapping[str, str]) -> list[str]:
    """What is not as expected below `path`, one line a file: "FILE is missing".

    Args:
        path: a folder or file.
        expected: what `of_files` returned of it.
    """
    try:
        found = of_files(path)
    except OSError as error:
        return [f"{error.filename} cannot be read: {error.strerror}"]
    found_or_expected = sorted({*found, *expected})
    return [
        f"{path / name} {_difference(found.get(name), expected.get(name))}"
        for name in found_or_expected
        if found.get(name) != expected.get(name)
    ]


def _difference(found: str | None, expected: str | None) -> str:
    if found is None:
        return "is missing"
    return "has been added" if expected is None else "has changed"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
