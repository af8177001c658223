"""The verdict, at the top of the page."""

from __future__ import annotations

from pipeline.report import evaluation
from pipeline.report.blocks import Block, Sentence, Table
from pipeline.report.inputs import Run
from pipeline.report.numbers import count, figure, interval


def section(run: Run) -> list[Block]:
    found = evaluation.read(run) if run.has(evaluation.EVALUATION) else None
    blocks: list[Block] = [_verdict(run, found)]
    if found:
        blocks += [Sentence(finding, "warning") for finding in found.verdict.findings]
        blocks += [Sentence(f"Not checked: {what}") for what in found.not_checked]
        rows = [
            (name, figure(value), interval(found.intervals.get(name)))
            for name, value in found.values.items()
        ]
        blocks.append(Table("On split eval", ("metric", "value", "95% interval"), rows))
    elif run.error is None:
        blocks.append(Sentence("The run did not get as far as an evaluation."))
    if run.stages:
        seconds = sum(stage.seconds for stage in run.stages)
        cached = sum(stage.state == "CACHED" for stage in run.stages)
        what = f"{len(run.stages)} stages, {cached} of them from the cache"
        blocks.append(Sentence(f"{what}, in {count(seconds)} seconds."))
    return blocks


def _verdict(run: Run, found: evaluation.Evaluation | None) -> Sentence:
    if run.error is not None:
        return Sentence(f"Failed: {run.error}", "warning")
    if found is None:
        return Sentence("Not evaluated, not pushed.", "warning")
    if found.verdict.blessed is False:
        return Sentence("Not blessed, so not pushed.", "warning")
    if run.pushed is not None:
        return Sentence(f"Blessed, and pushed to {run.pushed}", "good")
    if found.verdict.blessed is None:
        return Sentence("Evaluated, but not checked by InfraCheck, so not pushed.", "warning")
    return Sentence("Blessed; its pushed model is unknown, or no longer there.", "warning")
