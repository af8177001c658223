import dataclasses
import json

import numpy as np
import pytest

from data.errors import UserError
from data.normal_form import NormalForm
from data.tasks import Task
from mamba_model import MambaConfig, NextTokenModel, TextClassifier, TextClassifierEnsemble
from pipeline.config import TrainingConfig
from pipeline.training.batches import LabelledTexts, Windows
from pipeline.training.class_weights import class_weights
from pipeline.training.inputs import Inputs, prepare

CLASSES = ("billing", "fault", "praise")
LABELS = np.array([0, 2, 2, 1, 2, 2, 0, 2])


@pytest.fixture
def inputs(genesis):
    texts = [genesis[i : i + 20] for i in range(0, 160, 20)]
    return Inputs(
        task=Task("tickets", "classification", CLASSES, NormalForm((("\t", " "),), lower=True)),
        seed=1,
        model=MambaConfig(vocabulary_size=80, d_model=8, n_layer=1, d_state=2),
        training=TrainingConfig(steps=4, batch=2, window=8, buckets=((20, 4),)),
        pretraining=False,
        vocabulary=[chr(ord("!") + i) for i in range(80)],
        train=(texts, LABELS),
        held_out=(texts[:3], LABELS[:3]),
    )


def changed(inputs, **training):
    return dataclasses.replace(inputs, training=dataclasses.replace(inputs.training, **training))


def test_facts_as_json_give_the_same_inputs(inputs):
    facts = json.loads(json.dumps(inputs.facts()))
    again = Inputs.from_facts(facts, inputs.train, inputs.held_out)
    assert (again.task, again.model, again.training) == (inputs.task, inputs.model, inputs.training)
    assert again.sha256() == inputs.sha256()


def test_a_task_that_differs_has_another_hash(inputs):
    other = dataclasses.replace(inputs.task, classes=CLASSES[::-1])
    assert dataclasses.replace(inputs, task=other).sha256() != inputs.sha256()


def test_the_model_has_the_classes_of_the_task(inputs):
    model, batches, held_out = prepare(changed(inputs, class_weights="balanced"))
    assert isinstance(model, TextClassifier)
    assert model(batches[0][0]).shape == (4, 3)
    assert batches.class_weights == pytest.approx([8 / 6, 8 / 3, 8 / 15])
    assert isinstance(held_out, LabelledTexts) and held_out.class_weights is None
    ensemble, *_ = prepare(changed(inputs, members=2))
    assert isinstance(ensemble, TextClassifierEnsemble) and len(ensemble.members) == 2


def test_a_pretraining_of_a_classification_takes_the_texts_alone(inputs):
    model, batches, held_out = prepare(dataclasses.replace(inputs, pretraining=True))
    assert isinstance(model, NextTokenModel) and isinstance(batches, Windows)
    assert held_out is None


def test_weights_have_mean_1_over_the_texts():
    for setting in ("balanced", "1,2.5,1"):
        weights = class_weights(setting, CLASSES, LABELS)
        assert np.mean(np.take(weights, LABELS)) == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2.5)
    assert class_weights("equal", CLASSES, LABELS) is None


def test_balanced_classes_weigh_the_same_in_all():
    weights = class_weights("balanced", CLASSES, LABELS)
    assert weights * np.bincount(LABELS) == pytest.approx([8 / 3] * 3)


def test_balanced_weights_need_texts_of_every_class():
    with pytest.raises(UserError, match="training texts of every class, and 'fault' has none"):
        class_weights("balanced", CLASSES, LABELS[LABELS != 1])
