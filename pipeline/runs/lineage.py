"""The lineage of a pushed model in ML Metadata, back to the hash of the source's content.

It is a graph of artifacts and the executions that made them. An artifact that several runs took
from the cache appears once. See pipeline/report/lineage_graph.py.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from data.errors import UserError
from pipeline.places import Places
from pipeline.pushed_models import rollback
from pipeline.pushed_models.model import find
from pipeline.report.lineage_graph import Edge, Lineage, Node
from pipeline.runs import records
from pipeline.runs import store as metadata

# Inputs that a result is only compared with: shown, but not traced further back.
_BASELINES = ("baseline_model",)


def of_model(places: Places, model: str) -> Lineage:
    """The lineage of a pushed model.

    Args:
        model: a task (its newest version), `<task>/<version>`, or a pushed version's folder.

    Raises:
        UserError: if there is no such model, or no run in this store pushed it.
    """
    folder = find(places.serving_models, model)
    task = folder.parent.name
    # For a version that a rollback made: the version that it is a copy of.
    version = str(rollback.content_of(folder.parent, int(folder.name)))
    folder = folder.with_name(version)
    store = metadata.open_store(places)
    pushed = records.pushed_models(store, task) if store else []
    # By its path; or by its version, if the root folder was moved.
    found = [a for a in pushed if records.pushed_to(a) == str(folder)] or [
        a for a in pushed if Path(records.pushed_to(a)).name == version
    ]
    if not (store and found):
        raise UserError(
            f"{folder}: no run in {places.metadata or metadata.sqlite_file(places)} pushed it;"
            " give the --root or --metadata of the run that did"
        )
    return _upstream(store, [found[-1].id])


def _upstream(store: mlmd.MetadataStore, ends: Sequence[int]) -> Lineage:
    """Everything that `ends` (ids of artifacts) were made from."""
    makers = _makers(store, ends)
    artifacts = sorted({number for maker in makers for _, number in (*maker.reads, *maker.makes)})
    stored = {a.id: a for a in store.get_artifacts_by_id(sorted({*artifacts, *ends}))}
    summaries = {run.run_id: run.summary for run in records.runs_in(store)}
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []

    def add(number: int) -> str:
        artifact = stored[number]
        name = f"artifact {number}"
        nodes.setdefault(name, Node(name, "artifact", artifact.type, _artifact_details(artifact)))
        return name

    for maker in makers:
        stage = f"execution {maker.id}"
        for key, number in maker.reads:
            edges.append(Edge(add(number), stage, key))
        if maker.source:
            source = f"source {maker.id}"
            nodes[source] = Node(source, "source", *_source(maker.source))
            edges.append(Edge(source, stage, "source"))
        nodes[stage] = Node(stage, "execution", maker.stage, maker.details)
        summary = summaries.get(maker.details.get("run", "")) or {}
        for key, number in maker.makes:
            if number in maker.wanted:
                name = add(number)
                nodes[name].details.update(_hashes(summary, maker.stage, key))
                edges.append(Edge(stage, name, key))
    return Lineage(tuple(add(number) for number in ends), tuple(nodes.values()), tuple(edges))


@dataclass(frozen=True)
class _Maker:
    """An execution that made artifacts, rather than take them from the cache."""

    id: int
    stage: str
    details: dict[str, str]
    source: str | None  # TextExampleGen's parameter
    reads: tuple[tuple[str, int], ...]  # names of inputs and ids of artifacts
    makes: tuple[tuple[str, int], ...]
    wanted: set[int]  # ids of those outputs that belong to the lineage


def _makers(store: mlmd.MetadataStore, ends: Sequence[int]) -> list[_Maker]:
    """The executions that `ends` were made by, directly or not, in the order they ran in."""
    found: dict[int, _Maker] = {}
    waiting, seen = list(ends), set(ends)
    while waiting:
        events = store.get_events_by_artifact_ids(waiting)
        made_by: dict[int, set[int]] = {}
        for event in events:
            if event.type == pb.Event.OUTPUT:
                made_by.setdefault(event.execution_id, set()).add(event.artifact_id)
        waiting = []
        for execution in store.get_executions_by_id(sorted(made_by)) if made_by else []:
            if execution.last_known_state != pb.Execution.COMPLETE:
                continue
            wanted = made_by[execution.id]
            if execution.id in found:
                found[execution.id].wanted.update(wanted)
                continue
            maker = found[execution.id] = _maker(store, execution, wanted)
            for key, number in maker.reads:
                if key not in _BASELINES and number not in seen:
                    seen.add(number)
                    waiting.append(number)
    return [found[number] for number in sorted(found)]


def _maker(store: mlmd.MetadataStore, execution: pb.Execution, wanted: set[int]) -> _Maker:
    events = store.get_events_by_execution_ids([execution.id])
    contexts = {c.type: c.name for c in store.get_contexts_by_execution(execution.id)}
    properties = execution.custom_properties
    code = properties["code_sha256"].string_value
    code = code or records.custom_config(execution).get("code_sha256")
    ended = datetime.datetime.fromtimestamp(execution.last_update_time_since_epoch // 1000)
    details = {"run": contexts.get(records.RUN, ""), "ended": f"{ended}", "code_sha256": code}

    def of(direction: int) -> tuple[tuple[str, int], ...]:
        return tuple((records.event_key(e), e.artifact_id) for e in events if e.type == direction)

    return _Maker(
        id=execution.id,
        stage=contexts[records.NODE].split(".")[-1],
        details={name: value for name, value in details.items() if value},
        source=properties["source"].string_value or None,
        reads=of(pb.Event.INPUT),
        makes=of(pb.Event.OUTPUT),
        wanted=set(wanted),
    )


def _source(text: str) -> tuple[str, dict[str, str]]:
    source = json.loads(text)
    details = {"sha256": source["sha256"]}
    if source["path"]:
        details["path"] = source["path"]
    return source["kind"], details


def _artifact_details(artifact: pb.Artifact) -> dict[str, str]:
    details = {"uri": artifact.uri}
    if artifact.state == pb.Artifact.DELETED:
        details["files"] = "removed"
    if version := artifact.custom_properties["tfx_version"].string_value:
        details["tfx"] = version
    if pushed := records.pushed_to(artifact):
        details["pushed"] = pushed
    if artifact.type.endswith("Blessing"):
        blessed = {**artifact.properties, **artifact.custom_properties}.get("blessed")
        if blessed is not None:
            details["blessed"] = "yes" if blessed.int_value else "no"
    return details


def _hashes(summary: dict[str, Any], stage: str, key: str) -> dict[str, str]:
    """Hashes of an output's content, from the summary of the run that made it."""
    hashes = summary.get("hashes") or {}
    of_output = {
        ("TextExampleGen", "examples"): hashes.get("examples"),
        ("Transform", "transform_graph"): {"vocabulary": summary.get("vocabulary_sha256")},
        ("Transform", "transformed_examples"): hashes.get("transformed examples"),
        ("Trainer", "model"): {"weights": summary.get("weights_sha256")},
    }
    found = of_output.get((stage, key)) or {}
    return {f"{what}_sha256": value for what, value in found.items() if value}
