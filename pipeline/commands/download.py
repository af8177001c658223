"""`tf-mamba download`: downloads a corpus from its official address."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    from data.download import OFFICIAL

    parser.add_argument("task", choices=sorted(OFFICIAL))
    parser.add_argument(
        "--to", type=Path, default=Path("downloads"), help="folder (default: downloads)"
    )


def run(options: argparse.Namespace) -> int:
    """Downloads and verifies the corpus; prints its path and how to use it."""
    from data.download import download

    path = download(options.task, options.to)
    print(f"{path}\nuse it with: tf-mamba run {options.task} --source {path}")
    return 0
