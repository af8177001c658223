"""Metrics of a classification, beside scikit-learn's, for two classes and for more."""

import math

import numpy as np
import pytest
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputs

from pipeline.evaluation.classification_metrics import (
    ClassificationIntervals,
    ClassificationMetrics,
    figures,
)
from pipeline.evaluation.sums import add_text

CLASSES = ("billing", "fault: urgent", "praise", "other")


def _drawn(classes, texts=400, sharpness=1.0, seed=1):
    """Labels, and scores in float32 that tend to the label."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, texts, p=np.arange(1, classes + 1) / sum(range(classes + 1)))
    logits = random.normal(size=(texts, classes)) + 1.5 * np.eye(classes)[labels]
    scores = np.exp(sharpness * logits)
    return labels, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def _figures(labels, scores, classes=None):
    sums = {}
    for label, of_text in zip(labels, np.asarray(scores, np.float32), strict=True):
        add_text(sums, int(label), of_text)
    return figures(classes or CLASSES[: np.shape(scores)[1]], sums)


@pytest.mark.parametrize("classes", [2, 4])
def test_they_are_those_of_scikit_learn(classes):
    from sklearn import metrics

    labels, scores = _drawn(classes)
    found = _figures(labels, scores)
    answers = scores.argmax(axis=1)
    assert found["accuracy"] == metrics.accuracy_score(labels, answers)
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    wide = scores.astype(float) / scores.astype(float).sum(axis=1, keepdims=True)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, wide), rel=1e-6)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, answers)
    areas = [metrics.roc_auc_score(labels == c, scores[:, c]) for c in range(classes)]
    for c, name in enumerate(CLASSES[:classes]):
        assert found[f"{name}: precision"] == pytest.approx(precision[c])
        assert found[f"{name}: recall"] == pytest.approx(recall[c])
        assert found[f"{name}: f1"] == pytest.approx(f1[c])
        # Scores closer than 1e-4 are ties.
        assert found[f"{name}: auc"] == pytest.approx(areas[c], abs=2e-4)
    assert found["auc"] == pytest.approx(np.mean(areas), abs=2e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_calibration_error_is_the_gap_between_confidence_and_share_that_is_right(classes):
    labels, scores = _drawn(classes, sharpness=2.0)
    right, confidence = scores.argmax(axis=1) == labels, scores.max(axis=1).astype(float)
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [abs(np.sum(confidence[bins == i]) - np.sum(right[bins == i])) for i in range(10)]
    found = _figures(labels, scores)["calibration_error"]
    assert found == pytest.approx(sum(gaps) / len(labels), rel=1e-9)
    assert found > 0.02  # too sure
    assert _figures([0, 1], [[1, 0], [0, 1]])["calibration_error"] == 0


def test_of_equal_scores_the_first_is_the_answer():
    found = _figures([0, 1, 2], [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.2, 0.4, 0.4]])
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_a_class_that_no_text_has_is_undefined_and_has_no_part_in_the_means():
    labels, scores = _drawn(3)
    rest = labels != 1
    labels, scores = labels[rest], scores[rest]
    found = _figures(labels, scores)
    name = CLASSES[1]
    assert math.isnan(found[f"{name}: recall"]) and math.isnan(found[f"{name}: auc"])
    assert found[f"{name}: precision"] == 0  # some texts were put into it
    others = [found[f"{CLASSES[c]}: auc"] for c in (0, 2)]
    assert found["auc"] == pytest.approx(np.mean(others))


def test_a_class_that_is_never_the_answer_has_no_precision_and_f1_of_0():
    found = _figures([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    name = CLASSES[1]
    assert math.isnan(found[f"{name}: precision"])
    assert (found[f"{name}: recall"], found[f"{name}: f1"], found[f"{name}: auc"]) == (0, 0, 1)


def test_with_texts_of_one_class_alone_the_auc_is_undefined():
    found = _figures([1, 1], [[0.1, 0.9], [0.2, 0.8]])
    assert math.isnan(found["auc"])
    assert found["macro_f1"] == found["accuracy"] == 1


def test_scores_that_are_not_finite_make_the_loss_so_and_count_as_wrong():
    found = _figures([0, 0], [[math.nan, math.nan], [0.9, 0.1]])
    assert math.isnan(found["log_loss"])
    assert found["accuracy"] == found[f"{CLASSES[0]}: recall"] == 0.5


def test_without_texts_all_are_undefined():
    assert all(map(math.isnan, figures(CLASSES, {}).values()))


@pytest.mark.parametrize("metric", [ClassificationMetrics, ClassificationIntervals])
def test_order_and_number_of_bundles_do_not_change_a_bit(metric):
    labels, scores = _drawn(4, texts=200)
    (computation,) = metric(CLASSES).computations()
    elements = [
        StandardMetricInputs(
            {
                "labels": np.array([label]),
                "predictions": of_text,
                "features": {"text": np.array([f"text {number}".encode()])},
            }
        )
        for number, (label, of_text) in enumerate(zip(labels, scores, strict=True))
    ]

    def values(order, bundles):
        combiner = computation.combiner
        accumulators = [combiner.create_accumulator() for _ in range(bundles)]
        for i, number in enumerate(order):
            accumulators[i % bundles] = combiner.add_input(
                accumulators[i % bundles], elements[number]
            )
        return combiner.extract_output(combiner.merge_accumulators(accumulators))

    expected = values(range(200), 1)
    assert set(computation.keys) == set(expected)
    assert all(map(math.isfinite, (v for k, v in expected.items() if "reliability" not in k.name)))
    for bundles in (1, 2, 7):
        again = values(np.random.default_rng(bundles).permutation(200), bundles)
        assert {k: repr(v) for k, v in again.items()} == {k: repr(v) for k, v in expected.items()}
