"""Models that were pushed: serving_models/<task>/<version>.

Using one needs tensorflow and tensorflow-text, and nothing else of what training needs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from data.errors import UserError


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


class Signature:
    """One signature of a loaded model: keyword tensors to a dict of tensors."""

    def __init__(self, loaded: Any, name: str) -> None:
        self._loaded = loaded  # a signature does not keep its variables alive by itself
        self._function = loaded.signatures[name]
        self.inputs: dict[str, Any] = self._function.structured_input_signature[1]

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Calls it.

        Raises:
            UserError: if the model refuses the inputs, as they break its limits.
        """
        import tensorflow as tf

        try:
            return self._function(**inputs)
        except tf.errors.InvalidArgumentError as error:
            if refusal := re.search(r"assertion failed: \[(.*)\]", str(error)):
                raise UserError(refusal[1].replace("] [", " ")) from error
            raise


def signature(model_folder: Path, name: str) -> Signature:
    """Loads a model and returns one of its signatures."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the ops that cut words

    return Signature(tf.saved_model.load(str(model_folder)), name)
