"""`tf-mamba verify`: compares the files of runs and pushed models with their checksums."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

if TYPE_CHECKING:  # slow to import
    from pipeline.places import Places
    from pipeline.runs.verification import Verification


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "what",
        nargs="?",
        metavar="RUN|MODEL",
        help="the id of a run that ended, or a pushed model: TASK (the newest), TASK/VERSION or"
        " its folder; default: the newest run and model of each task",
    )


def run(options: argparse.Namespace) -> int:
    """Prints what differs, and a line for each run and model; returns 1 if anything differs."""
    import_tensorflow(options.debug)
    whole = True
    for name, remedy, found in _verifications(shared.places(options), options.what):
        for line in found.damage:
            print(line)
        differ = f"{len(found.damage)} differ: {remedy}" if found.damage else "none differs"
        unknown = f"; {len(found.unknown)} without checksums" if found.unknown else ""
        print(f"{name}: {found.files} files, {differ}{unknown}")
        whole = whole and not found.damage
    return 0 if whole else 1


def _verifications(places: Places, what: str | None) -> Iterator[tuple[str, str, Verification]]:
    """The name of each run or model, what mends it, and what was found."""
    from pipeline.pushed_models import model
    from pipeline.runs import records, verification

    def of_run(summary: dict[str, Any]) -> tuple[str, str, Verification]:
        task, run_id = summary["task"], summary["run_id"]
        remedy = f"`tf-mamba run {task}` makes them again"
        return f"run {run_id} of {task}", remedy, verification.of_run(places, run_id)

    def of_model(name: str) -> tuple[str, str, Verification]:
        version = model.find(places.serving_models, name)
        remedy = f"`tf-mamba run {version.parent.name}` pushes the model again"
        return f"model {version}", remedy, verification.of_version(version)

    summaries = {summary["run_id"]: summary for summary in records.read_summaries(places)}
    if what is None:
        newest = {summary["task"]: summary for summary in summaries.values()}
        if not newest:
            raise UserError(f"{places.runs}: no run to verify; `tf-mamba run TASK` makes one")
        for task, summary in newest.items():
            yield of_run(summary)
            if any((places.serving_models / task).glob("[0-9]*")):
                yield of_model(task)
    elif what in summaries:
        yield of_run(summaries[what])
    else:
        yield of_model(what)
