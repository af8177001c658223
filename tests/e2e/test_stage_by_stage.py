"""A run whose stages are started one by one, as an orchestrator does it."""

import pytest
from copied_root import copy_root
from read_corpora import BIBLE, opened

from pipeline.orchestrators.beam import Beam
from pipeline.places import Places
from pipeline.presets import preset
from pipeline.runs import files
from pipeline.runs import records as runs

pytestmark = pytest.mark.slow

RUN = "20240229-120000-000000-airflow"  # by another clock than the local run's


@pytest.fixture(scope="module")
def run(bible, tmp_path_factory):
    """Of the bible at preset smoke, in a root of its own."""
    places = Places.below(copy_root(bible.root, tmp_path_factory.mktemp("copy") / "root"))
    return preset("bible", "smoke"), opened(BIBLE), places


def start(run, stage, run_id=RUN):
    from pipeline.orchestrators import stage_runner

    return stage_runner.run(*run, Beam(), run_id=run_id, stage=stage)


def end(run, run_id=RUN):
    from pipeline.orchestrators import stage_runner

    return stage_runner.end(*run, run_id)


def test_stages_under_one_id_are_one_run_with_the_summary_of_a_local_one(bible):
    from pipeline.orchestrators import stage_runner

    # In the shared root itself: TFX's cache does not know the files of a copy again.
    local = bible.summary("bible")
    config, source = preset("bible", "smoke"), opened(BIBLE)
    run = config, source, (places := Places.below(bible.root))
    stages = list(stage_runner.upstream(config, source, places))
    assert all(start(run, stage) for stage in stages)
    assert not start(run, "Transform")  # ended before; its outputs would count twice

    end(run)
    summary = runs.find(places, RUN)
    assert list(summary["seconds"]) == stages
    assert {"Transform", "Trainer", "Evaluator", "Pusher"} <= set(summary["cached"])
    assert summary["blessed"] and summary["pushed_path"]
    for name in ("hashes", "metrics", "records", "config", "code", "partial", "error"):
        assert summary[name] == local[name]
    assert runs.find(places, "latest")["run_id"] == RUN  # the newest by time
    assert places.run("bible", "latest").readlink().name == RUN
    assert files.page_file(places, summary).exists()


def test_a_stage_before_its_time_is_refused_by_name(run):
    from pipeline.orchestrators.stage_runner import StageError

    start(run, "ReviewedSchema", "early")
    with pytest.raises(StageError, match="Transform comes after DataGate, TextExampleGen, which"):
        start(run, "Transform", "early")
    with pytest.raises(StageError, match="transform: no such stage; there are: ReviewedSchema"):
        start(run, "transform", "early")


def test_the_end_of_a_run_that_failed_says_what_is_missing(run):
    *_, places = run
    latest = places.run("bible", "latest").readlink()
    start(run, "TextExampleGen", "failed")
    summary = end(run, "failed")
    assert "StatisticsGen, ExampleValidator, DataGate" in summary["error"]
    assert not summary["blessed"]
    assert "TextExampleGen" not in summary["error"]
    assert places.run("bible", "latest").readlink() == latest
