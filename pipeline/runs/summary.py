"""A run's summary: its inputs and its results, collected from ML Metadata.

Keys; a value is null if the run did not get that far:

- task, run_id, preset, seed, config
- partial: for a partial run, the stages that it ran, those that it took over, from which run,
  and those of them that today's parameters or code would change
- versions (of libraries), code (hash of each module), machine (processor, cores)
- source (path; null for the packaged corpus), data_sha256
- vocabulary_sha256, weights_sha256, hashes (of each stage's outputs, see fingerprints.py)
- records (in, out, dead_letters, repeats, sampled_out)
- data_findings: what DataGate found but let pass in mode "report"
- training, pretraining: facts from training.json
- metrics (per split, see pipeline/evaluation/summary.py)
- blessed, failed_thresholds (with InfraCheck's and InfraValidator's findings)
- infra_check: its report
- infra_validator: whether TFX's InfraValidator blessed the model; null if it is switched off
- pushed_path, seconds (per stage), cached (stages), error
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as pb

from data.records import Source
from pipeline.code_hash import library_versions
from pipeline.config import RunConfig
from pipeline.evaluation import summary as evaluation_summary
from pipeline.evaluation.verdict import judge
from pipeline.places import TRAINING_FILE, Places
from pipeline.runs import fingerprints, records, stages
from pipeline.runs import store as metadata
from pipeline.stage_code import module_hashes

_MOST_FINDINGS = 3  # of InfraCheck among the failed thresholds; `infra_check` has all


def collect(
    config: RunConfig,
    source: Source,
    places: Places,
    run_id: str,
    failure: Exception | None = None,
    partial: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Builds the summary of a run that has ended.

    Args:
        failure: what ended the run; None: it succeeded.
        partial: the summary's `partial`, see partial_run.py; None: a whole run.
    """
    nodes = stages_that_ended_well(places, run_id)
    evaluated = _output(nodes, "Evaluator", "evaluation")
    evaluation = evaluation_summary.collect(evaluated and evaluated.uri)
    data_gate = _read(nodes, "DataGate", "blessing", "report.json")
    infra_check = _read(nodes, "InfraCheck", "blessing", "report.json")
    infra_validator = _infra_validator(nodes)
    verdict = judge(evaluation, infra_check, infra_validator, _MOST_FINDINGS)
    taken_over = partial["taken_over"] if partial else ()
    training = _read(nodes, "Trainer", "model_run", TRAINING_FILE)
    pretraining = _read(nodes, "Pretrainer", "model_run", TRAINING_FILE)
    hashes = _hashes(nodes, training, pretraining, evaluation["metrics"])
    return {
        "task": config.task.name,
        "run_id": run_id,
        "preset": config.preset,
        "seed": config.seed,
        "partial": partial,
        "config": dataclasses.asdict(config),
        "versions": library_versions(),
        "code": module_hashes(config.task.kind, config.reading.reader),
        "machine": machine(),
        "source": None if source.kind == "packaged" else os.path.abspath(source.path),
        "data_sha256": source.sha256,
        "vocabulary_sha256": (hashes["vocabulary"] or {}).get("pieces"),
        "weights_sha256": training.pop("weights_sha256") if training else None,
        "hashes": hashes,
        "records": _records(nodes),
        "data_findings": data_gate and data_gate["findings"],
        "metrics": evaluation["metrics"],
        "training": training,
        "pretraining": pretraining,
        # A whole run without a verdict failed, so it is not blessed.
        "blessed": verdict.blessed if partial else bool(verdict.blessed),
        "failed_thresholds": list(verdict.findings),
        "infra_check": infra_check,
        "infra_validator": infra_validator,
        "pushed_path": _pushed_path(nodes),
        "seconds": {name: node.seconds for name, node in nodes.items() if name not in taken_over},
        "cached": [n for n, node in nodes.items() if node.cached and n not in taken_over],
        "error": None if failure is None else f"{type(failure).__name__}: {failure}",
    }


def machine() -> dict[str, str]:
    """What the last bits of the weights depend on, apart from code and libraries.

    XLA compiles for the processor, and the sums in a matrix product are split among the cores
    that the process may use.
    """
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text() if info.exists() else "", re.M)
    processor = names[0] if names else platform.machine()
    return {"processor": processor, "cores": str(len(os.sched_getaffinity(0)))}


@dataclasses.dataclass(frozen=True)
class Node:
    """A stage of the run that succeeded."""

    seconds: float
    cached: bool
    outputs: dict[str, pb.Artifact]


def stages_that_ended_well(places: Places, run_id: str) -> dict[str, Node]:
    """The stages of a run that have succeeded so far, by name, in the order they ran in."""
    store = metadata.open_store(places)
    return {
        name: Node(
            seconds=stages.seconds(execution),
            cached=execution.last_known_state == pb.Execution.CACHED,
            outputs=records.outputs_of(store, execution),
        )
        for name, execution in (records.executions_of(store, run_id) if store else ())
        if execution.last_known_state in records.SUCCEEDED
    }


def _output(nodes: dict[str, Node], node: str, key: str) -> pb.Artifact | None:
    return nodes[node].outputs.get(key) if node in nodes else None


def _read(nodes: dict[str, Node], node: str, key: str, file: str) -> dict[str, Any] | None:
    """A JSON file of an output; None if the stage did not succeed."""
    artifact = _output(nodes, node, key)
    return None if artifact is None else json.loads(Path(artifact.uri, file).read_text("utf-8"))


def _records(nodes: dict[str, Node]) -> dict[str, Any] | None:
    ledger = _read(nodes, "TextExampleGen", "records", "records.json")
    return ledger and {
        "in": ledger["read"],
        "out": ledger["examples"],
        "dead_letters": ledger["dead_letters"],
        "repeats": ledger["repeats"],
        "sampled_out": ledger["sampled_out"],
    }


def _infra_validator(nodes: dict[str, Node]) -> bool | None:
    artifact = _output(nodes, "InfraValidator", "blessing")
    return None if artifact is None else bool(artifact.custom_properties["blessed"].int_value)


def _hashes(
    nodes: dict[str, Node],
    training: dict[str, Any] | None,
    pretraining: dict[str, Any] | None,
    metrics: dict[str, Any] | None,
) -> dict[str, fingerprints.Hashes | None]:
    """Hashes of the stages' outputs; moves the weights' hashes out of the two trainings' facts."""

    def of(node: str, key: str, function: Callable[[str], fingerprints.Hashes]) -> Any:
        artifact = _output(nodes, node, key)
        return None if artifact is None else function(artifact.uri)

    return {
        "examples": of("TextExampleGen", "examples", fingerprints.of_examples),
        "statistics": of("StatisticsGen", "statistics", fingerprints.of_statistics),
        "vocabulary": of("Transform", "transform_graph", fingerprints.of_vocabulary),
        "transformed examples": of("Transform", "transformed_examples", fingerprints.of_examples),
        "pretrained weights": pretraining.pop("variables_sha256") if pretraining else None,
        "weights": training.pop("variables_sha256") if training else None,
        "metrics": fingerprints.of_metrics(metrics["eval"]) if metrics else None,
    }


def _pushed_path(nodes: dict[str, Node]) -> str | None:
    artifact = _output(nodes, "Pusher", "pushed_model")
    pushed = records.pushed_to(artifact) if artifact else ""
    return pushed if os.path.isdir(pushed) else None
