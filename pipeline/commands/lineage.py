"""`tf-mamba lineage`: what a pushed model was made from."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "model", help="TASK, TASK/VERSION or the folder of a pushed version (TASK: the newest)"
    )
    parser.add_argument("--format", choices=("text", "json", "svg", "dot"), default="text")


def run(options: argparse.Namespace) -> int:
    """Prints the lineage; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.report import lineage_drawing, lineage_graph
    from pipeline.runs import lineage

    found = lineage.of_model(shared.places(options), options.model)
    show = {
        "text": lineage_graph.Lineage.as_text,
        "json": lineage_graph.Lineage.as_json,
        "dot": lineage_graph.Lineage.as_dot,
        "svg": lineage_drawing.as_svg,
    }
    print(show[options.format](found))
    return 0
