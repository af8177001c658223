"""`tf-mamba stage`: runs one stage for an orchestrator that starts each stage, or ends the run."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared
from pipeline.commands import run as run_command
from pipeline.commands.terminal import import_tensorflow

_END = "summary"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_configuration(parser)
    parser.add_argument(
        "stage",
        metavar="STAGE",
        help=f"the stage's name, for example Trainer; or {_END}, after all stages, to write the"
        " run's summary and page",
    )
    parser.add_argument(
        "--run-id",
        required=True,
        help="the run's id, new for each run and the same for all its stages",
    )
    shared.add_beam(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the stage; returns the exit code."""
    import_tensorflow(options.debug)
    config, source = shared.configuration(options, options.set)
    shared.check_cluster(config)
    beam = shared.beam(options)

    from pipeline.orchestrators import stage_runner

    places = shared.places(options)
    if options.stage != _END:
        ran = stage_runner.run(
            config, source, places, beam, run_id=options.run_id, stage=options.stage
        )
        if not ran:
            print(f"{options.stage}: already done in run {options.run_id}, not run again")
        return 0
    summary = stage_runner.end(config, source, places, options.run_id)
    if summary["error"]:
        _, _, what = summary["error"].partition(": ")  # drops the kind of error
        raise stage_runner.StageError(f"run {options.run_id}: {what}")
    print(run_command.report(summary, options.root.resolve()))
    return run_command.exit_code(summary)
