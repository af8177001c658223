"""The stages from the source to the gate, run by TFX's LocalDagRunner."""

import dataclasses
import json
from pathlib import Path

import pytest
from ingested import PARAMETERS
from read_corpora import BIBLE, IMDB, opened

from data import checks, dead_letters
from data.errors import UserError
from data.task_files import TaskFile


@pytest.fixture
def run(tmp_path):
    """Runs ingest, statistics, validation and gate; returns {component: its execution's state}."""

    def run_dag(task: TaskFile, path=None, mode: str = "stop", **parameters) -> dict[str, str]:
        from ml_metadata.proto.metadata_store_pb2 import Execution  # type: ignore[attr-defined]
        from tfx.components import ExampleValidator, StatisticsGen
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner
        from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config
        from tfx.orchestration.pipeline import Pipeline

        from components.data_gate import DataGate
        from components.reviewed_schema import ReviewedSchema
        from components.text_example_gen.component import TextExampleGen

        schema = ReviewedSchema(pbtxt=task.schema)
        ingest = TextExampleGen(
            opened(task, path),
            task.task,
            task.reading,
            checks.markers(task.checks),
            **(PARAMETERS | parameters),
        )
        statistics = StatisticsGen(examples=ingest.outputs["examples"], exclude_splits=["test"])
        validator = ExampleValidator(
            statistics=statistics.outputs["statistics"],
            schema=schema.outputs["schema"],
            exclude_splits=["test"],
        )
        gate = DataGate(
            anomalies=validator.outputs["anomalies"],
            records=ingest.outputs["records"],
            task=json.dumps({"name": task.task.name, "classes": task.task.classes}),
            reader=task.reading.reader,
            checks=json.dumps(dataclasses.asdict(task.checks)),
            mode=mode,
        )
        metadata = sqlite_metadata_connection_config(str(tmp_path / "metadata.db"))
        LocalDagRunner().run(
            Pipeline(
                pipeline_name=task.task.name,
                pipeline_root=str(tmp_path / "root"),
                components=[schema, ingest, statistics, validator, gate],
                enable_cache=True,
                metadata_connection_config=metadata,
                beam_pipeline_args=["--runner=FnApiRunner", "--setup_file=setup.py"],
            )
        )
        with Metadata(metadata) as handle:
            names = {kind.id: kind.name for kind in handle.store.get_execution_types()}
            latest = sorted(handle.store.get_executions(), key=lambda execution: execution.id)
            return {
                names[execution.type_id].rpartition(".")[2]: Execution.State.Name(
                    execution.last_known_state
                )
                for execution in latest
            }

    return run_dag


def ledgers(root: Path) -> list[dict]:
    """The ledgers of all executions of ingest with outputs, in order."""
    paths = sorted(root.rglob("records.json"), key=lambda path: int(path.parent.name))
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "examples", "repeats"),
    [
        (BIBLE, {"train": 970, "eval": 103, "test": 116}, 0),
        (IMDB, {"train": 22348, "eval": 2556, "test": 0}, 96),
    ],
)
def test_the_whole_packaged_corpus_passes_and_the_second_run_is_cached(
    run, tmp_path, task, examples, repeats
):
    assert set(run(task).values()) == {"COMPLETE"}
    (ledger,) = ledgers(tmp_path / "root")
    assert ledger["examples"] == examples
    assert ledger["repeats"] == repeats
    assert ledger["dead_letters"] == {}
    report = next((tmp_path / "root").rglob("report.json"))
    assert json.loads(report.read_text()) == {"mode": "stop", "findings": []}
    states = run(task)
    assert len(states) == 5
    assert set(states.values()) == {"CACHED"}


@pytest.mark.slow
def test_a_touched_source_is_cached_and_an_edited_one_is_read_again(
    run, write_reviews, reviews, tmp_path
):
    path = write_reviews(reviews)
    assert run(IMDB, path)["TextExampleGen"] == "COMPLETE"
    write_reviews(reviews)
    assert run(IMDB, path)["TextExampleGen"] == "CACHED"
    assert run(IMDB, path, fraction=0.9)["TextExampleGen"] == "COMPLETE"
    write_reviews(reviews[:-1])
    assert run(IMDB, path)["TextExampleGen"] == "COMPLETE"
    assert [ledger["read"] for ledger in ledgers(tmp_path / "root")] == [300, 300, 299]


@pytest.mark.slow
def test_a_finding_stops_the_run_with_one_line_or_is_reported(run, write_reviews, reviews):
    path = write_reviews([*reviews, ("Too short", 1)])
    with pytest.raises(UserError) as caught:
        run(IMDB, path)
    assert "feature characters: Out-of-range values: Unexpectedly small value: 9." in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    states = run(IMDB, path, mode="report")
    assert states["TextExampleGen"] == "CACHED"
    assert states["DataGate"] == "COMPLETE"


@pytest.mark.slow
def test_dead_letters_outlive_the_outputs_that_tfx_deletes(run, write_reviews, reviews, tmp_path):
    path = write_reviews([*reviews[:50], *((text, 7) for text, _ in reviews[50:60])])
    with pytest.raises(UserError, match=r"10 of 60 records cannot be used .* bad_label 10\. First"):
        run(IMDB, path)
    (kept,) = (tmp_path / "root").rglob("*dead_letters.jsonl")
    assert kept.parent == tmp_path / "root/TextExampleGen/records"
    assert [letter["reason"] for letter in dead_letters.read(kept)] == ["bad_label"] * 10
    assert ledgers(tmp_path / "root") == []
