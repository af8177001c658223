"""NewestServedModel: what to compare a model with where no stage can look into ML Metadata.

Kubeflow Pipelines runs containers only: of TFX's resolvers its backend knows none, and
Vertex AI only two, of which `last_pushed_model.py` is neither. The folder of pushed models
tells the same.

TFX reads the annotations of a component function as objects, so this module does without
`from __future__ import annotations`.
"""

# mypy takes TFX's annotations for the types of what the function gets.
# mypy: disable-error-code="type-arg, arg-type, assignment, call-overload"

import shutil
from pathlib import Path

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components import serving_versions

ABSENT = "absent"  # custom property of an artifact that stands for none


@component
def NewestServedModel(
    model: OutputArtifact[standard_artifacts.Model],
    serving_models: Parameter[str],
) -> None:
    """Copies the newest pushed version, where an Evaluator finds it.

    Args:
        model: the copy; where nothing was pushed yet, it is empty and has the custom property
            `absent`, 1.
        serving_models: the folder of versions.
    """
    base = Path(serving_models)
    versions = serving_versions.versions(base)
    if not versions:
        model.set_int_custom_property(ABSENT, 1)
        return
    # Beside the graph lie the card and the requests to warm up with: they are the same model.
    shutil.copytree(base / str(versions[-1]), path_utils.serving_model_dir(model.uri))
