"""What the interrupts benchmark draws, and what it holds against a run."""

import random
import signal
import subprocess

import pytest

from benchmarks import interrupts
from benchmarks.interrupts import LINE, Interruption

SECONDS = [6.0, 0.1, 3.0, 20.0, 0.5]  # of each stage


def test_the_moments_lie_in_every_stage_and_have_every_signal():
    moments = list(interrupts._draw(SECONDS, 20, random.Random(1)))
    assert {moment.place for moment in moments} == set(range(5))
    assert {moment.number for moment in moments} == set(interrupts.CODES)
    assert all(moment.seconds <= SECONDS[moment.place] for moment in moments)
    assert moments == list(interrupts._draw(SECONDS, 20, random.Random(1)))


def test_a_stage_has_ended_when_its_line_is_complete(tmp_path):
    said = tmp_path / "stderr.txt"
    said.write_text(
        "bible at preset smoke, seed 1, packaged source 6b65f8f3f454\n  scan: in C++\n"
        "  ReviewedSchema        cached\n  Transform         12.9 s\n"
        "  training:   0%|          | 0/200 [00:00<?, ?step/s]\r   Trainer   23.7 s\n  Baseline"
    )
    assert interrupts._ended_stages(said) == ["ReviewedSchema", "Transform", "Trainer"]


@pytest.mark.parametrize(
    ("exit_code", "seconds", "said", "faults"),
    [
        (143, 0.2, f"\r{LINE}\n", []),
        (143, 0.2, f"\r  training: 9%|#| 18/200\r{LINE}\n", []),
        (0, 0.2, f"{LINE}\n", ["exit 0"]),
        (130, 0.2, f"{LINE}\n", ["exit 130"]),
        (143, 30.0, f"{LINE}\n", ["took 30 s"]),
        (143, 0.2, "", ["said ''"]),
        (143, 0.2, f"Traceback\n{LINE}\n", [f"said 'Traceback / {LINE}'"]),
    ],
)
def test_faults_are_told(exit_code, seconds, said, faults):
    found = Interruption("Trainer", exit_code, seconds, ended_before=False)
    assert interrupts._faults(signal.SIGTERM, found, said) == faults


def test_a_process_that_is_left_is_told_and_ended():
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    assert interrupts._processes_of(left.pid) == ["sleep 600"]
    assert left.wait(10) == -signal.SIGKILL
    assert interrupts._processes_of(left.pid) == []
