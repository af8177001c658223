"""Seconds and memory of each stage."""

from __future__ import annotations

from typing import Any

from pipeline.places import TRAINING_FILE
from pipeline.report import figures
from pipeline.report.blocks import Block, Drawing, Sentence, Table
from pipeline.report.inputs import Run
from pipeline.report.missing import no_stages
from pipeline.report.numbers import mebibytes

_STATES = {"COMPLETE": "ran", "CACHED": "cached", "FAILED": "failed", "RUNNING": "did not end"}


def section(run: Run) -> list[Block]:
    if not run.stages:
        return [no_stages(run)]
    stages = [stage for stage in run.stages if not _found_nothing(stage)]
    begin = stages[0].started
    rows = [
        (
            stage.name,
            _STATES.get(stage.state, stage.state.lower()),
            f"{stage.started - begin:.1f}",
            f"{stage.seconds:.1f}",
            _memory(run, stage.name),
        )
        for stage in stages
    ]

    def paint(axes: Any) -> None:
        for row, stage in enumerate(stages):
            cached = stage.state == "CACHED"
            colour = figures.SERIES[1 if stage.state == "FAILED" else 0]
            axes.barh(
                row,
                stage.seconds,
                left=stage.started - begin,
                height=0.6,
                color="none" if cached else colour,
                edgecolor=colour,
                linewidth=1,
            )
        end = max(stage.started - begin + stage.seconds for stage in stages)
        for row, stage in enumerate(stages):
            left, right = stage.started - begin, stage.started - begin + stage.seconds
            if stage.seconds > 0.3 * end and stage.state != "CACHED":  # room inside
                place, shift, side, colour = (left + right) / 2, 0, "center", figures.SURFACE
            elif right > 0.8 * end:
                place, shift, side, colour = left, -4, "right", figures.INK
            else:
                place, shift, side, colour = right, 4, "left", figures.INK
            axes.annotate(
                "cached" if stage.state == "CACHED" else f"{stage.seconds:.1f} s",
                (place, row),
                (shift, 0),
                textcoords="offset points",
                va="center",
                ha=side,
                color=colour,
                fontsize=9,
            )
        axes.set_yticks(range(len(stages)), [stage.name for stage in stages])
        axes.tick_params(axis="y", length=0)
        figures.label(axes, "seconds since the run began", "")
        axes.grid(visible=False)
        axes.invert_yaxis()

    svg = figures.draw(
        "stages",
        "When each stage ran",
        ", ".join(f"{name} from {start} s for {seconds} s" for name, _, start, seconds, _ in rows),
        paint,
        height=0.8 + 0.27 * len(stages),
    )
    return [
        Drawing(svg, "When each stage ran, by ML Metadata"),
        Table("Stages", ("stage", "", "start, s", "seconds", "peak memory"), rows),
        Sentence("Memory is the peak of the process; it is known for trainings only."),
    ]


def _found_nothing(stage: Any) -> bool:
    """ML Metadata records a resolver that found nothing as failed."""
    return stage.name == "Baseline" and stage.state == "FAILED"


def _memory(run: Run, stage: str) -> str:
    artifact = f"{stage}.model_run"
    if not run.has(artifact):
        return ""
    return mebibytes(run.read_json(artifact, TRAINING_FILE)["peak_memory"])
