"""Runs that are killed while they train, against the shared ones that were not."""

import itertools
import random
import time

import pytest
from command_line import CommandLine

pytestmark = pytest.mark.slow

_PATIENCE = 300  # seconds


def _steps(command, task) -> int:
    """Of the last checkpoint; 0 before the first."""
    folder = command.root / "runs" / "checkpoints" / task
    return max((int(path.name[:8]) for path in folder.glob("*/0*.safetensors")), default=0)


@pytest.mark.parametrize(("task", "kills"), [("bible", 2), ("imdb", 1)])
def test_a_killed_training_ends_with_the_bits_of_one_that_was_not(
    task, kills, bible, imdb, tmp_path
):
    expected = {"bible": bible, "imdb": imdb}[task].summary(task)
    command = CommandLine(tmp_path)
    moments = random.Random(4)
    run = ("run", task, "--preset", "smoke", "--set", "training.checkpoint_every=10")
    run += ("--to", "trainer")
    resumed = []
    for _ in range(kills):
        resumed.append(_steps(command, task))
        process = command.start(*run)
        deadline = time.monotonic() + _PATIENCE
        while _steps(command, task) == resumed[-1]:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.01)
        time.sleep(moments.random())
        process.kill()
        process.communicate()
    resumed.append(_steps(command, task))
    command.succeeds(*run)
    summary = command.newest()
    assert resumed[0] == 0 and resumed[-1] <= summary["training"]["steps"]
    assert all(a < b for a, b in itertools.pairwise(resumed))
    assert summary["training"]["resumed_at"] == [
        step for step in resumed[1:] if step < summary["training"]["steps"]
    ]
    assert summary["weights_sha256"] == expected["weights_sha256"]
    assert summary["training"]["eval"] == expected["training"]["eval"]
    steps = [line.split(",")[0] for line in _training_csv(command, task)]
    assert steps == ["step", *map(str, range(10, summary["training"]["steps"] + 1, 10))]


def _training_csv(command, task) -> list[str]:
    (*_, last) = sorted(
        command.root.glob(f"runs/artifacts/{task}/Trainer/model_run/*/training.csv"),
        key=lambda path: int(path.parent.name),
    )
    return last.read_text().splitlines()
