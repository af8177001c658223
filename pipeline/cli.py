"""The command line: `tf-mamba COMMAND`, or `python -m pipeline.cli COMMAND`.

Exit codes: 0 success; 1 an error (one line on stderr), a run that was not reproduced or files that
differ; 2 wrong usage; 3 the run ended but its model was not blessed; 129, 130, 143 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from data.errors import UserError
from pipeline import interrupts
from pipeline.commands.options import add_places
from pipeline.commands.terminal import silence_libraries

# Modules of pipeline/commands/, and their help texts.
_COMMANDS = {
    "new": "Look at a text of your own and write its task.toml and schema.",
    "tasks": "List the tasks, built-in and your own.",
    "run": "Run the pipeline from the text to a pushed model.",
    "worker": "Join the trainings of a run that another process leads.",
    "stage": "Run one stage, for an orchestrator that starts each stage.",
    "airflow": "Write a DAG file with which Airflow runs the pipeline.",
    "tune": "Search for better settings of a preset's training.",
    "compile": "Compile the pipeline for Kubeflow Pipelines or Vertex AI.",
    "reproduce": "Repeat a past run from scratch, and compare the results.",
    "score": "Score the newest pushed model on a file; prints JSON.",
    "predict": "Label texts with the newest pushed model.",
    "generate": "Continue a prompt with the newest pushed model.",
    "serve": "Serve the newest pushed model.",
    "infer": "Run the newest pushed model over a file of texts.",
    "runs": "List past runs, show one, or compare two.",
    "report": "Print the path of a run's page, or open the page.",
    "verify": "Check the files of a run or a pushed model against their checksums.",
    "lineage": "Trace a pushed model back to its text.",
    "rollback": "Serve a former version again.",
    "clean": "Remove files that no recent run and no pushed or blessed model needs.",
    "download": "Download a corpus from its official address.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    with interrupts.handled():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    options = parser(arguments).parse_args(arguments)
    if not options.debug:
        silence_libraries()
    try:
        return options.command(options)
    except Exception as error:
        if options.debug:
            raise
        print(f"tf-mamba: {_one_line(error)}", file=sys.stderr)
        return 1


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """A parser with all commands, and with the options of the one in `arguments`."""
    whole = argparse.ArgumentParser(
        prog="tf-mamba", description="Trains, evaluates, serves and uses Mamba models on text."
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in arguments[:1]:
            module = importlib.import_module(f"pipeline.commands.{name}")
            command.set_defaults(command=module.run)
            command.add_argument(
                "--debug", action="store_true", help="show tracebacks and all logs"
            )
            add_places(command)
            module.add_options(command)
    return whole


if __name__ == "__main__":
    sys.exit(main())
