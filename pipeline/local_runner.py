"""Runs a pipeline on this machine, stage after stage, and writes the run's summary."""

from __future__ import annotations

import datetime
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.portable import runtime_parameter_utils

from data.records import Source
from pipeline import run_summary
from pipeline.config import RunConfig
from pipeline.pipeline import Places, create_pipeline

# In memory and in order. Unnamed, Beam would look for another engine, and download it.
BEAM_ARGS = ("--runner=FnApiRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1")


def run(
    config: RunConfig, source: Source, places: Places, beam_args: Sequence[str] = BEAM_ARGS
) -> dict[str, Any]:
    """Runs the pipeline to its end and returns its summary, also written to the run's folder.

    Returns:
        The summary, see run_summary.py; `blessed` says whether the model was good enough.

    Raises:
        Whatever a stage raised; the summary is written first, with the error in it.
    """
    started = datetime.datetime.now()
    run_id = f"{started:%Y%m%d-%H%M%S-%f}-{config.preset}"
    folder = places.runs / config.task / run_id
    folder.mkdir(parents=True)
    pipeline = compiler.Compiler().compile(create_pipeline(config, source, places, beam_args))
    runtime_parameter_utils.substitute_runtime_parameter(
        pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )

    failure: Exception | None = None
    stages = _StageLines()
    logging.getLogger("absl").addHandler(stages)
    try:
        LocalDagRunner().run_with_ir(pipeline)
    except Exception as error:
        failure = error
        raise
    finally:
        logging.getLogger("absl").removeHandler(stages)
        summary = run_summary.collect(config, source, places, run_id, failure)
        run_summary.write(summary, folder)
    _link_latest(folder)
    return summary


def _link_latest(folder: Path) -> None:
    """Points runs/<task>/latest at a finished run; never leaves it missing."""
    unfinished = folder.parent / f".latest-{os.getpid()}"
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(folder.name)
    unfinished.replace(folder.parent / "latest")


class _StageLines(logging.Handler):
    """Turns what TFX logs of its stages into a line each."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._started = 0.0
        self._cached = False

    def emit(self, record: logging.LogRecord) -> None:
        message = str(record.msg)
        if message == "Component %s is running.":
            self._started, self._cached = time.monotonic(), False
            self._print(f"  {record.args[0]:<18}", end="")  # type: ignore[index]
        elif message.startswith("A cached execution"):
            self._cached = True
        elif message == "Component %s is finished.":
            seconds = time.monotonic() - self._started
            self._print("cached" if self._cached else f"{seconds:.1f} s")

    @staticmethod
    def _print(text: str, end: str = "\n") -> None:
        print(text, end=end, file=sys.stderr, flush=True)
