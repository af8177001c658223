"""A search from the packaged text to the table of its trials, killed on its way."""

import csv
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _lives(process):
    try:
        return (
            Path("/proc", process, "cmdline").read_bytes() != b""
        )  # empty: it only waits for init
    except FileNotFoundError:
        return False


def test_a_killed_search_goes_on_and_its_first_trial_is_the_run(bible):
    arguments = ("tune", "bible", "--preset", "smoke", "--trials", "2")
    killed = bible.start(*arguments)
    for line in killed.stderr:
        if "trial 0: loss" in line:
            break
    else:
        pytest.fail(f"the search ended before a trial did: exit {killed.wait()}")
    (table,) = bible.root.glob("runs/tuning/bible/*/trials.csv")
    # Half of trial 1; trial 0, which has a result, deletes its own checkpoints about now.
    while not [
        checkpoint
        for checkpoint in table.parent.glob("trials/*/checkpoints/00000100-*")
        if not (checkpoint.parents[1] / "result.json").exists()
    ]:
        assert killed.poll() is None
        time.sleep(0.1)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    killed.kill()
    killed.communicate()
    deadline = time.monotonic() + 20
    while any(_lives(child) for child in children):
        assert time.monotonic() < deadline, "the trial outlives its search"
        time.sleep(0.1)
    assert children
    (first,) = csv.DictReader(table.open())
    evaluated = bible.summary("bible")["training"]["eval"]
    assert float(first["loss"]) == evaluated["loss"]
    assert float(first["accuracy"]) == evaluated["accuracy"]

    done = bible(*arguments)
    assert done.returncode == 0, done.stderr
    assert "trial 0" not in done.stderr and "trial 1: loss" in done.stderr
    rows = list(csv.DictReader(table.open()))
    assert rows[0] == first and len(rows) == 2
    assert all(row["status"] == "completed" and row["steps"] == "200" for row in rows)
    *_, best, settings, where = done.stdout.splitlines()
    number = min(rows, key=lambda row: float(row["loss"]))["trial"]
    assert best == f"trial 0 is the preset; trial {number} is the best:"
    assert f"--set training.learning_rate={rows[int(number)]['training.learning_rate']}" in settings
    assert where == f"table: {table}"
    stages = [line.split() for line in done.stderr.splitlines() if line.startswith("  ")]
    assert ["Transform", "cached"] in stages  # of the run
