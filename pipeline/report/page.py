"""Renders a run's page: all sections in one HTML file that loads nothing else.

If a section fails, the page shows the error in its place and keeps the other sections;
`Page.failures` lists the errors.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.blocks import Sentence
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

SECTIONS = {  # name, the target of links, to heading and module
    "verdict": ("Verdict", verdict),
    "about": ("Configuration", about),
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
    """HTML, and one line per section or measurement that failed."""

    html: str
    failures: tuple[str, ...]


def render(run: Run) -> Page:
    """Renders the page of a run; the same run gives the same bytes."""
    import jinja2

    sections, failures = [], []
    for name, (title, module) in SECTIONS.items():
        if module is examples:
            title = examples.TITLES[run.task.kind]
        try:
            blocks = module.section(run)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            failures.append(f"section {title}: {what}")
            blocks = [Sentence(f"This section could not be made: {what}", "warning")]
        sections.append((name, title, blocks))
    failures += [
        f"measurement {name}: {part['error']}"
        for name, part in run.measurements.items()
        if "error" in part
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return Page(template.render(run=run, sections=sections), tuple(failures))
