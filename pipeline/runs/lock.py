"""One run of a task at a time in a root folder.

    runs/.imdb.lock      {"pid": 4711, "run": "20261124-171423-925385-quick"}

The lock is flock's, which the system takes back when its process ends, however it ends. So a
file with something in it that is not locked is what a killed process left.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.errors import UserError


@contextmanager
def hold(runs: Path, task: str, run_id: str) -> Iterator[None]:
    """Holds the lock of a task.

    Says on standard error if the last process that held it was killed.

    Args:
        run_id: what the others are told.

    Raises:
        UserError: if another process holds it, or this one does already.
    """
    path = _path(runs, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = _read(path)
            raise UserError(
                f"{task}: {by.get('run', 'a run')} is going on in {runs} (process"
                f" {by.get('pid', 'unknown')}); wait for its end, or use another --root"
            ) from None
        if left := _read(path):
            print(
                f"{task}: {left.get('run', 'the run before')} was killed (process"
                f" {left.get('pid', 'unknown')}); what it finished is used again",
                file=sys.stderr,
            )
        _write(path, json.dumps({"pid": os.getpid(), "run": run_id}))
        try:
            yield
        finally:
            _write(path, "")


def holder(runs: Path, task: str) -> str | None:
    """The run that is going on, as `hold` was told; None if none is."""
    path = _path(runs, task)
    if not path.exists():
        return None
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(path).get("run")
    return None


def told(runs: Path, task: str) -> str | None:
    """The run that is going on or was killed, to a process on another machine too.

    Where folders are shared, locks may not be; so this only reads what the holder wrote.
    """
    try:
        return _read(_path(runs, task)).get("run")
    except OSError:
        return None


def _path(runs: Path, task: str) -> Path:
    return runs / f".{task}.lock"


def _write(path: Path, text: str) -> None:
    # Into the locked file itself: one that took its place would not be locked.
    path.write_text(text, "utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8") or "{}")
    except ValueError:  # read while it was written
        return {}
    return content if isinstance(content, dict) else {}
