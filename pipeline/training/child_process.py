"""First steps of a process that multiprocessing started."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading


def die_with_parent() -> None:
    """Ends this process when its parent ends, even if the parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def only_python_on_stderr() -> None:
    """Discards what C++ writes to standard error from now on, if libraries are silenced.

    Some logging of TensorFlow's runtime ignores every setting.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
