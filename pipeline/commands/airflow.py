"""`tf-mamba airflow`: writes a DAG file with which Airflow runs the pipeline."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_configuration(parser)
    shared.add_beam(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        required=True,
        help="the DAG file, in Airflow's DAGs folder",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the file."""
    import_tensorflow(options.debug)
    config, source = shared.configuration(options, options.set)
    shared.beam(options)  # fails now instead of in the first run

    from pipeline.orchestrators import airflow_runner

    dag_id = airflow_runner.write_dag_file(
        config,
        source,
        shared.places(options),
        root=options.root.resolve(),
        arguments=shared.as_arguments(options),
        output=options.out,
    )
    print(f"{options.out}: DAG {dag_id}")
    return 0
