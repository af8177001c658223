"""Opens the files of users: regular files only, also by links.

Opening a named pipe waits for a writer, and a device such as /dev/zero has no end, so everything
else is refused before it is opened.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from data.errors import DataError

FILE, FOLDER, NOTHING, BROKEN_LINK = "file", "folder", "nothing", "link that leads nowhere"
_OTHERS = (
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISSOCK, "socket"),
)


def kind_of(path: Path) -> str:
    """What is at a path, links resolved: FILE, FOLDER, NOTHING, BROKEN_LINK, "named pipe", ..."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a path with NUL
        return BROKEN_LINK if os.path.islink(path) else NOTHING
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return FOLDER
    return next((name for is_it, name in _OTHERS if is_it(mode)), "special file")


def is_file(path: Path) -> bool:
    """Whether a regular file is there; false for a folder or nothing.

    Raises:
        DataError: if it is anything else.
    """
    kind = kind_of(path)
    if kind in (FILE, FOLDER, NOTHING):
        return kind == FILE
    raise _refused(path, kind)


def open_bytes(path: Path) -> BufferedReader:
    """Opens a regular file.

    Raises:
        DataError: if it is anything else, or cannot be opened.
    """
    kind = kind_of(path)
    if kind == NOTHING:
        raise DataError(f"{path}: no such file.")
    if kind != FILE:
        raise _refused(path, kind)
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def _refused(path: Path, kind: str) -> DataError:
    if kind == FOLDER:
        remedy = "Name the file itself"
    elif kind == BROKEN_LINK:
        remedy = "Mend or remove it"
    else:
        remedy = "Copy what it gives into a file"
    return DataError(f"{path}: expected a regular file, got a {kind}. {remedy}.")
