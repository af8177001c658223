"""Sentences for what a page cannot show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.blocks import Sentence
from pipeline.report.inputs import Run


def not_measured(what: str, part: Mapping[str, Any] | None) -> Sentence:
    """Says that a measurement is missing, and why if that is known."""
    if part and "error" in part:
        return Sentence(f"{what} could not be measured: {part['error']}", "warning")
    return Sentence(f"{what}: not measured, as the run did not get that far.")


def no_stages(run: Run) -> Sentence:
    """Says why a run has no stages to show."""
    if run.stages is None:
        return Sentence("Known at the run's end only: see report.html in the run's folder.")
    return Sentence("No stage began.")
