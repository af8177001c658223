"""Atomic writing of files.

The content is written to a temporary file, which is then renamed. A reader finds the old
content or the new, never a part; a failed or killed writer leaves the old.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path, folder: str | Path | None = None) -> Iterator[Path]:
    """Yields a temporary path; if the block succeeds, renames the file there to `path`.

    Args:
        path: the final file; its folder is created if needed.
        folder: of the temporary file, on the same file system; default: the folder of `path`.

    Raises:
        OSError: if the file cannot be written; `path` is then unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A unique name, as several processes may write the same file.
    unfinished = Path(folder or path.parent) / f".{path.name}.{secrets.token_hex(4)}"
    try:
        yield unfinished
        with unfinished.open("rb") as stream:
            os.fsync(stream.fileno())  # a full disk may show only now
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Writes a file atomically, text as UTF-8; raises as `whole_file`."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
