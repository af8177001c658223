"""Versions of a served model, `<base>/<version>`: atomic, with increasing numbers.

TensorFlow Serving polls `<base>` and serves the highest number. So a version appears by one
rename, and its number is higher than all before:

    <base>/1795540775              a version
    <base>/.unfinished-1795540776  being written, or left behind by a killed process
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_UNFINISHED = ".unfinished-"
_STALE = 24 * 3600  # seconds after which an unfinished version counts as left behind


def versions(base: Path) -> list[int]:
    """Returns the versions in a folder, oldest first."""
    if not base.is_dir():
        return []
    return sorted(int(v.name) for v in base.iterdir() if v.name.isdigit() and v.is_dir())


def publish(base: Path, write: Callable[[Path], object]) -> int:
    """Adds a version atomically.

    Processes may publish at the same time: each gets its own number, and the one that starts
    later the higher number.

    Args:
        base: the folder of versions; created if needed.
        write: fills the empty folder that it is given.

    Returns:
        The version: the time in seconds, or one more than the highest if that is higher.

    Raises:
        OSError: from `write`, such as a full disk; `base` then has no new version.
    """
    base.mkdir(parents=True, exist_ok=True)
    version, unfinished = _claim(base)
    try:
        write(unfinished)
        _synchronize(unfinished)
        unfinished.rename(base / str(version))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    # After the rename another process may claim the same name, so it is not removed here.
    _synchronize_folder(base)
    return version


def prune(base: Path, keep: int, spare: int) -> list[int]:
    """Deletes all but the `keep` newest versions and `spare`; returns the deleted ones.

    A rename hides each version first, so that no server finds a part of it.
    """
    old = [version for version in versions(base)[:-keep] if version != spare]
    for version in old:
        gone = base / f"{_UNFINISHED}old-{version}"
        try:
            (base / str(version)).rename(gone)
        except FileNotFoundError:  # another push deleted it
            continue
        shutil.rmtree(gone, ignore_errors=True)
    for left in base.glob(f"{_UNFINISHED}*"):
        if time.time() - left.stat().st_mtime > _STALE:
            shutil.rmtree(left, ignore_errors=True)
    return old


def _claim(base: Path) -> tuple[int, Path]:
    """Returns a number above all others, and the folder whose name claims it."""
    while True:
        claims = [path.name.removeprefix(_UNFINISHED) for path in base.glob(f"{_UNFINISHED}*")]
        taken = [*versions(base), *(int(claim) for claim in claims if claim.isdigit())]
        version = max(int(time.time()), max(taken, default=0) + 1)
        unfinished = base / f"{_UNFINISHED}{version}"
        try:
            unfinished.mkdir()  # succeeds in one process only
        except FileExistsError:
            continue
        if max(versions(base), default=0) < version:
            return version, unfinished
        unfinished.rmdir()  # another process published it before the claim


def _synchronize(folder: Path) -> None:
    """Flushes all files to disk; a full disk may show only now."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _synchronize_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
