"""Which stages an edit makes run again: asked of TFX's own launcher, which then runs none.

It resolves each stage's inputs and looks its key up in a copy of the store of a real run. A
stage that would run has no outputs to look further with, so all that read them run as well.
"""

import csv
import shutil
import uuid
from pathlib import Path

import pytest

from data.imdb import reader as imdb_reader
from pipeline.places import Places
from pipeline.presets import preset
from pipeline.settings import with_settings
from pipeline.training import scan_choice

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]

PUSHED = {"ModelCard", "Pusher", "RunReport"}
EVALUATED = {"Evaluator"} | PUSHED
CHECKED = {"InfraCheck"} | PUSHED
TRAINED = {"Trainer"} | EVALUATED | CHECKED
TRANSFORMED = {"Transform"} | TRAINED
VALIDATED = {"ExampleValidator", "DataGate"} | TRANSFORMED
INGESTED = {"TextExampleGen", "StatisticsGen"} | VALIDATED


@pytest.fixture
def places(imdb, tmp_path) -> Places:
    """Of the shared imdb root, with a store of its own."""
    store = shutil.copy(imdb.root / "runs" / "metadata.sqlite", tmp_path)
    return Places.below(imdb.root, f"sqlite:///{store}")


@pytest.fixture
def code(tmp_path, monkeypatch) -> Path:
    """A copy of the project, from which stages' code and the schema are taken."""
    import data
    from pipeline import code_hash

    for package in ("components", "data", "mamba_model", "pipeline", "serving"):
        shutil.copytree(
            PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(code_hash, "__file__", str(tmp_path / "pipeline" / "code_hash.py"))
    monkeypatch.setattr(data, "__path__", [*data.__path__])
    return tmp_path


def stages_that_run(places: Places, settings=(), source=None) -> set[str]:
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.metadata import Metadata
    from tfx.orchestration.portable.launcher import Launcher

    from pipeline.orchestrators import local_runner
    from pipeline.orchestrators.beam import Beam
    from pipeline.orchestrators.definition import define
    from pipeline.runs import store as metadata

    config = scan_choice.resolve(with_settings(preset("imdb", "smoke"), settings))
    source = source or imdb_reader.open_source(None, config.reading)
    pipeline = define(config, source, places, Beam().pipeline_args())
    compiled = local_runner.compile_for(pipeline, f"run-{uuid.uuid4()}")
    specs = runner_utils.extract_local_deployment_config(compiled)
    again = set()
    for each in compiled.nodes:
        node = each.pipeline_node
        read = {
            channel.producer_node_query.id
            for spec in node.inputs.inputs.values()
            for channel in spec.channels
        }
        name = node.node_info.id
        if read & again:
            again.add(name)
            continue
        launcher = Launcher(
            pipeline_node=node,
            mlmd_connection=Metadata(metadata.connection_config(places)),
            pipeline_info=compiled.pipeline_info,
            pipeline_runtime_spec=compiled.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(specs, name),
        )
        if node.node_info.type.name.endswith(".Resolver"):
            launcher.launch()  # a look-up, never cached
        elif launcher._prepare_execution().is_execution_needed:
            again.add(name)
    return again - {"Baseline"}


def test_nothing_runs_where_nothing_was_edited(places, code):
    assert stages_that_run(places) == set()


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("data/imdb/formats.py", INGESTED),
        ("components/text_example_gen/transforms.py", INGESTED),
        ("components/reviewed_schema.py", {"ReviewedSchema"} | VALIDATED),
        ("components/data_gate.py", {"DataGate", "RunReport"}),
        ("pipeline/transform/preprocessing.py", TRANSFORMED),
        ("pipeline/transform/vocabulary.py", TRANSFORMED),
        ("pipeline/training/trainer.py", TRAINED),
        ("pipeline/export/saved_model.py", TRAINED),
        ("mamba_model/scan.py", TRAINED),
        ("mamba_model/native/selective_scan.h", TRAINED),
        ("pipeline/evaluation/intervals.py", EVALUATED),
        ("components/infra_check/graph_rules.py", CHECKED),
        ("serving/tensorflow_serving.py", CHECKED),
        ("serving/served_model.py", {"RunReport"}),  # which asks the model for examples
        ("serving/server.py", set()),
        ("pipeline/report/model_card.py", PUSHED),
        ("components/atomic_push.py", {"Pusher", "RunReport"}),
        ("pipeline/report/sections/training.py", {"RunReport"}),
        ("pipeline/report/templates/style.css", {"RunReport"}),
        ("data/bible/formats.py", set()),
        ("data/tasks.py", set()),  # by its values only
        ("data/task_files.py", set()),
        ("pipeline/config.py", set()),
        ("pipeline/presets.py", set()),
        ("pipeline/evaluation/next_token_metrics.py", set()),  # the Bible's
        ("pipeline/cli.py", set()),
        ("pipeline/runs/records.py", set()),
        ("pipeline/orchestrators/beam.py", set()),
    ],
)
def test_an_edit_of_code_runs_the_stages_that_use_it_and_what_reads_them(
    places, code, edited, stages
):
    with (code / edited).open("a") as file:
        file.write("\n_EDITED = 1\n")  # as text it will do in a header or a style sheet too
    assert stages_that_run(places) == stages


def test_an_edit_of_the_schema_runs_all_that_reads_it(places, code, monkeypatch):
    import data

    with (code / "data" / "imdb" / "schema.pbtxt").open("a") as file:
        file.write("# Reviewed once more.\n")
    monkeypatch.setattr(data, "__path__", [str(code / "data")])
    assert stages_that_run(places) == {"ReviewedSchema"} | VALIDATED


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("data.max_characters=19000", INGESTED),
        ("data.gate=report", {"DataGate", "RunReport"}),
        ("model.vocabulary_size=900", TRANSFORMED),
        ("model.pooled_dropout=0.3", TRAINED),
        ("training.learning_rate=0.001", TRAINED),
        ("seed=2", TRAINED),
        ("evaluation.min_accuracy=0.6", EVALUATED),
        ("checks.lowest_mean_words=50", {"DataGate", "RunReport"}),
    ],
)
def test_a_parameter_runs_the_stages_that_it_is_one_of(places, setting, stages):
    assert stages_that_run(places, [setting]) == stages


def test_another_text_runs_all_but_the_schema_and_the_same_text_touched_runs_nothing_new(
    places, tmp_path
):
    """By content: a new time stamp is no other text."""
    reading = preset("imdb", "smoke").reading
    reviews = tmp_path / "reviews.csv"
    with imdb_reader.packaged_file().open(newline="", encoding="utf-8") as packaged:
        rows = [row for row in csv.DictReader(packaged) if row["source"] == "imdb"][::50]
    with reviews.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *((r["text"], r["label"]) for r in rows)])
    source = imdb_reader.open_source(str(reviews), reading)
    assert stages_that_run(places, source=source) == INGESTED
    reviews.touch()
    assert imdb_reader.open_source(str(reviews), reading).sha256 == source.sha256
    with reviews.open("a", encoding="utf-8") as stream:
        stream.write("One more.,1\n")
    assert imdb_reader.open_source(str(reviews), reading).sha256 != source.sha256
