"""`tf-mamba score`: scores the newest pushed model on a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from data import plain_json
from data.errors import UserError
from data.regular_files import is_file
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

_UNDEFINED = {"auc": "as it needs texts of two classes or more, and all are of one"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "file",
        type=Path,
        help="of a classification: a table with the columns of the task's text and label;"
        " of a next-token task: plain text, blank lines between documents",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the metrics as JSON; returns the exit code."""
    found = shared.task(options)
    if not is_file(options.file):
        raise UserError(f"{options.file}: no such file")
    model = shared.newest_model(options)
    import_tensorflow(options.debug)
    from pipeline.pushed_models import scoring

    score: Mapping[str, float | int | None]
    if found.task.kind == "classification":
        score = scoring.score_labelled(model, options.file, found.task, found.reading)
    else:
        score = scoring.score_text(model, options.file)
    for name in (name for name, value in score.items() if value is None):
        why = _UNDEFINED.get(name, "as the model's scores are no numbers")
        print(f"{name} is null, {why}", file=sys.stderr)
    print(plain_json.dumps(score))
    return 0
