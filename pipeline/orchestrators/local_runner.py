"""Runs a pipeline on this machine, stage after stage; writes the run's summary and its page."""

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
from data.tasks import TASKS
from pipeline.code_hash import code_sha256
from pipeline.config import RunConfig
from pipeline.orchestrators import partial_run
from pipeline.orchestrators.beam import Beam
from pipeline.pipeline import create_pipeline, create_tuning_pipeline
from pipeline.places import Places
from pipeline.runs import lock as run_lock
from pipeline.runs import page as run_page
from pipeline.runs import records as runs
from pipeline.runs import store as metadata
from pipeline.runs import summary as run_summary
from pipeline.training.checkpoints import FROM_NOTHING
from pipeline.tuning import search_space
from pipeline.tuning.search_space import Range
from pipeline.tuning.trials import Search

_LEAST_FREE = 1 << 20  # bytes; with less, a failure is put down to the disk


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
    """Runs the pipeline to its end and returns its summary, also written to the run's folder.

    Args:
        config: all that determines the result.
        source: what to read, opened and verified.
        places: where artifacts, metadata and pushed models go.
        beam: how Beam runs; None: in memory, with one worker.
        first, last: the stages from and to which it runs, see partial_run.py; None: from the
            beginning, to the end.
        cached: take what an earlier run made by the same code from the same inputs; else every
            stage runs, and trainings begin at their first step.

    Returns:
        The summary, see run_summary.py; `blessed` says whether the model was good enough.

    Raises:
        UserError: if the disk is full, another run of the task goes on, there is no metadata
            store, or no such partial run.
        Exception: what a stage raised; the summary is written first, with the error in it.
    """
    beam = beam or Beam()
    started = datetime.datetime.now()
    run_id = f"{started:%Y%m%d-%H%M%S-%f}-{config.preset}"
    places.runs.mkdir(parents=True, exist_ok=True)
    with run_lock.hold(places.runs, config.task, run_id), _from_nothing(not cached):
        metadata.open_store(places, create=True)
        partial = None
        try:
            pipeline = create_pipeline(config, source, places, beam.pipeline_args())
            compiled = compile_for(pipeline, run_id, uncached=() if cached else _ids(pipeline))
            if first or last:
                section = partial_run.mark(compiled, first, last, places)
                partial = section.as_summary()
                _tell(section)
            check_needs(partial["stages"] if partial else _ids(pipeline))
            run_stages(compiled, places, beam)
        # No room for a summary; no run.
        except (DiskFullError, partial_run.NotPossibleError, LacksError):
            raise
        except Exception as error:
            failed = run_summary.collect(config, source, places, run_id, error, partial)
            runs.write_summary(failed, places)
            run_page.try_to_write(failed, places)
            raise
        summary = run_summary.collect(config, source, places, run_id, partial=partial)
        runs.write_summary(summary, places)
        if partial is None or "Pusher" in partial["stages"]:
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
        UserError: if the disk is full, another run of the task goes on, or no trial trains.
        Exception: what a stage raised.
    """
    run_id = f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}-tune"
    code = code_sha256(
        "components.text_example_gen.executor",
        TASKS[config.task].reader,
        "pipeline.transform.preprocessing",
        "pipeline.tuning.tuner",
    )
    search = Search.below(
        places.tuning(config.task), search_space.what_determines(config, source, ranges, code)
    )
    with run_lock.hold(places.runs, config.task, run_id):
        metadata.open_store(places, create=True)
        beam = Beam()
        pipeline = create_tuning_pipeline(
            config,
            source,
            places,
            beam.pipeline_args(),
            ranges=ranges,
            trials=trials,
            search=search.folder,
        )
        # Not from TFX's cache: what ended before is in the search's own books, if they are there.
        run_stages(compile_for(pipeline, run_id, uncached=("Tuner",)), places, beam)
    return search


@contextmanager
def _from_nothing(yes: bool) -> Iterator[None]:
    """Lets trainings take no checkpoint of earlier ones."""
    if yes:
        os.environ[FROM_NOTHING] = "1"
    try:
        yield
    finally:
        os.environ.pop(FROM_NOTHING, None)


def _tell(section: partial_run.Section) -> None:
    if section.base_run:
        print(f"  from run {section.base_run}: {', '.join(section.taken_over)}", file=sys.stderr)
    if section.changed:
        print(
            f"warning: {', '.join(section.changed)}: taken over, although with today's"
            " parameters and code they would run again",
            file=sys.stderr,
        )


class DiskFullError(UserError):
    """There is no room for what a stage writes, and none for a summary."""


class LacksError(UserError):
    """A stage needs what this machine lacks."""


def check_needs(stages: Collection[str]) -> None:
    """Finds at the start what a stage would else find after the training."""
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
        uncached: ids of stages that run even if nothing has changed.
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
    """Runs the stages to the end, with a line of each on standard error.

    Raises:
        DiskFullError: if the disk is.
        Exception: what a stage raised.
    """
    beam.announce()
    stages = _StageLines()
    # Batches of a fixed number of bytes, not such as Beam tunes by the clock, new in each run.
    flags.FLAGS(["tf-mamba", "--tfxio_use_byte_size_batching"], known_only=True)
    tfx_log = logging.getLogger("absl")
    absl.logging.set_verbosity(absl.logging.INFO)
    tfx_log.addHandler(stages)
    hide_password = metadata.HidePassword()
    tfx_log.addFilter(hide_password)
    try:
        LocalDagRunner().run_with_ir(compiled)
    except Exception as error:
        if _is_disk_full(error, places):
            raise DiskFullError(
                f"{places.runs}: the disk is full; {stages.stage} did not finish, and what came"
                " before it is kept. Make room and run again."
            ) from error
        raise
    finally:
        tfx_log.removeHandler(stages)
        tfx_log.removeFilter(hide_password)


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
        if "Input resolution error" in message:
            # TFX would note it down and go on, as if there had been nothing to look up.
            raise RuntimeError(record.getMessage()) from (record.exc_info or (None, None))[1]
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
