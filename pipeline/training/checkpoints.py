"""Checkpoints of a training. Resumed from one, the training ends with the same bits.

    <folder>/<step>-<hash>.safetensors     arrays, and `facts` as JSON in the file's metadata

Files are written atomically, so a kill leaves the earlier checkpoints intact. A file's name
holds the hash of its bytes, so a damaged file is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from data.files import write_whole

# Environment variable: if set, trainings ignore their checkpoints and begin at the first step.
FROM_NOTHING = "TF_MAMBA_FROM_NOTHING"
_NAME = re.compile(r"(\d{8})-([0-9a-f]{16})\.safetensors")


class Checkpoints:
    """The checkpoints of one training; keeps the last `keep`.

    `folder` must be a function of all that determines the result, as `load` takes any
    checkpoint that it finds there.
    """

    def __init__(self, folder: Path, keep: int = 2, read_only: bool = False):
        """`read_only`: another process writes them; `save` does nothing."""
        self.folder = folder
        self._keep = keep
        self._read_only = read_only
        if not read_only and os.environ.get(FROM_NOTHING):
            shutil.rmtree(folder, ignore_errors=True)

    def save(self, step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Writes the checkpoint after `step` steps atomically, and deletes the oldest.

        Raises:
            OSError: if it cannot be written; the earlier checkpoints stay.
        """
        if self._read_only:
            return
        content = safetensors.numpy.save(arrays, {"facts": json.dumps(facts)})
        write_whole(self.folder / f"{step:08d}-{_hash(content)}.safetensors", content)
        for old in self._paths()[: -self._keep]:
            old.unlink()

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and facts of the last intact checkpoint; None if there is none.

        Removes damaged checkpoints, with a warning on standard error.
        """
        for path in reversed(self._paths()):
            content = path.read_bytes()
            if _hash(content) == _NAME.fullmatch(path.name)[2]:  # type: ignore[index]
                with safetensors.safe_open(path, "numpy") as file:
                    facts = json.loads(file.metadata()["facts"])
                return safetensors.numpy.load(content), facts
            print(
                f"warning: {path}: damaged checkpoint ({len(content)} bytes, whose hash differs"
                " from that in its name); resuming from the one before it",
                file=sys.stderr,
            )
            path.unlink()
        return None

    def latest(self) -> Path | None:
        """The path of the last checkpoint; None if there is none."""
        return next(iter(reversed(self._paths())), None)

    def _paths(self) -> list[Path]:
        """All checkpoints, oldest first."""
        return sorted(p for p in self.folder.glob("*.safetensors") if _NAME.fullmatch(p.name))


def prune(root: Path, keep: int) -> None:
    """Deletes all trainings below `root` but the `keep` that wrote a checkpoint last."""
    folders = sorted(root.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-keep]:
        shutil.rmtree(folder)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
