"""The baseline of a new model."""

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx.types import artifact_utils, standard_artifacts

from components.last_pushed_model import LastPushedModel


@pytest.fixture
def store():
    return mlmd.MetadataStore(pb.ConnectionConfig(fake_database=pb.FakeDatabaseConfig()))


def _put(store, kind, **properties):
    """Puts an artifact into the store as TFX does."""
    artifact = kind()
    for name, value in properties.items():
        artifact.set_int_custom_property(name, value)
    type_id = store.put_artifact_type(artifact.artifact_type)
    artifact.mlmd_artifact.type_id = type_id
    (number,) = store.put_artifacts([artifact.mlmd_artifact])
    (stored,) = store.get_artifacts_by_id([number])
    return artifact_utils.deserialize_artifact(artifact.artifact_type, stored)


def _push(store, model, pushed, blessing=None):
    """Puts a Pusher that read the model into the store; returns its output."""
    artifact = _put(store, standard_artifacts.PushedModel, pushed=pushed)
    type_id = store.put_execution_type(pb.ExecutionType(name="Pusher"))
    (execution,) = store.put_executions([pb.Execution(type_id=type_id)])
    read = [model] if blessing is None else [model, blessing]
    store.put_events(
        [
            *(_event(pb.Event.INPUT, each, execution) for each in read),
            _event(pb.Event.OUTPUT, artifact, execution),
        ]
    )
    return artifact


def _event(kind, artifact, execution):
    return pb.Event(type=kind, artifact_id=artifact.id, execution_id=execution)


def _resolved(store, models, pushes):
    inputs = {"model": models, "pushed_model": pushes, "candidate": models[-1:]}
    resolved = LastPushedModel().resolve_artifacts(store, inputs)
    assert set(resolved) == set(inputs)  # TFX requires each input by its name
    return [model.id for model in resolved["model"]]


@pytest.mark.parametrize(
    ("pushed", "expected"), [((1, 1, 0, 1), [2]), ((0, 0, 0, 1), []), ((1, 0, 0, 0), [1])]
)
def test_it_is_the_last_that_was_pushed_other_than_the_candidate(store, pushed, expected):
    models = [_put(store, standard_artifacts.Model) for _ in pushed]
    pushes = [_push(store, *pair) for pair in zip(models, pushed, strict=True)]
    assert _resolved(store, models, pushes) == [models[number - 1].id for number in expected]


def test_a_model_that_the_evaluator_blessed_but_infra_check_did_not_is_skipped(store):
    good, unfit, candidate = (_put(store, standard_artifacts.Model) for _ in range(3))
    blessed = _put(store, standard_artifacts.ModelBlessing, blessed=1, current_model_id=unfit.id)
    pushes = [_push(store, good, 1), _push(store, unfit, 0, blessed)]
    assert _resolved(store, [good, unfit, candidate], pushes) == [good.id]


def test_a_model_that_was_pushed_again_is_the_last(store):
    models = [_put(store, standard_artifacts.Model) for _ in range(3)]
    pushes = [_push(store, models[number], 1) for number in (0, 1, 0)]
    assert _resolved(store, models, pushes) == [models[0].id]


def test_before_the_first_push_there_is_none(store):
    assert _resolved(store, [_put(store, standard_artifacts.Model)], []) == []
