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
    import tensorflow as tf

    from pipeline.pushed_models import model as pushed_model

    model = pushed_model.latest_version(options.root / "serving_models", options.task)
    outputs = pushed_model.signature(model, "serving_default")(
        text=tf.constant([options.prompt]),
        **{name: tf.constant([getattr(options, name)]) for name in _SETTINGS},
    )
    print(options.prompt + outputs["text"].numpy()[0].decode())
    return 0
