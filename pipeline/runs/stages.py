"""A run's stages in ML Metadata: times, states, inputs and outputs."""

from __future__ import annotations

import os
from collections.abc import Collection

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.places import Places
from pipeline.report.inputs import Item, Stage
from pipeline.runs import records
from pipeline.runs import store as metadata


def read_stages(store: mlmd.MetadataStore, run_id: str) -> tuple[Stage, ...]:
    """The stages of a run in the order in which they ran, failed ones too."""
    executions = records.executions_of(store, run_id)
    if not executions:
        return ()
    events = store.get_events_by_execution_ids([execution.id for _, execution in executions])
    types = {kind.id: kind.name for kind in store.get_artifact_types()}
    numbers = sorted({event.artifact_id for event in events})
    stored = {artifact.id: artifact for artifact in store.get_artifacts_by_id(numbers)}

    def items(execution: pb.Execution, *event_types: int) -> tuple[Item, ...]:
        return tuple(
            Item(
                number=event.artifact_id,
                name=records.event_key(event),
                type=types[stored[event.artifact_id].type_id],
                uri=stored[event.artifact_id].uri,
            )
            for event in sorted(events, key=lambda event: event.artifact_id)
            if event.execution_id == execution.id and event.type in event_types
        )

    return tuple(
        Stage(
            name=name,
            state=pb.Execution.State.Name(execution.last_known_state),
            started=execution.create_time_since_epoch / 1000,
            seconds=max(0.0, seconds(execution)),
            reads=items(execution, pb.Event.INPUT),
            makes=items(execution, pb.Event.OUTPUT, pb.Event.INTERNAL_OUTPUT),  # a resolver's
        )
        for name, execution in executions
    )


def seconds(execution: pb.Execution) -> float:
    """How long an execution took."""
    return (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000


def artifacts(stages: tuple[Stage, ...]) -> dict[str, str]:
    """The outputs of the stages that succeeded: "<stage>.<output>" to URI."""
    return {
        f"{stage.name}.{item.name}": item.uri
        for stage in stages
        if stage.state in ("COMPLETE", "CACHED")
        for item in stage.makes
    }


def last_statistics(store: mlmd.MetadataStore, stages: tuple[Stage, ...]) -> str | None:
    """URI of the pipeline's newest statistics from before this run; None if there are none."""
    own = [i for stage in stages if stage.name == "StatisticsGen" for i in stage.makes]
    if not own:
        return None
    root = own[0].uri.rsplit("/", 1)[0]
    others = [
        artifact
        for artifact in store.get_artifacts_by_type("ExampleStatistics")
        if artifact.id < own[0].number
        and artifact.uri.rsplit("/", 1)[0] == root
        and artifact.state == pb.Artifact.LIVE
        and os.path.isdir(artifact.uri)
    ]
    return max(others, key=lambda artifact: artifact.id).uri if others else None


def newest_run_with(
    places: Places, task: str, stages: Collection[str]
) -> tuple[str, dict[str, dict[str, str]]] | None:
    """The newest run of a task in which `stages` succeeded and whose outputs still exist.

    Returns: its id, and the parameters of each stage that succeeded, as text.
    """
    store = metadata.open_store(places)
    for run in reversed(records.runs_in(store) if store else []):
        if run.task != task:
            continue
        executions = {
            name: execution
            for name, execution in records.executions_of(store, run.run_id)
            if execution.last_known_state in records.SUCCEEDED
        }
        if set(stages) <= set(executions) and all(
            artifact.state == pb.Artifact.LIVE and os.path.exists(artifact.uri)
            for name in stages
            for artifact in records.outputs_of(store, executions[name]).values()
        ):
            return run.run_id, {n: _parameters(e) for n, e in executions.items()}
    return None


def _parameters(execution: pb.Execution) -> dict[str, str]:
    from tfx.orchestration import data_types_utils  # slow to import

    return {
        name: str(data_types_utils.get_metadata_value(value))
        for name, value in execution.custom_properties.items()
        if not name.startswith("__")  # added by TFX
    }
