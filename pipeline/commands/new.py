"""`tf-mamba new`: looks at a text of one's own and writes its task.toml and schema.pbtxt."""

from __future__ import annotations

import argparse
import sys

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("task", metavar="NAME", help="of the task: also its folder's, and served")
    parser.add_argument("--kind", choices=["classification", "next-token"], required=True)
    parser.add_argument(
        "--source",
        required=True,
        metavar="PATH",
        help="CSV, TSV, JSON lines (also .gz), Parquet, one text, or a folder or pattern of such",
    )
    parser.add_argument("--text", metavar="COLUMN", default="", help="holds the text")
    parser.add_argument("--label", metavar="COLUMN", default="", help="holds the class")
    parser.add_argument(
        "--columns", metavar="A,B", default="", help="others to keep, to slice the metrics by"
    )
    split = parser.add_mutually_exclusive_group()
    split.add_argument(
        "--split-column", metavar="COLUMN", default="", help="says train, eval or test"
    )
    split.add_argument(
        "--group-column",
        metavar="COLUMN",
        default="",
        help="records with the same value stay in one split",
    )
    parser.add_argument(
        "--documents-at",
        metavar="PATTERN",
        default="",
        help="in one long text, of the lines at which a document begins (default: blank lines)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the task's files")


def run(options: argparse.Namespace) -> int:
    """Prints what was found and what training will cost; writes the files."""
    import_tensorflow(options.debug)
    from pipeline.new_task import cost, plan, printed
    from pipeline.new_task.asked import Asked

    folder = plan.check_name(options.task, shared.tasks_folder(options), options.force)
    names = (name.strip() for name in options.columns.split(","))
    asked = Asked(
        name=options.task,
        kind=options.kind,
        source=options.source,
        text=options.text,
        label=options.label,
        columns=tuple(name for name in names if name),
        split_column=options.split_column,
        group_column=options.group_column,
        documents_at=options.documents_at,
    )
    new = plan.made(asked, folder)
    print(printed.findings(new), flush=True)
    configs = plan.write(new, folder)
    print("timing a few steps of each training ...", file=sys.stderr)
    minutes = {name: cost.training_minutes(configs[name]) for name in ("quick", "full")}
    print(printed.cost(minutes))
    where = f" --tasks {options.tasks}" if options.tasks else ""
    print(
        f"wrote {folder}/task.toml and {folder}/schema.pbtxt: read and edit them, then\n"
        f"  tf-mamba run {options.task}{where}"
    )
    return 0
