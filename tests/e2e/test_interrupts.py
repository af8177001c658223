"""Commands that are interrupted end with one line and no push, and go on when started again."""

import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import PROJECT, CommandLine

pytestmark = pytest.mark.slow


def _until(process, stage):
    """Reads what the run says until a stage has ended; returns what was read."""
    said = ""
    for line in process.stderr:
        said += line
        if line.split()[:1] == [stage]:
            return said
    pytest.fail(f"the run ended before {stage} did: exit {process.wait()}\n{said}")


def _ended(process, code, said=""):
    """Checks that the process ends soon, and with one line only."""
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - started < 10
    rest = err.removeprefix(said).replace("\r", "\n").strip().splitlines()
    lines = [line for line in rest if not line.startswith(("  ", "training:"))]
    assert lines[-1] == "tf-mamba: interrupted"
    assert "Traceback" not in err and "ignored" not in err and "Error" not in err


def test_interrupted_in_each_stage_it_goes_on_to_the_weights_of_a_run_that_was_not(bible, tmp_path):
    command = CommandLine(tmp_path)
    arguments = ("run", "bible", "--preset", "smoke", "--to", "Trainer")
    for stage_before, seconds, number, code in (
        ("ReviewedSchema", 0.3, signal.SIGINT, 130),  # in TextExampleGen
        ("ReviewedSchema", 1.5, signal.SIGTERM, 143),
        ("TextExampleGen", 1.0, signal.SIGHUP, 129),
        ("DataGate", 4.0, signal.SIGINT, 130),  # in Transform
    ):
        process = command.start(*arguments)
        said = _until(process, stage_before)
        time.sleep(seconds)
        process.send_signal(number)
        _ended(process, code, said)
    process = command.start(*arguments)
    while not list(tmp_path.glob("runs/checkpoints/bible/*/00000100-*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _ended(process, 143)
    command.succeeds(*arguments)
    again = command.newest()
    assert again["training"]["resumed_at"] >= [100]
    assert again["weights_sha256"] == bible.summary("bible")["weights_sha256"]
    assert not list(tmp_path.glob("serving_models/*/*"))


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_while_it_imports(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", "imdb", "--root", str(tmp_path)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _ended(process, 130)
