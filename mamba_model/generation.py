"""Text generation: the prompt in one parallel pass, then a constant state per token.

The whole is one graph without a Python loop over tokens, so that it can be a signature of a
SavedModel. A Mamba remembers the past in a state of fixed size: a token costs the same after
ten tokens as after ten thousand.
"""

import tensorflow as tf

from mamba_model.tasks import PADDING


def generate(
    model,
    prompts,
    lengths,
    max_new_tokens,
    *,
    temperature=1.0,
    top_k=0,
    seed=0,
    stop_token: int | None = None,
):
    """Continues each prompt.

    Args:
        model: a NextTokenModel.
        prompts: (b, l) int, padded on the right.
        lengths: (b,) int, each prompt's length, from 1 to l.
        max_new_tokens: tokens to add, from 1; an int or a scalar tensor.
        temperature: 0 takes the likeliest token, 1 samples from the model's distribution;
            a float or a scalar tensor.
        top_k: samples among the k likeliest tokens only; 0: among all. An int or a scalar
            tensor.
        seed: of the sampling; an int or a scalar tensor. Same seed, same batch, same text.
        stop_token: ends a row when it is generated (it is returned too).

    Returns:
        tokens: (b, max_new_tokens) int32, 0 after a row's stop token.
        log_probabilities: (b, max_new_tokens) float32, of each token under the model
            itself (temperature 1, all tokens), in nats; 0 after a row's stop token.

    Rows do not see each other: without sampling, a prompt gives in a batch what it gives
    alone. The noise of sampling depends on the place in the batch. Padding, id 0, is never
    generated.
    """
    prompts = tf.cast(prompts, tf.int32)
    lengths = tf.cast(lengths, tf.int32)
    max_new_tokens = tf.cast(max_new_tokens, tf.int32)
    batch = tf.shape(prompts)[0]
    mask = tf.sequence_mask(lengths, tf.shape(prompts)[1])
    features, state = model.backbone(prompts, mask=mask, return_state=True)
    features = tf.gather(features, lengths - 1, batch_dims=1)  # (b, d_model), the last real

    def body(i, features, state, running, tokens, log_probabilities):
        logits = model.logits(features)  # (b, vocabulary_size)
        token = _choose(logits, temperature, top_k, tf.stack([tf.cast(seed, tf.int32), i]))
        log_probability = -tf.nn.sparse_softmax_cross_entropy_with_logits(token, logits)
        token = tf.where(running, token, PADDING)
        log_probability = tf.where(running, log_probability, 0.0)
        tokens = tf.tensor_scatter_nd_update(tokens, [[i]], token[None])
        log_probabilities = tf.tensor_scatter_nd_update(
            log_probabilities, [[i]], log_probability[None]
        )
        if stop_token is not None:
            running &= token != stop_token
        features, state = model.backbone.step(token, state)
        return i + 1, features, state, running, tokens, log_probabilities

    *_, tokens, log_probabilities = tf.while_loop(
        lambda i, _features, _state, running, *_: (i < max_new_tokens) & tf.reduce_any(running),
        body,
        (
            tf.constant(0),
            features,
            state,
            tf.ones((batch,), tf.bool),
            tf.zeros((max_new_tokens, batch), tf.int32),
            tf.zeros((max_new_tokens, batch), tf.float32),
        ),
    )
    return tf.transpose(tokens), tf.transpose(log_probabilities)


def _choose(logits, temperature, top_k, seed):
    """Draws one id a row: argmax(logits + temperature Gumbel noise) samples from
    softmax(logits / temperature), and is the argmax of the logits at temperature 0.
    """
    lowest = logits.dtype.min
    ids = tf.range(tf.shape(logits)[1])
    logits = tf.where(ids == PADDING, lowest, logits)
    top_k = tf.cast(top_k, tf.int32)
    k = tf.where(top_k > 0, tf.minimum(top_k, tf.shape(logits)[1]), tf.shape(logits)[1])
    least = tf.math.top_k(logits, k).values[:, -1:]
    logits = tf.where(logits >= least, logits, lowest)
    tiny = 1e-20  # keeps both logarithms finite
    uniform = tf.random.stateless_uniform(tf.shape(logits), seed, minval=tiny)
    noise = -tf.math.log(-tf.math.log(uniform) + tiny)
    scores = logits + tf.cast(temperature, logits.dtype) * noise
    return tf.argmax(scores, axis=-1, output_type=tf.int32)
