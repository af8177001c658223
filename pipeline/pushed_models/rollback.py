"""`tf-mamba rollback TASK`: serves a former version again, as a new and higher version.

Servers take the highest version, and numbers must not decrease, because a client may have seen the
newer one. So the former version's content is published again, with a note in
assets.extra/rolled_back.json:

    {"rolled_back_from": 1795540990, "content_of": 1795540775, "at": "2026-11-24T18:30:00+00:00"}
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
from pathlib import Path

from components import serving_versions
from data.errors import UserError
from data.files import write_whole
from pipeline.pushed_models.model import latest_version
from serving import checksums

NOTE = "assets.extra/rolled_back.json"


def rollback(serving_models: Path, task: str, to: int | None = None) -> tuple[int, int, int]:
    """Publishes a former version again.

    Args:
        serving_models: the folder of all tasks' models.
        task: the task to roll back.
        to: the version whose content to serve; None: the newest version older than the content
            that serves now, so that a second rollback goes one version further back.

    Returns:
        The new version, the version whose content it has, the version that served before.

    Raises:
        UserError: if there is no former version, no version `to`, or its files have changed.
        OSError: if the new version cannot be written; nothing has changed then.
    """
    base = serving_models / task
    serving = int(latest_version(serving_models, task).name)
    found = serving_versions.versions(base)
    if to is None:
        content = content_of(base, serving)
        to = max((version for version in found if version < content), default=None)
    listed = ", ".join(map(str, found))
    if to is None:
        raise UserError(
            f"{base}: there is nothing to roll back to: the oldest content serves;"
            f" versions: {listed}; --to chooses one of them"
        )
    if to not in found:
        raise UserError(f"{base}: there is no version {to}; expected one of {listed}")
    if to == serving:
        raise UserError(f"{base}: version {to} serves now; expected one of {listed}")
    if damage := checksums.damage(base / str(to)):
        raise UserError(f"{damage[0]} since it was pushed; --to chooses another version: {listed}")

    def write(folder: Path) -> None:
        # Versions never change, so two of them can share files by hard links.
        shutil.copytree(base / str(to), folder, copy_function=_link, dirs_exist_ok=True)
        # Replaces the note of a former rollback, without writing to the file that it links to.
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        note = {"rolled_back_from": serving, "content_of": content_of(base, to), "at": now}
        write_whole(folder / NOTE, json.dumps(note, indent=2) + "\n")
        checksums.write_sums(folder)

    return serving_versions.publish(base, write), to, serving


def content_of(base: Path, version: int) -> int:
    """The version whose content a version has: itself, or after a rollback the former version."""
    note = base / str(version) / NOTE
    return json.loads(note.read_text("utf-8"))["content_of"] if note.exists() else version


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
