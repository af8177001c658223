"""`tf-mamba report`: prints the path of a run's page; writes the page if it is missing."""

from __future__ import annotations

import argparse
import webbrowser

from data.errors import UserError
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run", nargs="?", default="latest", help="a run's id (default: latest)")
    parser.add_argument("--task", help="the task of `latest`")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(options: argparse.Namespace) -> int:
    """Prints the page's path; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.runs import files, records

    places = shared.places(options)
    summary = records.find(places, options.run, options.task)
    path = files.page_file(places, summary)
    if not path.exists():  # of an older version's run, or one whose page failed
        from pipeline.runs import page as run_page

        run_page.write(summary, places)
    print(path)
    if options.open and not webbrowser.open(path.as_uri()):
        raise UserError(f"{path}: found no browser to open it; open it by hand")
    return 0
