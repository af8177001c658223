"""The benchmarks on tiny sizes."""

import json
import shutil

import numpy as np
import pytest

from benchmarks import generation, growth, scan, serving, text, training
from benchmarks.contest import PEERS_PYTHON

pytestmark = pytest.mark.slow


def json_lines(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


SCAN_KEYS = {
    "bench", "shape", "pass", "ours_ms", "c_loop_ms", "mambapy_ms", "cumsum_ms",
    "cumsum_rel_error", "rel_error", "commit", "hardware", "ours_unsharded_ms",
    "ours_native_ms", "autodiff_loop_ms", "mambapy_sequential_ms",
}  # fmt: skip
PEERS = PEERS_PYTHON.exists()
QUICK = ["--repeats", "2", "--budget", "2", "--no-memory"]


def test_scan_times_every_contestant_and_tells_right_results_from_wrong(capsys, tmp_path):
    out = tmp_path / "scan.jsonl"
    assert scan.main(["--shape", "2,600,6,4", *QUICK, "--out", str(out)]) == 0
    records = json_lines(capsys)
    assert [record["pass"] for record in records] == ["fwd", "fwd_bwd"]
    assert [json.loads(line) for line in out.read_text().splitlines()] == records
    right = ["ours", "ours_unsharded", "autodiff_loop"]
    right += ["ours_native", "c_loop"] if shutil.which("g++") or shutil.which("clang++") else []
    right += ["mambapy", "mambapy_sequential"] if PEERS else []
    for record in records:
        assert record.keys() >= SCAN_KEYS
        assert (record["bench"], record["shape"]) == ("scan", [2, 600, 6, 4])
        for name in right:
            assert record[f"{name}_ms"] > 0 and record[f"{name}_repeats"] >= 2
            error = record["rel_error" if name == "ours" else f"{name}_rel_error"]
            assert 0 < error < 1e-5, name
        assert record["cumsum_rel_error"] > 0.1
        assert record["ours_peak_mib"] > 100
    if not PEERS:
        assert record["mambapy_ms"] is None
        assert record["mambapy_reason"] == "no .venv-peers: run make peers"


def test_training_gives_tokens_per_second(capsys):
    sizes = ["--batch", "4", "--length", "20", "--d-model", "12", "--n-layer", "2"]
    names = ["ours", "lstm", *(["mambapy", "transformers"] if PEERS else [])]
    assert training.main([*sizes, *QUICK, "--only", *names]) == 0
    (record,) = json_lines(capsys)
    assert record["bench"] == "training" and record["shape"] == record["ours_shape"] == [4, 20]
    assert all(record[f"{name}_tokens_per_s"] > 0 for name in names)


def test_generation_gives_milliseconds_per_token_apart_from_the_prompt(capsys):
    sizes = ["--batch", "2", "--context", "40", "--d-model", "12", "--n-layer", "2"]
    names = ["ours", "ours_plain", *(["transformers"] if PEERS else [])]
    assert generation.main([*sizes, *QUICK, "--new-tokens", "64", "--only", *names]) == 0
    (record,) = json_lines(capsys)
    assert (record["bench"], record["batch"], record["context"]) == ("generation", 2, 40)
    for name in names:
        per_token = record[f"{name}_ms_per_token"]
        assert per_token > 0 and record[f"{name}_prefill_ms"] > 0
        assert record[f"{name}_tokens_per_s"] == pytest.approx(2000 / per_token, rel=1e-3)
        assert record[f"{name}_to_shortest"] == 1


def test_growth_of_memory_is_close_to_linear(capsys):
    """So is that of time, but other work on the machine hides it."""
    lengths = ["--length", "4096", "16384"]
    quick = ["--sizes", "2,64,4", "--repeats", "2", "--budget", "5"]
    assert growth.main([*lengths, *quick]) == 0
    (record,) = json_lines(capsys)
    assert (record["bench"], record["lengths"]) == ("growth", [4096, 16384])
    assert 0.7 < record["memory_exponent"] < 1.2 and 0.7 < record["memory_to_linear"] < 1.3
    assert record["exponent"] == record["exponent_all"] > 0


def test_growth_compares_memory_with_what_is_proportional_to_length():
    assert growth._to_linear({4096: 10.0, 65536: 200.0}, 65536) == 1.25
    assert growth._to_linear({65536: 200.0}, 65536) is None


def test_growth_fits_the_larger_lengths_only():
    times = {256: 50.0, 4096: 4.0, 8192: 8.0, 16384: 16.0}
    assert growth._exponent(times, 4096) == pytest.approx(1)
    assert growth._exponent(times, 16384) is None


def test_text_is_the_bible_by_words_one_id_for_each():
    ids = text.tokens(10, vocabulary_size=4000)
    # In the beginning God created the heaven and the earth
    assert ids.dtype == np.int32 and ids.min() >= 2
    assert ids[1] == ids[5] == ids[8]
    assert len(set(ids)) == 8
    assert text.UNKNOWN in text.tokens(10, vocabulary_size=5)
    with pytest.raises(ValueError, match="expected at least 100000000 words, got"):
        text.tokens(10**8, 4000)


def test_serving_says_which_pushed_model_it_needs(capsys, tmp_path):
    (tmp_path / "serving_models" / "imdb" / "1").mkdir(parents=True)
    assert serving.main(["--root", str(tmp_path)]) == serving.NO_MODEL
    assert serving.main(["--root", str(tmp_path), "--only", "generation"]) == serving.NO_MODEL
    out, err = capsys.readouterr()
    assert out == ""
    assert "bible: expected a pushed model, found none; `tf-mamba run bible` trains" in err
