"""`tf-mamba lineage`: where a pushed model came from."""

from __future__ import annotations

import argparse

from pipeline import lineage, lineage_drawing
from pipeline.runs import Places


def run(options: argparse.Namespace, places: Places) -> int:
    """Prints the lineage; returns the exit code."""
    found = lineage.of_model(places, options.model)
    show = {
        "text": lineage.Lineage.as_text,
        "json": lineage.Lineage.as_json,
        "dot": lineage.Lineage.as_dot,
        "svg": lineage_drawing.as_svg,
    }
    print(show[options.format](found))
    return 0
