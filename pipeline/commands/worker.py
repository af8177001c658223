"""`tf-mamba worker`: joins the trainings of a run that another process leads."""

from __future__ import annotations

import argparse
import sys
import time

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

_EVERY = 1.0  # seconds between looks


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "--wait",
        type=shared.positive,
        default=3_600,
        metavar="SECONDS",
        help="how long to wait for the run or its next training to start (default: 3600)",
    )


def run(options: argparse.Namespace) -> int:
    """Joins trainings until the run is over; returns the exit code."""
    from pipeline.runs import lock as run_lock
    from pipeline.stage_code import stage_hashes
    from pipeline.training.workers import TF_CONFIG, Workers

    workers = Workers.from_environment()
    if workers is None or workers.leads:
        raise UserError(
            f"{TF_CONFIG}: expected two workers or more, and this one not the chief (the first),"
            " which is started as `tf-mamba run`; see docs/workers.md"
        )
    import_tensorflow(options.debug)
    from pipeline.training import joint as joint_training

    file, places, me = shared.task(options), shared.places(options), workers.name(workers.rank)
    code = stage_hashes(file.task.kind, file.reading.reader)["Trainer"]
    print(f"{me}: waiting for {options.task} in {places.runs}", file=sys.stderr)
    before = run_lock.told(places.runs, options.task)
    trained, deadline = 0, time.monotonic() + options.wait
    while True:
        job = joint_training.waiting_job(places.checkpoints(options.task), workers)
        if job is not None:
            summary = joint_training.follow(workers, job, code)
            trained, deadline = trained + 1, time.monotonic() + options.wait
            print(f"{me}: took part in {summary['steps']} steps", file=sys.stderr)
            _until_gone(job)
        now = run_lock.told(places.runs, options.task)
        if now is None and (before is not None or trained):
            print(f"{me}: the run is over; trainings: {trained}", file=sys.stderr)
            return 0
        before = now
        if time.monotonic() > deadline:
            raise UserError(
                f"{places.runs}: no training of {options.task} began within {options.wait} s;"
                f" start `tf-mamba run {options.task}` with the chief's {TF_CONFIG} and this"
                " root folder"
            )
        time.sleep(_EVERY)


def _until_gone(job) -> None:
    """Waits until the chief has removed the job, or for a minute if the chief is gone."""
    for _ in range(60):
        if not job.exists():
            return
        time.sleep(_EVERY)
