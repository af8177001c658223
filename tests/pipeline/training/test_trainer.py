import dataclasses

import keras
import numpy as np

from mamba_model import (
    MambaConfig,
    NextTokenModel,
    TextClassifier,
    TextClassifierEnsemble,
    save_checkpoint,
)
from pipeline.training.inputs import start_from
from pipeline.training.trainer import weights_sha256

CONFIG = MambaConfig(vocabulary_size=30, d_model=8, n_layer=2, d_state=3)


def test_a_classifier_starts_with_the_backbone_of_a_next_token_model(tmp_path):
    pretrained = NextTokenModel(CONFIG)
    save_checkpoint(pretrained, tmp_path)
    config = dataclasses.replace(CONFIG, word_dropout=0.3, pooled_dropout=0.5)
    model = TextClassifier(config, classes=3)
    head = model.head.get_weights()
    start_from(model, str(tmp_path))
    tokens = np.arange(1, 13).reshape(2, 6)
    np.testing.assert_array_equal(model.backbone(tokens), pretrained.backbone(tokens))
    for ours, before in zip(model.head.get_weights(), head, strict=True):
        np.testing.assert_array_equal(ours, before)


def test_all_members_of_an_ensemble_start_with_it(tmp_path):
    pretrained = NextTokenModel(CONFIG)
    save_checkpoint(pretrained, tmp_path)
    model = TextClassifierEnsemble(CONFIG, classes=3, members=2)
    start_from(model, str(tmp_path))
    tokens = np.arange(1, 13).reshape(2, 6)
    for backbone in model.backbones:
        np.testing.assert_array_equal(backbone(tokens), pretrained.backbone(tokens))


def test_each_weight_of_an_ensemble_has_its_hash():
    model = TextClassifierEnsemble(CONFIG, classes=3, members=2)
    hashes = weights_sha256(model)
    assert len(hashes) == len(model.trainable_variables)
    assert hashes["member_0/head/kernel"] != hashes["member_1/head/kernel"]


def test_hashes_of_weights_do_not_depend_on_the_models_made_before():
    hashes = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        hashes.append(weights_sha256(NextTokenModel(CONFIG)))
    assert hashes[0] == hashes[1]
    assert list(hashes[0]) == sorted(hashes[0])
    keras.utils.set_random_seed(2)
    assert weights_sha256(NextTokenModel(CONFIG)).keys() == hashes[0].keys()
    assert weights_sha256(NextTokenModel(CONFIG)) != hashes[0]
