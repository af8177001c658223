"""Files that are there whole or not at all.

Content goes to a temporary file beside the final one, which then takes its name. A reader finds
the old content or the new one; a failed or killed writer leaves the old one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path, folder: str | Path | None = None) -> Iterator[Path]:
    """Yields a temporary path; when the block succeeds, the file there moves to `path`.

    Args:
        path: the final file; its folder is created if needed.
        folder: of the temporary file, on the same file system; None: that of `path`.

    Raises:
        OSError: if the file cannot be written; then `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unique, as several processes may write the same file.
    unfinished = Path(folder or path.parent) / f".{path.name}.{secrets.token_hex(4)}"
    try:
        yield unfinished
        with unfinished.open("rb") as stream:
            os.fsync(stream.fileno())  # a full disk may only show now
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8, whole or not at all; raises as `whole_file`."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
