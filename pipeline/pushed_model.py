"""Models that were pushed: serving_models/<task>/<version>.

Using one needs tensorflow and tensorflow-text, and nothing else of what training needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UserError


def latest_version(serving_models: Path, task: str) -> Path:
    """The folder of the task's newest version.

    Raises:
        UserError: if none was pushed.
    """
    folder = serving_models / task
    versions = [v for v in folder.glob("*") if v.name.isdigit()]
    if not versions:
        raise UserError(
            f"{folder}: expected a pushed model, found none;"
            f" `tf-mamba run {task}` trains and pushes one"
        )
    return max(versions, key=lambda version: int(version.name))


def signature(model_folder: Path, name: str) -> Any:
    """Loads a model and returns one of its signatures: keyword tensors to a dict of tensors."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the ops that cut words

    loaded = tf.saved_model.load(str(model_folder))
    function = loaded.signatures[name]
    function.owner = loaded  # a signature does not keep its variables alive by itself
    return function
