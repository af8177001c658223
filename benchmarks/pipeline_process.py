"""Runs `tf-mamba run` in a process and measures it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.measurement import memory_mib
from benchmarks.report import ROOT

_POLL_SECONDS = 0.1
_SUMMARY = "summary: "  # precedes the path in the command's output
_NOT_BLESSED = 3  # pipeline.commands.run's exit status


class RunFailedError(RuntimeError):
    """The run failed; the message has its last line of output."""


@dataclass(frozen=True)
class FinishedRun:
    """Measurements and summary of a run."""

    seconds: float  # of the whole process
    cpu_seconds: float  # of all cores; hardly depend on other work on the machine
    peak_mib: float  # peak memory of the process, with libraries
    summary: dict[str, Any]  # see pipeline/runs/summary.py


def run(*arguments: str, memory_gib: float | None = None) -> FinishedRun:
    """Runs `tf-mamba run` with these arguments.

    Args:
        memory_gib: the run is killed above this limit, which protects other processes.

    Raises:
        RunFailedError: if it failed or was killed.
    """
    started, cpu_before = time.monotonic(), _cpu_seconds_of_children()
    with tempfile.TemporaryFile("w+") as said:
        process = _start(arguments, said)
        try:
            peak_mib = _watch(process, memory_gib)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        seconds = time.monotonic() - started
        cpu_seconds = _cpu_seconds_of_children() - cpu_before
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode not in (0, _NOT_BLESSED):
        last = lines[-1] if lines else "no output"
        raise RunFailedError(f"exit status {process.returncode}: {last}")
    (path,) = (line.removeprefix(_SUMMARY) for line in lines if line.startswith(_SUMMARY))
    return FinishedRun(seconds, cpu_seconds, peak_mib, json.loads(Path(path).read_text("utf-8")))


def kill(*arguments: str, reached: Callable[[], bool], after: float) -> bool:
    """Runs `tf-mamba run` with these arguments and kills it (SIGKILL).

    Args:
        reached: polled until it returns true.
        after: seconds from then until the kill.

    Returns:
        Whether the run was still running then.
    """
    process = _start(arguments, subprocess.DEVNULL)
    try:
        while process.poll() is None and not reached():
            time.sleep(_POLL_SECONDS)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            return True
        return False
    finally:
        process.kill()
        process.wait()


def _start(arguments: tuple[str, ...], said: IO[str] | int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=said,
        stderr=subprocess.STDOUT,
    )


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: subprocess.Popen, memory_gib: float | None) -> float:
    """Waits for the end of the process; returns its peak memory in MiB."""
    peak = 0.0
    while process.poll() is None:
        try:
            peak = max(peak, memory_mib("VmHWM", process.pid))
        except (OSError, ValueError):  # the process has just ended
            break
        if memory_gib is not None and memory_mib("VmRSS", process.pid) > 1024 * memory_gib:
            process.kill()
            process.wait()
            raise RunFailedError(f"over {memory_gib:g} GiB")
        time.sleep(_POLL_SECONDS)
    process.wait()
    return peak
