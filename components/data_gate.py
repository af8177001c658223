"""DataGate: stops a run with unexpected data before training.

ExampleValidator reports anomalies but does not stop the run. The reader's `check_corpus` checks
what a schema cannot, such as the number of chapters or the edition. DataGate evaluates both.
`add_upstream_node(data_gate)` places a stage behind the gate.

TFX needs annotations as objects, so this module has no `from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the argument types.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import importlib
import json
import sys
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import Artifact, artifact_utils, standard_artifacts

from components.artifacts import DataBlessing, IngestRecords
from data.errors import UserError
from data.files import write_whole
from data.records import Source


@component
def DataGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    records: InputArtifact[IngestRecords],
    blessing: OutputArtifact[DataBlessing],
    reader: Parameter[str],
    mode: Parameter[str],
    code_sha256: Parameter[str] = "",
) -> None:
    """Prints all findings; stops the run on a finding, or else writes report.json.

    Args:
        anomalies: of ExampleValidator.
        records: of TextExampleGen.
        blessing: `blessed` is 1 without findings, else 0.
        reader: name of the corpus module, such as "data.imdb.reader".
        mode: "stop" raises on a finding, "report" continues.
        code_sha256: hash of the code of the checks; part of the cache key only.

    Raises:
        UserError: in mode "stop", with the number of findings and the first of them.
    """
    if mode not in ("stop", "report"):
        raise UserError(f"data gate: expected mode 'stop' or 'report', got {mode!r}")
    ledger = json.loads(Path(records.uri, "records.json").read_bytes())
    findings = schema_findings(anomalies, ledger["source"]) + corpus_findings(reader, ledger)
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


def schema_findings(anomalies: Artifact, source: dict[str, str]) -> list[str]:
    """Returns the anomalies, one line each: split, feature, value and what to do."""
    remedy = f"Correct {source['path']} or, if it is right, data/schema/{source['task']}.pbtxt."
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


def corpus_findings(reader: str, ledger: dict) -> list[str]:
    """Returns the findings of the reader's `check_corpus`, one line each."""
    source = Source(**ledger["source"], shards=())
    return list(importlib.import_module(reader).check_corpus(source, ledger))
