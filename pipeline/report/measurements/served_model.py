"""The exported model as a client sees it: signatures that take text."""

from __future__ import annotations

from typing import Any

import numpy as np


def load(folder: str) -> Any:
    """Loads the model of a Model artifact."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers the ops that cut words
    from tfx.utils import path_utils

    return tf.saved_model.load(path_utils.serving_model_path(folder))


def ask(model: Any, signature: str, texts: list[str], **settings: float) -> dict[str, np.ndarray]:
    """Calls a signature with texts, and with settings in the shapes and dtypes that it takes.

    Settings that the signature does not know are left out; `generate` is the default signature
    of a model that has none of that name.
    """
    import tensorflow as tf

    functions = model.signatures
    function = functions[signature if signature in functions else "serving_default"]
    specs = function.structured_input_signature[1]
    values = {
        name: tf.cast(tf.fill([] if spec.shape.rank == 0 else [1], settings[name]), spec.dtype)
        for name, spec in specs.items()
        if name in settings
    }
    outputs = function(text=tf.constant(texts, tf.string), **values)
    return {name: value.numpy() for name, value in outputs.items()}
