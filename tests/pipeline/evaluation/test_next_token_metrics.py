import math
import random

import numpy as np
import pytest
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputs

from pipeline.evaluation.next_token_metrics import NextTokenMetrics


def _value(bits, characters, bundles=1):
    """Bits per character over examples with one prediction each, added in several bundles."""
    (computation,) = NextTokenMetrics().computations()
    combiner = computation.combiner
    accumulators = [combiner.create_accumulator() for _ in range(bundles)]
    for i, (top, bottom) in enumerate(zip(bits, characters, strict=True)):
        predictions = {"bits": np.array([top], np.float32), "characters": np.array([bottom])}
        predictions |= {"tokens": np.array([1]), "correct": np.array([0])}
        element = StandardMetricInputs({"predictions": predictions})
        accumulators[i % bundles] = combiner.add_input(accumulators[i % bundles], element)
    values = combiner.extract_output(combiner.merge_accumulators(accumulators))
    return next(value for key, value in values.items() if key.name == "bits_per_char")


def test_order_and_number_of_bundles_do_not_change_a_bit_of_the_ratio():
    draw = random.Random(1)
    bits = np.array([draw.lognormvariate(3, 4) for _ in range(300)], np.float32).tolist()
    # A sum of floats depends on the order (Python's own sum does not, from 3.12 on).
    assert len({np.cumsum(draw.sample(bits, 300))[-1] for _ in range(20)}) > 1
    characters = [draw.randrange(1, 5_000) for _ in bits]
    expected = math.fsum(bits) / sum(characters)
    for bundles in (1, 2, 7):
        order = draw.sample(range(300), 300)
        value = _value([bits[i] for i in order], [characters[i] for i in order], bundles)
        assert value == pytest.approx(expected, rel=1e-15)
        assert value == _value(bits, characters)


def test_predictions_that_are_not_finite_give_a_metric_that_is_not_finite():
    assert math.isnan(_value([1.5, math.nan, 2.5], [10, 10, 10], bundles=2))
    assert _value([1.5, math.inf, 2.5], [10, 10, 10], bundles=2) == math.inf
