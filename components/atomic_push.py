"""AtomicPusher: a Pusher that pushes atomically, with the model card.

TFX's Pusher copies into the folder that the server polls: a full disk or a killed process
leaves a partial model there, and the next push takes that version for a pushed model.
AtomicPusher copies to a name that servers ignore, then renames; see serving_versions.py.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components.pusher import executor
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import (
    artifact_utils,
    component_spec,
    standard_artifacts,
    standard_component_specs,
)
from tfx.types.channel import BaseChannel
from tfx.utils import io_utils

from components import serving_versions
from components.artifacts import ModelCard
from serving import checksums

_CARD = "model_card"
_INFRA_VALIDATOR_BLESSING = "infra_validator_blessing"


class Executor(executor.Executor):
    """Pushes to a folder of the file system, `<base_directory>/<version>`."""

    def CheckBlessing(self, input_dict: dict[str, list[types.Artifact]]) -> bool:
        """Whether all blessings are given; TFX's Pusher checks only one InfraBlessing."""
        others = input_dict.get(_INFRA_VALIDATOR_BLESSING, ())
        return super().CheckBlessing(input_dict) and all(
            model_utils.is_infra_validated(blessing) for blessing in others
        )

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if it is blessed, with checksums of its files; deletes old versions.

        `keep_versions` of `custom_config` is the number of versions to keep; 0: all.
        """
        pushed = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        )
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = json_format.Parse(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY],
            pusher_pb2.PushDestination(),
        )
        base = Path(destination.filesystem.base_directory)
        model = self.GetModelPath(input_dict)
        io_utils.copy_dir(model, pushed.uri)  # the artifact's own copy, as TFX's Pusher keeps one
        for card in input_dict.get(_CARD, ()):
            shutil.copytree(card.uri, Path(pushed.uri, "assets.extra"), dirs_exist_ok=True)
        checksums.write_sums(Path(pushed.uri))
        version = serving_versions.publish(
            base, lambda folder: shutil.copytree(pushed.uri, folder, dirs_exist_ok=True)
        )
        config = json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        if keep := config["keep_versions"]:
            serving_versions.prune(base, keep, spare=version)
        self._MarkPushed(
            pushed, pushed_destination=str(base / str(version)), pushed_version=str(version)
        )


class AtomicPusherSpec(component_spec.ComponentSpec):
    """The spec of TFX's Pusher, with a model card and a second InfraBlessing."""

    PARAMETERS = standard_component_specs.PusherSpec.PARAMETERS
    INPUTS = standard_component_specs.PusherSpec.INPUTS | {
        _CARD: component_spec.ChannelParameter(type=ModelCard, optional=True),
        _INFRA_VALIDATOR_BLESSING: component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
    }
    OUTPUTS = standard_component_specs.PusherSpec.OUTPUTS


class AtomicPusher(base_component.BaseComponent):
    """TFX's Pusher with an executor that pushes atomically, with the model card.

    Outputs:
        pushed_model: PushedModel, as TFX's Pusher's.

    Args:
        model: channel of the Model.
        model_blessing: of the Evaluator.
        infra_blessing: of InfraCheck.
        model_card: of ModelCard; its files go to assets.extra of the pushed model.
        base_directory: the folder of versions.
        keep_versions: number of newest versions to keep.
        pushed_models_gone: part of the cache key only, see pipeline/runs/reruns.py.
        code_sha256: hash of the code of this component; part of the cache key only.
        infra_validator_blessing: of InfraValidator, if it is in the pipeline.
    """

    SPEC_CLASS = AtomicPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        model_blessing: BaseChannel,
        infra_blessing: BaseChannel,
        model_card: BaseChannel,
        base_directory: str,
        keep_versions: int,
        pushed_models_gone: int = 0,
        infra_validator_blessing: BaseChannel | None = None,
        code_sha256: str = "",
    ):
        custom = {
            "keep_versions": keep_versions,
            "pushed_models_gone": pushed_models_gone,
            "code_sha256": code_sha256,
        }
        super().__init__(
            spec=AtomicPusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                infra_validator_blessing=infra_validator_blessing,
                model_card=model_card,
                push_destination=pusher_pb2.PushDestination(
                    filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=base_directory)
                ),
                custom_config=json.dumps(custom, sort_keys=True),
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            )
        )
