"""Reports measurements: medians with quartiles, tables, JSON lines."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent


def parser(description: str | None, tasks: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The options of every benchmark: `--out` and, of `tasks`, which to run (default: all)."""
    formatter = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=description, formatter_class=formatter)
    options.add_argument("--out", type=Path, help="file to which the JSON lines are appended")
    names = ", ".join(tasks)

    def task(name: str) -> str:
        if name not in tasks:
            raise argparse.ArgumentTypeError(f"expected a task among {names}; got {name}")
        return name

    if tasks:
        options.add_argument(
            "tasks",
            nargs="*",
            type=task,
            default=list(tasks),
            metavar="TASK",
            help=f"{names} (default: all)",
        )
    return options


def median(values: Sequence[float]) -> float:
    return significant(float(np.median(values)))


def quartiles(values: Sequence[float]) -> list[float]:
    """The first and the third quartile."""
    return [significant(float(q)) for q in np.quantile(values, [0.25, 0.75])]


def significant(value: float, digits: int = 4) -> float:
    """`value` rounded to significant digits; further ones would be noise."""
    return float(f"{value:.{digits}g}")


def relative_error(got: Any, expected: Any) -> float:
    """Largest absolute difference over the largest absolute expected value; inf for NaN."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    if got.shape != expected.shape:
        raise ValueError(f"expected an array of shape {expected.shape}, got {got.shape}")
    if not np.isfinite(got).all():
        return math.inf
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of the least-squares fit of values = c sizes**p, in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def hardware() -> str:
    """Cores, processor and memory, as "2 x AMD EPYC, 24 GiB"."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {processor}, {math.ceil(gib)} GiB"


def commit() -> str:
    """The checked-out commit, with "-dirty" if files differ from it; "unknown" without git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    missing: Mapping[str, str] | None = None,
) -> None:
    """Prints a Markdown table and, below it, the reasons for missing rows."""
    drawn = Table(box=box.MARKDOWN)
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    width = max(Console().width, 200)  # a pipe has no width; cells must not be truncated
    console = Console(width=width, markup=False, highlight=False)
    console.print(f"{title}; on {hardware()}, commit {commit()}\n")
    console.print(drawn)
    for name, reason in (missing or {}).items():
        console.print(f"{name}: {reason}")
    console.print()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if value != 0 and not 1e-3 <= abs(value) < 1e6:
            return f"{value:.1e}"
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def json_line(record: Mapping[str, Any], out: Path | None = None) -> None:
    """Prints `record` as one line of JSON, and appends it to the file `out` if given.

    JSON has no infinity or NaN: these become null.
    """
    line = json.dumps({name: _finite(value) for name, value in record.items()}, allow_nan=False)
    print(line, flush=True)
    if out is not None:
        with out.open("a") as file:
            file.write(line + "\n")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
