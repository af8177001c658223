"""Keeps the libraries' own output off the terminal."""

from __future__ import annotations

import logging
import os
import warnings


def silence_libraries() -> None:
    """Silences libraries, so that the terminal shows only the commands' output.

    Call it before importing TensorFlow, which reads its setting once.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for child processes
    logging.getLogger().setLevel(logging.CRITICAL)  # libraries also raise the errors that they log
    # TFX logs its stages here, for local_runner only.
    logging.getLogger("absl").propagate = False


def import_tensorflow(debug: bool = False) -> None:
    """Imports TensorFlow; unless `debug`, hides what its C++ code prints on standard error."""
    if debug:
        return
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        import tensorflow  # noqa: F401
        import tensorflow_text  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
