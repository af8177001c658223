"""`tf-mamba infer`: runs the newest pushed model over a file; see bulk_inference.py."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "file",
        type=Path,
        help=".jsonl or .csv with a field `text`, or plain text, one text per line",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON lines, one per row, in the file's order"
    )
    generation = parser.add_argument_group(
        "next-token tasks: continue each text instead of scoring it"
    )
    generation.add_argument("--generate", action="store_true")
    shared.add_generation(generation)


def run(options: argparse.Namespace) -> int:
    """Writes the model's answers to the output file; returns the exit code.

    Raises:
        UserError: if options contradict each other; otherwise as bulk_inference.infer.
    """
    settings = shared.generation(options)
    if settings and not options.generate:
        raise UserError(f"{shared.flag(next(iter(settings)))}: needs --generate")
    found = shared.require_kind(options, "next-token") if options.generate else shared.task(options)

    import_tensorflow(options.debug)
    from pipeline.pushed_models import bulk_inference

    if options.generate:
        job = bulk_inference.generate(**settings)
    elif found.task.kind == "classification":
        job = bulk_inference.CLASSIFY
    else:
        job = bulk_inference.SCORE
    model = shared.newest_model(options)
    report = bulk_inference.infer(model, job, options.file, options.out)
    print(f"{report.rows} rows, {report.errors} with an error: {options.out}", file=sys.stderr)
    return 0
