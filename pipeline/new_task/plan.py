"""Puts a new task's files together, checks and writes them."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import task_files
from data.decoding import printable
from data.errors import UserError
from data.features import LABEL, LENGTH_BUCKET, TEXT
from data.files import write_whole
from data.task_files import FILE, SCHEMA
from data.tasks import Name, Reading, Task
from pipeline import baselines, presets
from pipeline.config import DataConfig, RunConfig
from pipeline.new_task import columns, schema, sizing, thresholds
from pipeline.new_task.asked import Asked
from pipeline.new_task.inspection import Found, inspect, quantiles
from pipeline.new_task.normal_forms import normal_form, rules_for
from pipeline.new_task.sizing import PRESETS, Sized
from pipeline.new_task.task_toml import rendered

_MOST_SLICES = 50  # values of a column, to slice the metrics by it
_EXAMPLE = 200  # characters
_ABOUT_THRESHOLDS = {
    "classification": "The thresholds lie between the two. Off: 0.0, max_calibration_error 1.0.",
    "next-token": "quick must need fewer bits than xz, full and best fewer than both. Off: 99.0.",
}


@dataclass(frozen=True)
class Plan:
    """What was found, and the files that follow from it."""

    task: Task
    reading: Reading
    columns: tuple[str, ...]  # of the source
    found: Found
    chance: Mapping[str, Any]
    sized: Sized
    toml: str
    schema: str


def check_name(name: str, tasks: Path, force: bool) -> Path:
    """The folder of a new task.

    Raises:
        UserError: if the name is not one for a task, or is taken; with `force`, only a built-in
            task's name is taken.
    """
    task_files.validated(Name, name, f"the task's name {name!r}")
    if name in task_files.built_in_tasks():
        raise UserError(f"{name}: is the name of a built-in task; choose another")
    folder = tasks / name
    for file in (folder / FILE, folder / SCHEMA):
        if file.exists() and not force:
            raise UserError(f"{file}: is there already; --force overwrites it")
    return folder


def made(asked: Asked, folder: Path) -> Plan:
    """Looks at the source and makes the content of the files of `folder`; writes nothing.

    Raises:
        UserError: if the source, its columns or its classes are not as they should be.
    """
    chosen = columns.chosen(asked)
    reading = chosen.reading
    found = inspect(Task(asked.name, asked.kind, chosen.classes), reading, asked.source)
    _check(asked, chosen.classes, found)
    markup = found.markup / found.total
    task = Task(asked.name, asked.kind, chosen.classes, normal_form(asked.kind, markup))
    if task.classes:
        reading = dataclasses.replace(reading, length_buckets=_length_buckets(found))
    chance = _chance(task, found)
    sized = sizing.sized(task.kind, task.normal_form, found, len(task.classes))
    limit = _max_characters(found)
    values = {
        "title": asked.name,
        "description": _description(task, found),
        "example": _example(task, found),
        "task": task,
        "source": _relative(found.path, folder),
        "sized": sized,
        "reading": reading,
        "rules": rules_for(task.kind),
        "every_class": all(found.class_counts("eval", len(task.classes))),
        "lowest_class_share": _lowest_class_share(task, found, sized),
        "lowest_mean_words": round(sum(found.words) / found.total / 2, 1),
        "max_characters": limit,
        "max_dead_letter_share": DataConfig.max_dead_letter_share,
        "dead_found": f"{found.dead_share:.2%}",
        "slices": _slices(reading, found),
        "chance_lines": chance_lines(chance),
        "about_thresholds": _ABOUT_THRESHOLDS[task.kind],
        "presets": _presets(task, sized, chance),
        "comments": _comments(sized),
    }
    return Plan(
        task=task,
        reading=reading,
        columns=chosen.columns,
        found=found,
        chance=chance,
        sized=sized,
        toml=rendered(values),
        schema=schema.schema_text(task, reading, found, limit),
    )


def write(plan: Plan, folder: Path) -> dict[str, RunConfig]:
    """Writes task.toml and schema.pbtxt, both or none; returns the presets as read back.

    Raises:
        UserError: if what was made is not valid; then nothing is written.
    """
    contents = {FILE: plan.toml, SCHEMA: plan.schema}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as unfinished:
        trial = Path(unfinished, folder.name)
        for name, content in contents.items():
            write_whole(trial / name, content)
        file = task_files.read(trial)
        configs = {name: presets.of_file(file, name) for name in PRESETS}
        if not folder.exists():
            trial.rename(folder)
            return configs
    for name, content in contents.items():
        write_whole(folder / name, content)
    return configs


def chance_lines(chance: Mapping[str, Any]) -> list[str]:
    """What the baselines reach, in words."""
    train, held_out = chance["train"], chance["held_out"]
    lines = [
        f"Chance, and a plain model trained in {chance['seconds']:.0f} s on {_share(train)}"
        f" and scored on {_share(held_out)} of eval:"
    ]
    if majority := chance.get("majority"):
        lines.append(f"  always {majority['class']!r}: {_scores(majority)}")
    if plain := chance.get("tfidf_logistic"):
        lines.append(f"  logistic regression of words (tf-idf): {_scores(plain)}")
    if xz := chance.get("xz"):
        lines.append(f"  xz: {xz['bits_per_char']:.3f} bits per character")
    if ngrams := chance.get("ngrams"):
        bits, order = ngrams["bits_per_char"], ngrams["order"]
        lines.append(f"  {order}-grams of bytes (Kneser-Ney): {bits:.3f} bits per character")
    return lines if len(lines) > 1 else ["Too little text for baselines: no threshold is set."]


def _share(texts: Mapping[str, int]) -> str:
    if texts["texts"] == texts["of"]:
        return f"all {texts['of']:,} texts"
    return f"{texts['texts']:,} of {texts['of']:,} texts"


def _scores(scores: Mapping[str, float]) -> str:
    return (
        f"accuracy {scores['accuracy']:.3f}, macro F1 {scores['macro_f1']:.3f},"
        f" log loss {scores['log_loss']:.3f}"
    )


def _check(asked: Asked, classes: tuple[str, ...], found: Found) -> None:
    for split in ("train", "eval"):
        if not found.records[split]:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.dead.items())
            raise UserError(
                f"{asked.source}: expected usable records in the splits train and eval, found none"
                f" in {split}, {found.total:,} in all"
                + (f"; cannot be used: {reasons}" if reasons else "")
                + "; give more text, or another --split-column or --group-column"
            )
    counts = found.class_counts("train", len(classes))
    for name, count in zip(classes, counts, strict=True):
        if not count:
            raise UserError(
                f"{asked.source}: expected records of each class in split train, found none of"
                f" {printable(name)!r}; add some, or remove or rename that label"
            )


def _length_buckets(found: Found) -> tuple[int, ...]:
    longest = max(found.words)
    bounds = set(quantiles(found.words, 0.25, 0.5, 0.75))
    return tuple(sorted(bound for bound in bounds if 0 < bound < longest))


def _chance(task: Task, found: Found) -> dict[str, Any]:
    apply = task.normal_form.apply
    splits: list[Any] = []
    for split in ("train", "eval"):
        texts = [apply(str(record[TEXT])) for record in found.samples[split]]
        labels = (int(record.get(LABEL, 0)) for record in found.samples[split])
        splits.append(list(zip(texts, labels, strict=True)) if task.classes else texts)
    chance = baselines.measure(task.kind, task.classes, *splits)
    for name, split in (("train", "train"), ("held_out", "eval")):
        chance[name]["of"] = found.records[split]  # of which only a sample is in memory
    return chance


def _max_characters(found: Found) -> int:
    longest = max(found.lengths)
    if longest <= DataConfig.max_characters:
        return DataConfig.max_characters
    return math.ceil(1.25 * longest / 1_000) * 1_000


def _lowest_class_share(task: Task, found: Found, sized: Sized) -> float:
    """Half of the rarest class's share, less if chance may make it rarer in preset smoke."""
    if not task.classes:
        return 0.0
    shares = []
    for split in ("train", "eval"):
        records, rarest = found.records[split], min(found.class_counts(split, len(task.classes)))
        fraction = sized.sections["smoke"]["data"]["fraction"]
        expected = fraction * rarest
        unlucky = max(0.0, expected - 3 * math.sqrt(expected)) / max(1.0, fraction * records)
        shares.append(min(rarest / records / 2, unlucky))
    return math.floor(1_000 * min(shares)) / 1_000


def _slices(reading: Reading, found: Found) -> list[str]:
    lengths = [LENGTH_BUCKET] if reading.length_buckets else []
    few = [name for name in reading.columns if 1 < len(found.values[name]) <= _MOST_SLICES]
    return lengths + few


def _presets(task: Task, sized: Sized, chance: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    limits = thresholds.proposed(task.kind, chance)
    sections = {}
    for name in PRESETS:
        sections[name] = {**sized.sections[name]}
        if name in limits:
            sections[name]["evaluation"] = limits[name]
    return sections


def _comments(sized: Sized) -> dict[str, list[str]]:
    comments: dict[str, list[str]] = {name: [] for name in PRESETS}
    for name, epochs in sized.epochs.items():
        cut = sized.cut.get(name)
        of_texts = "" if cut is None else f"; it reads the whole of {1 - cut:.1%} of the texts"
        comments[name] = [f"About {epochs:.1f} epochs of {sized.tokens:,} tokens{of_texts}."]
    comments["smoke"] = ["Seconds of training on a part of the text: do all stages run?"]
    return comments


def _description(task: Task, found: Found) -> str:
    if task.classes:
        listed = ", ".join(task.classes[:5]) + (", ..." if len(task.classes) > 5 else "")
        return f"It tells which of {len(task.classes)} classes a text is of: {listed}."
    return "It predicts the next token of a text: it continues a prompt, and counts its bits."


def _example(task: Task, found: Found) -> str:
    """The start of a short text of split train."""
    texts = (" ".join(str(record[TEXT]).split()) for record in found.samples["train"][:100])
    shortest = min((text for text in texts if text), key=len, default="A text.")
    return shortest if len(shortest) <= _EXAMPLE else shortest[:_EXAMPLE].rsplit(" ", 1)[0]


def _relative(source: str, folder: Path) -> str:
    return Path(os.path.relpath(os.path.abspath(source), folder.resolve())).as_posix()
