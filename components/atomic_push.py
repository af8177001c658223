"""Pusher's executor: a server that polls the folder sees a whole new version or none.

TFX's own copies into the folder that the server polls, where a full disk or a killed process
leaves half a model there, and takes a version that exists for a model that was pushed. This
one copies under a name that no server looks at and renames; see serving_versions.py.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components.pusher import executor
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from components import serving_versions


class Executor(executor.Executor):
    """Pushes to a folder of the file system, `<base_directory>/<version>`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the model if it is blessed, and deletes old versions.

        Of `custom_config`, reads `keep_versions`: how many of the newest stay; without it, all.
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
        io_utils.copy_dir(model, pushed.uri)  # the artifact's own copy, as TFX keeps one
        version = serving_versions.publish(
            base, lambda folder: shutil.copytree(pushed.uri, folder, dirs_exist_ok=True)
        )
        config = exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null"
        keep = (json.loads(config) or {}).get("keep_versions")
        if keep:
            serving_versions.prune(base, keep, spare=version)
        self._MarkPushed(
            pushed, pushed_destination=str(base / str(version)), pushed_version=str(version)
        )
