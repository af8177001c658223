"""The page in a run's folder: the same whenever it is made, and no failure of the run."""

import dataclasses
import json

import pytest

from pipeline.places import Places
from pipeline.presets import preset
from pipeline.runs import page as run_page
from pipeline.runs.files import page_file


@pytest.fixture
def failed_run(tmp_path):
    """The summary of a run that failed before its first stage, as it is in memory."""
    summary = {
        "task": "imdb", "run_id": "20261124-1-smoke",
        "config": dataclasses.asdict(preset("imdb", "smoke")),
        "versions": {"tfx": "1.16.0"}, "machine": {"processor": "x", "cores": "2"}, "code": {},
        "pushed_path": None, "error": "UserError: the source is a directory",
    }  # fmt: skip
    places = Places(tmp_path / "runs", tmp_path / "serving_models")
    places.runs.mkdir()
    return summary, places


def test_the_page_from_memory_and_from_the_file_are_the_same_to_the_byte(failed_run):
    summary, places = failed_run
    assert isinstance(summary["config"]["training"]["buckets"], tuple)  # JSON makes lists of them
    first = run_page.write(summary, places).read_bytes()
    again = run_page.write(json.loads(json.dumps(summary)), places).read_bytes()
    assert first == again
    assert b"the source is a directory" in first


def test_a_page_that_cannot_be_made_is_a_warning_and_does_not_fail_the_run(failed_run, capsys):
    summary, places = failed_run
    page_file(places, summary).mkdir(parents=True)  # nothing can be renamed to it
    run_page.try_to_write(summary, places)
    told = capsys.readouterr().err
    assert "the run's page could not be made: IsADirectoryError" in told
    assert f"to try again: `tf-mamba report {summary['run_id']}`" in told
