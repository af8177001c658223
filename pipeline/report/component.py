"""RunReport: the run's page as an artifact, made after Pusher.

What only the run's end knows, its times and its lineage, stands in the page of the run's
folder, which the local runner makes by the same function. A section that fails says so in the
page and on standard error; it does not fail a run whose model is pushed by now.

TFX reads the annotations of a component function as objects, so this module does without
`from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the types of what the function gets.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import json
import os
import sys

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from components.artifacts import HTML, DataBlessing, IngestRecords
from pipeline.report.inputs import MEASUREMENTS_FILE, Run


@component
def RunReport(
    examples: InputArtifact[standard_artifacts.Examples],
    records: InputArtifact[IngestRecords],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    data_blessing: InputArtifact[DataBlessing],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    pushed_model: InputArtifact[standard_artifacts.PushedModel],
    page_file: OutputArtifact[HTML],
    config: Parameter[str],
    versions: Parameter[str],
    code_sha256: Parameter[str] = "",
    infra_validator_blessing: InputArtifact[standard_artifacts.InfraBlessing] = None,
) -> None:
    """Measures what no stage wrote down, and writes it and the page.

    Args:
        config: of the run, as JSON.
        versions: of the libraries, as JSON.
        code_sha256: hash of the code of the page; a part of the cache key only.
        infra_validator_blessing: None where InfraValidator is not in the pipeline.
    """
    pushed = pushed_model.get_int_custom_property("pushed")
    destination = pushed_model.get_string_custom_property("pushed_destination")
    run = Run(
        config=json.loads(config),
        versions=json.loads(versions),
        artifacts={
            "TextExampleGen.examples": examples.uri,
            "TextExampleGen.records": records.uri,
            "StatisticsGen.statistics": statistics.uri,
            "ExampleValidator.anomalies": anomalies.uri,
            "DataGate.blessing": data_blessing.uri,
            "Transform.transform_graph": transform_graph.uri,
            "Trainer.model": model.uri,
            "Trainer.model_run": model_run.uri,
            "Evaluator.evaluation": evaluation.uri,
            "InfraCheck.blessing": infra_blessing.uri,
        }
        | (
            {"InfraValidator.blessing": infra_validator_blessing.uri}
            if infra_validator_blessing
            else {}
        ),
        pushed=destination if pushed else None,
    )
    write(run, page_file)


def write(run: Run, page_file: HTML) -> None:
    """The work of RunReport, which see."""
    from pipeline.report import page
    from pipeline.report.measurements import measure as measurements

    run = run.with_measurements(measurements.measure(run))
    made = page.render(run)
    for failure in made.failures:
        print(f"warning: run report: {failure}", file=sys.stderr)
    fileio.makedirs(page_file.uri)
    with fileio.open(os.path.join(page_file.uri, MEASUREMENTS_FILE), "wb") as stream:
        stream.write(json.dumps(run.measurements, indent=1, ensure_ascii=False).encode())
    # The artifact is the file itself: that is what Kubeflow shows of a `system.HTML`.
    page_file.uri = os.path.join(page_file.uri, "report.html")
    with fileio.open(page_file.uri, "wb") as stream:
        stream.write(made.html.encode())
