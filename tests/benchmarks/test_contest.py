import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import contest
from benchmarks.contest import Contestant, Limits, Result, chosen, exit_status, figures, hold
from benchmarks.report import ROOT

pytestmark = pytest.mark.slow

X = {"x": np.arange(5.0)}


def held(then, well=("first",), limit_s=30.0, memory_gib=2.0, peer=False):
    one = Contestant("one", "tests.benchmarks.misbehaving", peer, {"then": then, "well": well})
    limits = Limits(repeats=3, budget_s=5, limit_s=limit_s, memory_gib=memory_gib)
    return hold(one, ["first", "second"], X, limits, "a test")


def test_a_contestant_returns_times_memory_and_arrays():
    results = held("end", well=("first", "second"))
    for result in results.values():
        np.testing.assert_array_equal(result["arrays"]["y"], 2 * X["x"])
        assert len(result["ms"]) >= 3 and result["peak_mib"] > 5
        assert result["working_mib"] < 5
        assert result["versions"] == {"numpy": np.__version__}
    assert exit_status(results.values()) == 0


def test_earlier_results_survive_a_part_that_takes_too_long():
    started = time.monotonic()
    results = held("sleep", limit_s=3)
    assert time.monotonic() - started < 30
    assert len(results["first"]["ms"]) >= 3
    assert results["second"]["reason"] == "over 3 s"
    assert exit_status(results.values()) == 0  # a limit is no failure


def test_a_contestant_with_too_much_memory_is_killed():
    results = held("grow", well=(), memory_gib=0.3)
    assert results["first"]["reason"] == results["second"]["reason"] == "over 0.3 GiB"


def test_a_failure_is_reported_with_its_message_and_fails_the_run(capsys):
    results = held("fail")
    assert results["second"]["reason"] == "failed, exit status 1: RuntimeError: out of order"
    assert exit_status(results.values()) == 1
    assert "raise RuntimeError" in capsys.readouterr().err


def test_a_part_that_was_not_recorded_is_a_failure_too():
    results = held("end")
    assert results["second"]["reason"].startswith("failed, exit status 0")
    assert results["second"].broken and not results["first"].broken


def test_without_the_peers_python_its_contestants_are_missing_with_a_reason(monkeypatch, tmp_path):
    monkeypatch.setattr(contest, "PEERS_PYTHON", tmp_path / "python")
    results = held("end", peer=True)
    assert results["first"]["reason"] == "no .venv-peers: run make peers"
    assert exit_status(results.values()) == 0


def test_options_become_limits(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (1.234, 9, 9))
    given = contest.parser(None).parse_args(["--repeats", "3", "--memory", "2", "--no-memory"])
    limits = contest.limits(given)
    assert limits == Limits(
        repeats=3, budget_s=60, limit_s=600, memory_gib=2, load_before=1.234, working_memory=False
    )
    assert contest.origin([], limits)["load_before"] == 1.23


def test_memory_of_a_call_can_be_skipped():
    one = Contestant(
        "one", "tests.benchmarks.misbehaving", False, {"then": "end", "well": ["first"]}
    )
    limits = Limits(repeats=3, budget_s=5, limit_s=30, memory_gib=2, working_memory=False)
    assert hold(one, ["first"], X, limits, "a test")["first"]["working_mib"] is None


def test_figures_are_medians_with_quartiles_or_null_with_a_reason():
    result = Result(ms=[4.0, 1.0, 2.0], peak_mib=700.4, working_mib=1.23456, tokens=8)
    assert figures("ours", result) == {
        "ours_ms": 2.0,
        "ours_quartiles": [1.5, 3.0],
        "ours_repeats": 3,
        "ours_peak_mib": 700,
        "ours_working_mib": 1.23,
    }
    speeds = figures("ours", result, "tokens_per_s")
    assert (speeds["ours_tokens_per_s"], speeds["ours_quartiles"]) == (4000, [3000, 6000])
    assert figures("c", Result(reason="over 3 s")) == {"c_ms": None, "c_reason": "over 3 s"}


def test_an_unknown_contestant_is_named_with_the_known_ones():
    known = [Contestant("ours", "m"), Contestant("mambapy", "m")]
    assert [c.name for c in chosen(known, ["mambapy"])] == ["mambapy"]
    with pytest.raises(SystemExit, match="expected some of ours, mambapy; got lstm"):
        chosen(known, ["ours", "lstm"])


def test_a_contestant_does_not_outlive_the_benchmark_that_started_it(tmp_path):
    code = "from tests.benchmarks.test_contest import held; held('sleep', limit_s=60)"
    benchmark = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    contestants = []
    try:
        for _ in range(200):
            contestants = children(benchmark.pid)
            if contestants and b"misbehaving" in command_line(contestants[0]):
                break
            time.sleep(0.1)
        time.sleep(1)  # until it sleeps
        assert contestants and command_line(contestants[0])
    finally:
        benchmark.kill()  # without time to clean up
        benchmark.wait()
    for _ in range(50):
        if not command_line(contestants[0]):
            return
        time.sleep(0.1)
    os.kill(contestants[0], signal.SIGKILL)
    pytest.fail("the contestant still runs")


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid):
    """Empty once the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
