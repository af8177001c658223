"""`tf-mamba infer`: its options; the work is pipeline/pushed_models/bulk_inference.py's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "file", type=Path, help=".jsonl or .csv with `text`, or plain text, a row a line"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON lines, one for each row, in their order"
    )
    tasks = ", ".join(shared.task_names("next_token"))
    generation = parser.add_argument_group(f"{tasks}: continue each text instead of scoring it")
    generation.add_argument("--generate", action="store_true")
    shared.add_generation(generation)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        UserError: for options that do not fit together, and see bulk_inference.infer.
    """
    settings = shared.generation(options)
    writers = shared.task_names("next_token")
    if options.generate and options.task not in writers:
        raise UserError(f"--generate: expected the task {' or '.join(writers)}, got {options.task}")
    if settings and not options.generate:
        raise UserError(f"--{next(iter(settings)).replace('_', '-')}: expected --generate with it")

    import_tensorflow(options.debug)
    from pipeline.pushed_models import bulk_inference

    of_head = {"sentiment": bulk_inference.CLASSIFY, "next_token": bulk_inference.SCORE}
    job = bulk_inference.generate(**settings) if options.generate else of_head[shared.head(options)]
    model = shared.newest_model(options)
    report = bulk_inference.infer(model, job, options.file, options.out)
    print(f"{report.rows} rows, {report.errors} with an error: {options.out}", file=sys.stderr)
    return 0
