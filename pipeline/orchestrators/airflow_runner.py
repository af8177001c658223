"""Writes the DAG file that lets Airflow run the pipeline stage by stage.

docs/airflow.md says why TFX's own AirflowDagRunner is not used.
"""

from __future__ import annotations

import pprint
import sys
from collections.abc import Sequence
from pathlib import Path

from data.files import write_whole
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
    """Writes a DAG of the pipeline's stages with the same dependencies as in TFX.

    Args:
        config, source, places: as in local_runner.py; they determine the stages.
        root: folder of the runs, unless Airflow's variable tf_mamba_root names another one.
        arguments: task and options of each `tf-mamba stage`, see commands/stage.py.
        output: the file; it is written atomically.

    Returns:
        The DAG's id.
    """
    dag_id = f"tf_mamba_{config.task.name}"
    compiled = {
        "dag_id": dag_id,
        "command": [sys.executable, "-m", "pipeline.cli"],
        "arguments": list(arguments),
        "root": str(root),
        "stages": stage_runner.upstream(config, source, places),
    }
    before, found, after = _DAG.read_text("utf-8").partition(_EMPTY)
    assert found, f"{_DAG} lacks the line to fill in"
    filled = _EMPTY.replace("{}", pprint.pformat(compiled, width=99, sort_dicts=False))
    write_whole(output, before + filled + after)
    return dag_id
