"""`tf-mamba generate`: continues a prompt by the pushed model."""

from __future__ import annotations

import argparse

from pipeline.commands import options as shared
from pipeline.commands.terminal import import_tensorflow

_SETTINGS = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "seed")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    shared.add_task(parser, "bible")
    parser.add_argument("prompt")
    parser.add_argument("--max-new-tokens", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest")
    parser.add_argument("--top-k", type=int, default=50, help="0: among all tokens")
    parser.add_argument("--top-p", type=float, default=1.0, help="1: among all tokens")
    parser.add_argument(
        "--repetition-penalty", type=float, default=1.0, help="above 1: fewer repeats"
    )
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    """Prints the prompt and its continuation."""
    import_tensorflow(options.debug)
    from pipeline.pushed_models.model import predict
    from serving.served_model import ServedModel

    model = ServedModel(shared.newest_model(options))
    settings = {name: [getattr(options, name)] for name in _SETTINGS}
    outputs = predict(model, "serving_default", text=[options.prompt], **settings)
    print(options.prompt + outputs["text"][0].decode())
    return 0
