"""Each filter against its definition, written out for one row of plain numbers.

The definitions are those of transformers' logits_process.py.
"""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mamba_model.sampling import LOWEST, draw, keep_likely, penalize

V = 61


def logits_of(seed, rows=3, width=3.0):
    return np.random.default_rng(seed).gumbel(size=(rows, V)).astype(np.float32) * width


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max())
    return e / e.sum()


def kept_by_definition(row, top_k, top_p, min_p):
    """The ids that stay, for one row (v,)."""
    ranked = np.argsort(-row, kind="stable")
    if top_k > 0:
        ranked = ranked[:top_k]
    p = softmax(row[ranked])
    if top_p < 1:
        fewest = next(n for n in range(1, len(p) + 1) if n == len(p) or p[:n].sum() >= top_p)
        ranked, p = ranked[:fewest], p[:fewest]
    return set(ranked[p >= min_p * p[0]])


def kept(logits):
    return [set(np.flatnonzero(row != LOWEST)) for row in np.array(logits)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([0.1, 1.0, 4.0]),
    top_k=st.sampled_from([0, 1, 2, 7, V - 1, V, V + 5]),
    top_p=st.sampled_from([1.0, 0.0, 0.05, 0.5, 0.9, 0.999]),
    min_p=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
)
def test_filters_keep_what_their_definitions_keep(seed, width, top_k, top_p, min_p):
    logits = logits_of(seed, width=width)
    expected = [kept_by_definition(row, top_k, top_p, min_p) for row in logits]
    for settings_ in ((top_k, top_p, min_p), tuple(map(tf.constant, (top_k, top_p, min_p)))):
        filtered = keep_likely(tf.constant(logits), *settings_)
        assert kept(filtered) == expected
        for row, before, ids in zip(filtered.numpy(), logits, expected, strict=True):
            np.testing.assert_array_equal(row[list(ids)], before[list(ids)])


def test_settings_that_only_a_running_graph_knows_filter_alike():
    logits = tf.constant(logits_of(1))
    signature = [tf.TensorSpec((), dtype) for dtype in (tf.int32, tf.float32, tf.float32)]
    graph = tf.function(lambda *s: keep_likely(logits, *s), signature, autograph=False)
    for setting in [(0, 1.0, 0.0), (5, 1.0, 0.0), (0, 0.7, 0.0), (9, 0.7, 0.1), (0, 1.0, 0.2)]:
        expected = keep_likely(logits, *setting)
        np.testing.assert_array_equal(graph(*setting), expected, err_msg=str(setting))
        assert (expected.numpy() == LOWEST).any() == (setting != (0, 1.0, 0.0))


def test_top_p_of_one_drops_nothing_however_the_sum_rounds():
    logits = tf.constant(logits_of(2, width=20.0))
    graph = tf.function(
        lambda p: keep_likely(logits, 0, p), [tf.TensorSpec((), tf.float32)], autograph=False
    )
    np.testing.assert_array_equal(graph(1.0), logits)


def test_equally_likely_tokens_are_kept_or_dropped_together():
    logits = tf.constant([[0.0, 2.0, 1.0, 1.0, 1.0]])
    assert kept(keep_likely(logits, top_k=2)) == [{1, 2, 3, 4}]
    assert kept(keep_likely(logits, top_p=0.5)) == [{1, 2, 3, 4}]


@pytest.mark.parametrize("penalty", [1.3, 0.5])
def test_penalty_divides_positive_and_multiplies_other_logits_of_seen_tokens(penalty):
    logits = logits_of(3) - 3
    seen = np.random.default_rng(0).random(logits.shape) < 0.4
    expected = logits.copy()
    for i, j in np.argwhere(seen):
        s = logits[i, j]
        expected[i, j] = s * penalty if s < 0 else s / penalty
    assert (seen & (logits > 0)).any() and (seen & (logits < 0)).any()
    np.testing.assert_allclose(penalize(tf.constant(logits), seen, penalty), expected, rtol=1e-6)


def test_draws_have_the_probabilities_of_the_logits():
    """Chi-square over 20,000 seeds; 61 tokens, 60 degrees of freedom: 99.9% lie below 99.6."""
    n = 20_000
    logits = logits_of(4, rows=1, width=1.0)
    graph = tf.function(draw, autograph=False)
    ids = graph(tf.constant(np.repeat(logits, n, 0)), tf.range(n), tf.constant(7)).numpy()
    expected = softmax(logits[0]) * n
    assert expected.min() > 5
    assert ((np.bincount(ids, minlength=V) - expected) ** 2 / expected).sum() < 99.6


def test_noise_depends_on_seed_and_step_and_not_on_the_place_in_the_batch():
    logits = tf.repeat(tf.constant(logits_of(5, rows=1, width=0.1)), 6, axis=0)
    step = tf.constant(2)
    of_seeds = draw(logits, tf.constant([3, 1, 4, 1, 5, 3]), step).numpy()
    assert of_seeds[0] == of_seeds[5] and of_seeds[1] == of_seeds[3]
    assert len(set(of_seeds)) == 4
    np.testing.assert_array_equal(draw(logits, tf.constant(4), step), [of_seeds[2]] * 6)
    assert (draw(logits, tf.constant(4), tf.constant(3)) != of_seeds[2]).numpy().all()
