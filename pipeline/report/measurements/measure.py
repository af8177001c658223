"""Makes the measurements that the page shows and no stage records; they are kept beside the page.

    {"words": {...}, "vocabulary": {...}, "model": {...}, "baselines": {...}}

The functions that measure a part describe it. If a part fails, it is {"error": "..."}, and the page
shows the error instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.report.inputs import Run
from pipeline.report.measurements import baselines as baselines_measurements
from pipeline.report.measurements import classification as classification_measurements
from pipeline.report.measurements import corpus as corpus_measurements
from pipeline.report.measurements import next_token as next_token_measurements

Measurements = dict[str, Any]


def measure(run: Run, known: Measurements | None = None) -> Measurements:
    """Measures the parts whose artifacts a run has.

    Args:
        run: its `artifacts` and `task` are read.
        known: earlier measurements; only failed or missing parts are measured again.
    """
    measurements = {
        "classification": classification_measurements,
        "next-token": next_token_measurements,
    }

    def measure_model() -> Any:
        from tfx.utils import path_utils

        from serving.served_model import ServedModel

        model = ServedModel(path_utils.serving_model_path(run.artifacts["Trainer.model"]))
        return measurements[run.task.kind].measure(run, model)

    parts: dict[str, tuple[tuple[str, ...], Callable[[], Any]]] = {
        "words": ((), lambda: corpus_measurements.frequent_words(run)),
        "vocabulary": (
            ("Transform.transform_graph",),
            lambda: corpus_measurements.vocabulary(run),
        ),
        "model": (("Trainer.model",), measure_model),
        "baselines": (
            ("TextExampleGen.records",),
            lambda: baselines_measurements.measure(run),
        ),
    }
    found = {name: part for name, part in (known or {}).items() if "error" not in part}
    for name, (needs, function) in parts.items():
        if name not in found and run.has("TextExampleGen.examples", *needs):
            try:
                found[name] = function()
            except Exception as error:
                found[name] = {"error": f"{type(error).__name__}: {error}"}
    return found
