"""Writes task.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

_INDENT = "    "


def rendered(values: Mapping[str, Any]) -> str:
    """The text of task.toml; `values`: what templates/task.toml.j2 names."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.new_task", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"toml": as_toml, "toml_lines": _in_lines}
    return environment.get_template("task.toml.j2").render(values)


def as_toml(value: Any) -> str:
    """A value of TOML, on one line.

    Raises:
        TypeError: if TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    raise TypeError(f"expected a value that TOML has, got {value!r}")


def _in_lines(values: Sequence[str]) -> str:
    """A list with one value a line, if it is too long for one line."""
    line = as_toml(values)
    if len(line) < 80:
        return line
    return "[\n" + "".join(f"{_INDENT}{as_toml(value)},\n" for value in values) + "]"


def _string(text: str) -> str:
    """In '...' if it has a backslash and nothing that such a string cannot hold."""
    if "\\" in text and "'" not in text and all(map(str.isprintable, text)):
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    if character.isprintable():
        return character
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    return short.get(character, f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
