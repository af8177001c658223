"""The folder of runs: where each run's files go; and past runs, read back from ML Metadata.

runs/metadata.sqlite                 ML Metadata of all runs, unless a server keeps it
runs/artifacts/<task>/               what the stages made
runs/checkpoints/<task>/<key>/       of trainings, see training_checkpoints.py
runs/tuning/<task>/<key>/            of searches for better settings, see trials.py
runs/<task>/<run id>/summary.json    see run_summary.py
runs/<task>/<run id>/report.html     the page to look at, see run_page.py
runs/<task>/latest                   link to the last run that went to its end

A run's summary is a property of its context in ML Metadata, and its file a copy of that for
other programs: nothing here reads the file.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from data.errors import UserError
from pipeline.config import RunConfig
from pipeline.places import Places
from pipeline.runs import lock as run_lock
from pipeline.runs import store as metadata

_SUMMARY = "summary.json"
_PAGE = "report.html"
_PROPERTY = "summary"  # of a run's context
# TFX's types of contexts
PIPELINE, RUN, NODE = "pipeline", "pipeline_run", "node"
ENDED_WELL = (pb.Execution.COMPLETE, pb.Execution.CACHED)


@dataclass(frozen=True, eq=False)
class PastRun:
    """A run as ML Metadata knows it, a search for settings among them."""

    context: int  # its id
    task: str
    run_id: str
    started: int  # milliseconds since the epoch
    summary: dict[str, Any] | None  # None: it was killed, or goes on, or is a search

    @property
    def is_search(self) -> bool:
        return self.run_id.endswith("-tune")


def write_summary(summary: dict[str, Any], places: Places) -> Path:
    """Keeps a run's summary in ML Metadata and in a file, each whole or not at all.

    Returns:
        The file's path.
    """
    _record(summary, places)
    path = places.run(summary["task"], summary["run_id"]) / _SUMMARY
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{_SUMMARY}")
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    unfinished.replace(path)
    return path


def page_file(places: Places, summary: dict[str, Any]) -> Path:
    """Where the page of a run is, or goes."""
    return places.run(summary["task"], summary["run_id"]) / _PAGE


def _record(summary: dict[str, Any], places: Places) -> None:
    store = metadata.open_store(places, create=True)
    assert store is not None
    run = store.get_context_by_type_and_name(RUN, summary["run_id"])
    if run is None:  # it failed before its first stage, which is when TFX notes it down
        pipeline = store.get_context_by_type_and_name(PIPELINE, summary["task"])
        parent = pipeline.id if pipeline else _put_context(store, PIPELINE, summary["task"])
        child = _put_context(store, RUN, summary["run_id"])
        store.put_parent_contexts([pb.ParentContext(child_id=child, parent_id=parent)])
        run = store.get_context_by_type_and_name(RUN, summary["run_id"])
    run.custom_properties[_PROPERTY].string_value = json.dumps(summary)
    store.put_contexts([run])


def _put_context(store: mlmd.MetadataStore, kind: str, name: str) -> int:
    type_id = store.put_context_type(
        pb.ContextType(name=kind), can_add_fields=True, can_omit_fields=True
    )
    (number,) = store.put_contexts([pb.Context(type_id=type_id, name=name)])
    return number


def link_latest(places: Places, task: str, run_id: str) -> None:
    """Points runs/<task>/latest at a run; never leaves it missing."""
    link = places.run(task, "latest")
    unfinished = link.with_name(f".latest-{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(run_id)
    unfinished.replace(link)


def past_runs(places: Places) -> list[PastRun]:
    """All runs of all tasks, the newest last."""
    store = metadata.open_store(places)
    return [] if store is None else runs_in(store)


def runs_in(store: mlmd.MetadataStore) -> list[PastRun]:
    """All runs that a store knows, the newest last."""
    found = []
    for pipeline in store.get_contexts_by_type(PIPELINE):
        for run in store.get_children_contexts_by_context(pipeline.id):
            if run.type == RUN:
                text = run.custom_properties[_PROPERTY].string_value
                found.append(
                    PastRun(
                        context=run.id,
                        task=pipeline.name,
                        run_id=run.name,
                        started=run.create_time_since_epoch,
                        summary=json.loads(text) if text else None,
                    )
                )
    # By time, as an orchestrator's ids may follow another clock.
    return sorted(found, key=lambda run: (run.started, run.run_id))


def read_summaries(places: Places) -> list[dict[str, Any]]:
    """The summaries of all runs that ended, the newest last."""
    return [run.summary for run in past_runs(places) if run.summary]


def find(places: Places, run: str, task: str | None = None) -> dict[str, Any]:
    """The summary of a run.

    Args:
        run: its id, or `latest` for the newest that ended.
        task: only runs of it count; None: of all tasks.

    Raises:
        UserError: if there is none.
    """
    of_task = [past for past in past_runs(places) if task in (past.task, None)]
    wanted = [past.summary for past in of_task if past.summary and run in (past.run_id, "latest")]
    if wanted:
        return wanted[-1]
    if run in {past.run_id for past in of_task}:
        raise UserError(
            f"run {run!r}: it did not come to its end, or goes on, or is a search, so that there"
            " is no summary of it"
        )
    words = f" of {task}" if task else ""
    raise UserError(f"run {run!r}{words}: there is none; `tf-mamba runs` lists them")


def pushed_models_gone(places: Places, config: RunConfig) -> int:
    """How many of the models that runs of this configuration pushed are no longer there.

    Models of other configurations go by themselves, as a push keeps the newest only. Where one
    has rolled back from a model, it is still there: a run that makes no other one does not undo
    the rollback.
    """
    of_run = json.loads(json.dumps(dataclasses.asdict(config)))
    paths = {s["pushed_path"] for s in read_summaries(places) if s["config"] == of_run}
    return sum(1 for path in paths if path and not Path(path).is_dir())


def pushed_models(store: mlmd.MetadataStore, task: str) -> list[pb.Artifact]:
    """The task's PushedModel artifacts that were really pushed, the oldest first."""
    pipeline = store.get_context_by_type_and_name(PIPELINE, task)
    artifacts = store.get_artifacts_by_context(pipeline.id) if pipeline else []
    pushed = [a for a in artifacts if a.type == "PushedModel" and pushed_to(a)]
    return sorted(pushed, key=lambda artifact: artifact.id)


def pushed_to(pushed_model: pb.Artifact) -> str:
    """The folder that a model was pushed to; empty: it was not."""
    properties = pushed_model.custom_properties
    return properties["pushed_destination"].string_value if properties["pushed"].int_value else ""


def node_name(store: mlmd.MetadataStore, execution: pb.Execution) -> str:
    """The stage that an execution is one of."""
    contexts = store.get_contexts_by_execution(execution.id)
    (node,) = (context for context in contexts if context.type == NODE)
    return node.name.split(".")[-1]  # <pipeline>.<node>


def outputs_of(store: mlmd.MetadataStore, execution: pb.Execution) -> dict[str, pb.Artifact]:
    """What an execution made, or took from the cache, by the names of the stage's outputs."""
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == pb.Event.OUTPUT
    ]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return {event_key(event): artifacts[event.artifact_id] for event in events}


def event_key(event: pb.Event) -> str:
    """The name of a stage's input or output."""
    return next(step.key for step in event.path.steps if step.WhichOneof("value") == "key")


def table(places: Places) -> Iterable[str]:
    """All runs as rows: task, id, seconds, verdict, metrics; the newest last."""
    store = metadata.open_store(places)
    if store is None:
        return
    for run in runs_in(store):
        if run.summary:
            yield one_line(run.summary)
            continue
        executions = store.get_executions_by_context(run.context)
        ended = sum(1 for each in executions if each.last_known_state in ENDED_WELL)
        times = [each.last_update_time_since_epoch for each in executions]
        seconds = (max(times, default=run.started) - run.started) / 1000
        going_on = run_lock.holder(places.runs, run.task) == run.run_id
        verdict = "going on" if going_on else "search" if run.is_search else "unfinished"
        yield _row(run.task, run.run_id, seconds, verdict, f"{ended} stages ended")


def infra_checks_failed(places: Places, task: str) -> int:
    """In how many runs of the task the export failed InfraCheck."""
    checks = [s.get("infra_check") for s in read_summaries(places) if s["task"] == task]
    return sum(1 for check in checks if check and not check["blessed"])


def infra_validations_failed(places: Places, task: str) -> int:
    """In how many runs of the task the export failed InfraValidator."""
    verdicts = [s.get("infra_validator") for s in read_summaries(places) if s["task"] == task]
    return verdicts.count(False)


def one_line(summary: dict[str, Any]) -> str:
    """A run as a row: task, id, seconds, verdict, metrics."""
    verdict = "failed" if summary["error"] else "blessed" if summary["blessed"] else "not blessed"
    if summary.get("partial") and verdict != "failed":
        verdict = "partial" if summary["blessed"] is None else f"{verdict}, partial"
    metrics = (summary["metrics"] or {}).get("eval", {})
    figures = "  ".join(f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, float))
    seconds = sum(summary["seconds"].values())
    return _row(summary["task"], summary["run_id"], seconds, verdict, figures)


def _row(task: str, run_id: str, seconds: float, verdict: str, rest: str) -> str:
    return f"{task:<6} {run_id:<30} {seconds:6.0f} s  {verdict:<11}  {rest}"
