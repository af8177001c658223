"""Writes the DAG file by which Airflow runs the pipeline, stage by stage; see docs/airflow.md.

TFX's own AirflowDagRunner is not used: docs/airflow.md says why.
"""

from __future__ import annotations

import pprint
import sys
from collections.abc import Sequence
from pathlib import Path

from data.records import Source
from pipeline.config import RunConfig
from pipeline.orchestrators import stage_runner
from pipeline.places import Places

_DAG = Path(__file__).with_name("airflow_dag.py")
_EMPTY = "COMPILED: dict[str, Any] = {}\n"


def write_dag_file(
    config: RunConfig,
    source: Source,
    places: Places,
    *,
    root: Path,
    arguments: Sequence[str],
    output: Path,
) -> str:
    """Writes a DAG of the pipeline's stages, each waiting for those that it waits for in TFX.

    Args:
        config, source, places: as in local_runner.py; which stages there are depends on them.
        root: of the runs, unless Airflow's variable tf_mamba_root names another one.
        arguments: task and options that every stage is started with, see stage.py.
        output: the file, which is there whole or not at all.

    Returns:
        The DAG's id.
    """
    dag_id = f"tf_mamba_{config.task}"
    compiled = {
        "dag_id": dag_id,
        "command": [sys.executable, "-m", "pipeline.cli"],
        "arguments": list(arguments),
        "root": str(root),
        "stages": stage_runner.upstream(config, source, places),
    }
    before, found, after = _DAG.read_text("utf-8").partition(_EMPTY)
    assert found, f"{_DAG} has lost the line that is filled in"
    filled = _EMPTY.replace("{}", pprint.pformat(compiled, width=99, sort_dicts=False))
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{output.name}.unfinished")  # no name of a Python file
    unfinished.write_text(before + filled + after, "utf-8")
    unfinished.replace(output)
    return dag_id
