"""Changes of a configuration, as the command line takes them, and their checks.

config = with_settings(preset("imdb", "quick"), ["model.d_model=256", "seed=3"])
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from data.errors import UserError
from data.tasks import TASKS
from pipeline.config import RunConfig


def with_settings(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """Applies `section.field=value` (or `field=value`) settings, in order.

    Raises:
        UserError: if a name is unknown or a value isn't of the field's type.
    """
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set: expected section.field=value, got {setting!r}")
        config = _replace(config, name.split("."), value, name)
    _check(config)
    return config


def config_from_dict(kind: type, values: Mapping[str, Any], path: str = "") -> Any:
    """Builds a dataclass from what `dataclasses.asdict` and JSON made of it.

    Args:
        kind: the dataclass, such as RunConfig; its fields may be dataclasses and tuples,
            but not lists.
        values: a value for each field that has no default.
        path: of the fields, for messages.

    Raises:
        UserError: if a field is unknown or missing, or a value is not one that it takes.
    """
    kinds = typing.get_type_hints(kind)
    if unknown := sorted(set(values) - set(kinds)):
        raise UserError(
            f"configuration: this version does not know {path}{unknown[0]}; run the version that"
            " made it"
        )
    fields = {}
    for name, value in values.items():
        is_section = dataclasses.is_dataclass(kinds[name])
        fields[name] = (
            config_from_dict(kinds[name], value, f"{path}{name}.") if is_section else _tuples(value)
        )
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise UserError(f"configuration: {path or kind.__name__}: {error}") from error


def _check(config: RunConfig) -> None:
    """Refuses numbers that no run could use; MambaConfig checks its own."""
    for section, name, least in (
        ("data", "max_characters", 1),
        ("training", "steps", 1),
        ("training", "members", 1),
        ("training", "batch", 1),
        ("training", "window", 1),
        ("training", "accumulate", 1),
        ("training", "evaluate_every", 0),
        ("training", "patience", 0),
        ("training", "checkpoint_every", 1),
        ("pretraining", "steps", 0),
        ("pretraining", "batch", 1),
        ("pretraining", "window", 1),
        ("pretraining", "accumulate", 1),
        ("pretraining", "checkpoint_every", 1),
        ("transform", "head", 0),
        ("transform", "tail", 0),
        ("infra_check", "time_limit", 1),
        ("push", "keep_versions", 1),
    ):
        value = getattr(getattr(config, section), name)
        if value < least:
            raise UserError(f"{section}.{name}: expected {least} or more, got {value}")
    for name in ("fraction", "max_dead_letter_share"):
        value = getattr(config.data, name)
        if not 0 <= value <= 1:
            raise UserError(f"data.{name}: expected 0 to 1, got {value:g}")
    if TASKS[config.task].head == "next_token" and config.model.bidirectional:
        raise UserError(
            f"model.bidirectional: expected false, as {config.task} predicts the next token,"
            " which a model that reads from the end too has seen"
        )
    pretrains = config.pretraining.steps > 0
    if TASKS[config.task].head == "next_token" and pretrains:
        raise UserError(
            f"pretraining.steps: expected 0, as {config.task} is trained on the next token anyway"
        )
    for section in ("training", "pretraining"):
        head = TASKS[config.task].head if section == "training" else "next_token"
        if head == "next_token" and getattr(config, section).members != 1:
            raise UserError(
                f"{section}.members: expected 1, as only sentiment models can answer together"
            )
    if pretrains and config.model.bidirectional:
        raise UserError(
            "model.bidirectional: expected false where pretraining.steps is not 0, as a model"
            " that predicts the next token reads one way"
        )
    if config.pretraining.evaluate_every:
        raise UserError(
            "pretraining.evaluate_every: expected 0; pretraining reads split train only"
        )
    longest = config.training.buckets[-1][0]
    kept = config.transform.head + config.transform.tail
    if TASKS[config.task].head == "sentiment" and not 0 < kept <= longest:
        raise UserError(
            f"transform.head + transform.tail: expected 1 to {longest}, the longest of"
            f" training.buckets, got {kept}"
        )


def _replace(config: Any, path: list[str], value: str, name: str) -> Any:
    kinds = typing.get_type_hints(type(config))
    if path[0] not in kinds or path[0] in ("task", "preset"):
        choices = ", ".join(n for n in kinds if n not in ("task", "preset"))
        raise UserError(f"--set {name}: there is no {path[0]!r}; expected one of {choices}")
    is_section = dataclasses.is_dataclass(kinds[path[0]])
    if is_section != (len(path) > 1):
        raise UserError(f"--set {name}: expected section.field=value, as in model.d_model=256")
    if is_section:
        new = _replace(getattr(config, path[0]), path[1:], value, name)
    else:
        new = _parse(value, kinds[path[0]], name)
    try:
        return dataclasses.replace(config, **{path[0]: new})
    except ValueError as error:  # of MambaConfig's own checks
        raise UserError(f"--set {name}: {error}") from error


def _parse(value: str, kind: Any, name: str) -> Any:
    if isinstance(kind, types.UnionType):  # `int | None`: a setting is never None
        kind = typing.get_args(kind)[0]
    if kind is bool:
        return _parse(value, Literal["true", "false"], name) == "true"
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise UserError(f"--set {name}: expected one of {', '.join(choices)}, got {value!r}")
        return value
    try:
        if kind in (int, float):
            return kind(value)
        # buckets: 144x28,208x20
        pairs = (pair.split("x") for pair in value.split(","))
        return tuple((int(length), int(batch)) for length, batch in pairs)
    except ValueError:
        expected = kind.__name__ if kind in (int, float) else "LENGTHxBATCH,..."
        raise UserError(f"--set {name}: expected {expected}, got {value!r}") from None


def _tuples(value: Any) -> Any:
    """Lists as tuples, which JSON does not know, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
