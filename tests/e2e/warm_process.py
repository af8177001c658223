"""Processes that begin with TensorFlow, TFX and Beam already imported.

A new process of `tf-mamba` imports for seven seconds, and the tests start a hundred. So a server
imports the libraries once, and nothing of this project, and forks a process for each command:
multiprocessing's forkserver.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import TextIO

LIBRARIES = (
    "tensorflow",
    "tensorflow_text",
    "apache_beam",
    "ml_metadata",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tfx.orchestration.local.local_dag_runner",
    "keras",
    "matplotlib.pyplot",
    "scipy.stats",
)
# Read by C++ code as it is imported, so that commands set them too late here.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE"}


class WarmProcess:
    """A command in a forked process, with the part of subprocess.Popen that the tests use."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]):
        self.args = arguments
        self._read: dict[str, str] = {}
        context = _context()
        with tempfile.TemporaryDirectory() as folder:
            pipes = [os.path.join(folder, name) for name in ("stdout", "stderr")]
            for pipe in pipes:
                os.mkfifo(pipe)
            self._process = context.Process(
                target=_command, args=(list(arguments), str(cwd), dict(env), pipes)
            )
            self._process.start()
            # Each waits until the process has opened the other end.
            self.stdout, self.stderr = (
                os.fdopen(os.open(pipe, os.O_RDONLY), encoding="utf-8") for pipe in pipes
            )

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """As Popen's; what was read before is given again."""

        def drain(name: str, stream: TextIO) -> None:
            with stream:
                self._read[name] = stream.read()

        streams = {"stdout": self.stdout, "stderr": self.stderr}
        threads = [
            threading.Thread(target=drain, args=(name, stream), daemon=True)
            for name, stream in streams.items()
            if name not in self._read
        ]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join()
        return self._read["stdout"], self._read["stderr"]


@functools.cache
def _context() -> multiprocessing.context.ForkServerContext:
    """With its server started, in whose environment C++ code logs nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    before = dict(os.environ)
    os.environ.update(_QUIET)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


def _command(arguments: list[str], cwd: str, env: dict[str, str], pipes: list[str]) -> None:
    """Runs `tf-mamba` as `python -m pipeline.cli` would, in the forked process."""
    for number, pipe in enumerate(pipes, start=1):
        os.dup2(os.open(pipe, os.O_WRONLY), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = env["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["tf-mamba", *arguments]
    # A child process that multiprocessing spawns would import pytest's main module.
    sys.modules["__main__"].__spec__ = None
    with contextlib.suppress(AttributeError):
        del sys.modules["__main__"].__file__
    from pipeline import cli

    code = cli.main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
