"""Partial runs: some stages only, on the outputs of an earlier run.

This module chooses the stages and the earlier run. TFX then marks the stages in the compiled
pipeline, and links the outputs of the other stages to the new run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from tfx.orchestration import data_types_utils, node_proto_view
from tfx.orchestration.portable import partial_run_utils
from tfx.proto.orchestration import pipeline_pb2

from data.errors import UserError
from pipeline.places import Places
from pipeline.runs import stages


class NotPossibleError(UserError):
    """No stage to run, or no earlier run to take inputs from."""


_BASELINE = "Baseline"
# Pusher's inputs
_BLESSINGS = ("model_blessing", "infra_blessing", "infra_validator_blessing")


def mark(
    pipeline: pipeline_pb2.Pipeline, first: str | None, last: str | None, places: Places
) -> dict[str, Any]:
    """Marks a compiled pipeline to be run from `first` to `last` only.

    Outputs of stages that do not run come from the newest run in which all of these stages
    succeeded and whose files still exist. A push needs blessings from the same run: if Pusher
    runs, so do the stages that bless. If Evaluator runs, the last pushed model is resolved anew.

    Args:
        first: id of the first stage, in any case; None: the first of the pipeline.
        last: id of the last stage; None: the last of the pipeline.

    Returns:
        The summary's `partial`: `stages`, the ids of the stages to run, in order; `taken_over`,
        ids of the stages whose outputs come from the earlier run; `base_run`, that run's id, None
        if no output is taken over; `changed_since`, ids of stages taken over whose parameters or
        code have changed since.

    Raises:
        NotPossibleError: if a stage does not exist, `last` does not come after `first`, or no
            earlier run has the outputs that are needed.
    """
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in pipeline.nodes}
    start = [] if first is None else [_stage(nodes, "--from", first)]
    end = [] if last is None else [_stage(nodes, "--to", last)]
    views = partial_run_utils.make_ordered_node_map(node_proto_view.get_view_for_all_in(pipeline))

    def between(starts: Sequence[str]) -> set[str]:
        return partial_run_utils.compute_nodes_to_run(views, starts or nodes, end or nodes, [])

    chosen = between(start)
    if not chosen:
        raise NotPossibleError(
            f"--from {first} --to {last}: {end[0]} does not come after {start[0]}; the stages are,"
            f" in their order: {', '.join(nodes)}"
        )
    if start and "Pusher" in chosen:
        start += _producers(nodes["Pusher"], _BLESSINGS)
        chosen = between(start)
    if start and "Evaluator" in chosen and _BASELINE in nodes:
        start.append(_BASELINE)
        chosen = between(start)
    settings = pipeline_pb2.SnapshotSettings()
    partial_run_utils.set_latest_pipeline_run_strategy(settings)
    partial_run_utils.mark_pipeline(
        pipeline,
        from_nodes=start or None,
        to_nodes=end or None,
        snapshot_settings=settings,
    )
    ran = [name for name in nodes if name in chosen]
    needed = [name for name, node in nodes.items() if _is_needed(node)]
    partial = {"stages": ran, "taken_over": needed, "base_run": None, "changed_since": []}
    _take_nothing_else(nodes.values())
    if not needed:
        return partial
    task = pipeline.pipeline_info.id
    base = stages.newest_run_with(places, task, needed)
    if base is None:
        raise NotPossibleError(
            f"--from {first}: {ran[0]} needs the outputs of {', '.join(needed)}, and no earlier run"
            f" of {task} has all of them: run these too, with `tf-mamba run {task} --to {ran[0]}`"
        )
    run_id, parameters = base
    partial_run_utils.set_base_pipeline_run_strategy(
        pipeline.runtime_spec.snapshot_settings, run_id
    )
    changed = [n for n in needed if _parameters(nodes[n]) != parameters[n]]
    return partial | {"base_run": run_id, "changed_since": changed}


def _stage(nodes: dict[str, Any], option: str, name: str) -> str:
    for known in nodes:
        if known.lower() == name.lower():
            return known
    raise NotPossibleError(f"{option} {name}: no such stage; there are: {', '.join(nodes)}")


def _producers(node: pipeline_pb2.PipelineNode, keys: Sequence[str]) -> list[str]:
    return [
        channel.producer_node_query.id
        for key in keys
        if key in node.inputs.inputs
        for channel in node.inputs.inputs[key].channels
    ]


def _is_needed(node: pipeline_pb2.PipelineNode) -> bool:
    skip = node.execution_options.skip
    return (
        node.execution_options.HasField("skip")
        and skip.reuse_artifacts_mode == pipeline_pb2.NodeExecutionOptions.Skip.REQUIRED
    )


def _take_nothing_else(nodes: Collection[pipeline_pb2.PipelineNode]) -> None:
    """Leaves outputs that no stage of this run needs out of the run."""
    never = pipeline_pb2.NodeExecutionOptions.Skip.NEVER
    for node in nodes:
        if node.execution_options.HasField("skip") and not _is_needed(node):
            node.execution_options.skip.reuse_artifacts_mode = never


def _parameters(node: pipeline_pb2.PipelineNode) -> dict[str, str]:
    """The parameters of a stage as text, by name."""
    return {
        name: str(data_types_utils.get_metadata_value(value.field_value))
        for name, value in node.parameters.parameters.items()
        if value.HasField("field_value")
    }
