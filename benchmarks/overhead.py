"""The cost of orchestration: a run whose training has one step, and the same run again.

The first run does everything except most of the training; in the second every stage is cached.
Time that belongs to no stage is start and end: imports, compilation of the pipeline, ML Metadata,
the summary and the page. There are no bounds on the metrics, so that the model is pushed.
Seconds are wall-clock time; CPU seconds, of all cores, hardly depend on other work.

    python -m benchmarks.overhead [imdb] [bible] [--preset smoke]
"""

from __future__ import annotations

import sys
import tempfile

from benchmarks import pipeline_process
from benchmarks.pipeline_process import FinishedRun
from benchmarks.report import commit, hardware, json_line, median, parser, significant, table

TASKS = ("bible", "imdb")
ONE_STEP = ("training.steps=1", "evaluation.max_bits_per_char=99", "evaluation.min_accuracy=0",
            "evaluation.max_calibration_error=1")  # fmt: skip
REST = "start and end"


def main(arguments: list[str] | None = None) -> int:
    options = parser(__doc__, TASKS)
    options.add_argument("--preset", default="smoke", help="of the runs (smoke)")
    options.add_argument("--repeats", type=int, default=3, help="runs from the cache (3)")
    given = options.parse_args(arguments)
    for task in given.tasks:
        with tempfile.TemporaryDirectory(prefix="tf-mamba-overhead-") as root:
            settings = [f"--set={setting}" for setting in ONE_STEP]
            command = (task, "--preset", given.preset, "--root", root, *settings)
            first = pipeline_process.run(*command)
            again = [pipeline_process.run(*command) for _ in range(given.repeats)]
        if not_cached := set(first.summary["seconds"]) - set(again[0].summary["cached"]):
            print(f"{task}: not cached: {', '.join(sorted(not_cached))}", file=sys.stderr)
        one_step, cached = seconds(first), [seconds(run) for run in again]
        from_cache = {stage: median([run[stage] for run in cached]) for stage in one_step}
        total = (first.seconds, median([run.seconds for run in again]))
        cpu = (first.cpu_seconds, median([run.cpu_seconds for run in again]))
        table(
            f"overhead: {task} at preset {given.preset}, seconds; cached: median of {len(again)}",
            ("stage", "one step of training", "cached"),
            [
                *((stage, one_step[stage], from_cache[stage]) for stage in one_step),
                ("all", *total),
                ("all, CPU seconds", *cpu),
            ],
        )
        record = {
            "bench": "overhead",
            "task": task,
            "preset": given.preset,
            "one_step_s": {stage: significant(taken) for stage, taken in one_step.items()},
            "cached_s": from_cache,
            "one_step_total_s": significant(total[0]),
            "cached_total_s": total[1],
            "one_step_cpu_s": significant(cpu[0]),
            "cached_cpu_s": cpu[1],
            "versions": first.summary["versions"],
        }
        json_line(record | {"hardware": hardware(), "commit": commit()}, given.out)
    return 0


def seconds(run: FinishedRun) -> dict[str, float]:
    """Seconds by stage, and of start and end."""
    stages: dict[str, float] = run.summary["seconds"]
    return stages | {REST: run.seconds - sum(stages.values())}


if __name__ == "__main__":
    sys.exit(main())
