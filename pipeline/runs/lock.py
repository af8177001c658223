"""A lock that allows one run per task at a time in a root folder.

    runs/.imdb.lock      {"pid": 4711, "run": "20261124-171423-925385-quick"}

The lock is an flock, which the system releases when the process ends, also if it is killed. A
file that has content but is not locked was left by a killed process.
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

    Warns on standard error if the last process that held it was killed.

    Args:
        run_id: shown to other processes that ask for the lock.

    Raises:
        UserError: if another process, or this one, holds it already.
    """
    path = _path(runs, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = _read(path)
            raise UserError(
                f"{task}: {by.get('run', 'a run')} is running in {runs} (process"
                f" {by.get('pid', 'unknown')}); wait until it ends, or use another --root"
            ) from None
        if left := _read(path):
            print(
                f"{task}: {left.get('run', 'the last run')} was killed (process"
                f" {left.get('pid', 'unknown')}); the stages that it finished are reused",
                file=sys.stderr,
            )
        _write(path, json.dumps({"pid": os.getpid(), "run": run_id}))
        try:
            yield
        finally:
            _write(path, "")


def holder(runs: Path, task: str) -> str | None:
    """The `run_id` of the process that holds the lock; None if none does."""
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
    """The `run_id` of the process that holds the lock or was killed with it; None if none.

    This only reads the file, so it also works from another machine: a shared folder may not
    share its locks.
    """
    try:
        return _read(_path(runs, task)).get("run")
    except OSError:
        return None


def _path(runs: Path, task: str) -> Path:
    return runs / f".{task}.lock"


def _write(path: Path, text: str) -> None:
    # In place: a file that replaced the locked one would not be locked.
    path.write_text(text, "utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8") or "{}")
    except ValueError:  # the holder is writing it just now
        return {}
    return content if isinstance(content, dict) else {}
