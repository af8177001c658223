import math
import random
import statistics

import pytest
from scipy import stats

from pipeline.evaluation.intervals import GROUPS, jackknife


def _mean(sums):
    return {"mean": sums["correct"] / sums["count"] if sums.get("count") else math.nan}


def _bounds(groups):
    return jackknife(groups, _mean)["mean"]


def test_for_a_mean_over_groups_of_equal_size_the_jackknife_is_students_interval():
    draw = random.Random(3)
    shares = [draw.randrange(101) for _ in range(GROUPS)]
    lower, upper = _bounds([{"correct": share, "count": 100} for share in shares])
    means = [share / 100 for share in shares]
    error = statistics.stdev(means) / math.sqrt(GROUPS)
    expected = stats.t.interval(0.95, GROUPS - 1, statistics.mean(means), error)
    assert (lower, upper) == pytest.approx(expected, rel=1e-9)


def test_the_interval_contains_the_true_value_95_percent_of_the_time():
    draw = random.Random(4)
    held = 0
    for _ in range(400):
        hits = [sum(draw.random() < 0.85 for _ in range(50)) for _ in range(GROUPS)]
        lower, upper = _bounds([{"correct": hit, "count": 50} for hit in hits])
        held += lower <= 0.85 <= upper
    assert 0.92 < held / 400 < 0.98


def test_few_groups_or_nan_give_no_interval():
    group = {"correct": 3, "count": 4}
    assert all(map(math.isnan, _bounds([group] * 4)))
    assert not any(map(math.isnan, _bounds([group] * 5)))
    assert all(map(math.isnan, _bounds([group] * 5 + [{"correct": math.nan}])))


def test_a_metric_without_a_value_leaves_the_others_theirs():
    groups = [{"correct": hit, "count": 4, "own": int(hit == 1)} for hit in (1, 2, 3, 4, 3, 2)]

    def figures(sums):
        # Without the first group, `own` is 0.
        return _mean(sums) | {"ratio": sums["count"] / sums["own"] if sums["own"] else math.nan}

    bounds = jackknife(groups, figures)
    assert bounds["mean"] == _bounds(groups)
    assert all(map(math.isnan, bounds["ratio"]))
