"""Where files go, below one root folder.

runs/metadata.sqlite                 ML Metadata of all runs, unless a server keeps it
runs/artifacts/<task>/               what the stages made
runs/checkpoints/<task>/<key>/       of trainings, see training/checkpoints.py
runs/tuning/<task>/<key>/            of searches for better settings, see tuning/trials.py
runs/<task>/<run id>/summary.json    see runs/summary.py
runs/<task>/<run id>/report.html     the run's page, see runs/page.py
runs/<task>/latest                   link to the last run that ended
serving_models/<task>/<version>/     pushed models
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TRAINING_FILE = "training.json"  # in a ModelRun artifact: facts about the training


@dataclass(frozen=True)
class Places:
    """Where runs keep their files."""

    runs: Path
    serving_models: Path  # pushed models, <task>/<version>
    metadata: str = ""  # connection string, see metadata.py; empty: runs/metadata.sqlite

    @classmethod
    def below(cls, root: Path, metadata: str = "") -> Places:
        """The places of a root folder."""
        root = root.resolve()
        return cls(root / "runs", root / "serving_models", metadata)

    def pipeline_root(self, task: str) -> str:
        """Where the stages' artifacts go: a path, or what else the orchestrator takes."""
        return str(self.artifacts(task))

    def artifacts(self, task: str) -> Path:
        return self.runs / "artifacts" / task

    def checkpoints(self, task: str) -> Path:
        return self.runs / "checkpoints" / task

    def tuning(self, task: str) -> Path:
        return self.runs / "tuning" / task

    def run(self, task: str, run_id: str) -> Path:
        return self.runs / task / run_id
