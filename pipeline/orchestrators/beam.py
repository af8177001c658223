"""Apache Beam's runner and options, which go to every stage that runs on Beam."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError

IN_MEMORY = "FnApiRunner"
_WORKERS = "TF_MAMBA_BEAM_WORKERS"
# Those that run in processes of this machine, and take --direct_* options.
_DIRECT = {"FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"}


@dataclass(frozen=True)
class Beam:
    """How Beam runs: `Beam()` is in memory, in this process, with one worker."""

    workers: int = 1  # of a direct runner; the result does not depend on it
    runner: str = IN_MEMORY
    arguments: tuple[str, ...] = ()  # of Beam, as "--name=value" or "name=value"; the last count

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"--beam-workers: expected 1 or more, got {self.workers}")
        for argument in self._given():
            name, _, value = argument.partition("=")
            if name == "--runner":
                raise UserError(f"--beam-arg {argument}: use --beam-runner")
            if (name, value) == ("--direct_running_mode", "multi_threading"):
                # Its workers are told of by gRPC, whose buffers another thread flushes once
                # a second: what is written meanwhile is dropped.
                raise UserError(
                    f"--beam-arg {argument}: records get lost in this mode of Beam; use"
                    " --beam-workers with in_memory or multi_processing"
                )

    def pipeline_args(self) -> list[str]:
        """Beam's options, for `create_pipeline`.

        All of them are a part of TFX's cache key; so the number of workers, on which no
        result depends, stands here as the name of an environment variable, see `announce`.
        """
        from tfx.dsl.placeholder.runtime_placeholders import environment_variable

        # Unnamed, Beam would look for another engine, and download it. Without a setup file,
        # TFX would pack its own sources before each stage.
        setup_file = Path(__file__).parents[2] / "setup.py"
        args = [f"--runner={self.runner}"]
        if self.runner in _DIRECT:
            # In memory, workers are threads of this process.
            args.append("--direct_running_mode=in_memory")
            args.append("--direct_num_workers=" + environment_variable(_WORKERS))
        return [*args, f"--setup_file={setup_file}", *self._given()]

    def container_args(self, setup_file: str) -> list[str]:
        """The same for a stage in a container, which gets them as plain text.

        In memory only: artifacts are files of the container, which no other machine sees.
        """
        return [
            f"--runner={IN_MEMORY}",
            "--direct_running_mode=in_memory",
            f"--direct_num_workers={self.workers}",
            f"--setup_file={setup_file}",
        ]

    def announce(self) -> None:
        """Sets what `pipeline_args` left to the environment; before the pipeline runs."""
        os.environ[_WORKERS] = str(self.workers)

    def check(self) -> None:
        """Raises UserError if Beam does not know the runner."""
        from apache_beam.runners.runner import create_runner

        try:
            create_runner(self.runner)
        except (ValueError, ImportError) as error:
            raise UserError(f"--beam-runner {self.runner}: {error}") from error

    def _given(self) -> Sequence[str]:
        return [a if a.startswith("-") else f"--{a}" for a in self.arguments]
