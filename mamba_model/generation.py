"""Text generation: one parallel pass over the prompt, then one step per token.

It is one graph without a Python loop over tokens, so that it can be a signature of a
SavedModel. As the state has a fixed size, a token costs the same after ten tokens as after ten
thousand.
"""

import numpy as np
import tensorflow as tf

from mamba_model.backbone import unstack
from mamba_model.models import PADDING
from mamba_model.sampling import (
    LOWEST,
    beside_logits,
    draw,
    is_off,
    keep_likely,
    likeliest,
    penalize,
)


def generate(
    model,
    prompts,
    lengths,
    max_new_tokens,
    *,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    min_p=0.0,
    repetition_penalty=1.0,
    seed=0,
    stop_token=None,
):
    """Continues each prompt.

    For speed, call it inside a `tf.function`. With fixed shapes, `jit_compile=True` is fastest;
    it needs `max_new_tokens` and `top_k` as ints.

    Args:
        model: a NextTokenModel.
        prompts: (b, l) int, padded on the right.
        lengths: (b,) int, each prompt's length, from 1 to l.
        max_new_tokens: tokens to add, from 1.
        temperature: 0 takes the likeliest token, 1 samples from the model's distribution.
        top_k: samples only among the k likeliest tokens; 0: among all.
        top_p: samples among the fewest likeliest tokens whose probabilities sum to it; 1:
            among all.
        min_p: samples among tokens at least this many times as likely as the likeliest; 0:
            among all.
        repetition_penalty: above 1, tokens of the prompt and of the text so far get less
            likely; 1: no change.
        seed: of the sampling; an int, or (b,) ints, one per row. The noise depends only on it
            and on the number of generated tokens, so the same seed gives the same text.
        stop_token: ends a row when it is generated, and is part of the result; None: no token
            ends a row.

    Each setting may be a number, a scalar tensor or (b,), one per row; `sampling.py` defines
    the filters.

    Returns:
        tokens: (b, max_new_tokens) int32, or the largest max_new_tokens if there are several;
            0 after a row's stop token and after its own max_new_tokens.
        log_probabilities: float32 of the same shape, of each token under the model itself
            (temperature 1, no penalty, all tokens), in nats; 0 where tokens are 0.

    Raises:
        ValueError: if a setting given as a number is outside its range.

    Rows are independent: a prompt gives the same in a batch as alone, except that rounding may
    decide between two tokens of nearly equal logits. Padding, id 0, is never generated.
    """
    _check(max_new_tokens, "max_new_tokens", "at least 1", lambda x: x >= 1)
    _check(temperature, "temperature", "at least 0", lambda x: x >= 0)
    _check(top_k, "top_k", "at least 0", lambda x: x >= 0)
    _check(top_p, "top_p", "in [0, 1]", lambda x: (x >= 0) & (x <= 1))
    _check(min_p, "min_p", "in [0, 1]", lambda x: (x >= 0) & (x <= 1))
    _check(repetition_penalty, "repetition_penalty", "above 0", lambda x: x > 0)
    prompts = tf.cast(prompts, tf.int32)
    lengths = tf.cast(lengths, tf.int32)
    limits = tf.cast(max_new_tokens, tf.int32)
    most = tf.reduce_max(limits)
    seed = tf.cast(seed, tf.int32)
    batch = tf.shape(prompts)[0]
    mask = tf.sequence_mask(lengths, tf.shape(prompts)[1])
    features, state = model.backbone(prompts, mask=mask, return_state=True)
    features = tf.gather(features, lengths - 1, batch_dims=1)  # (b, d_model), the last real
    logits = model.logits(features)  # (b, v)
    v = logits.shape[1]
    penalizes = not is_off(repetition_penalty, 1)
    step = model.stepper()

    def choose(i, logits, seen):
        if penalizes:
            logits = penalize(logits, seen, repetition_penalty)
        logits = tf.where(tf.range(v) == PADDING, LOWEST, logits)

        if is_off(temperature, 0):
            return likeliest(logits)
        samples = tf.cast(temperature, logits.dtype) > 0  # () or (b,)

        def sample():
            scaled = logits / beside_logits(tf.where(samples, temperature, 1.0), logits.dtype)
            drawn = draw(keep_likely(scaled, top_k, top_p, min_p), seed, i)
            return tf.where(samples, drawn, likeliest(logits))

        return tf.cond(tf.reduce_any(samples), sample, lambda: likeliest(logits))

    def body(i, logits, states, seen, running, tokens, log_probabilities):
        token = choose(i, logits, seen)  # (b,)
        log_probability = -tf.nn.sparse_softmax_cross_entropy_with_logits(token, logits)
        token = tf.where(running, token, PADDING)
        log_probability = tf.where(running, log_probability, 0.0)
        tokens = tf.tensor_scatter_nd_update(tokens, [[i]], token[None])
        log_probabilities = tf.tensor_scatter_nd_update(
            log_probabilities, [[i]], log_probability[None]
        )
        if penalizes:
            seen |= tf.one_hot(token, v, True, False)
        running &= i + 1 < limits
        if stop_token is not None:
            running &= token != stop_token
        logits, states = step(token, states)
        return i + 1, logits, states, seen, running, tokens, log_probabilities

    *_, tokens, log_probabilities = tf.while_loop(
        lambda i, _logits, _states, _seen, running, *_: (i < most) & tf.reduce_any(running),
        body,
        (
            tf.constant(0),
            logits,
            unstack(state),
            _tokens_of(prompts, mask, v) if penalizes else tf.zeros((batch, 0), tf.bool),
            tf.ones((batch,), tf.bool),
            tf.zeros((most, batch), tf.int32),
            tf.zeros((most, batch), tf.float32),
        ),
    )
    return tf.transpose(tokens), tf.transpose(log_probabilities)


def _tokens_of(prompts, mask, v):
    """(b, v) bool: the tokens that each prompt contains."""
    rows = tf.range(tf.shape(prompts)[0])[:, None] + tf.zeros_like(prompts)
    counts = tf.cast(mask, tf.int32)
    return tf.scatter_nd(tf.stack([rows, prompts], 2), counts, (tf.shape(prompts)[0], v)) > 0


def _check(setting, name, rule, holds):
    """Raises ValueError if the setting's value is known and breaks its rule."""
    value = tf.get_static_value(setting)
    if value is not None and not np.all(holds(np.asarray(value))):
        raise ValueError(f"generate: {name} must be {rule}, got {value}")
