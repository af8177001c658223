"""`tf-mamba run`: runs the pipeline from the text to a pushed model, or a part of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

NOT_BLESSED = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_configuration(parser)
    shared.add_beam(parser)
    parser.add_argument("--from", dest="first", metavar="STAGE", help="start at this stage")
    parser.add_argument("--to", dest="last", metavar="STAGE", help="stop after this stage")
    parser.add_argument(
        "--no-cache", action="store_true", help="run every stage, even if its result is cached"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the pipeline; returns the exit code."""
    import_tensorflow(options.debug)
    config, source = shared.configuration(options, options.set)
    beam = shared.beam(options)  # fails before the slow imports
    shared.check_cluster(config)

    from pipeline.orchestrators import local_runner

    summary = local_runner.run(
        config,
        source,
        shared.places(options),
        beam,
        first=options.first,
        last=options.last,
        cached=not options.no_cache,
    )
    print(report(summary, options.root.resolve()))
    return exit_code(summary)


def exit_code(summary: dict[str, Any]) -> int:
    """The exit code of a run that ended."""
    return NOT_BLESSED if summary["blessed"] is False else 0


def report(summary: dict[str, Any], root: Path) -> str:
    """The lines printed at a run's end: metrics, verdict and files."""
    lines = []
    if summary["metrics"]:
        metrics = summary["metrics"]["eval"]
        figures = ", ".join(
            f"{name} {value:.4g}{_interval(metrics, name)}"
            for name, value in metrics.items()
            if isinstance(value, float)
        )
        lines.append(f"eval: {figures}")
    if summary["blessed"] is None:
        lines.append(f"partial run of {', '.join(summary['partial']['stages'])}: not evaluated")
    elif summary["blessed"]:
        pushed = summary["pushed_path"]
        lines.append(f"blessed, pushed to {pushed}" if pushed else "blessed, not pushed: partial")
    else:
        text = f"NOT BLESSED, not pushed: {'; '.join(summary['failed_thresholds'])}"
        lines.append(f"\033[31m{text}\033[0m" if sys.stdout.isatty() else text)
    folder = root / "runs" / summary["task"] / summary["run_id"]
    lines += [f"summary: {folder}/summary.json", f"page: {folder}/report.html"]
    return "\n".join(lines)


def _interval(metrics: dict[str, Any], name: str) -> str:
    bounds = metrics["intervals"].get(name)
    return f" ({bounds[0]:.4g} to {bounds[1]:.4g})" if bounds else ""
