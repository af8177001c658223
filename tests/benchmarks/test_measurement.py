import time

import numpy as np
import pytest

from benchmarks.measurement import memory_mib, repeat, times, working_mib

pytestmark = pytest.mark.slow


def test_the_first_call_which_compiles_is_not_counted():
    calls = []

    def call():
        time.sleep(0.1 if not calls else 0.001)
        calls.append(None)
        return len(calls)

    measured, result = times(call, repeats=4, budget_s=10)
    assert measured["first_ms"] >= 100
    assert len(measured["ms"]) == len(calls) - 1 >= 4
    assert np.median(measured["ms"]) < 50
    assert result == len(calls)  # the last one's


def test_the_budget_reduces_the_repeats_but_not_below_one():
    assert len(repeat(lambda: time.sleep(0.1), repeats=50, budget_s=0.45)) in (3, 4)
    assert len(repeat(lambda: time.sleep(0.02), repeats=50, budget_s=0.001)) == 1


def test_fast_calls_are_repeated_more():
    assert len(repeat(lambda: time.sleep(0.01), repeats=2, budget_s=5, least_s=0.2)) > 10


def test_working_memory_is_the_peak_of_one_call():
    x = np.ones(20 * 2**20 // 8)  # 20 MiB, before the call

    def call():
        y = x + 1  # 20 MiB
        z = y + 1  # 20 MiB more
        del y
        return z

    assert working_mib(call) == pytest.approx(40, abs=2)


def test_memory_is_read_from_the_system():
    assert 5 < memory_mib("VmRSS") <= memory_mib("VmHWM") + 1
    with pytest.raises(ValueError, match="expected a line 'VmNone', got none"):
        memory_mib("VmNone")
