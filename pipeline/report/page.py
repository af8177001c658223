"""The page itself: all sections of a run as one HTML file that needs nothing else.

A section that cannot be made does not keep the others from the reader: it says what went wrong
in its place, and so does `Page.failures`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.blocks import Section, Sentence
from pipeline.report.inputs import Run
from pipeline.report.sections import (
    about,
    data,
    evaluation,
    examples,
    lineage,
    time,
    training,
    verdict,
    vocabulary,
)

SECTIONS = {  # name to heading and module
    "verdict": ("Verdict", verdict),
    "about": ("What was run, and with what", about),
    "data": ("Data", data),
    "vocabulary": ("Vocabulary", vocabulary),
    "training": ("Training", training),
    "evaluation": ("Evaluation", evaluation),
    "examples": ("Examples", examples),
    "time": ("Time and memory", time),
    "lineage": ("Lineage", lineage),
}


@dataclass(frozen=True)
class Page:
    """HTML, and a line for each section or measurement that failed."""

    html: str
    failures: tuple[str, ...]


def render(run: Run) -> Page:
    """Makes the page of a run. The same run gives the same page, to the byte."""
    import jinja2

    sections, failures = [], []
    for name, (title, module) in SECTIONS.items():
        try:
            sections.append(module.section(run))
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            failures.append(f"section {title}: {what}")
            text = f"This section could not be made: {what}"
            sections.append(Section(name, title, [Sentence(text, "warning")]))
    failures += [
        f"measurement {name}: {part['error']}"
        for name, part in run.measurements.items()
        if "error" in part
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return Page(template.render(run=run, sections=sections), tuple(failures))
