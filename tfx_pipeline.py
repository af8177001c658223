"""The pipeline as the `tfx` command line takes it, for its local engine; see docs/tfx_cli.md.

    export TF_MAMBA_RUN="imdb --preset smoke"      # what comes after `tf-mamba run`
    tfx pipeline create --engine=local --pipeline_path=tfx_pipeline.py
    tfx run create --engine=local --pipeline_name=imdb

It lies here as `tfx` puts its folder first on the path, where `pipeline` must be the package.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from data.errors import UserError
from pipeline import cli
from pipeline.commands import options as shared
from pipeline.orchestrators.definition import define


class Runner(LocalDagRunner):
    """Runs as `tf-mamba run` does, with lock, summary and page.

    `tfx pipeline create` puts a `run` of its own in place of LocalDagRunner's, which notes the
    pipeline's name and runs nothing.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__()
        self._arguments = arguments
        self.exit_code = 0

    def run_with_ir(self, *_: Any, **__: Any) -> None:
        self.exit_code = cli.main(self._arguments)


def main() -> int:
    """Returns the exit code of the run; 0 where there is none."""
    arguments = ["run", *shlex.split(os.environ.get("TF_MAMBA_RUN", ""))]
    options = cli.parser(arguments).parse_args(arguments)
    try:
        config, source = shared.configuration(options, options.set)
        beam = shared.beam(options)
        pipeline = define(config, source, shared.places(options), beam.pipeline_args())
    except UserError as error:
        print(f"TF_MAMBA_RUN: {error}", file=sys.stderr)
        return 1
    runner = Runner(arguments)
    runner.run(pipeline)
    return runner.exit_code


if __name__ == "__main__":
    sys.exit(main())
