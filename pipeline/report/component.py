"""RunReport: the run's page as an artifact, made after Pusher.

Times and lineage are known only after the run; runs/page.py writes them into the page in the
run's folder. A section that fails says so in the page and on standard error. It does not fail the
run, whose model is already pushed.

TFX reads the annotations of a component function as objects, so this module cannot use
`from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the types of the arguments.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import json
import sys
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifacts import HTML, DataBlessing, IngestRecords
from data.files import write_whole
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
    """Measures data and model for the page; writes the measurements and the page.

    Args:
        config: the RunConfig, as JSON.
        versions: of the libraries, as JSON.
        code_sha256: hash of the page's code; only part of the cache key.
        infra_validator_blessing: None if InfraValidator is not in the pipeline.
    """
    from pipeline.report import page
    from pipeline.report.measurements import measure as measurements

    artifacts = {
        "TextExampleGen.examples": examples,
        "TextExampleGen.records": records,
        "StatisticsGen.statistics": statistics,
        "ExampleValidator.anomalies": anomalies,
        "DataGate.blessing": data_blessing,
        "Transform.transform_graph": transform_graph,
        "Trainer.model": model,
        "Trainer.model_run": model_run,
        "Evaluator.evaluation": evaluation,
        "InfraCheck.blessing": infra_blessing,
        "InfraValidator.blessing": infra_validator_blessing,
    }
    pushed = pushed_model.get_int_custom_property("pushed")
    destination = pushed_model.get_string_custom_property("pushed_destination")
    run = Run(
        config=json.loads(config),
        versions=json.loads(versions),
        artifacts={name: artifact.uri for name, artifact in artifacts.items() if artifact},
        pushed=destination if pushed else None,
    )
    run = run.with_measurements(measurements.measure(run))
    made = page.render(run)
    for failure in made.failures:
        print(f"warning: run report: {failure}", file=sys.stderr)
    folder = Path(page_file.uri)
    measured = json.dumps(run.measurements, indent=1, ensure_ascii=False)
    write_whole(folder / MEASUREMENTS_FILE, measured)
    # The URI is the file's, as Kubeflow shows the file that a `system.HTML` points to.
    page_file.uri = str(folder / "report.html")
    write_whole(page_file.uri, made.html)
