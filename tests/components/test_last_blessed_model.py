"""The model that a new one is compared with."""

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx.types import standard_artifacts

from components.last_blessed_model import LastBlessedModel


@pytest.fixture
def store():
    return mlmd.MetadataStore(pb.ConnectionConfig(fake_database=pb.FakeDatabaseConfig()))


def _model(number):
    model = standard_artifacts.Model()
    model.id = number
    model.mlmd_artifact.create_time_since_epoch = number
    return model


def _blessing(model, blessed):
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_int_custom_property("blessed", blessed)
    return blessing


@pytest.mark.parametrize(
    ("blessed", "expected"), [((1, 1, 0, 1), [2]), ((0, 0, 0, 1), []), ((1, 0, 0, 0), [1])]
)
def test_it_is_the_newest_blessed_one_other_than_the_candidate(store, blessed, expected):
    models = [_model(number) for number in (1, 2, 3, 4)]
    blessings = [_blessing(m, b) for m, b in zip(models, blessed, strict=True)]
    inputs = {"model": models, "model_blessing": blessings, "candidate": models[3:]}
    resolved = LastBlessedModel().resolve_artifacts(store, inputs)
    assert [model.id for model in resolved["model"]] == expected
    # TFX asks for every input by its name.
    assert set(resolved) == set(inputs)
