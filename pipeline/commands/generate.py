"""`tf-mamba generate`: continues a prompt with the newest pushed model."""

from __future__ import annotations

import argparse

from data.decoding import without_escapes
from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    shared.add_task(parser)
    parser.add_argument("prompt")
    shared.add_generation(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the prompt and its continuation; returns the exit code."""
    shared.require_kind(options, "next-token")
    import_tensorflow(options.debug)
    from pipeline.pushed_models.model import predict
    from serving.served_model import ServedModel

    without_escapes(options.prompt, "prompt")
    model = ServedModel(shared.newest_model(options))
    settings = {name: [value] for name, value in shared.generation(options).items()}
    outputs = predict(model, "serving_default", text=[options.prompt], **settings)
    print(options.prompt + outputs["text"][0].decode())
    return 0
