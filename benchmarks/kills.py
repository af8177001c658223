"""Tests that a training that is killed again and again ends with the same bits as one that is not.

Each task is trained once without interruption, and once with repeated kills (SIGKILL): each at
most a second after the last checkpoint before a step drawn with a seed, which may be in a step or
while a checkpoint is written. The hashes of the final weights are compared.

    python -m benchmarks.kills [imdb] [bible] [--preset smoke] [--kills 5]
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import pipeline_process
from benchmarks.report import commit, hardware, json_line, parser, table

TASKS = ("bible", "imdb")
CHECKPOINT_EVERY = 20  # steps


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__, TASKS)
    options.add_argument("--preset", default="smoke", help="of the runs (smoke)")
    options.add_argument("--kills", type=int, default=5, help="per task (5)")
    options.add_argument("--seed", type=int, default=1, help="of the times of the kills (1)")
    options.add_argument("--steps", type=int, default=1_000, help="of each training (1,000)")
    given = options.parse_args(arguments)
    if given.steps < (least := CHECKPOINT_EVERY * (given.kills + 2)):
        options.error(f"--steps: expected {least} or more for {given.kills} kills")
    differ = False
    for task in given.tasks:
        settings = (
            f"training.steps={given.steps}",
            f"training.checkpoint_every={CHECKPOINT_EVERY}",
        )
        command = (task, "--preset", given.preset, *(f"--set={each}" for each in settings))
        record = measure(command, given.kills, random.Random(given.seed))
        differ |= record["killed_sha256"] != record["whole_sha256"]
        _print_table(task, given.preset, record)
        about = {"bench": "kills", "task": task, "preset": given.preset}
        json_line(about | record | {"hardware": hardware(), "commit": commit()}, given.out)
    return int(differ)


def measure(command: tuple[str, ...], kills: int, moments: random.Random) -> dict[str, Any]:
    """Trains in two empty folders, in one of them with `kills` kills.

    Returns:
        drawn (a step for each kill), checkpoints (step of the last one after each kill),
        resumed_at (steps), steps, whole_sha256, killed_sha256.
    """
    with tempfile.TemporaryDirectory(prefix="tf-mamba-kills-") as name:
        whole_root, root = Path(name, "whole"), Path(name, "killed")
        whole = pipeline_process.run(*command, "--root", str(whole_root), "--to", "trainer")
        steps = whole.summary["training"]["steps"]
        drawn = sorted(moments.sample(range(CHECKPOINT_EVERY, steps - CHECKPOINT_EVERY), kills))
        interrupted = (*command, "--root", str(root), "--to", "trainer")
        checkpoints = []
        for step in drawn:

            def reached(step: int = step) -> bool:
                return _last_checkpoint(root) > step - CHECKPOINT_EVERY

            if not pipeline_process.kill(*interrupted, reached=reached, after=moments.random()):
                break  # the training had ended
            checkpoints.append(_last_checkpoint(root))
        last = pipeline_process.run(*interrupted)
    return {
        "drawn": drawn[: len(checkpoints)],
        "checkpoints": checkpoints,
        "resumed_at": last.summary["training"]["resumed_at"],
        "steps": steps,
        "whole_sha256": whole.summary["weights_sha256"],
        "killed_sha256": last.summary["weights_sha256"],
    }


def _last_checkpoint(root: Path) -> int:
    """Returns the step of the last checkpoint; 0 before the first."""
    found = (root / "runs" / "checkpoints").glob("*/*/0*.safetensors")
    return max((int(path.name[:8]) for path in found), default=0)


def _print_table(task: str, preset: str, record: dict[str, Any]) -> None:
    table(
        f"{task} at preset {preset}, {record['steps']} steps, killed {len(record['drawn'])}"
        f" times; resumed at steps {record['resumed_at']}",
        ("kill", "drawn step", "last checkpoint"),
        [
            (str(number), *row)
            for number, row in enumerate(
                zip(record["drawn"], record["checkpoints"], strict=True), 1
            )
        ],
        {"weights, whole": record["whole_sha256"], "weights, killed": record["killed_sha256"]},
    )


if __name__ == "__main__":
    sys.exit(main())
