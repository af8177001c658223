"""`tf-mamba rollback`: serves a former version again."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument(
        "--to", type=int, metavar="VERSION", help="the version to serve (default: the previous one)"
    )


def run(options: argparse.Namespace) -> int:
    """Pushes the former version's content under a new number, and prints it."""
    from pipeline.pushed_models.rollback import rollback

    models = options.root / "serving_models"
    version, content, served = rollback(models, options.task, options.to)
    print(f"{models / options.task / str(version)}: content of {content}, instead of {served}")
    return 0
