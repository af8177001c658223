"""The Evaluator with this project's metrics and thresholds, on real text and toy models.

The fixed bounds alone bless a first model. A later model must not be worse than the last one.
"""

import dataclasses
import math
from pathlib import Path

import pytest
import tensorflow as tf
from absl import flags
from google.protobuf import json_format
from tfx.components.evaluator.executor import Executor
from tfx.types import standard_artifacts

from data import readers
from pipeline.evaluation import summary as evaluation_summary
from pipeline.evaluation.eval_config import eval_config
from pipeline.presets import preset
from pipeline.runs.fingerprints import of_metrics
from pipeline.settings import with_settings

pytestmark = pytest.mark.slow

GOOD = "great|love|loved|best|excellent|wonderful|perfect|beautiful|superb|favorite"
BAD = "bad|worst|boring|waste|awful|terrible|poor|stupid|nothing|worse"

# Classes of chapters of the Bible: some of their books, and words that tell them.
PARTS = {
    "law": ("Exodus|Leviticus|Numbers", "offering|priest|moses|tabernacle"),
    "songs: psalms": ("Psalms", "praise|soul|mercy|enemies"),
    "prophets": ("Isaiah|Jeremiah|Ezekiel", "babylon|saith|destroy|desolate"),
    "gospels": ("Matthew|Mark|Luke|John", "jesus|disciples|answered|verily"),
}


def _records(task, most=20_000):
    file = preset(task, "quick")
    source = readers.load(file.reading.reader).open_source(None, file.reading)
    return (r.features for r in readers.all_records(source, file.task, file.reading, most))


def _examples(records, folder: Path):
    """An Examples artifact, whose split `eval` has these records."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    examples.split_names = '["eval"]'
    (folder / "Split-eval").mkdir(parents=True)
    file = str(folder / "Split-eval" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as stream:
        for record in records:
            stream.write(_example(record).SerializeToString())
    return examples


def _example(features):
    def feature(value):
        if isinstance(value, str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    by_name = {name: feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=by_name))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    records = (record for n, record in enumerate(_records("imdb")) if n % 100 == 0)
    return _examples(records, tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="module")
def chapters(tmp_path_factory):
    records = (record for n, record in enumerate(_records("bible")) if n % 5 == 0)
    return _examples(records, tmp_path_factory.mktemp("chapters"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Chapters of PARTS, with the number of the part as the label."""
    of_book = {book: i for i, (books, _) in enumerate(PARTS.values()) for book in books.split("|")}
    records = (
        record | {"label": of_book[record["book"]]}
        for record in _records("bible")
        if record["book"] in of_book
    )
    return _examples(records, tmp_path_factory.mktemp("parts"))


def _save(folder, name, function):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def of_examples(examples):
        spec = {"text": tf.io.FixedLenFeature([], tf.string)}
        return function(tf.io.parse_example(examples, spec)["text"])

    module = tf.Module()
    module.function = of_examples
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures={name: of_examples})
    model = standard_artifacts.Model()
    model.uri = str(folder)
    return model


def _word_counter(folder, words, sharpness):
    """Classifies by words of each class; more sharpness gives more extreme scores."""

    def classify(text):
        def count(words):
            found = tf.strings.regex_replace(tf.strings.lower(text), rf"\b({words})\b", "\x01")
            only = tf.strings.regex_replace(found, "[^\x01]", "")
            return tf.cast(tf.strings.length(only), tf.float32)

        counts = tf.stack([count(of_class) for of_class in words], axis=1)
        # Rounded, as softmax's last bits, and with them the ties, depend on the processor.
        scores = tf.round(tf.nn.softmax(sharpness * counts) * 2**16) / 2**16
        return {"label": tf.strings.as_string(tf.argmax(counts, axis=1)), "scores": scores}

    return _save(folder, "serving_examples", classify)


def _evaluate(config, examples, model, folder, baseline=None, workers=1):
    """Runs TFX's Evaluator; returns its blessing and the summary of its result."""
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    inputs = {"examples": [examples], "model": [model]}
    if baseline:
        inputs["baseline_model"] = [baseline]
    beam = [
        "--runner=FnApiRunner",
        "--direct_running_mode=in_memory",
        f"--direct_num_workers={workers}",
        "--setup_file=setup.py",
    ]
    # As in a run: batches that Beam sizes by the clock would change the last bits.
    flags.FLAGS(["test", "--tfxio_use_byte_size_batching"], known_only=True)
    Executor(Executor.Context(beam_pipeline_args=beam)).Do(
        inputs,
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(eval_config(config, code_sha256="")),
            "example_splits": "null",
        },
    )
    return blessing.get_int_custom_property("blessed"), evaluation_summary.collect(evaluation.uri)


CONFIG = with_settings(
    preset("imdb", "quick"),
    ["evaluation.min_accuracy=0.6", "evaluation.max_calibration_error=0.3"],
)


@pytest.fixture(scope="module")
def first(reviews, tmp_path_factory):
    """(model, blessing, summary) of a first model."""
    folder = tmp_path_factory.mktemp("first")
    model = _word_counter(folder, (BAD, GOOD), 0.5)
    return model, *_evaluate(CONFIG, reviews, model, folder)


def test_the_fixed_bounds_bless_a_first_model(first):
    _, blessing, summary = first
    assert (blessing, summary["blessed"], summary["failed_thresholds"]) == (1, True, [])


def test_metrics_have_intervals_bins_and_the_gap_between_lengths(first):
    metrics = first[2]["metrics"]["eval"]
    number = metrics["example_count"]
    assert number == 250
    for name in ("accuracy", "macro_f1", "auc", "log_loss", "calibration_error"):
        lower, upper = metrics["intervals"][name]
        assert 0 <= lower < metrics[name] < upper
    # A share of n independent texts has about this standard error.
    error = math.sqrt(metrics["accuracy"] * (1 - metrics["accuracy"]) / number)
    lower, upper = metrics["intervals"]["accuracy"]
    assert upper - lower == pytest.approx(2 * 1.96 * error, rel=0.5)
    bins = metrics["reliability"]
    assert sum(one["count"] for one in bins) == number
    assert metrics["calibration_error"] == pytest.approx(
        sum(one["count"] * abs(one["probability"] - one["correct"]) for one in bins) / number
    )
    of_bucket = {name: of["accuracy"] for name, of in metrics["slices"].items()}
    assert len(of_bucket) == 4
    fairness = metrics["fairness"]["length_bucket"]
    assert fairness["accuracy_gap"] == max(of_bucket.values()) - min(of_bucket.values())
    assert of_bucket[f"length_bucket={fairness['lowest']}"] == min(of_bucket.values())


def test_each_class_has_metrics_and_intervals(first):
    metrics = first[2]["metrics"]["eval"]
    assert list(metrics["classes"]) == ["negative", "positive"]
    for name, of_class in metrics["classes"].items():
        assert list(of_class) == ["auc", "f1", "precision", "recall"]
        for metric, value in of_class.items():
            lower, upper = metrics["class_intervals"][name][metric]
            assert 0 <= lower < value < upper <= 1
    # With two classes, both order the texts the same way.
    assert metrics["classes"]["negative"]["auc"] == pytest.approx(metrics["auc"], abs=1e-3)
    mean = sum(of["f1"] for of in metrics["classes"].values()) / 2
    assert metrics["macro_f1"] == pytest.approx(mean)
    assert set(metrics["slice_classes"]) == set(metrics["slices"])
    assert metrics["slice_class_intervals"]["length_bucket=1-127"]["positive"]["recall"]


def test_two_workers_give_the_same_bits(first, reviews, tmp_path):
    model, _, summary = first
    _, again = _evaluate(CONFIG, reviews, model, tmp_path, workers=2)
    assert of_metrics(again["metrics"]["eval"]) == of_metrics(summary["metrics"]["eval"])


def test_an_equal_model_is_blessed_and_a_worse_one_is_not(first, reviews, tmp_path):
    model, _, summary = first
    blessing, equal = _evaluate(CONFIG, reviews, model, tmp_path / "equal", baseline=model)
    assert (blessing, equal["failed_thresholds"]) == (1, [])
    assert of_metrics(equal["metrics"]["eval"]) == of_metrics(summary["metrics"]["eval"])
    worse = _word_counter(tmp_path / "model", (BAD, GOOD), -0.5)
    config = with_settings(CONFIG, ["evaluation.min_accuracy=0", "evaluation.tolerance=0.01"])
    blessing, found = _evaluate(config, reviews, worse, tmp_path / "worse", baseline=model)
    assert blessing == 0
    (failure, *_) = [one for one in found["failed_thresholds"] if "last pushed" in one]
    assert failure.startswith("accuracy -0.")
    assert failure.endswith("expected no worse than -0.01 from the last pushed model")


def test_an_overconfident_model_is_not_blessed(reviews, tmp_path):
    config = with_settings(CONFIG, ["evaluation.max_calibration_error=0.1"])
    blessing, found = _evaluate(
        config, reviews, _word_counter(tmp_path, (BAD, GOOD), 50.0), tmp_path
    )
    assert blessing == 0
    (failure,) = found["failed_thresholds"]
    assert failure.startswith("calibration_error 0.")
    assert failure.endswith("expected at most 0.1")


def _of_parts(*settings):
    """The configuration of a task whose classes are PARTS, sliced by testament."""
    config = with_settings(preset("imdb", "quick"), ["evaluation.min_accuracy=0.6"])
    config = dataclasses.replace(
        config,
        task=dataclasses.replace(config.task, name="parts", classes=tuple(PARTS)),
        evaluation=dataclasses.replace(
            config.evaluation, slices=("testament",), max_calibration_error=0.3
        ),
    )
    return with_settings(config, [f"evaluation.{setting}" for setting in settings])


def test_four_classes_are_judged_and_a_class_that_a_slice_lacks_is_left_out(parts, tmp_path):
    model = _word_counter(tmp_path, [words for _, words in PARTS.values()], 0.3)
    bounds = ("min_macro_f1=0.5", "min_auc=0.7", "max_log_loss=2", "min_recall=0.1")
    blessing, found = _evaluate(_of_parts(*bounds), parts, model, tmp_path / "good")
    metrics = found["metrics"]["eval"]
    assert (blessing, found["failed_thresholds"]) == (1, [])
    assert set(metrics["classes"]) == set(PARTS)
    assert metrics["example_count"] == sum(one["count"] for one in metrics["reliability"]) > 300
    new = metrics["slice_classes"]["testament=new"]
    assert "recall" in new["gospels"] and "recall" not in new["law"]
    assert "auc" not in metrics["slices"]["testament=new"]  # all are gospels
    assert metrics["slices"]["testament=new"]["accuracy"] == new["gospels"]["recall"]
    assert set(metrics["fairness"]) == {"testament"}

    blessing, found = _evaluate(_of_parts("min_precision=0.95"), parts, model, tmp_path / "bad")
    assert blessing == 0
    below = {name for name, of in metrics["classes"].items() if of["precision"] < 0.95}
    assert below and {one.split(": precision 0.")[0] for one in found["failed_thresholds"]} == below
    assert all(one.endswith(", expected at least 0.95") for one in found["failed_thresholds"])


def test_a_class_that_is_never_the_answer_fails_a_bound_on_its_precision(parts, tmp_path):
    words = [words for _, words in PARTS.values()]
    model = _word_counter(tmp_path, [*words[:-1], "nosuchword"], 0.3)
    loose = ("min_accuracy=0", "max_calibration_error=1")
    blessing, found = _evaluate(_of_parts(*loose), parts, model, tmp_path / "loose")
    assert blessing == 1
    gospels = found["metrics"]["eval"]["classes"]["gospels"]
    assert (gospels["recall"], gospels["f1"]) == (0, 0) and "precision" not in gospels
    config = _of_parts(*loose, "min_precision=0.01")
    blessing, found = _evaluate(config, parts, model, tmp_path / "strict")
    assert blessing == 0
    assert "gospels: precision nan, expected at least 0.01" in found["failed_thresholds"]


def test_the_bible_is_evaluated_by_book(chapters, tmp_path):
    def score(text):
        length = tf.strings.length(text, "UTF8_CHAR")
        spaces = tf.strings.length(tf.strings.regex_replace(text, "[^ \n]", ""))
        # Two bits per character, and 3 more per word.
        bits = 2.0 * tf.cast(length, tf.float32) + 3.0 * tf.cast(spaces, tf.float32)
        counts = {"characters": length, "tokens": spaces + 1, "correct": spaces // 3}
        return {"bits": bits, **counts}

    model = _save(tmp_path, "score_examples", score)
    config = with_settings(preset("bible", "quick"), ["evaluation.max_bits_per_char=3"])
    blessing, found = _evaluate(config, chapters, model, tmp_path)
    metrics = found["metrics"]["eval"]
    assert blessing == 1
    lower, upper = metrics["intervals"]["bits_per_char"]
    assert 2.5 < lower < metrics["bits_per_char"] < upper < 3
    books = {name for name in metrics["slices"] if name.startswith("book=")}
    assert len(books) > 50
    assert "book=Song of Solomon" in books
    assert {"testament=old", "testament=new", "book=Psalms"} <= set(metrics["slice_intervals"])
    assert "fairness" not in metrics and "reliability" not in metrics
