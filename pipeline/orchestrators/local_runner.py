"""Runs a pipeline on this machine, stage after stage, and writes the run's summary and page."""

from __future__ import annotations

import datetime
import logging
import os
import shutil
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import absl.logging
from absl import flags
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from data.errors import UserError
from data.records import Source
from pipeline.config import RunConfig
from pipeline.orchestrators import checked_artifacts, partial_run
from pipeline.orchestrators.beam import Beam
from pipeline.orchestrators.definition import define, without_past_runs
from pipeline.pipeline import create_tuning_pipeline
from pipeline.places import Places
from pipeline.runs import files as run_files
from pipeline.runs import lock as run_lock
from pipeline.runs import page as run_page
from pipeline.runs import store as metadata
from pipeline.runs import summary as run_summary
from pipeline.stage_code import stage_hashes
from pipeline.training import scan_choice
from pipeline.training.checkpoints import FROM_NOTHING
from pipeline.tuning import search_space
from pipeline.tuning.search_space import Range
from pipeline.tuning.trials import Search

_LEAST_FREE = 1 << 20  # bytes; below that, a failure is blamed on the disk
# What TFX logs, as its log calls have it; a test checks them against TFX's sources.
RUNNING, FINISHED = "Component %s is running.", "Component %s is finished."
CACHED, UNRESOLVED = "A cached execution", "Input resolution error"


def run(
    config: RunConfig,
    source: Source,
    places: Places,
    beam: Beam | None = None,
    *,
    first: str | None = None,
    last: str | None = None,
    cached: bool = True,
) -> dict[str, Any]:
    """Runs the pipeline and returns the run's summary, which is also written to its folder.

    Args:
        config: the configuration.
        source: the text, opened and verified.
        places: where artifacts, metadata and pushed models go.
        beam: how Beam runs; None: in memory, with one worker.
        first, last: the first and last stage to run, see partial_run.py; None: no limit.
        cached: reuse what earlier runs made from the same inputs by the same code; if false,
            every stage runs and trainings start at step 0.

    Returns:
        The summary, see runs/summary.py; `blessed` says whether the model was good enough.

    Raises:
        UserError: if the disk is full, another run of the task is in progress, the metadata
            store cannot be opened, or the partial run is not possible.
        Exception: what a stage raised, after the summary has been written with the error.
    """
    beam = beam or Beam()
    started = datetime.datetime.now()
    run_id = f"{started:%Y%m%d-%H%M%S-%f}-{config.preset}"
    config = scan_choice.resolve(config)
    places.runs.mkdir(parents=True, exist_ok=True)
    with run_lock.hold(places.runs, config.task.name, run_id), _from_nothing(not cached):
        metadata.open_store(places, create=True)
        partial = None
        try:
            pipeline = define(config, source, places, beam.pipeline_args())
            compiled = compile_for(pipeline, run_id, uncached=() if cached else _ids(pipeline))
            if first or last:
                partial = partial_run.mark(compiled, first, last, places)
                _tell(partial)
            check_needs(partial["stages"] if partial else _ids(pipeline))
            run_stages(compiled, places, beam)
        # A full disk has no room for a summary; the others raise before a stage has run.
        except (DiskFullError, partial_run.NotPossibleError, LacksError):
            raise
        except Exception as error:
            finish(config, source, places, run_id, error, partial)
            raise
        return finish(config, source, places, run_id, partial=partial)


def finish(
    config: RunConfig,
    source: Source,
    places: Places,
    run_id: str,
    failure: Exception | None = None,
    partial: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the summary and the page of a run that has ended; arguments as `summary.collect`.

    If the run succeeded and included Pusher, `latest` points at it.
    """
    summary = run_summary.collect(config, source, places, run_id, failure, partial)
    run_files.write_summary(summary, places)
    if not failure and (partial is None or "Pusher" in partial["stages"]):
        run_files.link_latest(places, config.task.name, run_id)
    run_page.try_to_write(summary, places)
    return summary


def tune(
    config: RunConfig,
    source: Source,
    places: Places,
    ranges: Sequence[Range],
    trials: int,
) -> Search:
    """Searches for better settings, or resumes the search, until it has `trials` trials.

    Raises:
        UserError: if the disk is full, another run of the task is in progress, or every trial
            fails.
        Exception: what a stage raised.
    """
    run_id = f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}-tune"
    config = scan_choice.resolve(config)
    hashes = stage_hashes(config.task.kind, config.reading.reader)
    code = {
        stage: hashes[stage] for stage in ("TextExampleGen", "Transform", "Pretrainer", "Tuner")
    }
    search = Search.below(
        places.tuning(config.task.name), search_space.what_determines(config, source, ranges, code)
    )
    with run_lock.hold(places.runs, config.task.name, run_id):
        metadata.open_store(places, create=True)
        beam = Beam()
        pipeline = create_tuning_pipeline(
            config,
            source,
            places,
            beam.pipeline_args(),
            without_past_runs(config, places),
            ranges=ranges,
            trials=trials,
            search=search.folder,
        )
        # Bypasses TFX's cache: the search's own records hold the finished trials.
        run_stages(compile_for(pipeline, run_id, uncached=("Tuner",)), places, beam)
    return search


@contextmanager
def _from_nothing(yes: bool) -> Iterator[None]:
    """Makes trainings ignore the checkpoints of earlier ones."""
    if yes:
        os.environ[FROM_NOTHING] = "1"
    try:
        yield
    finally:
        os.environ.pop(FROM_NOTHING, None)


def _tell(partial: dict[str, Any]) -> None:
    if run := partial["base_run"]:
        print(f"  from run {run}: {', '.join(partial['taken_over'])}", file=sys.stderr)
    if changed := ", ".join(partial["changed_since"]):
        what = "reused, although parameters or code have changed since"
        print(f"warning: {changed}: {what}", file=sys.stderr)


class DiskFullError(UserError):
    """The disk has no room for a stage's output, nor for a summary."""


class LacksError(UserError):
    """A stage needs something that this machine lacks."""


def check_needs(stages: Collection[str]) -> None:
    """Checks at the start what a stage would otherwise find missing after the training."""
    if "InfraValidator" in stages:
        from components import infra_validator

        try:
            infra_validator.require_docker()
        except UserError as error:
            raise LacksError(str(error)) from error


def _ids(pipeline: Pipeline) -> list[str]:
    return [stage.id for stage in pipeline.components]


def compile_for(
    pipeline: Pipeline, run_id: str, uncached: Collection[str] = ()
) -> pipeline_pb2.Pipeline:
    """Compiles a pipeline to be run once.

    Args:
        uncached: ids of stages that run even if a cached result exists.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    for node in compiled.nodes:
        if node.pipeline_node.node_info.id in uncached:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    return compiled


def run_stages(compiled: pipeline_pb2.Pipeline, places: Places, beam: Beam) -> None:
    """Runs the stages and prints a line for each on standard error.

    Raises:
        DiskFullError: if the disk is full.
        Exception: what a stage raised.
    """
    beam.announce()
    stages = _StageLines()
    # Batches of a fixed number of bytes: Beam would otherwise tune them by the clock.
    flags.FLAGS(["tf-mamba", "--tfxio_use_byte_size_batching"], known_only=True)
    tfx_log = logging.getLogger("absl")
    absl.logging.set_verbosity(absl.logging.INFO)
    tfx_log.addHandler(stages)
    hide_password = metadata.HidePassword()
    tfx_log.addFilter(hide_password)
    try:
        with checked_artifacts.checked(), beam.quiet_workers():
            LocalDagRunner().run_with_ir(compiled)
    except Exception as error:
        if _is_disk_full(error, places):
            raise DiskFullError(
                f"{places.runs}: the disk is full; {stages.stage} did not finish. The stages before"
                " it are kept: free some space and run again."
            ) from error
        raise
    finally:
        tfx_log.removeHandler(stages)
        tfx_log.removeFilter(hide_password)


def _is_disk_full(error: Exception, places: Places) -> bool:
    # TensorFlow, SQLite and Beam wrap the message into exceptions of their own.
    said = any(words in str(error) for words in ("No space left", "disk is full"))
    return said or shutil.disk_usage(places.runs).free < _LEAST_FREE


class _StageLines(logging.Handler):
    """Turns TFX's log of its stages into one line per stage."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.stage = ""
        self._started = 0.0
        self._cached = False

    def emit(self, record: logging.LogRecord) -> None:
        message = str(record.msg)
        if UNRESOLVED in message:
            # TFX logs it and continues as if there were nothing to resolve.
            raise RuntimeError(record.getMessage()) from (record.exc_info or (None, None))[1]
        if message.startswith(CACHED):
            self._cached = True
        elif message in (RUNNING, FINISHED):
            self.stage = record.getMessage().split()[1]
            if message == RUNNING:
                self._started, self._cached = time.monotonic(), False
                if sys.stderr.isatty():
                    print(f"  {self.stage}", end="", file=sys.stderr, flush=True)
            else:
                took = f"{time.monotonic() - self._started:.1f} s"
                begin = "\r" if sys.stderr.isatty() else ""
                line = f"{begin}  {self.stage:<18}{'cached' if self._cached else took:>9}"
                print(line, file=sys.stderr, flush=True)
