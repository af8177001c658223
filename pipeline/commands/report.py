"""`tf-mamba report`: names a run's page, makes it if it is missing, and opens it if asked to."""

from __future__ import annotations

import argparse
import webbrowser

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", nargs="?", default="latest", help="a run's id (default: latest)")
    parser.add_argument("--task", choices=shared.task_names(), help="of which `latest` is meant")
    parser.add_argument("--open", action="store_true", help="in the browser")


def run(options: argparse.Namespace) -> int:
    """Prints the page's path; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.runs import records as runs

    places = shared.places(options)
    summary = runs.find(places, options.run, options.task)
    path = runs.page_file(places, summary)
    if not path.exists():  # of an older run, or one whose page failed
        from pipeline.runs import page as run_page

        run_page.write(summary, places)
    print(path)
    if options.open and not webbrowser.open(path.as_uri()):
        raise UserError(f"{path}: found no browser to open it with; open it by hand")
    return 0
