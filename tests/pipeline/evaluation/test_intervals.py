import math
import random
import statistics

import pytest
from scipy import stats

from pipeline.evaluation.calibration import calibration_error
from pipeline.evaluation.intervals import GROUPS, area_under_curve, jackknife
from pipeline.evaluation.sums import add_review


def _sums(pairs):
    sums = {}
    for label, probability in pairs:
        add_review(sums, label, probability)
    return sums


def _mean(sums):
    return sums["correct"] / sums["count"] if sums["count"] else math.nan


def test_for_a_mean_over_groups_of_equal_size_the_jackknife_is_students_interval():
    draw = random.Random(3)
    shares = [draw.randrange(101) for _ in range(GROUPS)]
    lower, upper = jackknife([{"correct": share, "count": 100} for share in shares], _mean)
    means = [share / 100 for share in shares]
    error = statistics.stdev(means) / math.sqrt(GROUPS)
    expected = stats.t.interval(0.95, GROUPS - 1, statistics.mean(means), error)
    assert (lower, upper) == pytest.approx(expected, rel=1e-9)


def test_the_interval_contains_the_true_value_95_percent_of_the_time():
    draw = random.Random(4)
    held = 0
    for _ in range(400):
        hits = [sum(draw.random() < 0.85 for _ in range(50)) for _ in range(GROUPS)]
        lower, upper = jackknife([{"correct": hit, "count": 50} for hit in hits], _mean)
        held += lower <= 0.85 <= upper
    assert 0.92 < held / 400 < 0.98


def test_few_groups_or_nan_give_no_interval():
    group = {"correct": 3, "count": 4}
    assert all(map(math.isnan, jackknife([group] * 4, _mean)))
    assert not any(map(math.isnan, jackknife([group] * 5, _mean)))
    assert all(map(math.isnan, jackknife([group] * 5 + [{"correct": math.nan}], _mean)))


def test_area_under_the_curve_is_the_share_of_ordered_pairs():
    draw = random.Random(5)
    pairs = [(draw.randrange(2), round(draw.random(), 1) + 0.01) for _ in range(200)]
    positives = [p for label, p in pairs if label]
    negatives = [p for label, p in pairs if not label]
    right = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    expected = right / len(positives) / len(negatives)
    assert area_under_curve(_sums(pairs)) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(area_under_curve(_sums([(1, 0.5)])))


def test_calibration_error_is_the_mean_gap():
    # Bin 0.8: 4 texts with mean 0.85, 3 of them positive. Bin 0.1: 1 negative text at 0.15.
    pairs = [(1, 0.85), (1, 0.85), (1, 0.85), (0, 0.85), (0, 0.15)]
    assert calibration_error(_sums(pairs)) == pytest.approx((4 * 0.1 + 0.15) / 5)
    assert calibration_error(_sums([(1, 1.0), (0, 0.0)])) == 0
    assert math.isnan(calibration_error({}))
