"""Pushed models: serving_models/<task>/<version>.

Using one needs tensorflow and tensorflow-text, and none of the libraries that training needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import serving_versions
from data.errors import UserError
from serving import checksums

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


def find(serving_models: Path, model: str) -> Path:
    """The folder of a pushed version.

    Args:
        serving_models: the folder of all tasks' models.
        model: a task (its newest version), `<task>/<version>`, or a pushed version's folder.

    Raises:
        UserError: if there is no such version.
    """
    parts = Path(model).parts
    below = serving_models.joinpath(*parts) if not Path(model).is_absolute() else None
    for folder in (Path(model).resolve(), below):
        if folder and folder.is_dir() and folder.name.isdigit():
            return folder
    if below and len(parts) == 1 and (versions := serving_versions.versions(below)):
        return below / str(versions[-1])
    raise UserError(
        f"{model}: no pushed model; expected TASK, TASK/VERSION or the folder of a version in"
        f" {serving_models}; `tf-mamba runs` lists runs and what they pushed"
    )


def undamaged(version: Path) -> Path:
    """The folder of a version, if its files are as they were pushed.

    Raises:
        UserError: if they are not.
    """
    if damage := checksums.damage(version):
        task = version.parent.name
        raise UserError(
            f"{damage[0]} since it was pushed: `tf-mamba run {task}` pushes the model again, and"
            f" `tf-mamba rollback {task}` serves the version before"
        )
    return version


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
