"""Reads task.toml and the schema beside it.

Built-in tasks are folders of data/; a user's own tasks are folders of `tasks/` in the root folder:

    tasks/tickets/task.toml       what the task is, see below
    tasks/tickets/schema.pbtxt    its reviewed schema, in protobuf's text format

Tables of task.toml: [normal_form] of data/tasks.py's Task, [reading], [checks] and [about] as
declared there; [presets.NAME] and the other tables are sections of pipeline/config.py's RunConfig.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pydantic

import data
from data.errors import UserError
from data.normal_form import NormalForm
from data.regular_files import open_bytes
from data.tasks import About, Checks, Kind, Name, Reading, Task

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE, SCHEMA = "task.toml", "schema.pbtxt"
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Address:
    """The official address of a corpus, and how its file is verified."""

    url: str
    name: str  # of the file
    # Of the file; "": its content changes from time to time, and the task's checks verify it.
    sha256: str = ""


@dataclass(frozen=True)
class TaskFile:
    """The content of a task's folder.

    Attributes:
        file: of task.toml.
        source: the corpus, if `--source` names no other; None: the reader's packaged corpus.
        download: the official address of a corpus that is not packaged; None: there is none.
        base: the built-in task whose presets the task's own change; "" for a built-in task.
        schema: in protobuf's text format.
        settings: sections of the RunConfig in all presets, as read.
        presets: name to sections of the RunConfig, as read; its key `like` names the preset that it
            changes.
    """

    file: Path
    task: Task
    reading: Reading
    checks: Checks
    about: About
    schema: str
    source: str | None
    download: Address | None
    base: str
    settings: Table
    presets: Mapping[str, Table]


@dataclass(frozen=True)
class _Toml:
    """The keys of task.toml."""

    kind: Kind
    classes: tuple[Annotated[str, pydantic.Field(min_length=1)], ...] = ()
    source: str | None = None
    download: Address | None = None
    base: str = ""
    normal_form: NormalForm = field(default_factory=NormalForm)
    reading: Reading = field(default_factory=Reading)
    checks: Checks = field(default_factory=Checks)
    about: About = field(default_factory=About)
    data: Table = field(default_factory=dict)
    model: Table = field(default_factory=dict)
    transform: Table = field(default_factory=dict)
    pretraining: Table = field(default_factory=dict)
    training: Table = field(default_factory=dict)
    evaluation: Table = field(default_factory=dict)
    export: Table = field(default_factory=dict)
    infra_check: Table = field(default_factory=dict)
    push: Table = field(default_factory=dict)
    presets: Mapping[str, Table] = field(default_factory=dict)


_SECTIONS = (
    "data",
    "model",
    "transform",
    "pretraining",
    "training",
    "evaluation",
    "export",
    "infra_check",
    "push",
)


def built_in_tasks() -> dict[str, Path]:
    """Name to folder of each built-in task, sorted by name."""
    return _folders(Path(data.__path__[0]))


def own_tasks(tasks: Path | None) -> dict[str, Path]:
    """Name to folder of each task in a folder `tasks`, which need not exist; sorted by name.

    Raises:
        UserError: if one of them has a built-in task's name, as both would share runs and models.
    """
    found = _folders(tasks) if tasks else {}
    for name in sorted(built_in_tasks().keys() & found.keys()):
        raise UserError(
            f"{found[name]}: {name} is a built-in task; rename the folder, so that the two share"
            " neither runs nor pushed models"
        )
    return found


def find(name: str, tasks: Path | None = None) -> TaskFile:
    """Reads the files of a task, built-in or in the folder `tasks`.

    Raises:
        UserError: if there is no such task, or its files are not as they should be; names the
            file, the key and what is expected.
    """
    folders = own_tasks(tasks) | built_in_tasks()
    if name not in folders:
        own = f" or, in {tasks}, a folder with {FILE}" if tasks else ""
        raise UserError(
            f"{name}: there is no such task; expected one of {', '.join(sorted(folders))}{own};"
            " `tf-mamba new` makes one"
        )
    return read(folders[name])


def read(folder: Path) -> TaskFile:
    """Reads task.toml and schema.pbtxt in a folder, whose name is the task's; raises as `find`."""
    file = folder / FILE
    try:
        table = tomllib.loads(_text_of(file))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    toml = validated(_Toml, table, str(file))
    name = validated(Name, folder.name, f"{folder}: the folder's name")
    task = Task(name, toml.kind, toml.classes, toml.normal_form)
    _check(toml, file)
    schema = folder / SCHEMA
    try:
        text = _text_of(schema)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{schema}: cannot be read: {error}") from error
    return TaskFile(
        file=file,
        task=task,
        reading=toml.reading,
        checks=toml.checks,
        about=toml.about,
        schema=text,
        # Relative to the folder, so that the task works from any other.
        source=None if toml.source is None else str((folder / toml.source).resolve()),
        download=toml.download,
        base=toml.base,
        settings={name: table[name] for name in _SECTIONS if name in table},
        presets=table.get("presets", {}),
    )


def _text_of(file: Path) -> str:
    with open_bytes(file) as raw, io.TextIOWrapper(raw, "utf-8") as stream:
        return stream.read()


def validated(type_: Any, value: Any, where: str) -> Any:
    """`value` as a type that pydantic understands.

    Raises:
        UserError: with the place, the key, what is expected and what is there.
    """
    try:
        return pydantic.TypeAdapter(type_).validate_python(value, extra="forbid")
    except pydantic.ValidationError as error:
        raise UserError(explained(error, where)) from error


def explained(error: pydantic.ValidationError, where: str) -> str:
    """The first mistake, on one line."""
    first = error.errors(include_url=False)[0]
    # Values of a union's branches and the like are no keys.
    key = ".".join(str(part) for part in first["loc"])
    place = f"{where}: {key}" if key else where
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{place}: there is no such key; see docs/own-text.md for those that there are"
    if message.startswith("Input should be "):
        expected = message.removeprefix("Input should be ")
        return f"{place}: expected {expected}, got {first['input']!r}"
    if first["type"].startswith("missing"):
        return f"{place}: missing"
    return f"{place}: {message}, got {first['input']!r}"


def _check(toml: _Toml, file: Path) -> None:
    """Rules across keys."""
    classes = toml.classes
    if toml.kind == "classification" and len(classes) < 2:
        raise UserError(f"{file}: classes: expected two or more names, got {list(classes)}")
    if toml.kind == "next-token" and classes:
        raise UserError(f"{file}: classes: expected none, as the task predicts the next token")
    for name in sorted({name for name in classes if classes.count(name) > 1}):
        raise UserError(f"{file}: classes: expected different names, got {name!r} twice")
    for alias, name in toml.reading.aliases.items():
        if name not in classes:
            raise UserError(
                f"{file}: reading.aliases: expected one of {', '.join(classes)} for {alias!r},"
                f" got {name!r}"
            )
    split = toml.reading.split
    if split.by != "hash" and not split.column:
        raise UserError(f"{file}: reading.split.column: expected the name of a column, got none")
    if not 0 < split.eval + split.test < 1:
        raise UserError(
            f"{file}: reading.split: expected shares of eval and test that leave some for train,"
            f" got {split.eval:g} and {split.test:g}"
        )
    bounds = toml.reading.length_buckets
    if list(bounds) != sorted(set(bounds)):
        raise UserError(f"{file}: reading.length_buckets: expected rising numbers, got {bounds}")
    own = file.parent not in built_in_tasks().values()
    if own and toml.base not in built_in_tasks():
        raise UserError(
            f"{file}: base: expected one of {', '.join(built_in_tasks())}, whose presets the"
            f" task's own change, got {toml.base!r}"
        )


def _folders(parent: Path) -> dict[str, Path]:
    return {file.parent.name: file.parent for file in sorted(parent.glob(f"*/{FILE}"))}
