"""The program in a stage's container on Kubeflow Pipelines and Vertex AI.

    python -m pipeline.orchestrators.kubeflow_executor --executor_class_path MODULE.CLASS
        --json_serialized_invocation_args '{"inputs": ..., "outputs": ...}' [options of Beam]

It extends TFX's `kubeflow_v2_run_executor` in four ways:

- Artifacts are files. Their URIs name an object store; Kubeflow's launcher copies inputs from
  there to a folder before a stage and outputs back after it, and Vertex AI mounts the store as
  that folder. So stages need no client of a store.
- It finds our own artifact types by their names, and the types of inputs in the spec.
- It compares inputs with the checksums that they carry, and gives outputs theirs, see
  components/content.py.
- It drops an input that stands for none, such as the model that a first run is compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# The mount points of Kubeflow's launcher, which its SDK uses for an artifact's `path` too.
_FOLDERS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}
STORES = tuple(_FOLDERS)
# The launcher's own variable: the folder of these mount points, if it is not `/`.
LOCAL_ROOT = "ARTIFACT_LOCAL_PATH"


def local_path(uri: str) -> str:
    """The path at which a container finds a URI's content; a path stays as it is."""
    for store, folder in _FOLDERS.items():
        if uri.startswith(store):
            return os.environ.get(LOCAL_ROOT, "") + folder + uri.removeprefix(store)
    return uri


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the executor of one stage and returns the exit code."""
    from absl import flags
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
    from tfx.utils import name_utils

    from components import artifacts, content
    from data.errors import UserError
    from data.files import write_whole

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True)
    options, of_beam = parser.parse_known_args(arguments)

    # As in local_runner.py: batches of a fixed number of bytes.
    flags.FLAGS([sys.argv[0], "--tfxio_use_byte_size_batching"], known_only=True)
    for type_ in artifacts.TYPES:
        compiler_utils.TITLE_TO_CLASS_PATH[type_.TYPE_NAME] = name_utils.get_full_name(type_)

    asked = json.loads(options.json_serialized_invocation_args)
    takes = json.loads(options.json_serialized_inputs_spec_args)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "stage", "executor_output.json")
        inside = in_container(asked, takes, report)
        options.json_serialized_invocation_args = json.dumps(inside)
        try:
            _check(inside["inputs"]["artifacts"])
            kubeflow_v2_run_executor.main((options, of_beam))
        except UserError as error:
            print(f"tf-mamba: {error}", file=sys.stderr)
            return 1
        told = json.loads(report.read_text("utf-8"))
        for found in told.get("artifacts", {}).values():
            for each in found["artifacts"]:
                each["metadata"] = each.get("metadata", {}) | content.properties(each["uri"])
        told = _outside(told, asked)
        write_whole(local_path(asked["outputs"]["outputFile"]), json.dumps(told))
    return 0


def _check(inputs: Mapping[str, Any]) -> None:
    """Raises UserError if an input's files are not as the stage that made them left them."""
    from components import content
    from data.errors import UserError

    for name, found in inputs.items():
        for each in found["artifacts"]:
            if damage := content.differences(each["uri"], each.get("metadata", {})):
                raise UserError(f"input {name} is not as it was made: {damage[0]}")


def in_container(
    asked: Mapping[str, Any], takes: Mapping[str, Any], report: Path
) -> dict[str, Any]:
    """Returns the ExecutorInput with paths for URIs, without the inputs that stand for none.

    Args:
        asked: the ExecutorInput, as JSON.
        takes: the stage's ComponentInputsSpec, which has the types of the inputs; Kubeflow's
            driver leaves the type of an input empty.
        report: where TFX writes the ExecutorOutput.
    """
    from components.newest_served_model import ABSENT

    inputs, outputs = dict(asked.get("inputs", {})), dict(asked["outputs"])
    inputs["artifacts"] = {
        name: _with_paths(found, takes["artifacts"][name]["artifactType"])
        for name, found in inputs.get("artifacts", {}).items()
        if not any(each.get("metadata", {}).get(ABSENT) for each in found["artifacts"])
    }
    outputs["artifacts"] = {
        name: _with_paths(found) for name, found in outputs.get("artifacts", {}).items()
    }
    for found in outputs["artifacts"].values():
        for each in found["artifacts"]:
            Path(each["uri"]).mkdir(parents=True, exist_ok=True)
    return {**asked, "inputs": inputs, "outputs": outputs | {"outputFile": str(report)}}


def _with_paths(found: Mapping[str, Any], type_: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "artifacts": [
            each | {"uri": local_path(each["uri"]), "type": type_ or each["type"]}
            for each in found["artifacts"]
        ]
    }


def _outside(told: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the ExecutorOutput with URIs for paths."""
    for name, found in told.get("artifacts", {}).items():
        (was,) = asked["outputs"]["artifacts"][name]["artifacts"]
        for each in found["artifacts"]:
            below = each["uri"].removeprefix(local_path(was["uri"]))  # a file in the folder
            each["uri"] = was["uri"] + below
    return told


if __name__ == "__main__":
    sys.exit(main())
