"""A review model, of two that answer together, from a next-token model of the same reviews."""

import pytest
from command_line import CommandLine
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

pytestmark = pytest.mark.slow


def test_the_classifier_starts_from_the_pretrained_model_and_the_lineage_says_so(tmp_path):
    command = CommandLine(tmp_path)
    smoke = ("run", "imdb", "--preset", "smoke", "--set", "evaluation.min_accuracy=0")
    short = ("--set", "training.steps=10", "--set", "training.members=2")
    pretrained = ("--set", "pretraining.steps=20", "--set", "pretraining.window=64")
    command.succeeds(*smoke, *short, *pretrained)
    summary = command.summary("imdb")

    assert summary["pretraining"]["steps"] == 20
    assert summary["pretraining"]["tokens"] == 20 * 8 * 64
    assert summary["pretraining"]["eval"] is None  # it reads split train alone
    weights = summary["hashes"]["weights"]
    for member in ("member_0", "member_1"):
        names = {name.removeprefix(f"{member}/") for name in weights if name.startswith(member)}
        assert "head/kernel" in names
        assert summary["hashes"]["pretrained weights"].keys() == {
            name for name in names if name.startswith("backbone/")
        }
    assert len({weights[f"member_{i}/head/kernel"] for i in (0, 1)}) == 2

    models = _models(tmp_path / "runs" / "metadata.sqlite")
    made, used = models["Pretrainer"][pb.Event.OUTPUT], models["Trainer"][pb.Event.INPUT]
    assert len(made) == 1 and made == used

    command.succeeds(*smoke, *short, *pretrained)
    assert {"Pretrainer", "Trainer"} <= set(command.summary("imdb")["cached"])


def _models(metadata) -> dict[str, dict[int, set[int]]]:
    """Ids of the Model artifacts that each training took and made."""
    connection = pb.ConnectionConfig()
    connection.sqlite.filename_uri = str(metadata)
    store = MetadataStore(connection)
    models = {artifact.id for artifact in store.get_artifacts_by_type("Model")}
    found: dict[str, dict[int, set[int]]] = {}
    for node in ("Pretrainer", "Trainer"):
        context = store.get_context_by_type_and_name("node", f"imdb.{node}")
        executions = [execution.id for execution in store.get_executions_by_context(context.id)]
        found[node] = {pb.Event.INPUT: set(), pb.Event.OUTPUT: set()}
        for event in store.get_events_by_execution_ids(executions):
            if event.artifact_id in models:
                found[node][event.type].add(event.artifact_id)
    return found
