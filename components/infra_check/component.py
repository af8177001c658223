"""InfraCheck: the checks of TFX's InfraValidator, and more, without docker.

InfraValidator starts TensorFlow Serving in docker or on Kubernetes. A pipeline may have both, see
components/infra_validator.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel

from components.infra_check import executor
from data.errors import UserError


class InfraCheckSpec(component_spec.ComponentSpec):
    """Parameters, input and output; see InfraCheck."""

    PARAMETERS = {  # noqa: RUF012
        "signatures": component_spec.ExecutionParameter(type=str),
        "time_limit": component_spec.ExecutionParameter(type=int),
        "code_sha256": component_spec.ExecutionParameter(type=str),
        "failed_before": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {  # noqa: RUF012
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
    }


class InfraCheck(base_component.BaseComponent):
    """Loads and tests an export in a process that has only a server's libraries.

    Outputs:
        blessing: InfraBlessing; property `blessed` is 1 without findings, else 0. Files:
            INFRA_BLESSED or INFRA_NOT_BLESSED, as InfraValidator writes, and report.json, see
            executor.py.

    Args:
        model: channel of the Model.
        signatures: required signatures, each with its required inputs.
        time_limit: seconds for the whole check; its processes are then killed.
        code_sha256: hash of the code that this component runs; part of the cache key only.
        failed_before: number of failed checks so far; part of the cache key only, so that a
            check is repeated if it failed because the machine was busy or full.

    Raises:
        UserError: if `time_limit` is less than 1.
    """

    SPEC_CLASS = InfraCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: BaseChannel,
        signatures: Mapping[str, Sequence[str]],
        time_limit: int,
        code_sha256: str = "",
        failed_before: int = 0,
    ):
        if time_limit < 1:
            raise UserError(f"time_limit: expected 1 or more seconds, got {time_limit}")
        super().__init__(
            spec=InfraCheckSpec(
                model=model,
                signatures=json.dumps(signatures, sort_keys=True),
                time_limit=time_limit,
                code_sha256=code_sha256,
                failed_before=failed_before,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
