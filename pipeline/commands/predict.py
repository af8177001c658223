"""`tf-mamba predict`: labels texts with the newest pushed model."""

from __future__ import annotations

import argparse

from data.decoding import without_escapes
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument("text", nargs="+")


def run(options: argparse.Namespace) -> int:
    """Prints a line per text; returns the exit code."""
    shared.require_kind(options, "classification")
    import_tensorflow(options.debug)
    from pipeline.pushed_models.model import predict
    from serving.served_model import ServedModel

    for number, text in enumerate(options.text, start=1):
        without_escapes(text, f"text {number}")
    model = ServedModel(shared.newest_model(options))
    outputs = predict(model, "serving_default", text=options.text)
    rows = zip(options.text, outputs["classes"], outputs["scores"], strict=True)
    for text, classes, scores in rows:
        label = scores.argmax()
        # Of two classes always the second one's probability, so that it compares across texts.
        shown = 1 if len(classes) == 2 else label
        excerpt = " ".join(text.split())[:60]
        told = f"({classes[shown].decode()}: {scores[shown]:.3f})"
        print(f"{classes[label].decode()}  {told}  {excerpt}")
    return 0
