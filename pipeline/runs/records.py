"""Past runs as ML Metadata knows them: their summaries, stages and pushed models.

The summary of a run is a property of its context in ML Metadata. summary.json is a copy for other
programs; this project never reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from data.errors import UserError
from pipeline.places import Places
from pipeline.runs import store as metadata

# TFX's types of contexts
PIPELINE, RUN, NODE = "pipeline", "pipeline_run", "node"
SUCCEEDED = (pb.Execution.COMPLETE, pb.Execution.CACHED)
_SUMMARY = "summary"  # property of a run's context


@dataclass(frozen=True, eq=False)
class PastRun:
    """A run in ML Metadata; a search for better settings counts as a run too."""

    context: int  # id of its context
    task: str
    run_id: str
    started: int  # milliseconds since the epoch
    summary: dict[str, Any] | None  # None: killed, still running, or a search

    @property
    def is_search(self) -> bool:
        return self.run_id.endswith("-tune")


def record_summary(summary: dict[str, Any], places: Places) -> None:
    """Writes a run's summary to ML Metadata."""
    store = metadata.open_store(places, create=True)
    assert store is not None
    run = store.get_context_by_type_and_name(RUN, summary["run_id"])
    if run is None:  # TFX adds a run at its first stage; this one failed before
        pipeline = store.get_context_by_type_and_name(PIPELINE, summary["task"])
        parent = pipeline.id if pipeline else _put_context(store, PIPELINE, summary["task"])
        child = _put_context(store, RUN, summary["run_id"])
        store.put_parent_contexts([pb.ParentContext(child_id=child, parent_id=parent)])
        run = store.get_context_by_type_and_name(RUN, summary["run_id"])
    run.custom_properties[_SUMMARY].string_value = json.dumps(summary)
    store.put_contexts([run])


def _put_context(store: mlmd.MetadataStore, kind: str, name: str) -> int:
    type_id = store.put_context_type(
        pb.ContextType(name=kind), can_add_fields=True, can_omit_fields=True
    )
    (number,) = store.put_contexts([pb.Context(type_id=type_id, name=name)])
    return number


def past_runs(places: Places) -> list[PastRun]:
    """All runs of all tasks, oldest first."""
    store = metadata.open_store(places)
    return [] if store is None else runs_in(store)


def runs_in(store: mlmd.MetadataStore) -> list[PastRun]:
    """All runs in a store, oldest first."""
    found = []
    for pipeline in store.get_contexts_by_type(PIPELINE):
        for run in store.get_children_contexts_by_context(pipeline.id):
            if run.type == RUN:
                text = run.custom_properties[_SUMMARY].string_value
                found.append(
                    PastRun(
                        context=run.id,
                        task=pipeline.name,
                        run_id=run.name,
                        started=run.create_time_since_epoch,
                        summary=json.loads(text) if text else None,
                    )
                )
    # By time, as an orchestrator's run ids may follow another clock.
    return sorted(found, key=lambda run: (run.started, run.run_id))


def read_summaries(places: Places) -> list[dict[str, Any]]:
    """The summaries of all runs that ended, oldest first."""
    return [run.summary for run in past_runs(places) if run.summary]


def find(places: Places, run: str, task: str | None = None) -> dict[str, Any]:
    """The summary of a run.

    Args:
        run: its id, or `latest` for the newest that ended.
        task: only look at runs of this task; None: of all tasks.

    Raises:
        UserError: if there is no such run, or it has no summary.
    """
    of_task = [past for past in past_runs(places) if task in (past.task, None)]
    wanted = [past.summary for past in of_task if past.summary and run in (past.run_id, "latest")]
    if wanted:
        return wanted[-1]
    if run in {past.run_id for past in of_task}:
        raise UserError(
            f"run {run!r} has no summary: it was killed, is still running, or is a search for"
            " settings; `tf-mamba runs` lists all runs"
        )
    words = f" of {task}" if task else ""
    raise UserError(f"run {run!r}{words}: no such run; `tf-mamba runs` lists them")


def executions_of(store: mlmd.MetadataStore, run_id: str) -> list[tuple[str, pb.Execution]]:
    """Each execution of a run with the name of its stage, in the order in which they ran."""
    run = store.get_context_by_type_and_name(RUN, run_id)
    executions = store.get_executions_by_context(run.id) if run else []
    found = []
    for execution in sorted(executions, key=lambda e: e.id):
        contexts = store.get_contexts_by_execution(execution.id)
        (node,) = (context for context in contexts if context.type == NODE)
        found.append((node.name.split(".")[-1], execution))  # <pipeline>.<node>
    return found


def outputs_of(store: mlmd.MetadataStore, execution: pb.Execution) -> dict[str, pb.Artifact]:
    """The outputs of an execution, cached ones too, by output name."""
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == pb.Event.OUTPUT
    ]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return {event_key(event): artifacts[event.artifact_id] for event in events}


def custom_config(execution: pb.Execution) -> dict[str, Any]:
    """The parameter `custom_config` of an execution; empty if it has none."""
    text = execution.custom_properties["custom_config"].string_value
    return json.loads(text) if text.startswith("{") else {}


def event_key(event: pb.Event) -> str:
    """The name of the input or output that an event is about."""
    return next(step.key for step in event.path.steps if step.WhichOneof("value") == "key")


def pushed_models(store: mlmd.MetadataStore, task: str) -> list[pb.Artifact]:
    """The task's PushedModel artifacts that were really pushed, oldest first."""
    pipeline = store.get_context_by_type_and_name(PIPELINE, task)
    artifacts = store.get_artifacts_by_context(pipeline.id) if pipeline else []
    pushed = [a for a in artifacts if a.type == "PushedModel" and pushed_to(a)]
    return sorted(pushed, key=lambda artifact: artifact.id)


def pushed_to(pushed_model: pb.Artifact) -> str:
    """The folder that a model was pushed to; empty if it was not pushed."""
    properties = pushed_model.custom_properties
    return properties["pushed_destination"].string_value if properties["pushed"].int_value else ""
