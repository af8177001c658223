"""`tf-mamba download`: fetches a corpus from its official address."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands import options as shared


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser)
    parser.add_argument("--to", type=Path, default=Path("downloads"), help="folder")


def run(options: argparse.Namespace) -> int:
    """Downloads, verifies, and says how to use it."""
    from data.download import download

    path = download(options.task, options.to)
    print(f"{path}\nuse it with: tf-mamba run {options.task} --source {path}")
    return 0
