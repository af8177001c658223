"""Checks that artifacts are as their stages left them: TFX trusts whatever lies at a URI.

Inside `checked()`, TFX's launcher

- records the content of each stage's outputs before it publishes them, see components/content.py;
- does not use a cached output that differs from its record: the stage runs again;
- compares a stage's inputs with their records before the stage runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tfx import types
from tfx.orchestration import data_types_utils
from tfx.orchestration.portable import cache_utils, data_types, launcher
from tfx.orchestration.portable.merge_utils import merge_updated_output_artifacts
from tfx.proto.orchestration import execution_result_pb2

from components import content
from data.errors import UserError
from pipeline import interrupts

Artifacts = Mapping[str, Sequence[types.Artifact]]


class DamagedInputError(UserError):
    """A stage's input is not as the stage that made it left it."""


@contextmanager
def checked() -> Iterator[None]:
    """Makes TFX's launcher record and check contents inside the block."""
    with mock.patch.object(launcher, "Launcher", _CheckedLauncher):
        yield


class _CheckedLauncher(launcher.Launcher):
    """Overrides the steps of `launch` that take outputs from the cache, run and publish."""

    @property
    def _stage(self) -> str:
        return self._pipeline_node.node_info.id

    def _prepare_execution(self) -> Any:
        get_cached_outputs = cache_utils.get_cached_outputs

        def undamaged(**arguments: Any) -> Any:
            outputs = get_cached_outputs(**arguments)
            return outputs if outputs is None or self._are_as_recorded(outputs) else None

        with mock.patch.object(cache_utils, "get_cached_outputs", undamaged):
            return super()._prepare_execution()

    def _are_as_recorded(self, outputs: Artifacts) -> bool:
        artifacts = [artifact for each in outputs.values() for artifact in each]
        found = [line for each in artifacts for line in _differences(each)]
        if found:
            print(f"\r  {self._stage}: {_first(found)}: runs again", file=sys.stderr)
        return not found and all(map(content.of_artifact, artifacts))

    def _run_executor(self, execution_info: data_types.ExecutionInfo) -> Any:
        interrupts.check()
        for name, artifacts in execution_info.input_dict.items():
            if found := [line for artifact in artifacts for line in _differences(artifact)]:
                raise DamagedInputError(
                    f"{self._stage}: its input {name} is not as it was made: {_first(found)}. Start"
                    " a whole run: it makes the damaged files again."
                )
        return super()._run_executor(execution_info)

    def _publish_successful_execution(
        self,
        execution_id: int,
        contexts: list[Any],
        output_dict: Any,
        executor_output: execution_result_pb2.ExecutorOutput,
    ) -> None:
        interrupts.check()
        # What an executor says of its outputs takes precedence over `output_dict`.
        said = data_types_utils.unpack_executor_output_artifacts(executor_output.output_artifacts)
        outputs = merge_updated_output_artifacts(output_dict, said)
        for name, artifacts in outputs.items():
            for artifact in artifacts:
                content.record(artifact)
            executor_output.output_artifacts[name].CopyFrom(
                execution_result_pb2.ExecutorOutput.ArtifactList(
                    artifacts=[artifact.mlmd_artifact for artifact in artifacts]
                )
            )
        super()._publish_successful_execution(execution_id, contexts, output_dict, executor_output)


def _differences(artifact: types.Artifact) -> list[str]:
    return content.differences(artifact.uri, content.of_artifact(artifact))


def _first(found: Sequence[str]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"
