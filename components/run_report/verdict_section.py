"""The verdict, at the top of the page."""

from __future__ import annotations

from components.run_report import evaluation
from components.run_report.blocks import Block, Section, Sentence, Table
from components.run_report.numbers import count, figure
from components.run_report.run import Run


def section(run: Run) -> Section:
    blocks: list[Block] = [_verdict(run)]
    if run.has(evaluation.EVALUATION):
        blocks += [Sentence(line, "warning") for line in evaluation.missed_thresholds(run)]
        metrics = evaluation.read_metrics(run)[evaluation.ALL]
        rows = [(name, figure(metric.value)) for name, metric in metrics.items()]
        blocks.append(Table("On split eval", ("metric", "value"), rows))
    elif run.error is None:
        blocks.append(Sentence("The run did not come to an evaluation."))
    if run.stages:
        seconds = sum(stage.seconds for stage in run.stages)
        cached = sum(stage.state == "CACHED" for stage in run.stages)
        blocks.append(
            Sentence(
                f"{len(run.stages)} stages, {cached} of them from the cache, in"
                f" {count(seconds)} seconds."
            )
        )
    return Section("verdict", "Verdict", blocks)


def _verdict(run: Run) -> Sentence:
    if run.error is not None:
        return Sentence(f"Failed: {run.error}", "warning")
    if not run.has(evaluation.EVALUATION):
        return Sentence("Not evaluated, not pushed.", "warning")
    if not evaluation.is_blessed(run):
        return Sentence("Not blessed, so not pushed.", "warning")
    if run.pushed is None:
        return Sentence("Blessed; its pushed model is not known, or no longer there.", "warning")
    return Sentence(f"Blessed, and pushed to {run.pushed}", "good")
