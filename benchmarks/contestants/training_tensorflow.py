"""A training step in TensorFlow: ours, or a Keras LSTM of the same width (setting `model`)."""

from __future__ import annotations

import keras
import tensorflow as tf

from benchmarks.measurement import Contest
from mamba_model import MambaConfig, NextTokenModel, adamw
from mamba_model.native_scan import NativeScanError
from mamba_model.training_step import SHARDS

LEARNING_RATE = 1e-3


def ours(settings, tokens, targets):
    """A step as in pipeline/training/trainer.py, with deterministic operations."""
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    config = MambaConfig(settings["vocabulary_size"], settings["d_model"], settings["n_layer"])
    model = NextTokenModel(config)
    shards = settings["shards"] or SHARDS
    model.compile(adamw(LEARNING_RATE), shards=shards, scan=settings["scan"])
    train_step = tf.function(model.train_step, autograph=False)
    return model, lambda: float(train_step((tf.constant(tokens), tf.constant(targets)))["loss"])


class LSTM(keras.Model):
    """Embedding, `n_layer` LSTMs of width `d_model`, and an output tied to the embedding."""

    def __init__(self, vocabulary_size: int, d_model: int, n_layer: int):
        super().__init__()
        self.embedding = keras.layers.Embedding(vocabulary_size, d_model)
        self.layers_of_time = [
            keras.layers.LSTM(d_model, return_sequences=True) for _ in range(n_layer)
        ]

    def call(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers_of_time:
            x = layer(x)
        return tf.matmul(x, tf.convert_to_tensor(self.embedding.embeddings), transpose_b=True)


def lstm(settings, tokens, targets):
    """A step by Keras's own compile and train_on_batch."""
    model = LSTM(settings["vocabulary_size"], settings["d_model"], settings["n_layer"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(adamw(LEARNING_RATE), loss, jit_compile=settings["xla"])
    return model, lambda: float(model.train_on_batch(tokens, targets))


def main() -> None:
    contest = Contest("tensorflow", "keras")
    settings = contest.settings
    tokens = contest.inputs["tokens"]
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    make = {"ours": ours, "lstm": lstm}[settings["model"]]
    try:
        model, step = make(settings, inputs, targets)
    except NativeScanError as error:
        contest.give_up(str(error))
        return
    step()  # builds the layers
    contest.measure(
        "step", step, shape=inputs.shape, tokens=inputs.size, parameters=model.count_params()
    )


if __name__ == "__main__":
    main()
