"""Generation by ours: one graph, with XLA or, as in serving, without.

Times cannot be taken inside a graph. So the time per token is the difference of two generations
that differ by many tokens, run alternately. The time to the first token, with the pass over the
prompt, is that of a generation of one token.
"""

from __future__ import annotations

import time

import keras
import tensorflow as tf

from benchmarks.measurement import Contest, memory_mib
from mamba_model import MambaConfig, NextTokenModel, generate

MOST_NEW_TOKENS = 2048


def main() -> None:
    contest = Contest("tensorflow", "keras")
    settings = contest.settings
    keras.utils.set_random_seed(1)
    model = NextTokenModel(
        MambaConfig(settings["vocabulary_size"], settings["d_model"], settings["n_layer"])
    )
    prompts = tf.constant(contest.inputs["prompts"])
    lengths = tf.fill([prompts.shape[0]], prompts.shape[1])

    def generation(count: int):
        graph = tf.function(
            lambda: generate(model, prompts, lengths, count, temperature=0.0),
            jit_compile=settings["xla"],
            autograph=False,
        )

        def seconds() -> float:
            started = time.perf_counter()
            graph()[0].numpy()
            return time.perf_counter() - started

        return seconds

    count = settings["new_tokens"]
    if settings["measure"] == "memory":
        contest.measure("generation", generation(count))
        return
    first, many = generation(1), generation(1 + count)
    first(), many()  # compile
    prefill = first()
    per_token = (many() - prefill) / count
    while count * per_token < prefill and count < MOST_NEW_TOKENS:
        count *= 2  # or the variance of the prompt's pass would hide the tokens
    many = generation(1 + count)
    many()

    def sample() -> tuple[float, float]:
        prefill = first()
        return 1e3 * prefill, 1e3 * (many() - prefill) / count

    prefill_ms, ms = zip(*contest.repeat(sample), strict=True)
    peak_mib = memory_mib("VmHWM")
    contest.record("generation", ms=ms, prefill_ms=prefill_ms, new_tokens=count, peak_mib=peak_mib)


if __name__ == "__main__":
    main()
