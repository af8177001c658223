"""`tf-mamba runs`: lists past runs, shows one, or compares two."""

from __future__ import annotations

import argparse
import json

from pipeline import run_diff, runs
from pipeline.runs import Places


def run(options: argparse.Namespace, places: Places) -> int:
    """Prints what was asked for; returns the exit code."""
    if options.action == "show":
        print(json.dumps(runs.find(places, options.run), indent=2))
    elif options.action == "diff":
        first, second = (runs.find(places, name) for name in options.runs)
        differences = run_diff.compare(first, second)
        show = run_diff.as_json if options.json else run_diff.as_text
        print(show(differences, first["run_id"], second["run_id"]))
    else:
        for row in runs.table(places):
            print(row)
    return 0
