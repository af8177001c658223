"""`tf-mamba rollback TASK`: a former version serves again, as a new and higher version.

A server takes the highest version that there is, and numbers must not go back: another client
may have seen the newer one. So the former version's content is published once more, and says
in assets.extra/rolled_back.json what it is:

    {"rolled_back_from": 1795540990, "content_of": 1795540775, "at": "2026-11-24T18:30:00+00:00"}
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
from pathlib import Path
from typing import Any

from components import serving_versions
from data.errors import UserError

NOTE = "assets.extra/rolled_back.json"


def rollback(serving_models: Path, task: str, to: int | None = None) -> tuple[int, int, int]:
    """Publishes a former version again.

    Args:
        serving_models: the folder of all tasks' models.
        task: whose.
        to: the version whose content shall serve; None: the one before the newest, and before
            those that a rollback has left since then.

    Returns:
        The new version, the version that it has the content of, the version that served.

    Raises:
        UserError: if there is no former version, or not that one.
        OSError: if it can't be written; then nothing has changed.
    """
    base = serving_models / task
    found = serving_versions.versions(base)
    if not found:
        raise UserError(f"{base}: there is no version; `tf-mamba run {task}` trains and pushes one")
    serving = found[-1]
    if to is None:
        to = _before(base, found)
    listed = ", ".join(map(str, found))
    if to is None:
        raise UserError(
            f"{base}: {serving} is the oldest of what served, there is nothing to roll back to;"
            f" versions: {listed}; --to names one of them"
        )
    if to not in found:
        raise UserError(f"{base}: there is no version {to}; expected one of {listed}")
    if to == serving:
        raise UserError(f"{base}: version {to} serves already; expected one of {listed}")

    def write(folder: Path) -> None:
        # Versions never change, so that one file may stand in two of them.
        shutil.copytree(base / str(to), folder, copy_function=_link, dirs_exist_ok=True)
        note = folder / NOTE
        note.parent.mkdir(exist_ok=True)
        note.unlink(missing_ok=True)  # of a former rollback: a link to that version's file
        note.write_text(json.dumps(_note(serving, content_of(base, to)), indent=2) + "\n", "utf-8")

    return serving_versions.publish(base, write), to, serving


def _before(base: Path, found: list[int]) -> int | None:
    """The newest version older than what serves: a second rollback goes one further back."""
    content = content_of(base, found[-1])
    return max((version for version in found if version < content), default=None)


def content_of(base: Path, version: int) -> int:
    """The version whose content it has: its own, but for a rollback."""
    note = base / str(version) / NOTE
    return json.loads(note.read_text("utf-8"))["content_of"] if note.exists() else version


def _note(serving: int, content: int) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {"rolled_back_from": serving, "content_of": content, "at": now}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
