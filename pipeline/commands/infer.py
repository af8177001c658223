"""`tf-mamba infer`: its options; the work is pipeline/pushed_models/bulk_inference.py's."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

_SETTINGS = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "seed")
_INTEGERS = ("max_new_tokens", "top_k", "seed")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "file", type=Path, help=".jsonl or .csv with `text`, or plain text, a row a line"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON lines, one for each row, in their order"
    )
    generation = parser.add_argument_group("bible: continue each text instead of scoring it")
    generation.add_argument("--generate", action="store_true")
    for name in _SETTINGS:
        number = int if name in _INTEGERS else float
        generation.add_argument("--" + name.replace("_", "-"), type=number, help="(the model's)")


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Raises:
        UserError: for options that do not fit together, and see bulk_inference.infer.
    """
    given = {name: getattr(options, name) for name in _SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    if options.generate and options.task != "bible":
        raise UserError(f"--generate: expected the task bible, got {options.task}")
    if settings and not options.generate:
        raise UserError(f"--{next(iter(settings)).replace('_', '-')}: expected --generate with it")

    import_tensorflow(options.debug)
    from pipeline.pushed_models import bulk_inference

    if options.generate:
        job = bulk_inference.generate(**settings)
    else:
        job = bulk_inference.CLASSIFY if options.task == "imdb" else bulk_inference.SCORE
    model = shared.newest_model(options)
    report = bulk_inference.infer(model, job, options.file, options.out)
    print(f"{report.rows} rows, {report.errors} with an error: {options.out}", file=sys.stderr)
    return 0
