"""Options that several commands share, and their values."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UserError

if TYPE_CHECKING:  # imported where used, so that --help is quick
    from data.records import Source
    from data.task_files import TaskFile
    from pipeline.config import RunConfig
    from pipeline.orchestrators.beam import Beam
    from pipeline.places import Places


_GENERATION = {
    "max_new_tokens": (int, "length of the continuation"),
    "temperature": (float, "0: always the likeliest token"),
    "top_k": (int, "sample from the K likeliest tokens; 0: from all"),
    "top_p": (float, "sample from the likeliest tokens of total probability P; 1: from all"),
    "repetition_penalty": (float, "above 1: fewer repeats"),
    "seed": (int, "of the sampling"),
}


def add_task(parser: argparse.ArgumentParser) -> None:
    """Adds the task's name."""
    parser.add_argument("task", metavar="TASK", help="one of those that `tf-mamba tasks` lists")


def task(options: argparse.Namespace) -> TaskFile:
    """The files of the task.

    Raises:
        UserError: if there is no such task, or its files are not as they should be.
    """
    from data import task_files

    return task_files.find(options.task, tasks_folder(options))


def require_kind(options: argparse.Namespace, kind: str) -> TaskFile:
    """The files of the task, whose kind must be `kind`.

    Raises:
        UserError: if it is of the other kind; otherwise as `task`.
    """
    file = task(options)
    if file.task.kind != kind:
        other = {
            "classification": "a task that classifies texts, got one that predicts the next token:"
            " ask its model by `generate` or `score`",
            "next-token": "a task that predicts the next token, got one that classifies texts: ask"
            " its model by `predict` or `score`",
        }
        raise UserError(f"{options.task}: expected {other[kind]}")
    return file


def tasks_folder(options: argparse.Namespace) -> Path:
    """The folder of the user's own tasks."""
    folder: Path = options.tasks or options.root / "tasks"
    return folder


def add_places(parser: argparse.ArgumentParser) -> None:
    """Adds where runs and pushed models are."""
    parser.add_argument(
        "--root",
        type=Path,
        default=Path.cwd(),
        help="folder that contains runs/ and serving_models/ (default: the current folder)",
    )
    parser.add_argument(
        "--tasks",
        type=Path,
        metavar="FOLDER",
        help="folder of your own tasks (default: tasks/ in the root folder)",
    )
    parser.add_argument(
        "--metadata",
        metavar="ADDRESS",
        default=os.environ.get("TF_MAMBA_METADATA", ""),
        help="ML Metadata's database server, for example mysql://USER@HOST/DATABASE (default:"
        " $TF_MAMBA_METADATA, or else runs/metadata.sqlite)",
    )


def places(options: argparse.Namespace) -> Places:
    """The value of `add_places`."""
    from pipeline.places import Places

    return Places.below(options.root, options.metadata)


def newest_model(options: argparse.Namespace) -> Path:
    """The folder of the task's newest pushed model.

    Raises:
        UserError: if none was pushed, or its files have changed since.
    """
    from pipeline.pushed_models.model import latest_version, undamaged

    return undamaged(latest_version(options.root / "serving_models", options.task))


def add_generation(parser: argparse._ActionsContainer) -> None:
    """Adds the settings of generation; the model has defaults."""
    for name, (number, text) in _GENERATION.items():
        parser.add_argument(flag(name), type=number, help=f"{text} (default: the model's)")


def generation(options: argparse.Namespace) -> dict[str, int | float]:
    """The settings of `add_generation` that the user gave."""
    given = {name: getattr(options, name) for name in _GENERATION}
    return {name: value for name, value in given.items() if value is not None}


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Adds the task, the preset and changes to it."""
    add_task(parser)
    parser.add_argument("--preset", default="quick", help="quick (default), full, best or smoke")
    parser.add_argument("--source", help="a file or folder instead of the task's own corpus")
    parser.add_argument(
        "--seed", type=int, help="seed of weights, order of examples and dropout (default: 1)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="overrides a field of the preset, for example model.d_model=256 or data.gate=report;"
        " may be repeated; `tune` keeps these fields fixed",
    )


def configuration(options: argparse.Namespace, settings: Sequence[str]) -> tuple[RunConfig, Source]:
    """The value of `add_configuration`, changed by `settings`; prints a line on standard error."""
    from data import readers
    from pipeline import presets
    from pipeline.settings import with_settings

    file = task(options)
    config = presets.of_file(file, options.preset)
    if options.seed is not None:
        settings = [*settings, f"seed={options.seed}"]
    config = with_settings(config, settings)
    source = readers.load(config.reading.reader).open_source(
        options.source or file.source, config.reading
    )
    print(
        f"{config.task.name} at preset {config.preset}, seed {config.seed},"
        f" {source.kind} source {source.sha256[:12]}",
        file=sys.stderr,
    )
    return config, source


def add_beam(parser: argparse.ArgumentParser) -> None:
    """Adds Beam's runner and its options."""
    parser.add_argument(
        "--beam-workers",
        type=positive,
        default=1,
        metavar="N",
        help="workers of Beam's local runners (default: 1)",
    )
    parser.add_argument("--beam-runner", metavar="NAME", help="Beam's runner (default: in memory)")
    parser.add_argument(
        "--beam-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of Beam, for every stage that uses Beam; may be repeated",
    )


def beam(options: argparse.Namespace) -> Beam:
    """The value of `add_beam`; raises UserError if it is wrong."""
    from pipeline.orchestrators.beam import IN_MEMORY, Beam

    asked = Beam(options.beam_workers, options.beam_runner or IN_MEMORY, tuple(options.beam_arg))
    asked.check()
    return asked


def check_cluster(config: RunConfig) -> None:
    """Raises UserError if $TF_CONFIG does not let this process lead the run's trainings."""
    from pipeline.training.workers import Workers

    workers = Workers.from_environment()
    if workers is not None:
        workers.check_leads(config.task.name)
        workers.check_shares(config)


def as_arguments(options: argparse.Namespace) -> list[str]:
    """The arguments of another command with the same task, configuration, metadata and Beam.

    `--root` is left out. The source's path becomes absolute, for a process in another folder.
    """
    arguments = [options.task, "--preset", options.preset]
    if options.tasks:
        arguments += ["--tasks", os.path.abspath(options.tasks)]
    if options.metadata:
        arguments += ["--metadata", options.metadata]
    if options.source:
        arguments += ["--source", os.path.abspath(options.source)]
    if options.seed is not None:
        arguments += ["--seed", str(options.seed)]
    for setting in options.set:
        arguments += ["--set", setting]
    if options.beam_workers != 1:
        arguments += ["--beam-workers", str(options.beam_workers)]
    if options.beam_runner:
        arguments += ["--beam-runner", options.beam_runner]
    return [*arguments, *(f"--beam-arg={argument}" for argument in options.beam_arg)]


def flag(name: str) -> str:
    """The option on the command line, of its name in the namespace."""
    return "--" + name.replace("_", "-")


def positive(text: str) -> int:
    """Parses an option's value; it must be 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number
