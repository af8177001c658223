"""`tf-mamba score`: scores the newest pushed model on a file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    reviews, texts = (", ".join(shared.task_names(head)) for head in ("sentiment", "next_token"))
    parser.add_argument(
        "file",
        type=Path,
        help=f"{reviews}: CSV with columns text and label; {texts}: plain text, one verse per line,"
        " blank lines between documents",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the metrics as JSON; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.pushed_models import scoring

    if not options.file.is_file():
        raise UserError(f"{options.file}: no such file")
    model = shared.newest_model(options)
    score = scoring.score_reviews if shared.head(options) == "sentiment" else scoring.score_text
    print(json.dumps(score(model, options.file)))
    return 0
