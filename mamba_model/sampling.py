"""From logits to the next token: repetition penalty, temperature, filters, the draw.

In this order, each applied to the result of the one before:

    repetition penalty r   a token seen before gets its logit s / r if s > 0, else s r
    temperature T          all logits are divided by T; 0 takes the likeliest token
    top-k                  keeps the k likeliest tokens
    top-p                  keeps the fewest likeliest tokens whose probabilities sum to p
    min-p                  keeps the tokens at least min_p times as likely as the likeliest

Order and definitions are those of Hugging Face's transformers, logits_process.py, with one
difference: top-p, like top-k, also keeps tokens as likely as the least likely kept token.
Sources: Keskar et al., arXiv:1909.05858 (the penalty); Fan et al., arXiv:1805.04833 (top-k);
Holtzman et al., arXiv:1904.09751 (top-p); Nguyen et al., arXiv:2407.01082 (min-p).

Each setting is a number, a scalar tensor or (b,), one per row. A number that switches a part
off keeps it out of the graph; for a tensor the graph decides at run time.
"""

import numpy as np
import tensorflow as tf

LOWEST = tf.float32.min  # logit of tokens that may not be drawn; finite, to avoid NaN


def is_off(setting, value) -> bool:
    """Whether `setting` is known at tracing time to be `value` in every row."""
    known = tf.get_static_value(setting)
    return known is not None and bool(np.all(np.equal(known, value)))


def beside_logits(setting, dtype):
    """A setting () or (b,), in a shape that broadcasts with logits (b, v): () or (b, 1)."""
    setting = tf.cast(setting, dtype)
    return setting[:, None] if setting.shape.rank == 1 else setting


def penalize(logits, seen, repetition_penalty):
    """Logits (b, v), lowered for the tokens in `seen` (b, v) bool."""
    penalty = beside_logits(repetition_penalty, logits.dtype)
    return tf.where(seen, tf.where(logits > 0, logits / penalty, logits * penalty), logits)


def keep_likely(logits, top_k=0, top_p=1.0, min_p=0.0):
    """Logits (b, v), with LOWEST for tokens that a filter drops; the defaults drop none.

    The likeliest token is never dropped.
    """
    least = []
    if not (is_off(top_k, 0) and is_off(top_p, 1)):
        least.append(_least_of_the_likeliest(logits, top_k, top_p))
    if not is_off(min_p, 0):
        likeliest = tf.reduce_max(logits, axis=1, keepdims=True)
        least.append(likeliest + tf.math.log(beside_logits(min_p, logits.dtype)))
    for bound in least:
        logits = tf.where(logits < bound, LOWEST, logits)
    return logits


def _least_of_the_likeliest(logits, top_k, top_p):
    """The smallest logit, (b, 1), that top-k and then top-p keep."""
    v = logits.shape[1]
    known_k, known_p = tf.get_static_value(top_k), tf.get_static_value(top_p)
    if known_k is not None and np.ndim(known_k) == 0:
        most = k = int(known_k) if 0 < known_k < v else v  # XLA needs a constant
    else:
        k = beside_logits(top_k, tf.int32)
        k = tf.where((k > 0) & (k < v), k, v)
        most = tf.reduce_max(k)
    p = beside_logits(top_p, logits.dtype)

    def least():
        ranked = tf.math.top_k(logits, most).values  # (b, most), from the likeliest down
        among_k = tf.range(most) < k
        kept = tf.zeros((tf.shape(logits)[0], 1), tf.int32) + k
        if not is_off(top_p, 1):
            probabilities = tf.nn.softmax(tf.where(among_k, ranked, LOWEST))
            before = tf.cumsum(probabilities, axis=1, exclusive=True)
            # The sum may reach 1 by rounding before the last token.
            within = among_k & (before < tf.where(p < 1, p, 2.0))
            kept = tf.reduce_sum(tf.cast(within, tf.int32), axis=1, keepdims=True)
        return tf.gather(ranked, tf.maximum(kept, 1) - 1, batch_dims=1)

    if known_k is not None and known_p is not None:
        return least()
    # Ranking is the most expensive part, so it runs only if asked for.
    asked_for = tf.reduce_any(k < v) | tf.reduce_any(p < 1)
    return tf.cond(asked_for, least, lambda: tf.fill((tf.shape(logits)[0], 1), LOWEST))


def draw(logits, seed, step):
    """Draws one id per row, (b,) int32, with the probabilities softmax(logits).

    Args:
        logits: (b, v) float32.
        seed: () or (b,) int32. The noise depends on a row's seed and `step` only, so rows
            of the same seed share it.
        step: () int32.

    Takes the argmax of logits + Gumbel noise. Drawing from the cumulative distribution would
    need one random number instead of v, but rounding, which differs with the batch size, would
    change its token far more often.
    """
    v = logits.shape[1]
    tiny = 1e-20  # keeps both logarithms finite

    def noise(seed):
        uniform = tf.random.stateless_uniform((v,), tf.stack([seed, step]), minval=tiny)
        return -tf.math.log(-tf.math.log(uniform) + tiny)

    of_rows = (
        noise(seed)
        if seed.shape.rank == 0
        else tf.map_fn(noise, seed, fn_output_signature=tf.float32)
    )
    return likeliest(logits + of_rows)


def likeliest(logits):
    """The argmax of each row, (b,) int32."""
    return tf.argmax(logits, axis=-1, output_type=tf.int32)
