"""Runs one stage at a time, for an orchestrator that starts each in its own process.

Stages with the same run id make up one run, as if local_runner.py had run them one after
another: same metadata, cache, lock, summary and page.
"""

from __future__ import annotations

from typing import Any

from tfx.proto.orchestration import pipeline_pb2

from data.errors import UserError
from data.records import Source
from pipeline.config import RunConfig
from pipeline.orchestrators.beam import Beam
from pipeline.orchestrators.definition import define, without_past_runs
from pipeline.orchestrators.local_runner import check_needs, compile_for, finish, run_stages
from pipeline.pipeline import create_pipeline
from pipeline.places import Places
from pipeline.runs import lock as run_lock
from pipeline.runs import store as metadata
from pipeline.runs import summary as run_summary
from pipeline.training import scan_choice


class StageError(UserError):
    """The stage does not exist, or a stage before it has not finished."""


def upstream(config: RunConfig, source: Source, places: Places) -> dict[str, list[str]]:
    """The stages of a run in a valid order, each with the stages that it waits for."""
    context = without_past_runs(config, places)
    pipeline = create_pipeline(config, source, places, Beam().pipeline_args(), context)
    return _upstream(compile_for(pipeline, "any"))


def run(
    config: RunConfig, source: Source, places: Places, beam: Beam, *, run_id: str, stage: str
) -> bool:
    """Runs one stage, unless it has already succeeded in this run.

    If an orchestrator starts a stage twice, it must run once: the stages after it would get the
    outputs of both.

    Args:
        run_id: of the run, the same for all its stages.
        stage: the stage's id.

    Returns:
        Whether the stage ran.

    Raises:
        UserError: if the stage does not exist, a stage that it waits for has not succeeded in
            this run, another process holds the task's lock, or the disk is full.
        Exception: what the stage raised.
    """
    config = scan_choice.resolve(config)
    places.runs.mkdir(parents=True, exist_ok=True)
    with run_lock.hold(places.runs, config.task.name, run_id):
        metadata.open_store(places, create=True)
        pipeline = define(config, source, places, beam.pipeline_args())
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
    """Writes the summary and the page of a run whose stages have succeeded or failed.

    Returns:
        The summary, see runs/summary.py; `error` names the stages that did not succeed.
    """
    config = scan_choice.resolve(config)
    with run_lock.hold(places.runs, config.task.name, run_id):
        ended = run_summary.stages_that_ended_well(places, run_id)
        missing = [name for name in upstream(config, source, places) if name not in ended]
        failure = StageError(f"{', '.join(missing)}: did not end well") if missing else None
        return finish(config, source, places, run_id, failure)


def _upstream(compiled: pipeline_pb2.Pipeline) -> dict[str, list[str]]:
    nodes = (node.pipeline_node for node in compiled.nodes)
    return {node.node_info.id: list(node.upstream_nodes) for node in nodes}


def _leave_only(compiled: pipeline_pb2.Pipeline, stage: str) -> None:
    """Marks all other stages to be skipped; their outputs in this run are used."""
    never = pipeline_pb2.NodeExecutionOptions.Skip.NEVER
    for node in compiled.nodes:
        if node.pipeline_node.node_info.id != stage:
            node.pipeline_node.execution_options.skip.reuse_artifacts_mode = never
