"""Reads a run's stages from ML Metadata: times, states, and what came from what."""

from __future__ import annotations

import os

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.report.inputs import Item, Stage


def read_stages(store: mlmd.MetadataStore, run_id: str) -> tuple[Stage, ...]:
    """The stages of a run in the order in which they ran, also those that failed."""
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return ()
    executions = sorted(store.get_executions_by_context(context.id), key=lambda e: e.id)
    events = store.get_events_by_execution_ids([execution.id for execution in executions])
    types = {kind.id: kind.name for kind in store.get_artifact_types()}
    numbers = sorted({event.artifact_id for event in events})
    stored = {artifact.id: artifact for artifact in store.get_artifacts_by_id(numbers)}

    def of(execution: pb.Execution, *directions: int) -> tuple[Item, ...]:
        return tuple(
            Item(
                number=event.artifact_id,
                name=next(step.key for step in event.path.steps if step.key),
                type=types[stored[event.artifact_id].type_id],
                uri=stored[event.artifact_id].uri,
            )
            for event in sorted(events, key=lambda event: event.artifact_id)
            if event.execution_id == execution.id and event.type in directions
        )

    return tuple(
        Stage(
            name=_name(store, execution),
            state=pb.Execution.State.Name(execution.last_known_state),
            started=execution.create_time_since_epoch / 1000,
            seconds=max(
                0, execution.last_update_time_since_epoch - execution.create_time_since_epoch
            )
            / 1000,
            reads=of(execution, pb.Event.INPUT),
            makes=of(execution, pb.Event.OUTPUT, pb.Event.INTERNAL_OUTPUT),  # a resolver's
        )
        for execution in executions
    )


def artifacts(stages: tuple[Stage, ...]) -> dict[str, str]:
    """URIs by "<stage>.<output>", for stages that ended well."""
    return {
        f"{stage.name}.{item.name}": item.uri
        for stage in stages
        if stage.state in ("COMPLETE", "CACHED")
        for item in stage.makes
    }


def last_statistics(store: mlmd.MetadataStore, stages: tuple[Stage, ...]) -> str | None:
    """The newest statistics of the same pipeline that were made before this run's."""
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


def _name(store: mlmd.MetadataStore, execution: pb.Execution) -> str:
    contexts = store.get_contexts_by_execution(execution.id)
    (node,) = (context for context in contexts if context.type == "node")
    return node.name.split(".")[-1]  # <pipeline>.<node>
