"""Whether a training that is killed again and again ends with the bits of one that was not.

A task is trained once without a break, and once killed (SIGKILL) at moments drawn by a seed: each
between the training's beginning, or going on, and the end that it would have had by the time that
the first one took. What counts is the hash of the final weights.

    python -m benchmarks.kills [imdb] [bible] [--preset smoke] [--kills 5]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import pipeline_process
from benchmarks.report import commit, hardware, json_line, significant, table

TASKS = ("bible", "imdb")


def main(arguments: list[str] | None = None) -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    options.add_argument("tasks", nargs="*", metavar="TASK", help="bible, imdb (default: both)")
    options.add_argument("--preset", default="smoke", help="of the runs (smoke)")
    options.add_argument("--kills", type=int, default=5, help="per task (5)")
    options.add_argument("--seed", type=int, default=1, help="of the moments (1)")
    options.add_argument("--steps", type=int, default=1_000, help="of each training (1,000)")
    options.add_argument("--out", type=Path, help="file that the JSON lines are added to")
    given = options.parse_args(arguments)
    if unknown := set(given.tasks) - set(TASKS):
        options.error(f"expected tasks among {', '.join(TASKS)}; got {', '.join(unknown)}")
    differ = False
    for task in given.tasks or TASKS:
        command = (task, "--preset", given.preset, f"--set=training.steps={given.steps}")
        record = measure(command, given.kills, random.Random(given.seed))
        differ |= record["killed_sha256"] != record["whole_sha256"]
        _print_table(task, given.preset, record)
        about = {"bench": "kills", "task": task, "preset": given.preset}
        json_line(about | record | {"hardware": hardware(), "commit": commit()}, given.out)
    return int(differ)


def measure(command: tuple[str, ...], kills: int, moments: random.Random) -> dict[str, Any]:
    """Trains in two empty folders, in one of them killed so many times.

    Returns:
        killed_after (seconds of training since its start or the last kill), checkpoints (the
        step of the last one after each kill; 0: none), resumed_at (steps), steps,
        whole_sha256, killed_sha256.
    """
    with tempfile.TemporaryDirectory(prefix="tf-mamba-kills-") as name:
        whole_root, root = Path(name, "whole"), Path(name, "killed")
        whole = pipeline_process.run(*command, "--root", str(whole_root), "--to", "trainer")
        seconds, steps = (whole.summary["training"][key] for key in ("seconds", "steps"))
        killed_after: list[float] = []
        checkpoints: list[int] = [0]
        while len(killed_after) < kills and checkpoints[-1] < steps:
            before = len(_logs(root))

            def begun(before: int = before) -> bool:
                return len(_logs(root)) > before

            after = moments.uniform(0, seconds * (1 - checkpoints[-1] / steps))
            interrupted = ("--root", str(root), "--to", "trainer")
            pipeline_process.kill(*command, *interrupted, begun=begun, after=after)
            killed_after.append(significant(after, 3))
            checkpoints.append(_last_checkpoint(root))
        last = pipeline_process.run(*command, "--root", str(root), "--to", "trainer")
    return {
        "killed_after": killed_after,
        "checkpoints": checkpoints[1:],
        "resumed_at": last.summary["training"]["resumed_at"],
        "steps": steps,
        "whole_sha256": whole.summary["weights_sha256"],
        "killed_sha256": last.summary["weights_sha256"],
    }


def _logs(root: Path) -> list[Path]:
    """A file for each time that a training began or went on."""
    return list((root / "runs" / "artifacts").glob("*/Trainer/model_run/*/training.csv"))


def _last_checkpoint(root: Path) -> int:
    found = (root / "runs" / "checkpoints").glob("*/*/0*.safetensors")
    return max((int(path.name[:8]) for path in found), default=0)


def _print_table(task: str, preset: str, record: dict[str, Any]) -> None:
    table(
        f"{task} at preset {preset}, {record['steps']} steps, killed {len(record['killed_after'])}"
        f" times; went on at steps {record['resumed_at']}",
        ("kill", "after seconds of training", "last checkpoint, steps"),
        [
            (str(number), *row)
            for number, row in enumerate(
                zip(record["killed_after"], record["checkpoints"], strict=True), 1
            )
        ],
        {"weights, whole": record["whole_sha256"], "weights, killed": record["killed_sha256"]},
    )


if __name__ == "__main__":
    sys.exit(main())
