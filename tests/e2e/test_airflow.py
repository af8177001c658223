"""The DAG file, read by a real Airflow, which has an environment of its own (docs/airflow.md)."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from command_line import PROJECT
from read_corpora import BIBLE, IMDB, opened

from pipeline import cli
from pipeline.places import Places
from pipeline.presets import preset

AIRFLOW = PROJECT / ".venv-airflow" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AIRFLOW.exists(), reason="Airflow is not there: see docs/airflow.md"),
]


def test_airflow_reads_the_stages_and_what_each_waits_for(tmp_path):
    from pipeline.orchestrators.beam import Beam
    from pipeline.orchestrators.definition import define

    root, dags = tmp_path / "root", tmp_path / "dags"
    compiled = {"bible": "smoke", "imdb": "full"}  # with and without pretraining
    for task, name in compiled.items():
        file = dags / f"tf_mamba_{task}.py"
        arguments = ["airflow", task, "--preset", name, "--root", str(root)]
        options = cli.parser(arguments).parse_args([*arguments, "--out", str(file)])
        assert options.command(options) == 0
    read = subprocess.run(
        [AIRFLOW, Path(__file__).with_name("read_dag_bag.py"), dags],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path / "airflow")},
        check=True,
        capture_output=True,
        text=True,
    )
    bag = json.loads(read.stdout.splitlines()[-1])
    assert bag["errors"] == {}
    for file in (BIBLE, IMDB):
        task = file.task.name
        dag = bag["dags"][f"tf_mamba_{task}"]
        assert (dag["schedule"], dag["max_active_runs"], dag["max_active_tasks"]) == ("None", 1, 1)
        config, source = preset(task, compiled[task]), opened(file)
        pipeline = define(config, source, Places.below(root), Beam().pipeline_args())
        expected = {
            stage.id: sorted(other.id for other in stage.upstream_nodes)
            for stage in pipeline.components
        }
        assert ("Pretrainer" in expected) == (task == "imdb")
        assert dag["tasks"] == expected | {"summary": sorted(expected)}
