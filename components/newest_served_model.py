"""NewestServedModel: the baseline of an evaluation on Kubeflow Pipelines.

Kubeflow Pipelines runs containers only. Its backend has none of TFX's resolvers, and Vertex AI has
two, neither of which is `last_pushed_model.py`. So this component takes the last pushed model
from the folder of pushed models.

TFX needs annotations as objects, so this module has no `from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the argument types.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import serving_versions
from serving import checksums

ABSENT = "absent"  # custom property of an empty artifact


@component
def NewestServedModel(
    model: OutputArtifact[standard_artifacts.Model],
    serving_models: Parameter[str],
) -> None:
    """Copies the newest pushed version to where an Evaluator finds it.

    Args:
        model: the copy, of the newest version whose files are as they were pushed; if there is
            none, it is empty, with custom property `absent` 1.
        serving_models: the folder of versions.
    """
    base = Path(serving_models)
    versions = [base / str(version) for version in serving_versions.versions(base)]
    undamaged = [version for version in versions if not checksums.damage(version)]
    if not undamaged:
        model.set_int_custom_property(ABSENT, 1)
        return
    # The version's files: the graph, the model card and the warm-up requests.
    shutil.copytree(undamaged[-1], path_utils.serving_model_dir(model.uri))
