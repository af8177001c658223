"""`tf-mamba runs`: lists past runs, shows one, or compares two."""

from __future__ import annotations

import argparse

from data import plain_json
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    actions = parser.add_subparsers(metavar="show RUN | diff A B", dest="action")
    show = actions.add_parser("show", help="print a run's summary as JSON")
    show.add_argument("run", help="a run's id, or `latest`")
    diff = actions.add_parser("diff", help="print the differences between two runs")
    diff.add_argument("runs", nargs=2, metavar="RUN", help="a run's id, or `latest`")
    diff.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Prints the list, a summary or a comparison; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.runs import diff as run_diff  # ML Metadata imports TensorFlow
    from pipeline.runs import listing, records

    places = shared.places(options)
    if options.action == "show":
        print(plain_json.dumps(records.find(places, options.run), indent=2))
    elif options.action == "diff":
        first, second = (records.find(places, name) for name in options.runs)
        differences = run_diff.compare(first, second)
        show = run_diff.as_json if options.json else run_diff.as_text
        print(show(differences, first["run_id"], second["run_id"]))
    else:
        print(listing.table(places))
    return 0
