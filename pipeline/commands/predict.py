"""`tf-mamba predict`: labels texts by the pushed model."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser, "imdb")
    parser.add_argument("text", nargs="+")


def run(options: argparse.Namespace) -> int:
    """Prints a line for each text."""
    import_tensorflow(options.debug)
    import tensorflow as tf

    from pipeline.pushed_models import model as pushed_model

    model = pushed_model.latest_version(options.root / "serving_models", options.task)
    outputs = pushed_model.signature(model, "serving_default")(text=tf.constant(options.text))
    labels, probabilities = outputs["label"].numpy(), outputs["probability"].numpy()
    for text, label, probability in zip(options.text, labels, probabilities, strict=True):
        excerpt = " ".join(text.split())[:60]
        print(f"{label.decode()}  (positive: {probability:.3f})  {excerpt}")
    return 0
