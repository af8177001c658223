"""SHA-256 of the files of a folder, and what differs from them.

A pushed version carries its own in assets.extra/SHA256SUMS. That is sha256sum's format, so that
`sha256sum -c assets.extra/SHA256SUMS` checks a version too, from inside its folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

SUMS = "assets.extra/SHA256SUMS"  # of a version
_BYTES = 1 << 20  # read at a time


def of_files(path: Path) -> dict[str, str]:
    """SHA-256, in hexadecimal, of each file below a folder, by its name relative to the folder.

    Of a file itself, which is named "."; empty if there is nothing at `path`.

    Raises:
        OSError: if a file cannot be read.
    """
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return {each.relative_to(path).as_posix(): _sha256(each) for each in found if each.is_file()}


def differences(path: Path, expected: Mapping[str, str], *, may_grow: bool = False) -> list[str]:
    """What is not as expected below `path`, one line a file: "FILE is missing".

    Args:
        path: a folder or file.
        expected: what `of_files` returned of it.
        may_grow: whether files that were added are no difference.
    """
    try:
        found = of_files(path)
    except OSError as error:
        return [f"{error.filename} cannot be read: {error.strerror}"]
    names = expected if may_grow else {*found, *expected}
    return [
        f"{path / name} {_difference(found.get(name), expected.get(name))}"
        for name in sorted(names)
        if found.get(name) != expected.get(name)
    ]


def write_sums(version: Path) -> None:
    """Writes SUMS of a version that is not published yet; replaces those of a copied one."""
    sums = version / SUMS
    sums.unlink(missing_ok=True)  # may be a hard link to another version's
    lines = [f"{sha256}  {name}\n" for name, sha256 in of_files(version).items()]
    sums.parent.mkdir(exist_ok=True)
    sums.write_text("".join(lines), "utf-8")


def damage(version: Path) -> list[str]:
    """What has changed or is missing of the files in a version's SUMS, one line a file.

    Empty for a version without SUMS. Files that were added, warm-up requests for example, are no
    damage.
    """
    try:
        lines = (version / SUMS).read_text("utf-8").splitlines()
        expected = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        return [f"{version / SUMS} cannot be read: {error}"]
    if not expected or not all(expected):  # a line without a name
        return [f"{version / SUMS} has changed"]
    return differences(version, expected, may_grow=True)


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
