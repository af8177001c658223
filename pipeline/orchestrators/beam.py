"""Apache Beam's runner and options, the same for every stage that runs on Beam."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from data.errors import UserError

IN_MEMORY = "FnApiRunner"
_WORKERS = "TF_MAMBA_BEAM_WORKERS"
# Runners on this machine, which take --direct_* options.
_DIRECT = {"FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"}


@dataclass(frozen=True)
class Beam:
    """How Beam runs: `Beam()` is in memory, in this process, with one worker."""

    workers: int = 1  # of a runner on this machine; the result does not depend on it
    runner: str = IN_MEMORY
    arguments: tuple[str, ...] = ()  # Beam's, "--name=value" or "name=value"; the last one wins

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"--beam-workers: expected 1 or more, got {self.workers}")
        for argument in self._given():
            name, _, value = argument.partition("=")
            if name == "--runner":
                raise UserError(f"--beam-arg {argument}: use --beam-runner")
            if (name, value) == ("--direct_running_mode", "multi_threading"):
                # A thread flushes the gRPC buffers once a second, and what is written meanwhile
                # is dropped.
                raise UserError(
                    f"--beam-arg {argument}: Beam loses records in this mode; use --beam-workers"
                    " with in_memory or multi_processing"
                )

    def pipeline_args(self) -> list[str]:
        """Beam's options, for `create_pipeline`.

        They are a part of TFX's cache key. No result depends on the number of workers, so it
        is given as the name of an environment variable, which `announce` sets.
        """
        from tfx.dsl.placeholder.runtime_placeholders import environment_variable

        # Without a runner's name, Beam would try to download an engine. Without a setup file,
        # TFX would package itself before each stage.
        setup_file = Path(__file__).parents[2] / "setup.py"
        args = [f"--runner={self.runner}"]
        if self.runner in _DIRECT:
            # In memory, workers are threads of this process.
            args.append("--direct_running_mode=in_memory")
            args.append("--direct_num_workers=" + environment_variable(_WORKERS))
        return [*args, f"--setup_file={setup_file}", *self._given()]

    def container_args(self, setup_file: str) -> list[str]:
        """Beam's options in a stage's container, as plain text.

        Beam runs in memory there: artifacts are files of the container that no other machine sees.
        """
        return [
            f"--runner={IN_MEMORY}",
            "--direct_running_mode=in_memory",
            f"--direct_num_workers={self.workers}",
            f"--setup_file={setup_file}",
        ]

    def announce(self) -> None:
        """Sets the environment variable that `pipeline_args` names; call it before the run."""
        os.environ[_WORKERS] = str(self.workers)

    @contextmanager
    def quiet_workers(self) -> Iterator[None]:
        """Keeps a terminal's Ctrl-C from Beam's worker processes, which would print tracebacks."""
        from apache_beam.runners.portability.fn_api_runner import worker_handlers

        handler = worker_handlers.SubprocessSdkWorkerHandler
        start = handler.start_worker

        def start_worker(self: Any) -> None:
            # The shell that starts a worker clears the mask of signals; what it ignores stays so.
            self._worker_command_line = b"trap '' INT HUP; exec " + self._worker_command_line
            start(self)

        with mock.patch.object(handler, "start_worker", start_worker):
            yield

    def check(self) -> None:
        """Raises UserError if Beam does not know the runner."""
        from apache_beam.runners.runner import create_runner

        try:
            create_runner(self.runner)
        except (ValueError, ImportError) as error:
            raise UserError(f"--beam-runner {self.runner}: {error}") from error

    def _given(self) -> Sequence[str]:
        return [a if a.startswith("-") else f"--{a}" for a in self.arguments]
