"""Runs a pipeline on this machine, stage after stage; writes the run's summary and its page."""

from __future__ import annotations

import datetime
import logging
import os
import shutil
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import absl.logging
from absl import flags
from tfx.dsl.compiler import compiler, constants
from tfx.dsl.placeholder.runtime_placeholders import environment_variable
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils

from data.records import Source
from pipeline import run_page, run_summary, runs, search_space
from pipeline.config import RunConfig
from pipeline.errors import UserError
from pipeline.pipeline import create_pipeline, create_tuning_pipeline
from pipeline.runs import Places
from pipeline.search_space import Range
from pipeline.trials import Search

# Unnamed, Beam would look for another engine, and download it; without a setup file, TFX
# would pack its own sources before each stage. Workers are threads of this process whatever
# the mode; "multi_threading" talks to them by gRPC and loses records: its buffers are
# flushed once a second by another thread, and what is written meanwhile is dropped.
# All this is part of TFX's cache key; so the number of workers, on which no result depends,
# stands here as the name of an environment variable.
_WORKERS = "TF_MAMBA_BEAM_WORKERS"
BEAM_ARGS = (
    "--runner=FnApiRunner",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=" + environment_variable(_WORKERS),
    f"--setup_file={Path(__file__).parents[1] / 'setup.py'}",
)
_LEAST_FREE = 1 << 20  # bytes; with less, a failure is put down to the disk


def run(config: RunConfig, source: Source, places: Places, beam_workers: int = 1) -> dict[str, Any]:
    """Runs the pipeline to its end and returns its summary, also written to the run's folder.

    Args:
        config: all that determines the result.
        source: what to read, opened and verified.
        places: where artifacts, metadata and pushed models go.
        beam_workers: threads of Beam; the result does not depend on it.

    Returns:
        The summary, see run_summary.py; `blessed` says whether the model was good enough.

    Raises:
        UserError: if the disk is full.
        Exception: what a stage raised; the summary is written first, with the error in it.
    """
    started = datetime.datetime.now()
    run_id = f"{started:%Y%m%d-%H%M%S-%f}-{config.preset}"
    places.runs.mkdir(parents=True, exist_ok=True)
    try:
        pipeline = create_pipeline(config, source, places, BEAM_ARGS)
        _run_stages(pipeline, run_id, places, beam_workers)
    except _DiskFull:  # no room for a summary
        raise
    except Exception as error:
        failed = run_summary.collect(config, source, places, run_id, error)
        runs.write_summary(failed, places)
        run_page.try_to_write(failed, places)
        raise
    summary = run_summary.collect(config, source, places, run_id)
    runs.write_summary(summary, places)
    runs.link_latest(places, config.task, run_id)
    run_page.try_to_write(summary, places)
    return summary


def tune(
    config: RunConfig,
    source: Source,
    places: Places,
    ranges: Sequence[Range],
    trials: int,
) -> Search:
    """Searches for better settings, or goes on searching, until there are so many trials.

    Raises:
        UserError: if the disk is full, or if no trial trains.
        Exception: what a stage raised.
    """
    run_id = f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}-tune"
    search = Search.below(
        places.tuning(config.task), search_space.what_determines(config, source, ranges)
    )
    pipeline = create_tuning_pipeline(
        config, source, places, BEAM_ARGS, ranges=ranges, trials=trials, search=search.folder
    )
    # Not from TFX's cache: what ended before is in the search's own books, if they are there.
    _run_stages(pipeline, run_id, places, uncached=("Tuner",))
    return search


class _DiskFull(UserError):
    pass


def _run_stages(
    pipeline: Pipeline,
    run_id: str,
    places: Places,
    beam_workers: int = 1,
    uncached: Collection[str] = (),
) -> None:
    """Runs the stages to the end, with a line of each on standard error.

    Args:
        uncached: ids of stages that run even if nothing has changed.

    Raises:
        _DiskFull: if the disk is.
        Exception: what a stage raised.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    for node in compiled.nodes:
        if node.pipeline_node.node_info.id in uncached:
            node.pipeline_node.execution_options.caching_options.enable_cache = False

    os.environ[_WORKERS] = str(beam_workers)
    stages = _StageLines()
    # Batches of a fixed number of bytes, not such as Beam tunes by the clock, new in each run.
    flags.FLAGS(["tf-mamba", "--tfxio_use_byte_size_batching"], known_only=True)
    tfx_log = logging.getLogger("absl")
    absl.logging.set_verbosity(absl.logging.INFO)
    tfx_log.addHandler(stages)
    try:
        LocalDagRunner().run_with_ir(compiled)
    except Exception as error:
        if _is_disk_full(error, places):
            raise _DiskFull(
                f"{places.runs}: the disk is full; {stages.stage} did not finish, and what came"
                " before it is kept. Make room and run again."
            ) from error
        raise
    finally:
        tfx_log.removeHandler(stages)


def _is_disk_full(error: Exception, places: Places) -> bool:
    # TensorFlow, SQLite and Beam have exceptions of their own for it, around the message.
    said = any(words in str(error) for words in ("No space left", "disk is full"))
    return said or shutil.disk_usage(places.runs).free < _LEAST_FREE


class _StageLines(logging.Handler):
    """Turns what TFX logs of its stages into a line each."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.stage = ""
        self._started = 0.0
        self._cached = False

    def emit(self, record: logging.LogRecord) -> None:
        message = str(record.msg)
        if message.startswith("A cached execution"):
            self._cached = True
        elif message in ("Component %s is running.", "Component %s is finished."):
            self.stage = record.getMessage().split()[1]
            if message.endswith("running."):
                self._started, self._cached = time.monotonic(), False
                if sys.stderr.isatty():
                    print(f"  {self.stage}", end="", file=sys.stderr, flush=True)
            else:
                took = f"{time.monotonic() - self._started:.1f} s"
                begin = "\r" if sys.stderr.isatty() else ""
                line = f"{begin}  {self.stage:<18}{'cached' if self._cached else took:>9}"
                print(line, file=sys.stderr, flush=True)
