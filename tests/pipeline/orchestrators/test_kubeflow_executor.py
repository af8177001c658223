"""One stage's container, without the container; tests/e2e/test_kubeflow_spec.py runs more."""

import json
from pathlib import Path

import pytest

from components import content
from pipeline.orchestrators import kubeflow_executor
from pipeline.orchestrators.kubeflow_executor import LOCAL_ROOT, local_path

MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "/gcs/bucket/a/b"),
        ("minio://mlpipeline/a", "/minio/mlpipeline/a"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("/mnt/tf_mamba/a", "/mnt/tf_mamba/a"),
    ],
)
def test_a_stores_folder_is_where_kubeflows_launcher_puts_it(uri, path):
    assert local_path(uri) == path


def newest_served_model(serving_models: Path, told: Path) -> list[str]:
    """The arguments of the container that looks for the last pushed model."""
    outputs = {"model": {"artifacts": [{"uri": "gs://bucket/bible/model", "type": MODEL}]}}
    asked = {
        "inputs": {"parameterValues": {"serving_models": str(serving_models)}},
        "outputs": {"artifacts": outputs, "outputFile": str(told)},
    }
    takes = {"parameters": {"serving_models": {"parameterType": "STRING"}}}
    return [
        "--executor_class_path=components.newest_served_model.NewestServedModel_Executor",
        f"--json_serialized_invocation_args={json.dumps(asked)}",
        f"--json_serialized_inputs_spec_args={json.dumps(takes)}",
    ]


@pytest.mark.slow
def test_the_newest_pushed_version_is_what_a_model_is_compared_with(tmp_path, monkeypatch):
    monkeypatch.setenv(LOCAL_ROOT, str(tmp_path))
    for version in ("9", "10"):
        folder = tmp_path / "serving_models" / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text(version)
    told = tmp_path / "told.json"
    arguments = newest_served_model(tmp_path / "serving_models", told)
    assert kubeflow_executor.main(arguments) == 0
    (model,) = json.loads(told.read_text())["artifacts"]["model"]["artifacts"]
    assert model["uri"] == "gs://bucket/bible/model"
    found = tmp_path / "gcs/bucket/bible/model/Format-Serving/saved_model.pb"
    assert found.read_text() == "10"
    recorded = json.loads(model["metadata"]["content_files"])
    assert list(recorded) == ["Format-Serving/saved_model.pb"]


@pytest.mark.slow
def test_a_damaged_input_is_one_line_and_the_stage_does_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(LOCAL_ROOT, str(tmp_path))
    report = tmp_path / "gcs" / "bucket" / "records" / "records.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    recorded = content.properties(str(report.parent))
    report.write_text("{ ")
    name = "records"
    asked = {
        "inputs": {
            "artifacts": {
                name: {"artifacts": [{"uri": f"gs://bucket/{name}", "metadata": recorded}]}
            }
        },
        "outputs": {"outputFile": str(tmp_path / "told.json")},
    }
    takes = {"artifacts": {name: {"artifactType": {"schemaTitle": "tf_mamba.IngestRecords"}}}}
    arguments = [
        "--executor_class_path=components.data_gate.DataGate_Executor",
        f"--json_serialized_invocation_args={json.dumps(asked)}",
        f"--json_serialized_inputs_spec_args={json.dumps(takes)}",
    ]
    assert kubeflow_executor.main(arguments) == 1
    assert not (tmp_path / "told.json").exists()
    assert f"tf-mamba: input records is not as it was made: {report} has changed" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_first_run_compares_with_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(LOCAL_ROOT, str(tmp_path))
    told = tmp_path / "told.json"
    assert kubeflow_executor.main(newest_served_model(tmp_path / "none", told)) == 0
    baseline = json.loads(told.read_text())["artifacts"]["model"]
    candidate = {"artifacts": [{"uri": "gs://bucket/bible/candidate"}]}
    asked = {
        "inputs": {"artifacts": {"baseline_model": baseline, "model": candidate}},
        "outputs": {"outputFile": str(told)},
    }
    takes = {"artifacts": {name: {"artifactType": MODEL} for name in ("baseline_model", "model")}}
    taken = kubeflow_executor.in_container(asked, takes, told)["inputs"]["artifacts"]
    assert list(taken) == ["model"]


@pytest.mark.slow
def test_a_users_mistake_is_one_line_and_leaves_no_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(LOCAL_ROOT, str(tmp_path))
    blessing = {"uri": "gs://bucket/b", "type": {"schemaTitle": "tf_mamba.DataBlessing"}}
    names = ("task", "reader", "checks", "mode", "code_sha256")
    asked = {
        "inputs": {
            "parameterValues": {name: "" for name in names} | {"mode": "halt"},
            "artifacts": {
                "anomalies": {"artifacts": [{"uri": "gs://bucket/anomalies"}]},
                "records": {"artifacts": [{"uri": "gs://bucket/records"}]},
            },
        },
        "outputs": {
            "artifacts": {"blessing": {"artifacts": [blessing]}},
            "outputFile": str(tmp_path / "told.json"),
        },
    }
    types = {"anomalies": "tfx.ExampleAnomalies", "records": "tf_mamba.IngestRecords"}
    takes = {
        "parameters": {name: {"parameterType": "STRING"} for name in names},
        "artifacts": {n: {"artifactType": {"schemaTitle": t}} for n, t in types.items()},
    }
    code = kubeflow_executor.main(
        [
            "--executor_class_path=components.data_gate.DataGate_Executor",
            f"--json_serialized_invocation_args={json.dumps(asked)}",
            f"--json_serialized_inputs_spec_args={json.dumps(takes)}",
        ]
    )
    assert code == 1
    assert not (tmp_path / "told.json").exists()
    assert "tf-mamba: data gate: expected mode 'stop' or 'report', got 'halt'" in (
        capsys.readouterr().err
    )
