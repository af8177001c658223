"""What libraries say unasked on the terminal, and how they are kept from it."""

from __future__ import annotations

import logging
import os
import warnings


def silence_libraries() -> None:
    """Lets only what the commands say themselves reach the terminal.

    To be called before TensorFlow is imported, which reads its setting once.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of processes that this one starts
    logging.getLogger().setLevel(logging.CRITICAL)  # what they log as errors, they raise too
    # TFX tells of its stages here; local_runner listens, the terminal does not.
    logging.getLogger("absl").propagate = False


def import_tensorflow(debug: bool = False) -> None:
    """Imports it with standard error closed, unless `debug`: its C++ code greets there."""
    if debug:
        return
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
        import tensorflow_text  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
