"""The `tfx` command line's local engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROJECT

from pipeline.places import Places
from pipeline.runs import records as runs

pytestmark = pytest.mark.slow


def tfx(home, arguments, *command) -> subprocess.CompletedProcess:
    programs = Path(sys.executable).parent  # `tfx` calls `pip`
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {"LOCAL_HOME": str(home), "TF_MAMBA_RUN": arguments, "PYTHONPATH": str(PROJECT)}
    environment["PATH"] = path
    return subprocess.run(
        [programs / "tfx", *command, "--engine=local"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_tfx_creates_the_pipeline_and_runs_it_to_the_pushed_model(bible, tmp_path):
    arguments = f"bible --preset smoke --root {bible.root}"
    places, local = Places.below(bible.root), bible.summary("bible")
    before = [run.run_id for run in runs.past_runs(places)]

    created = tfx(tmp_path, arguments, "pipeline", "create", "--pipeline_path=tfx_pipeline.py")
    assert 'Pipeline "bible" created successfully.' in created.stdout, created.stderr
    assert [run.run_id for run in runs.past_runs(places)] == before  # so far, nothing has run

    ran = tfx(tmp_path, arguments, "run", "create", "--pipeline_name=bible")
    assert ran.returncode == 0, ran.stderr
    assert "blessed, pushed to" in ran.stdout
    summary = runs.find(places, "latest")
    assert summary["run_id"] not in before
    assert summary["hashes"] == local["hashes"]


def test_a_mistake_in_what_to_run_is_told_in_a_line(monkeypatch, capsys):
    import tfx_pipeline

    monkeypatch.setenv("TF_MAMBA_RUN", "imdb --preset huge")
    assert tfx_pipeline.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("TF_MAMBA_RUN: ") and "huge" in line
