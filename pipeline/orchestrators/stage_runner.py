"""One stage of a run at a time, for an orchestrator that starts each in a process of its own.

All stages that are given one run id make up one run, as if local_runner.py had run them one
after another: same metadata, cache, lock, summary and page.
"""

from __future__ import annotations

from typing import Any

from tfx.proto.orchestration import pipeline_pb2

from data.errors import UserError
from data.records import Source
from pipeline.config import RunConfig
from pipeline.orchestrators.beam import Beam
from pipeline.orchestrators.local_runner import check_needs, compile_for, run_stages
from pipeline.pipeline import create_pipeline
from pipeline.places import Places
from pipeline.runs import files as run_files
from pipeline.runs import lock as run_lock
from pipeline.runs import page as run_page
from pipeline.runs import store as metadata
from pipeline.runs import summary as run_summary


class StageError(UserError):
    """There is no such stage, or what it needs is not there."""


def upstream(config: RunConfig, source: Source, places: Places) -> dict[str, list[str]]:
    """The stages of a run in an order in which they can run, each with those it waits for."""
    pipeline = create_pipeline(config, source, places, Beam().pipeline_args())
    return _upstream(compile_for(pipeline, "any"))


def run(
    config: RunConfig, source: Source, places: Places, beam: Beam, *, run_id: str, stage: str
) -> bool:
    """Runs one stage, unless it has ended well in this run already.

    A stage that an orchestrator starts twice must not run twice: what comes after it would
    get the outputs of both.

    Args:
        run_id: of the run, the same for all its stages.
        stage: its id.

    Returns:
        Whether it ran.

    Raises:
        UserError: if there is no such stage, one that it waits for has not ended well in this
            run, another process has the task's lock, or the disk is full.
        Exception: what the stage raised.
    """
    places.runs.mkdir(parents=True, exist_ok=True)
    with run_lock.hold(places.runs, config.task, run_id):
        metadata.open_store(places, create=True)
        pipeline = create_pipeline(config, source, places, beam.pipeline_args())
        compiled = compile_for(pipeline, run_id)
        before = _upstream(compiled)
        if stage not in before:
            raise StageError(f"{stage}: no such stage; there are: {', '.join(before)}")
        ended = run_summary.stages_that_ended_well(places, run_id)
        if stage in ended:
            return False
        if missing := [name for name in before[stage] if name not in ended]:
            raise StageError(
                f"{stage} comes after {', '.join(missing)}, which did not end well in run {run_id}"
            )
        check_needs([stage])
        _leave_only(compiled, stage)
        run_stages(compiled, places, beam)
    return True


def end(config: RunConfig, source: Source, places: Places, run_id: str) -> dict[str, Any]:
    """Writes the summary and the page of a run whose stages have ended, well or not.

    Returns:
        The summary, see run_summary.py; `error` names the stages that did not end well.
    """
    with run_lock.hold(places.runs, config.task, run_id):
        ended = run_summary.stages_that_ended_well(places, run_id)
        missing = [name for name in upstream(config, source, places) if name not in ended]
        failure = StageError(f"{', '.join(missing)}: did not end well") if missing else None
        summary = run_summary.collect(config, source, places, run_id, failure)
        run_files.write_summary(summary, places)
        if not failure:
            run_files.link_latest(places, config.task, run_id)
        run_page.try_to_write(summary, places)
    return summary


def _upstream(compiled: pipeline_pb2.Pipeline) -> dict[str, list[str]]:
    nodes = (node.pipeline_node for node in compiled.nodes)
    return {node.node_info.id: list(node.upstream_nodes) for node in nodes}


def _leave_only(compiled: pipeline_pb2.Pipeline, stage: str) -> None:
    """Lets all other stages be passed over: theirs is what they have made in this run."""
    never = pipeline_pb2.NodeExecutionOptions.Skip.NEVER
    for node in compiled.nodes:
        if node.pipeline_node.node_info.id != stage:
            node.pipeline_node.execution_options.skip.reuse_artifacts_mode = never
