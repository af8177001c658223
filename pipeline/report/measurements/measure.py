"""What the page needs and no stage has written down: measured once, kept beside the page.

    {"words": {...}, "vocabulary": {...}, "model": {...}}

A part that could not be measured is {"error": "..."}: the page says so in its place. Each is
described where it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.report.inputs import Run
from pipeline.report.measurements import corpus as corpus_measurements
from pipeline.report.measurements import next_token as next_token_measurements
from pipeline.report.measurements import sentiment as sentiment_measurements

Measurements = dict[str, Any]


def measure(run: Run, known: Measurements | None = None) -> Measurements:
    """Measures what can be measured of a run.

    Args:
        run: of which `artifacts` and `task` are read.
        known: what was measured before; only what failed then, or is missing, is measured.
    """
    of_head = {"sentiment": sentiment_measurements, "next_token": next_token_measurements}

    def ask_model() -> Any:
        from tfx.utils import path_utils

        from serving.served_model import ServedModel

        model = ServedModel(path_utils.serving_model_path(run.artifacts["Trainer.model"]))
        return of_head[run.task.head].measure(run, model)

    parts: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
        "words": ((), lambda: corpus_measurements.frequent_words(run)),
        "vocabulary": (
            ("Transform.transform_graph",),
            lambda: corpus_measurements.vocabulary(run),
        ),
        "model": (("Trainer.model",), ask_model),
    }
    found = {name: part for name, part in (known or {}).items() if "error" not in part}
    for name, (needs, function) in parts.items():
        if name not in found and run.has("TextExampleGen.examples", *needs):
            try:
                found[name] = function()
            except Exception as error:
                found[name] = {"error": f"{type(error).__name__}: {error}"}
    return found
