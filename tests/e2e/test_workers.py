"""Trainings by two workers on this machine, some of which get killed, against those by one."""

import json
import os
import signal
import socket
import time

import pytest
from command_line import CommandLine
from copied_root import copy_root

pytestmark = pytest.mark.slow

_PATIENCE = 300  # seconds
_TRAINER = ("--preset", "smoke", "--from", "trainer", "--to", "trainer")
_TRAINER += ("--set", "training.checkpoint_every=10")


@pytest.fixture
def start(monkeypatch):
    """Starts a worker of two; what is still running at the end is killed."""
    started = []
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()

    def start(rank, command, *arguments):
        task = {"type": "worker", "index": rank}
        with monkeypatch.context() as environment:
            environment.setenv(
                "TF_CONFIG", json.dumps({"cluster": {"worker": addresses}, "task": task})
            )
            started.append(command.start(*arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _in_a_copy(command, folder):
    return CommandLine(copy_root(command.root, folder / "root"))


def _step(command, task):
    """Of the last checkpoint of a training that has 10 steps between two; 0 before the first."""
    steps = [path.name for path in command.root.glob(f"runs/checkpoints/{task}/*/0*.safetensors")]
    return max((int(name[:8]) for name in steps if int(name[:8]) < 100), default=0)


def _wait_for_checkpoint(command, task, *processes):
    deadline = time.monotonic() + _PATIENCE
    while not 20 <= _step(command, task) < 100:
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _training(command, task):
    """What the last Trainer says, and the rows of its course without their speeds."""
    (*_, last) = sorted(
        command.root.glob(f"runs/artifacts/{task}/Trainer/model_run/*/"),
        key=lambda path: int(path.name),
    )
    rows = [line.split(",") for line in (last / "training.csv").read_text().splitlines()]
    course = [row[: row.index("")][:5] if "" in row else row[:5] for row in rows]
    return json.loads((last / "training.json").read_text()), course


def _same_training(ours, alone):
    """Weights and evaluation to the last bit, and the loss wherever both wrote it down."""
    (summary, course), (expected, of_one) = ours, alone
    assert summary["variables_sha256"] == expected["variables_sha256"]
    assert summary["eval"] == expected["eval"]
    assert summary["tokens"] == expected["tokens"]
    assert course[-1][0] == of_one[-1][0]


def test_two_workers_give_the_bits_of_one_after_one_of_them_was_killed_too(bible, start, tmp_path):
    alone, command = _training(bible, "bible"), _in_a_copy(bible, tmp_path)
    run = ("run", "bible", *_TRAINER, "--no-cache")
    worker, chief = start(1, command, "worker", "bible"), start(0, command, *run)
    _wait_for_checkpoint(command, "bible", worker, chief)
    worker.send_signal(signal.SIGKILL)
    _, error = chief.communicate(timeout=60)
    assert chief.returncode == 1, error
    assert "Traceback" not in error
    last = error.strip().splitlines()[-1]
    assert "training on 2 workers: lost worker 1 (127.0.0.1:" in last
    assert "; run this again, with all workers; it resumes from step " in last
    reached = int(last.rsplit(" ", 1)[1])
    assert reached >= 20

    worker, chief = start(1, command, "worker", "bible"), start(0, command, *run[:-1])
    _, error = chief.communicate(timeout=_PATIENCE)
    assert chief.returncode == 0, error
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "the run is over; trainings: 1" in said
    ours = _training(command, "bible")
    assert ours[0]["resumed_at"] == [reached]
    _same_training(ours, alone)
    assert not list(command.root.glob("runs/checkpoints/bible/*/job*"))


def test_a_training_begun_by_two_of_whom_the_chief_was_killed_is_finished_by_one(
    imdb, start, tmp_path
):
    alone, command = _training(imdb, "imdb"), _in_a_copy(imdb, tmp_path)
    run = ("run", "imdb", *_TRAINER)
    worker, chief = start(1, command, "worker", "imdb"), start(0, command, *run, "--no-cache")
    _wait_for_checkpoint(command, "imdb", worker, chief)
    chief.send_signal(signal.SIGKILL)
    _, error = worker.communicate(timeout=60)
    assert worker.returncode == 1, error
    assert "worker 0, the chief (127.0.0.1:" in error.strip().splitlines()[-1]
    command.succeeds(*run)
    ours = _training(command, "imdb")
    assert len(ours[0]["resumed_at"]) == 1
    assert ours[0]["resumed_at"][0] >= 20
    _same_training(ours, alone)


def test_a_worker_that_cannot_lead_or_follow_is_told_so(start, tmp_path):
    command = CommandLine(tmp_path)
    wrong = {
        ("run", "bible"): (1, "start `tf-mamba worker bible` here"),
        ("worker", "bible"): (0, "this one not the chief"),
        ("worker", "imdb", "--wait", "1"): (1, "no training of imdb began within 1 s"),
    }
    for arguments, (rank, expected) in wrong.items():
        process = start(rank, command, *arguments)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 1, error
        assert expected in error.strip().splitlines()[-1]
        assert "Traceback" not in error
    assert not os.listdir(tmp_path)
