"""Runs that are started at the same moment, on one root folder and thus one metadata store."""

import sqlite3
from contextlib import closing

import pytest
from command_line import CommandLine
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.places import Places
from pipeline.runs import records as runs
from pipeline.runs import store as metadata

pytestmark = pytest.mark.slow

STAGES = {"ReviewedSchema", "TextExampleGen", "StatisticsGen", "ExampleValidator", "DataGate"}
TO_THE_GATE = ("--preset", "smoke", "--to", "DataGate")


@pytest.fixture(scope="module")
def started_together(tmp_path_factory):
    """The root folder; task, exit code and standard error of a run of bible and two of imdb."""
    command = CommandLine(tmp_path_factory.mktemp("together"))
    tasks = ("imdb", "imdb", "bible")
    processes = [command.start("run", task, *TO_THE_GATE) for task in tasks]
    ended = []
    try:
        for task, process in zip(tasks, processes, strict=True):
            _, error = process.communicate(timeout=600)
            ended.append((task, process.returncode, error))
    finally:
        for process in processes:
            process.kill()  # does nothing to one that has ended
    return command.root, ended


def test_of_one_task_one_run_goes_on_and_the_other_says_why_it_does_not(started_together):
    _, ended = started_together
    (good, _, _), (refused, _, message) = sorted(
        ((code, task, error) for task, code, error in ended if task == "imdb")
    )
    assert (good, refused) == (0, 1), message
    last = message.splitlines()[-1]
    assert "imdb: 2" in last and "-smoke is running in" in last
    assert "wait until it ends, or use another --root" in last
    assert "Traceback" not in message


def test_runs_of_two_tasks_both_end_and_share_a_whole_store(started_together):
    root, ended = started_together
    assert [code for task, code, _ in ended if task == "bible"] == [0], ended
    places = Places.below(root)
    past = runs.past_runs(places)
    assert sorted(run.task for run in past) == ["bible", "imdb"]
    store = metadata.open_store(places)
    assert store is not None
    for run in past:
        assert run.summary is not None and run.summary["error"] is None
        assert set(run.summary["seconds"]) == STAGES
        executions = runs.executions_of(store, run.run_id)
        assert {e.last_known_state for _, e in executions} == {pb.Execution.COMPLETE}
        assert {stage for stage, _ in executions} == STAGES
    with closing(sqlite3.connect(metadata.sqlite_file(places))) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
