"""What a compiled spec holds, and which places of a cluster are refused.

tests/e2e/test_kubeflow_spec.py runs a spec's stages.
"""

import argparse
import json
from pathlib import Path

import pytest
import yaml
from read_corpora import BIBLE, IMDB, opened

from data.errors import UserError
from pipeline.commands import compile as compile_command
from pipeline.orchestrators import kubeflow_runner
from pipeline.orchestrators.beam import Beam
from pipeline.orchestrators.kubeflow_runner import Cluster, Volume
from pipeline.presets import preset

IMAGE = "registry.example/tf-mamba:1"
VOLUME = Volume("models", Path("/mnt/tf_mamba"))
STAGES = {
    "TextExampleGen", "StatisticsGen", "ReviewedSchema", "ExampleValidator", "DataGate",
    "Transform", "Trainer", "Baseline", "Evaluator", "InfraCheck", "ModelCard", "Pusher",
    "RunReport",
}  # fmt: skip


@pytest.fixture(scope="module")
def kubeflow(tmp_path_factory) -> Path:
    """The spec of a run of the reviews' preset `full`, which has all stages."""
    path = tmp_path_factory.mktemp("kubeflow") / "imdb.yaml"
    cluster = Cluster.kubeflow(IMAGE, "minio://mlpipeline/tf_mamba", VOLUME)
    source = opened(IMDB)
    compiled = kubeflow_runner.compile_spec(preset("imdb", "full"), source, cluster, Beam(2))
    kubeflow_runner.write_spec(compiled, path)
    return path


@pytest.mark.slow
def test_every_stage_of_a_local_run_is_a_container_of_the_image(kubeflow):
    spec, _ = yaml.safe_load_all(kubeflow.read_text())
    assert set(spec["root"]["dag"]["tasks"]) == STAGES | {"Pretrainer"}
    executors = spec["deploymentSpec"]["executors"]
    assert {name.removesuffix("_executor") for name in executors} == STAGES | {"Pretrainer"}
    for executor in executors.values():
        container = executor["container"]  # Kubeflow's backend has no resolvers
        assert container["image"] == IMAGE
        assert container["command"] == ["python", "-m", "pipeline.orchestrators.kubeflow_executor"]
        assert "--direct_num_workers=2" in container["args"]


@pytest.mark.slow
def test_kubeflows_own_sdk_loads_the_spec(kubeflow):
    from kfp import components

    loaded = components.load_component_from_file(str(kubeflow))
    assert loaded.name == "imdb"
    assert loaded.pipeline_spec.default_pipeline_root == "minio://mlpipeline/tf_mamba/imdb"
    assert set(loaded.pipeline_spec.root.dag.tasks) == STAGES | {"Pretrainer"}
    mounted = loaded.platform_spec.platforms["kubernetes"].deployment_spec.executors
    for executor in mounted.values():
        (mount,) = executor["pvcMount"]
        assert (mount["constant"], mount["mountPath"]) == ("models", "/mnt/tf_mamba")


@pytest.mark.slow
def test_models_and_checkpoints_go_to_the_volume_and_nothing_to_this_machine(kubeflow):
    text = kubeflow.read_text()
    spec, _ = yaml.safe_load_all(text)
    tasks = spec["root"]["dag"]["tasks"]

    def parameter(task: str, name: str) -> str:
        return tasks[task]["inputs"]["parameters"][name]["runtimeValue"]["constant"]

    assert parameter("Baseline", "serving_models") == "/mnt/tf_mamba/serving_models/imdb"
    destination = json.loads(parameter("Pusher", "push_destination"))
    assert destination["filesystem"]["base_directory"] == "/mnt/tf_mamba/serving_models/imdb"
    custom = json.loads(parameter("Trainer", "custom_config"))
    assert custom["checkpoints"] == "/mnt/tf_mamba/runs/checkpoints/imdb"
    assert str(Path(kubeflow_runner.__file__).parents[2]) not in text


@pytest.mark.slow
def test_only_the_look_up_of_the_last_model_is_never_taken_from_the_cache(kubeflow):
    spec, _ = yaml.safe_load_all(kubeflow.read_text())
    cached = {
        name
        for name, task in spec["root"]["dag"]["tasks"].items()
        if task.get("cachingOptions", {}).get("enableCache")
    }
    assert cached == (STAGES | {"Pretrainer"}) - {"Baseline"}


@pytest.mark.slow
def test_vertex_takes_a_job_that_keeps_all_in_one_bucket(tmp_path):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    cluster = Cluster.vertex(IMAGE, "gs://bucket/tf_mamba/")
    compiled = kubeflow_runner.compile_spec(
        preset("bible", "smoke"), opened(BIBLE), cluster, Beam()
    )
    kubeflow_runner.write_spec(compiled, tmp_path / "bible.json")
    # As Vertex AI's own client reads it, before it is sent.
    job = aiplatform.PipelineJob(
        display_name="tf-mamba",
        template_path=str(tmp_path / "bible.json"),
        project="project",
        location="europe-west4",
        credentials=AnonymousCredentials(),
    ).to_dict()
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/tf_mamba/bible"
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert set(tasks) == STAGES
    pushed = tasks["Baseline"]["inputs"]["parameters"]["serving_models"]
    assert pushed["runtimeValue"]["constant"] == "/gcs/bucket/tf_mamba/serving_models/bible"


@pytest.mark.parametrize(
    "root", ["/mnt/tf_mamba", "bucket/folder", "http://host/folder", "gs://", "gs://a b/c", ""]
)
def test_a_root_that_is_no_folder_of_an_object_store_is_refused(root):
    with pytest.raises(UserError, match="--pipeline-root: expected a folder of an object store"):
        Cluster.kubeflow(IMAGE, root, VOLUME)


def test_vertex_takes_google_storage_only():
    with pytest.raises(UserError, match=r"as in gs://BUCKET/FOLDER; got 's3://bucket/folder'"):
        Cluster.vertex(IMAGE, "s3://bucket/folder")


@pytest.mark.parametrize("text", ["models", "models:", "models:mnt", "models:/", "Models:/mnt"])
def test_a_volume_that_is_no_claim_and_folder_is_refused(text):
    with pytest.raises(UserError, match="--volume: expected CLAIM:PATH"):
        Volume.parse(text)


def test_models_that_would_go_with_the_container_are_refused():
    with pytest.raises(UserError, match=r"expected a folder of the volume, below /mnt/tf_mamba"):
        Cluster.kubeflow(IMAGE, "s3://bucket/folder", VOLUME, Path("/serving_models"))
    with pytest.raises(UserError, match="expected a folder below /gcs/BUCKET"):
        Cluster.vertex(IMAGE, "gs://bucket/folder", Path("/serving_models"))


def test_an_image_without_a_name_is_refused():
    with pytest.raises(UserError, match="--image: expected the image that Dockerfile builds"):
        Cluster.vertex("", "gs://bucket/folder")


def test_a_source_that_containers_do_not_see_is_refused(tmp_path):
    reviews = tmp_path / "reviews.csv"
    reviews.write_text('text,label\n"A moving film.",pos\n')
    source = opened(IMDB, reviews)
    with pytest.raises(UserError, match=r"do not see this path. Put it below /mnt/tf_mamba"):
        Cluster.kubeflow(IMAGE, "s3://bucket/folder", VOLUME).check_source(source)
    Cluster.kubeflow(IMAGE, "s3://bucket/folder", Volume("v", tmp_path)).check_source(source)


def test_a_spec_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"--out .*spec.yaml: cannot be written"):
        (tmp_path / "file").touch()
        kubeflow_runner.write_spec([{"pipelineSpec": {}}], tmp_path / "file" / "spec.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kubeflow", "bible"), "--volume: expected CLAIM:PATH; Kubeflow's containers share"),
        (("vertex", "bible", "--volume", "v:/mnt/v"), "--volume: Vertex AI mounts buckets"),
        (("kubeflow", "bible", "--volume", "v:/mnt/v", "--out", "a.json"), "a JSON spec cannot"),
        (("kubeflow", "bible", "--volume", "v:/mnt/v", "--out", "spec"), "ends in .yaml or .json"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message):
    parser = argparse.ArgumentParser()
    compile_command.add_options(parser)
    given = [*arguments, "--image", IMAGE, "--pipeline-root", "gs://bucket/a"]
    options = parser.parse_args(given, argparse.Namespace(debug=True))
    with pytest.raises(UserError, match=message):
        compile_command.run(options)


def test_the_image_holds_the_project_where_the_spec_expects_it():
    project = Path(kubeflow_runner.__file__).parents[2]
    dockerfile = (project / "Dockerfile").read_text()
    assert f"WORKDIR {kubeflow_runner.IMAGE_FOLDER}\n" in dockerfile
    sent = (project / ".dockerignore").read_text().splitlines()
    for package in ("components", "data", "mamba_model", "pipeline", "serving", "setup.py"):
        assert f"!{package}" in sent
