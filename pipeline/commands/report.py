"""`tf-mamba report`: names a run's page, makes it if it is missing, and opens it if asked to."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Callable

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Places


def report(options: argparse.Namespace, before_making: Callable[[], object]) -> int:
    """Prints the page's path; returns the exit code.

    `before_making` is called only where the page is missing, which takes TensorFlow to mend.
    """
    places = Places.below(options.root, options.metadata)
    summary = runs.find(places, options.run, options.task)
    path = runs.page_file(places, summary)
    if not path.exists():  # of an older run, or one whose page failed
        before_making()
        from pipeline import run_page

        run_page.write(summary, places)
    print(path)
    if options.open and not webbrowser.open(path.as_uri()):
        raise UserError(f"{path}: found no browser to open it with; open it by hand")
    return 0
