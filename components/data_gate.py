"""DataGate: stops a run with unexpected data before training.

ExampleValidator reports anomalies but does not stop the run. data/checks.py and the reader's own
`check_corpus` check what a schema cannot, such as the balance of classes. DataGate evaluates all.
`add_upstream_node(data_gate)` places a stage behind the gate.

TFX needs annotations as objects, so this module has no `from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the argument types.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import json
import sys
from pathlib import Path

import pydantic
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import Artifact, artifact_utils, standard_artifacts

from components.artifacts import DataBlessing, IngestRecords
from data import checks as corpus_checks
from data import readers
from data.errors import UserError
from data.files import write_whole
from data.records import Source
from data.tasks import Checks


@component
def DataGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    records: InputArtifact[IngestRecords],
    blessing: OutputArtifact[DataBlessing],
    task: Parameter[str],
    reader: Parameter[str],
    checks: Parameter[str],
    mode: Parameter[str],
    code_sha256: Parameter[str] = "",
) -> None:
    """Prints all findings; stops the run on a finding, or else writes report.json.

    Args:
        anomalies: of ExampleValidator.
        records: of TextExampleGen.
        blessing: `blessed` is 1 without findings, else 0.
        task: JSON of the task's name, kind and classes.
        reader: of the task, see data/readers.py.
        checks: JSON of the task's Checks.
        mode: "stop" raises on a finding, "report" continues.
        code_sha256: hash of the code of the checks; part of the cache key only.

    Raises:
        UserError: in mode "stop", with the number of findings and the first of them.
    """
    if mode not in ("stop", "report"):
        raise UserError(f"data gate: expected mode 'stop' or 'report', got {mode!r}")
    ledger = json.loads(Path(records.uri, "records.json").read_bytes())
    of_task, bounds = json.loads(task), pydantic.TypeAdapter(Checks).validate_json(checks)
    source = Source(**ledger["source"], shards=())
    findings = [
        *schema_findings(anomalies, source.path, of_task["name"]),
        *corpus_checks.findings(of_task["classes"], bounds, ledger),
        *(readers.findings(reader, source, ledger) if bounds.of_the_reader else ()),
    ]
    for finding in findings:
        print(f"data gate: {finding}", file=sys.stderr)
    if findings and mode == "stop":
        raise UserError(
            f"data gate: {len(findings)} finding(s) in {ledger['source']['path']}; the run stops "
            f"before training. First: {findings[0]}"
        )
    text = json.dumps({"mode": mode, "findings": findings}, indent=1, ensure_ascii=False)
    write_whole(Path(blessing.uri, "report.json"), text + "\n")
    blessing.set_int_custom_property("blessed", int(not findings))


def schema_findings(anomalies: Artifact, source: str, task: str) -> list[str]:
    """Returns the anomalies, one line each: split, feature, value and what to do."""
    remedy = f"Correct {source} or, if it is right, the schema.pbtxt of the task {task}."
    findings = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        uri = artifact_utils.get_split_uri([anomalies], split)
        found = anomalies_pb2.Anomalies.FromString(Path(uri, "SchemaDiff.pb").read_bytes())
        infos = dict(found.anomaly_info)
        if found.HasField("dataset_anomaly_info"):
            infos["(the split)"] = found.dataset_anomaly_info
        for feature, info in sorted(infos.items()):
            reasons = [f"{why.short_description}: {why.description}" for why in info.reason]
            what = " ".join("; ".join(reasons).split())
            findings.append(f"split {split}, feature {feature}: {what} {remedy}")
    return findings
