"""Runs that are reproduced in an empty folder, compared with the summaries of the first runs."""

import pytest
from command_line import CommandLine

from pipeline.places import Places
from pipeline.runs import files
from pipeline.runs.fingerprints import STAGES

pytestmark = pytest.mark.slow


def test_two_workers_reproduce_the_result_of_one_and_leave_the_runs_alone(bible):
    before = sorted(bible.root.glob("runs/*/*"))
    done = bible("reproduce", "latest", "--task", "bible", "--beam-workers", "2")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    header, *rows, verdict = done.stdout.splitlines()
    assert header.split() == ["stage", "what", "run", "reproduction"]
    assert verdict == f"reproduced: all {len(rows)} hashes are equal"
    made = set(STAGES) - {"pretrained weights"}
    assert all(any(row.startswith(f"{stage} ") for row in rows) for stage in made)
    assert sorted(bible.root.glob("runs/*/*")) == before


def test_a_different_hash_gives_exit_code_1_and_names_its_stage(imdb, tmp_path):
    # The summary alone is enough: nothing else of the run is there.
    summary = imdb.summary("imdb")
    summary["hashes"]["transformed examples"]["train"] = "0" * 64
    command = CommandLine(tmp_path)
    files.write_summary(summary, Places(tmp_path / "runs", tmp_path / "serving_models"))
    done = command("reproduce", summary["run_id"], "--beam-workers", "2")
    assert done.returncode == 1, done.stderr
    *rows, verdict = done.stdout.splitlines()
    (differing,) = [row for row in rows if not row.endswith(" equal") and row != rows[0]]
    assert differing.startswith("transformed examples  train  ")
    assert differing.endswith("DIFFERS")
    assert verdict == (
        f"NOT reproduced: 1 of {len(rows) - 1} hashes differ, first in stage"
        " 'transformed examples': train"
    )
