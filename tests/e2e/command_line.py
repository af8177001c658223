"""`tf-mamba` in a process of its own, with a root folder of its own."""

import contextlib
import io
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from warm_process import WarmProcess

from pipeline import cli
from pipeline.places import Places
from pipeline.runs import records as runs

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class CommandLine:
    """`tf-mamba` with a root folder of its own, started in `folder`."""

    root: Path
    folder: Path = PROJECT

    def start(self, command: str, *arguments: str) -> WarmProcess:
        return WarmProcess(
            [command, "--root", str(self.root), *arguments],
            cwd=self.folder,
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

    def tells(self, *arguments: str) -> str:
        """What a command that changes nothing prints: in this process, as each new one imports
        for seconds.
        """
        command, *rest = arguments
        with contextlib.redirect_stdout(io.StringIO()) as told:
            assert cli.main((command, "--root", str(self.root), "--debug", *rest)) == 0
        return told.getvalue()

    def summary(self, task: str) -> dict:
        """Of the last run that went to its end."""
        return json.loads((self.root / "runs" / task / "latest" / "summary.json").read_text())

    def newest(self) -> dict:
        """The summary of the last run, of a part of the pipeline too."""
        return runs.find(Places.below(self.root), "latest")
