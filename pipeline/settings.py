"""Changes and validates a configuration.

    config = with_settings(preset("imdb", "quick"), ["model.d_model=256", "seed=3"])

config.py declares the types and bounds, which pydantic checks; rules across fields are here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from data.errors import UserError
from data.task_files import explained
from pipeline.config import RunConfig

# A model's least vocabulary: padding, start and the 256 bytes, and one learned piece.
LEAST_VOCABULARY = 259
_MOST = 2_147_483_647  # of a model's sizes: 32 bits
_OF_THE_TASK = ("task", "reading", "about")  # sections that only task.toml changes


def with_settings(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """Applies `section.field=value` (or `seed=value`) settings in order, and validates the whole.

    Raises:
        UserError: if a name is unknown, a value does not suit its field, or values do not
            suit each other.
    """
    values = dataclasses.asdict(config)
    texts = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set: expected section.field=value, got {setting!r}")
        fields, field = _find(values, name)
        # buckets: 144x28,208x20
        fields[field] = (
            [pair.split("x") for pair in text.split(",")] if field == "buckets" else text
        )
        texts[name] = text
    try:
        return _validated(values)
    except pydantic.ValidationError as error:
        raise UserError(_explained(error, texts)) from error


def config_from_dict(values: Mapping[str, Any], where: str = "configuration") -> RunConfig:
    """The inverse of `dataclasses.asdict` and JSON.

    Args:
        where: the values are from, for messages.

    Raises:
        UserError: if a field is unknown or missing, a value does not suit its field, or values
            do not suit each other.
    """
    try:
        return _validated(values)
    except pydantic.ValidationError as error:
        raise UserError(explained(error, where)) from error
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _find(values: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """The values among which a setting's field is, and the field's name."""
    section, _, field = name.rpartition(".")
    sections = {
        key: value
        for key, value in values.items()
        if isinstance(value, dict) and key not in _OF_THE_TASK
    }
    if name == "seed":
        return values, name
    if section not in sections:
        raise UserError(
            f"--set {name}: expected section.field=value, as in model.d_model=256, with one of"
            f" the sections {', '.join(sections)}"
        )
    if field not in sections[section]:
        raise UserError(
            f"--set {name}: {section} has no {field!r}; expected one of"
            f" {', '.join(sections[section])}"
        )
    return sections[section], field


def _validated(values: Mapping[str, Any]) -> RunConfig:
    """Raises pydantic.ValidationError or UserError."""
    config = pydantic.TypeAdapter(RunConfig).validate_python(values, extra="forbid")
    _check_across_fields(config)
    return config


def _explained(error: pydantic.ValidationError, texts: Mapping[str, str]) -> str:
    """The first mistake on one line; `texts`: values as the user gave them, by name."""
    first = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"][:2]))
    place = f"--set {name}" if name in texts else name
    value = texts.get(name, first["input"])
    if name.endswith(".buckets"):
        return f"{place}: expected LENGTHxBATCH,... of numbers from 1 on, got {value!r}"
    message = re.sub(", unable to .*", "", first["msg"]).removeprefix("Value error, ")
    if message.startswith("Input should be "):
        return f"{place}: expected {message.removeprefix('Input should be ')}, got {value!r}"
    return f"{place}: {message}"


def _check_across_fields(config: RunConfig) -> None:
    task, classifies = config.task.name, config.task.kind == "classification"
    pretrains = config.pretraining.steps > 0
    _check_sizes(config)
    if config.training.steps < 1:
        raise UserError(f"training.steps: expected 1 or more, got {config.training.steps}")
    if config.model.bidirectional and not classifies:
        raise UserError(
            f"model.bidirectional: expected false, as {task} predicts the next token,"
            " which a bidirectional model has already seen"
        )
    if config.model.bidirectional and pretrains:
        raise UserError(
            "model.bidirectional: expected false where pretraining.steps is not 0, as a model"
            " that predicts the next token reads one way"
        )
    if pretrains and not classifies:
        raise UserError(
            f"pretraining.steps: expected 0, as {task} is trained on the next token anyway"
        )
    if config.pretraining.members != 1:
        raise UserError("pretraining.members: expected 1, as only a classification has ensembles")
    if config.training.members != 1 and not classifies:
        raise UserError("training.members: expected 1, as only a classification has ensembles")
    if config.pretraining.evaluate_every:
        raise UserError(
            "pretraining.evaluate_every: expected 0, as pretraining reads split train only"
        )
    longest = config.training.buckets[-1][0]
    kept = config.transform.head + config.transform.tail
    if classifies and not 0 < kept <= longest:
        raise UserError(
            f"transform.head + transform.tail: expected 1 to {longest}, the longest of"
            f" training.buckets, got {kept}"
        )
    if config.training.class_weights not in ("equal", "balanced"):
        _check_class_weights(config)


def _check_sizes(config: RunConfig) -> None:
    """Bounds of this pipeline on a model, beyond those of MambaConfig."""
    for name, value in dataclasses.asdict(config.model).items():
        if isinstance(value, int) and value > _MOST:
            raise UserError(f"model.{name}: expected at most {_MOST}, got {value}")
    if config.model.vocabulary_size < LEAST_VOCABULARY:
        raise UserError(
            f"model.vocabulary_size: expected {LEAST_VOCABULARY} or more (padding, start, the 256"
            f" bytes and one learned piece), got {config.model.vocabulary_size}"
        )


def _check_class_weights(config: RunConfig) -> None:
    text, classes = config.training.class_weights, config.task.classes
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != len(classes) or not all(0 < weight < float("inf") for weight in weights):
        raise UserError(
            "training.class_weights: expected equal, balanced or a positive number for each of"
            f" {', '.join(classes) or 'no classes'}, separated by commas, got {text!r}"
        )
