"""`tf-mamba predict`: labels texts with the newest pushed model."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser, "sentiment")
    parser.add_argument("text", nargs="+")


def run(options: argparse.Namespace) -> int:
    """Prints a line per text; returns the exit code."""
    import_tensorflow(options.debug)
    from pipeline.pushed_models.model import predict
    from serving.served_model import ServedModel

    model = ServedModel(shared.newest_model(options))
    outputs = predict(model, "serving_default", text=options.text)
    labels, probabilities = outputs["label"], outputs["probability"]
    for text, label, probability in zip(options.text, labels, probabilities, strict=True):
        excerpt = " ".join(text.split())[:60]
        print(f"{label.decode()}  (positive: {probability:.3f})  {excerpt}")
    return 0
