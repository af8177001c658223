"""What a pipeline depends on beside configuration, source and places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunContext:
    """Read before the pipeline is defined, so that the definition reads nothing itself.

    A stage that failed, or whose result was deleted since, has the same inputs and code as
    before: the counts are parts of its cache key, so that it runs again.
    """

    code: Mapping[str, str]  # stage to the SHA-256 of its code
    versions: Mapping[str, str]  # of libraries
    metadata: Any = None  # ML Metadata's ConnectionConfig; None: the orchestrator keeps it
    infra_checks_failed: int = 0  # in earlier runs of the task
    infra_validations_failed: int = 0
    pushed_models_gone: int = 0  # that earlier runs of this configuration had pushed
