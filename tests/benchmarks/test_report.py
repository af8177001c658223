import json
import math
import re

import numpy as np
import pytest

from benchmarks import report


def test_the_exponent_of_a_power_is_found_and_noise_moves_it_little():
    sizes = np.array([256, 512, 1024, 4096, 65536])
    assert report.exponent(sizes, 3 * sizes**1.5) == pytest.approx(1.5)
    noisy = sizes * np.array([1.03, 0.97, 1.02, 0.99, 1.01])
    assert report.exponent(sizes, noisy) == pytest.approx(1, abs=0.01)


def test_median_and_quartiles_keep_four_digits():
    assert report.median([1.23456, 9.0, 0.1]) == 1.235
    assert report.quartiles([1, 2, 3, 4, 5.55555]) == [2, 4]


def test_the_error_is_relative_to_the_largest_value_and_infinite_on_a_NaN():
    assert report.relative_error([1.0, -4.0], [2.0, -4.0]) == 0.25
    assert report.relative_error([1.0, math.nan], [2.0, -4.0]) == math.inf
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(1,\)"):
        report.relative_error([1.0], [2.0, -4.0])


def test_a_json_line_is_printed_and_appended_to_the_file_with_null_for_infinity(capsys, tmp_path):
    out = tmp_path / "figures.jsonl"
    for value in (math.inf, 2.5):
        report.json_line({"bench": "scan", "cumsum_rel_error": value}, out)
    printed = capsys.readouterr().out
    assert out.read_text() == printed
    assert [json.loads(line)["cumsum_rel_error"] for line in printed.splitlines()] == [None, 2.5]


def test_a_table_is_markdown_without_truncation_and_with_reasons_below(capsys):
    columns = ("contestant", *(f"column {i}" for i in range(8)))
    row = ("ours", 1.23456, 61234.5, 2e-7, None, "2 x 3", 10, 0.0, 1.0)
    report.table("scan", columns, [row], {"mambapy": "over 3 s"})
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("scan; on ")
    cells = [cell.strip() for line in lines if "ours" in line for cell in line.split("|")[1:-1]]
    assert cells == ["ours", "1.23", "61,234", "2.0e-07", "-", "2 x 3", "10", "0", "1"]
    assert "mambapy: over 3 s" in lines


def test_hardware_and_commit_are_named():
    assert re.fullmatch(r"\d+ x .+, \d+ GiB", report.hardware())
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|unknown", report.commit())
