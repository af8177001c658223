"""`tf-mamba rollback`: lets a former version serve again."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser)
    parser.add_argument("--to", type=int, metavar="VERSION", help="(default: the one before)")


def run(options: argparse.Namespace) -> int:
    """Pushes the former version's content under a new number, and says which."""
    from pipeline.pushed_models.rollback import rollback

    models = options.root / "serving_models"
    version, content, served = rollback(models, options.task, options.to)
    print(f"{models / options.task / str(version)}: content of {content}, instead of {served}")
    return 0
