"""Whole runs, as a user starts them: `python -m pipeline.cli` in a process of its own.

TFX takes long to start, so the runs are shared by the tests of a session.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class CommandLine:
    """`tf-mamba` with a root folder of its own."""

    root: Path

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pipeline.cli",
                arguments[0],
                "--root",
                self.root,
                *arguments[1:],
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def succeeds(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, (
            f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def summary(self, task: str) -> dict:
        return json.loads((self.root / "runs" / task / "latest" / "summary.json").read_text())


@pytest.fixture(scope="session")
def bible(tmp_path_factory) -> CommandLine:
    """After a smoke run on a tenth of the chapters."""
    command = CommandLine(tmp_path_factory.mktemp("bible"))
    command.succeeds("run", "bible", "--preset", "smoke")
    return command


@pytest.fixture(scope="session")
def imdb(tmp_path_factory) -> CommandLine:
    """After a smoke run on a tenth of the reviews that was killed in Transform and run again."""
    command = CommandLine(tmp_path_factory.mktemp("imdb"))
    killed = command.start("run", "imdb", "--preset", "smoke")
    assert killed.stderr is not None
    for line in killed.stderr:
        if "DataGate" in line:  # Transform is next
            break
    else:
        pytest.fail(f"the run ended before DataGate did: exit {killed.wait()}")
    killed.kill()
    killed.communicate()
    command.succeeds("run", "imdb", "--preset", "smoke")
    return command
