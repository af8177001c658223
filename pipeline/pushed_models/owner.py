"""Whose versions a folder of pushed models holds: one task's alone.

Clients rely on what a name serves. So a task of the same name but of another kind, or with other
classes, may not push to the folder, nor be compared with what is in it.
"""

from __future__ import annotations

import json
from pathlib import Path

from components import serving_versions
from data.errors import UserError
from data.tasks import Task

_CARD = "assets.extra/model_card.json"


def check(serving_models: Path, task: Task) -> None:
    """Compares a task with the model card of its newest pushed version, if there is one.

    Raises:
        UserError: if that version is of another task.
    """
    folder = serving_models / task.name
    versions = serving_versions.versions(folder)
    card = folder / str(versions[-1]) / _CARD if versions else None
    if card is None or not card.is_file():
        return
    pushed = json.loads(card.read_text("utf-8"))
    for what, of_task in (("kind", task.kind), ("classes", list(task.classes))):
        if what in pushed and pushed[what] != of_task:
            raise UserError(
                f"{folder}: holds models of another task, of the {what} {_told(pushed[what])}, not"
                f" {_told(of_task)}; rename the task's folder, or move {folder} away"
            )


def _told(value: str | list[str]) -> str:
    return value if isinstance(value, str) else f"({', '.join(value)})"
