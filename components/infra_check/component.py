"""InfraCheck: the checks of TFX's InfraValidator, and more, without docker.

InfraValidator starts TensorFlow Serving in docker or on Kubernetes. A pipeline may have both, see
components/infra_validator.py.

TFX needs annotations as objects, so this module has no `from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the argument types.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.infra_check import executor
from data.files import write_whole


@component
def InfraCheck(
    model: InputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    signatures: Parameter[str],
    time_limit: Parameter[int],
    code_sha256: Parameter[str] = "",
    failed_before: Parameter[int] = 0,
) -> None:
    """Loads and tests an export in a process that has only a server's libraries.

    Args:
        model: of the Trainer.
        blessing: `blessed` is 1 without findings, else 0. Files: INFRA_BLESSED or
            INFRA_NOT_BLESSED, as InfraValidator writes, and report.json, see executor.py.
        signatures: required signatures, each with its required inputs, as JSON.
        time_limit: seconds for the whole check; its processes are then killed.
        code_sha256: hash of the code that this component runs; part of the cache key only.
        failed_before: number of failed checks so far; part of the cache key only, so that a
            check is repeated if it failed because the machine was busy or full.
    """
    export = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
    report = executor.check(Path(export), json.loads(signatures), time_limit)
    folder = Path(blessing.uri)
    written = {"blessed": report.blessed} | vars(report)
    write_whole(folder / "report.json", json.dumps(written, indent=2) + "\n")
    # The file names and the property of TFX's InfraValidator, which Pusher reads.
    (folder / ("INFRA_BLESSED" if report.blessed else "INFRA_NOT_BLESSED")).touch()
    blessing.set_int_custom_property("blessed", int(report.blessed))
