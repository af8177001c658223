"""Runs the built-in server in a process, on a copy of the newest pushed version."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measurement import memory_mib
from benchmarks.report import ROOT
from components import serving_versions
from pipeline.pushed_models import model as pushed_model
from serving.client import Client

_READY = re.compile(r"gRPC on (\S+), REST on http://([^/]+)/")
_LOADED = re.compile(r"loaded in ([0-9.]+) s")
_SECONDS = 120  # to start, or to serve a newer version


@dataclass
class ServerProcess:
    """A running server.

    Attributes:
        grpc, rest: addresses, host:port.
        start_s: seconds from the process's start until the server is ready.
        load_s: part of `start_s` for the model's loading and warm-up.
    """

    task: str
    folder: Path
    process: subprocess.Popen
    grpc: str
    rest: str
    start_s: float
    load_s: float

    def memory_mib(self) -> float:
        """Current memory."""
        return memory_mib("VmRSS", self.process.pid)

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        fields = Path("/proc", str(self.process.pid), "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def push(self) -> int:
        """Pushes a copy of the newest version; waits until it is served, and returns its number."""
        newest = serving_versions.versions(self.folder)[-1]
        # Requests still run on the newest version, so its files must stay.
        serving_versions.prune(self.folder, keep=1, spare=newest)
        number = serving_versions.publish(
            self.folder,
            lambda to: shutil.copytree(self.folder / str(newest), to, dirs_exist_ok=True),
        )
        end = time.monotonic() + _SECONDS
        with Client(self.grpc) as client:
            while client.version(self.task) != number:
                if time.monotonic() > end:
                    raise TimeoutError(f"version {number} is not served after {_SECONDS} s")
                time.sleep(0.05)
        return number


@contextmanager
def server(
    task: str, root: Path, arguments: Sequence[str] = (), descriptors: int | None = None
) -> Iterator[ServerProcess]:
    """Starts `tf-mamba serve` on a copy of the newest version; stops it at the end.

    Args:
        descriptors: the server's limit on open files; None: this process's.

    Raises:
        RuntimeError: if the server does not start, or does not stop with exit code 0.
    """
    model = pushed_model.latest_version(root / "serving_models", task)
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryFile("w+") as log:
        folder = Path(temporary, "serving_models", task)
        shutil.copytree(model, folder / model.name)
        limit = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        command = [*limit, sys.executable, "-m", "pipeline.cli", "serve", "--root", temporary, task]
        options = ["--builtin", "--grpc-port", "0", "--rest-port", "0", *arguments]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            ready = _READY.search(process.stdout.readline())
            start_s = time.perf_counter() - started
            log.seek(0)
            said = log.read()
            loaded = _LOADED.search(said)
            if ready is None or loaded is None:
                raise RuntimeError(f"the server did not start: {said[-500:]}")
            log.seek(0, os.SEEK_END)
            load_s = float(loaded[1])
            yield ServerProcess(task, folder, process, ready[1], ready[2], start_s, load_s)
            process.send_signal(signal.SIGTERM)
            if process.wait(_SECONDS) != 0:
                raise RuntimeError(f"the server ended with exit code {process.returncode}")
        finally:
            process.kill()
            process.wait()
