"""Pusher's executor: a pushed model appears whole, under a version that is new.

TFX's own copies file by file into the folder that a model server watches, so a full disk or
a kill leaves half a model there, and takes a version that exists for a model that was
pushed. This one copies under a name that no server looks at and renames.
"""

import os
import time
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components.pusher import executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils


class Executor(executor.Executor):
    """Pushes to a folder of the file system, `<base_directory>/<version>`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copies the model if it is blessed.

        The version is the time in seconds, or one more than the newest that is there.
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
        base = destination.filesystem.base_directory
        fileio.makedirs(base)
        newest = max((int(name) for name in fileio.listdir(base) if name.isdigit()), default=0)
        version = str(max(int(time.time()), newest + 1))
        unfinished = os.path.join(base, f".unfinished-{version}")
        model = self.GetModelPath(input_dict)
        io_utils.copy_dir(model, pushed.uri)  # the artifact's own copy, as TFX keeps one
        try:
            io_utils.copy_dir(model, unfinished)
            fileio.rename(unfinished, os.path.join(base, version))
        finally:
            if fileio.exists(unfinished):
                fileio.rmtree(unfinished)
        self._MarkPushed(
            pushed, pushed_destination=os.path.join(base, version), pushed_version=version
        )
