"""The presets: named configurations of a task, put together from its task.toml."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data import task_files
from data.errors import UserError
from data.task_files import TaskFile
from pipeline.config import RunConfig
from pipeline.settings import config_from_dict

_LIKE = "like"  # key of a preset: the preset that it changes


def preset(task: str, name: str, tasks: Path | None = None) -> RunConfig:
    """The named configuration of a task, built-in or in the folder `tasks`.

    Raises:
        UserError: if there is no such task or preset, or its files are not as they should be.
    """
    return of_file(task_files.find(task, tasks), name)


def of_file(file: TaskFile, name: str) -> RunConfig:
    """The named configuration of a task that has been read; raises as `preset`."""
    task = file.task.name
    presets = names(file)
    if name not in presets:
        raise UserError(f"preset of {task}: expected one of {', '.join(presets)}, got {name!r}")
    values = {
        "task": dataclasses.asdict(file.task),
        "preset": name,
        "schema": file.schema,
        "reading": dataclasses.asdict(file.reading),
        "checks": dataclasses.asdict(file.checks),
        "about": dataclasses.asdict(file.about),
        **_sections(file, name),
    }
    return config_from_dict(values, where=str(file.file))


def names(file: TaskFile) -> tuple[str, ...]:
    """The names of a task's presets: those of the task that it is based on, then its own."""
    inherited = names(_base(file)) if file.base else ()
    return (*inherited, *(name for name in file.presets if name not in inherited))


def _base(file: TaskFile) -> TaskFile:
    return task_files.find(file.base)


def _sections(file: TaskFile, name: str) -> dict[str, Any]:
    """The sections of a preset, as values."""
    own = dict(file.presets.get(name, {}))
    like = own.pop(_LIKE, None)
    if like is not None and (like == name or like not in names(file)):
        raise UserError(f"{file.file}: presets.{name}.{_LIKE}: there is no other preset {like!r}")
    sections: Mapping[str, Any] = {}
    if like is not None:
        sections = _sections(file, like)
    elif file.base:
        base = _base(file)
        sections = _sections(base, name if name in names(base) else "quick")
    return _merged(_merged(sections, file.settings), own)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Sections with the changes of single fields."""
    merged = dict(values)
    for section, fields in changes.items():
        if isinstance(fields, Mapping) and isinstance(merged.get(section, {}), Mapping):
            merged[section] = {**merged.get(section, {}), **fields}
        else:
            merged[section] = fields
    return merged
