"""The n-gram model on the King James text."""

import numpy as np
import pytest
from own_corpora import verses

from pipeline.baselines.ngrams import NGrams


@pytest.fixture(scope="module")
def text():
    return "\n".join(verse.text for verse in verses()[:2_000]).encode()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("order", [1, 2, 5, 7, 8])
@pytest.mark.parametrize(
    "context", [b"", b"In t", b"And the LORD said unto", b"\xff\xfe never seen", b"God said\xff"]
)
def test_the_probabilities_of_all_bytes_sum_to_1(text, order, context):
    model = NGrams(text, order)
    of_each = [model.probabilities(context + bytes([byte]))[-1] for byte in range(256)]
    assert sum(of_each) == pytest.approx(1, abs=1e-12)
    assert min(of_each) > 0


def test_order_2_is_kneser_ney_by_hand():
    model = NGrams(b"abab ac", 2)
    # Pairs: ab 2, "ba" 1, "b " 1, " a" 1, ac 1. Discount of pairs: 4 once, 1 twice: 4 / 6.
    # Different bytes before a: 2 (b, space); b: 1; c: 1; space: 1. Of 5; 3 once, 1 twice: 3 / 5.
    lower = {w: (n - 0.6) / 5 + 0.6 * 4 / 5 / 256 for w, n in {"a": 2, "b": 1, "c": 1}.items()}
    pair = 4 / 6
    given = model.probabilities(b"ab")
    assert given[0] == pytest.approx(lower["a"])
    assert given[1] == pytest.approx((2 - pair) / 3 + pair * 2 / 3 * lower["b"])


def test_longer_contexts_help(text):
    known, asked = text[:200_000], text[200_000:220_000]
    bits = [-np.log2(NGrams(known, order).probabilities(asked)).mean() for order in (1, 2, 3, 5)]
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] < 2.5
    assert np.isfinite(bits[0])


def test_an_order_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"order: expected 1 to 8 .* got 9"):
        NGrams(b"In the beginning", 9)
    with pytest.raises(ValueError, match="order: expected 1 to 2 for a text of 2 bytes"):
        NGrams(b"In", 3)
