"""What a classifier's signatures answer, against the model that they export."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mamba_model import MambaConfig, TextClassifier, TextClassifierEnsemble
from pipeline.config import ExportConfig
from pipeline.export.classification_signatures import classification_signatures
from pipeline.export.expected_signatures import SIGNATURES
from pipeline.export.requests import dense

CLASSES = ("law", "poetry", "history", "prophecy")
CONFIG = MambaConfig(vocabulary_size=300, d_model=8, n_layer=1)
TEXTS = [
    "Thou shalt not steal.",
    "The LORD is my shepherd; I shall not want.",
    "Now king David was old and stricken in years.",
    "",
    "And he said unto me, Son of man, stand upon thy feet.",
]


def _to_tokens(text):
    """Bytes to ids, as a vocabulary without learned pieces has them."""
    return tf.cast(tf.strings.unicode_decode(text, "UTF-8"), tf.int64) + 2


def _signatures(model, classes):
    limits = ExportConfig(max_text_bytes=200, max_rows=9)
    return classification_signatures(model, classes, _to_tokens, limits)


def _trained(model):
    """With a head whose answers differ, unlike those of a new model."""
    for seed, weight in enumerate(model.trainable_variables):
        if "head" in weight.path and weight.shape.rank == 2:
            weight.assign(20 * tf.random.stateless_normal(weight.shape, [seed, 1]))
    return model


@pytest.fixture(scope="module", params=["one", "ensemble"])
def model(request):
    keras.utils.set_random_seed(3)
    if request.param == "one":
        return _trained(TextClassifier(CONFIG, len(CLASSES)))
    return _trained(TextClassifierEnsemble(CONFIG, len(CLASSES), members=2))


def _alone(model, texts):
    """The model's own probabilities, (texts, n), one text at a time."""
    logits = [model(dense(_to_tokens(tf.constant([text])))) for text in texts]
    return tf.nn.softmax(tf.concat(logits, axis=0)).numpy()


def test_scores_are_the_models_probabilities_in_the_order_of_the_classes(model):
    answer = _signatures(model, CLASSES)["serving_default"](tf.constant(TEXTS))
    assert set(answer) == {"label", "classes", "scores"}
    expected = _alone(model, TEXTS)
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-5)
    assert {tuple(name.decode() for name in row) for row in answer["classes"].numpy()} == {CLASSES}
    labels = [CLASSES[i] for i in expected.argmax(axis=1)]
    assert [label.decode() for label in answer["label"].numpy()] == labels
    assert len(set(labels)) > 1


def test_classify_gives_classes_and_scores_only(model):
    def example(text):
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        features = tf.train.Features(feature={"text": value})
        return tf.train.Example(features=features).SerializeToString()

    signatures = _signatures(model, CLASSES)
    of_texts = signatures["serving_default"](tf.constant(TEXTS))
    examples = tf.constant([example(text) for text in TEXTS])
    answer = signatures["classify"](examples)
    assert set(answer) == {"classes", "scores"}
    for name in answer:
        assert answer[name].numpy().tolist() == of_texts[name].numpy().tolist()
    of_examples = signatures["serving_examples"](examples)
    assert of_examples["label"].numpy().tolist() == of_texts["label"].numpy().tolist()


def test_two_classes_also_give_the_probability_of_the_second():
    keras.utils.set_random_seed(5)
    model = _trained(TextClassifier(CONFIG, 2))
    answer = _signatures(model, ("no", "yes"))["serving_default"](tf.constant(TEXTS))
    logits = np.concatenate([model(dense(_to_tokens(tf.constant([text])))) for text in TEXTS])
    np.testing.assert_allclose(answer["probability"], tf.sigmoid(logits[:, 1]), atol=1e-5)
    assert answer["scores"].numpy()[:, 1].tolist() == answer["probability"].numpy().tolist()
    is_yes = answer["label"].numpy() == b"yes"
    assert is_yes.tolist() == (answer["probability"].numpy() > 0.5).tolist()


def test_of_equal_scores_the_first_class_is_the_label():
    model = TextClassifier(CONFIG, len(CLASSES))
    model.head.set_weights([np.zeros_like(weight) for weight in model.head.get_weights()])
    answer = _signatures(model, CLASSES)["serving_default"](tf.constant(TEXTS))
    np.testing.assert_allclose(answer["scores"], 0.25)
    assert set(answer["label"].numpy()) == {b"law"}


def test_no_texts_give_no_rows(model):
    answer = _signatures(model, CLASSES)["serving_default"](tf.constant([], tf.string))
    assert answer["scores"].shape == (0, 4)
    assert answer["label"].shape == (0,)


def test_the_signatures_are_those_that_infra_check_expects(model):
    inputs = {
        name: tuple(spec.name for spec in function.input_signature)
        for name, function in _signatures(model, CLASSES).items()
    }
    assert inputs == SIGNATURES["classification"]
