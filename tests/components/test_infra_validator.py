"""TFX's InfraValidator: in the pipeline, and against a fake of docker's engine."""

import json

import pytest
import tensorflow as tf
from small_docker_engine import IMAGE, running
from tfx.types import artifact_utils, channel_utils, standard_artifacts
from tiny_exports import TEXTS, save

from components import infra_validator
from data import readers
from data.errors import UserError
from pipeline.places import Places
from pipeline.presets import preset
from pipeline.settings import with_settings

ON = "infra_check.tfx_infra_validator=true"


def _pipeline(folder, *settings):
    from pipeline.orchestrators.definition import define

    config = with_settings(preset("imdb", "smoke"), settings)
    return define(config, _source(config), Places.below(folder), [])


def _source(config):
    return readers.load(config.reading.reader).open_source(None, config.reading)


def test_if_enabled_it_is_a_stage_and_its_blessing_gates_the_push(tmp_path):
    stages = {stage.id: stage for stage in _pipeline(tmp_path, ON).components}
    validator, pusher = stages["InfraValidator"], stages["Pusher"]
    assert validator in pusher.upstream_nodes
    assert stages["InfraCheck"] in pusher.upstream_nodes
    blessing = pusher.inputs["infra_validator_blessing"]
    assert blessing is validator.outputs["blessing"]
    spec = json.loads(validator.exec_properties["serving_spec"])
    assert spec["tensorflow_serving"] == {"image_name": "tensorflow/serving", "tags": ["latest"]}
    request = json.loads(validator.exec_properties["request_spec"])
    assert request["tensorflow_serving"] == {"signature_names": ["serving_examples"]}

    off = {stage.id: stage for stage in _pipeline(tmp_path).components}
    assert set(stages) - set(off) == {"InfraValidator"}
    assert "infra_validator_blessing" not in off["Pusher"].inputs


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """The socket in DOCKER_HOST, for a fake of docker's engine."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


@pytest.fixture
def validate(tmp_path):
    """Runs the executor as TFX does; returns the blessing."""
    files = tmp_path / "examples" / "Split-eval"
    files.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(files / "data.gz"), "GZIP") as writer:
        for text in TEXTS:
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
            features = tf.train.Features(feature={"text": feature})
            writer.write(tf.train.Example(features=features).SerializeToString())
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["eval"])
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")

    def validate():
        model, blessing = standard_artifacts.Model(), standard_artifacts.InfraBlessing()
        model.uri = str(tmp_path)
        if not (tmp_path / "Format-Serving").exists():
            save(tmp_path / "Format-Serving")
        blessing.uri = str(tmp_path / "blessing")
        component = infra_validator.InfraValidator(
            channel_utils.as_channel([model]),
            channel_utils.as_channel([examples]),
            ["serving_examples"],
            time_limit=60,
        )
        context = infra_validator.Executor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
        infra_validator.Executor(context).Do(
            {"model": [model], "examples": [examples]},
            {"blessing": [blessing]},
            component.exec_properties,
        )
        return blessing

    return validate


@pytest.mark.slow
def test_it_sends_requests_to_the_server_in_docker_and_blesses_the_model(
    engine, validate, tmp_path
):
    with running(engine) as docker:
        blessing = validate()
        assert docker.servers["1"].poll() is not None  # stopped
    assert blessing.get_int_custom_property("blessed") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()
    (created,) = docker.created.values()
    assert created["Image"] == IMAGE
    (mount,) = created["HostConfig"]["Mounts"]
    assert mount["ReadOnly"]
    assert not [each for each in docker.requests if "/images/create" in each]  # a download


@pytest.mark.slow
def test_a_model_that_the_server_cannot_load_is_not_blessed(
    engine, validate, tmp_path, monkeypatch
):
    monkeypatch.setattr(infra_validator, "_TRIES", 1)
    (save(tmp_path / "Format-Serving") / "variables" / "variables.index").unlink()
    with running(engine) as docker:
        blessing = validate()
    assert blessing.get_int_custom_property("blessed") == 0
    assert len(docker.created) == 1


def test_without_docker_s_engine_or_image_it_says_what_to_do(engine):
    with pytest.raises(UserError, match=r"tfx_infra_validator: docker's engine does not run.*set"):
        infra_validator.require_docker()
    with (
        running(engine, images=()) as docker,
        pytest.raises(UserError, match=r"no image tensorflow/serving:latest: run docker pull"),
    ):
        infra_validator.require_docker()
    assert not docker.created


def test_a_run_that_needs_docker_is_refused_before_its_first_stage(engine, tmp_path):
    from pipeline.orchestrators import local_runner

    config = with_settings(preset("imdb", "smoke"), [ON])
    places = Places.below(tmp_path / "root")
    with pytest.raises(UserError, match="docker's engine does not run"):
        local_runner.run(config, _source(config), places)
    assert not (places.runs / "artifacts").exists()
