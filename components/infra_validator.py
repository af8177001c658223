"""TFX's InfraValidator on this machine's docker, which must be ready.

Without docker's engine, TFX's would retry and then reject the model; without the image, it would
download it. Here both are errors, which `require_docker` raises before a run. During the
validation, docker publishes the server's ports on all addresses of this machine.
"""

from __future__ import annotations

import os
from typing import Any

from tfx import types
from tfx.components.infra_validator import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import infra_validator_pb2
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel
from tfx.types.standard_component_specs import SERVING_SPEC_KEY, InfraValidatorSpec
from tfx.utils import proto_utils

from data.errors import UserError
from serving.tensorflow_serving import IMAGE

TAG = "latest"
_TRIES = 2  # a busy machine may exceed the time limit once
_EXAMPLES = 3  # for each signature
_DOCKER_SECONDS = 10  # for each answer of the engine
_SETTING = "infra_check.tfx_infra_validator"


def require_docker() -> None:
    """Raises UserError unless docker's engine, at DOCKER_HOST or here, has the image."""
    import docker
    import requests

    image = f"{IMAGE}:{TAG}"
    try:
        client = docker.DockerClient(base_url=_engine(), timeout=_DOCKER_SECONDS)
        try:
            client.images.get(image)
        finally:
            client.close()
    except docker.errors.NotFound as error:
        raise UserError(
            f"{_SETTING}: docker has no image {image}: run docker pull {image}, or set it to false"
        ) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise UserError(
            f"{_SETTING}: docker's engine does not run or does not answer ({error}): start it,"
            " or set it to false"
        ) from error


def _engine() -> str | None:
    """The engine's address for docker's client; None: TFX's default, the local engine."""
    return os.environ.get("DOCKER_HOST")


class Executor(executor.Executor):
    """TFX's executor after `require_docker`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Blesses the model if TensorFlow Serving loads it and answers.

        Raises:
            UserError: if docker's engine does not run, or lacks the image.
        """
        require_docker()
        spec = infra_validator_pb2.ServingSpec()
        proto_utils.json_to_proto(exec_properties[SERVING_SPEC_KEY], spec)
        if engine := _engine():
            spec.local_docker.client_base_url = engine
        properties = exec_properties | {SERVING_SPEC_KEY: proto_utils.proto_to_json(spec)}
        super().Do(input_dict, output_dict, properties)


class _Spec(component_spec.ComponentSpec):
    """The spec of TFX's InfraValidator, with two more parameters in the cache key."""

    PARAMETERS = InfraValidatorSpec.PARAMETERS | {
        "code_sha256": component_spec.ExecutionParameter(type=str),
        "failed_before": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = InfraValidatorSpec.INPUTS
    OUTPUTS = InfraValidatorSpec.OUTPUTS


class InfraValidator(base_component.BaseComponent):
    """Loads the model into TensorFlow Serving in docker, and sends it examples.

    Outputs:
        blessing: InfraBlessing, as TFX's InfraValidator.

    Args:
        model: channel of the Model.
        examples: channel of the Examples, of which split eval is sent.
        signatures: to send them to; each takes serialized examples only.
        time_limit: seconds to load the model.
        code_sha256: hash of the code that this component runs; part of the cache key only.
        failed_before: number of failed validations so far; part of the cache key only.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        signatures: list[str],
        time_limit: int,
        code_sha256: str = "",
        failed_before: int = 0,
    ):
        super().__init__(
            spec=_Spec(
                model=model,
                examples=examples,
                serving_spec=infra_validator_pb2.ServingSpec(
                    tensorflow_serving=infra_validator_pb2.TensorFlowServing(
                        image_name=IMAGE, tags=[TAG]
                    ),
                    local_docker=infra_validator_pb2.LocalDockerConfig(),
                ),
                validation_spec=infra_validator_pb2.ValidationSpec(
                    max_loading_time_seconds=time_limit, num_tries=_TRIES
                ),
                request_spec=infra_validator_pb2.RequestSpec(
                    tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
                        signature_names=signatures
                    ),
                    split_name="eval",
                    num_examples=_EXAMPLES,
                ),
                code_sha256=code_sha256,
                failed_before=failed_before,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
