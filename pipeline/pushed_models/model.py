"""Pushed models: serving_models/<task>/<version>.

Using one needs tensorflow and tensorflow-text, and none of the libraries that training needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import serving_versions
from data.errors import UserError

if TYPE_CHECKING:  # imports TensorFlow
    from serving.batching import Arrays
    from serving.served_model import ServedModel


def latest_version(serving_models: Path, task: str) -> Path:
    """The folder of the task's newest version.

    Raises:
        UserError: if none was pushed.
    """
    folder = serving_models / task
    versions = serving_versions.versions(folder)
    if not versions:
        raise UserError(
            f"{folder}: expected a pushed model, found none;"
            f" `tf-mamba run {task}` trains and pushes one"
        )
    return folder / str(versions[-1])


def predict(model: ServedModel, signature: str, /, **inputs: Any) -> Arrays:
    """As `model.predict`, for inputs from a user.

    Raises:
        UserError: if the inputs break a limit of the model.
    """
    import grpc

    from serving.errors import ServingError

    try:
        return model.predict(signature, **inputs)
    except ServingError as error:
        if error.code == grpc.StatusCode.INVALID_ARGUMENT:
            raise UserError(str(error)) from error
        raise
