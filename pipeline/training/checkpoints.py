"""Checkpoints of a training, from which it goes on to the same bits.

    <folder>/<step>-<hash>.safetensors     arrays, and `facts` as JSON among its metadata

A file's name holds the hash of its bytes, and a file gets its name when it is whole on the
disk. So a kill leaves the checkpoints before it, and one that rotted is noticed.
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

# Environment variable: where it is set, a training begins at its first step, whatever it left.
FROM_NOTHING = "TF_MAMBA_FROM_NOTHING"
_NAME = re.compile(r"(\d{8})-([0-9a-f]{16})\.safetensors")
_UNFINISHED = ".unfinished"


class Checkpoints:
    """The checkpoints of one training, of which the last `keep` stay.

    `folder` must be a function of all that determines the result: what another training
    left there would be taken for this one's.
    """

    def __init__(self, folder: Path, keep: int = 2, read_only: bool = False):
        """`read_only`: another process writes them; `save` does nothing."""
        self.folder = folder
        self._keep = keep
        self._read_only = read_only
        if not read_only and os.environ.get(FROM_NOTHING):
            shutil.rmtree(folder, ignore_errors=True)

    def save(self, step: int, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Writes the checkpoint after `step` steps, whole or not at all.

        Raises:
            OSError: if it cannot be written; the ones before are left.
        """
        if self._read_only:
            return
        content = safetensors.numpy.save(arrays, {"facts": json.dumps(facts)})
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / _UNFINISHED
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path = self.folder / f"{step:08d}-{_hash(content)}.safetensors"
        unfinished.replace(path)
        for old in self._paths()[: -self._keep]:
            old.unlink()

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and facts of the last checkpoint that is sound; None if there is none.

        One that is not is left out with a warning on standard error, and removed.
        """
        for path in reversed(self._paths()):
            content = path.read_bytes()
            if _hash(content) == _NAME.fullmatch(path.name)[2]:  # type: ignore[index]
                with safetensors.safe_open(path, "numpy") as file:
                    facts = json.loads(file.metadata()["facts"])
                return safetensors.numpy.load(content), facts
            print(
                f"warning: {path}: the checkpoint is not as it was written"
                f" ({len(content)} bytes); going on from the one before",
                file=sys.stderr,
            )
            path.unlink()
        return None

    def latest(self) -> Path | None:
        """The path of the last checkpoint."""
        return next(iter(reversed(self._paths())), None)

    def _paths(self) -> list[Path]:
        """All checkpoints, the oldest first."""
        return sorted(p for p in self.folder.glob("*.safetensors") if _NAME.fullmatch(p.name))


def prune(root: Path, keep: int) -> None:
    """Leaves the `keep` trainings below `root` that wrote a checkpoint last."""
    folders = sorted(root.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-keep]:
        shutil.rmtree(folder)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
