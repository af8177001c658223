"""The Evaluator with this project's metrics and thresholds, on real text and toy models.

The fixed bounds alone bless a first model. A later model must not be worse than the last one.
"""

import math
from pathlib import Path

import pytest
import tensorflow as tf
from absl import flags
from google.protobuf import json_format
from tfx.components.evaluator.executor import Executor
from tfx.types import standard_artifacts

from data.bible import reader as bible
from data.imdb import reader as imdb
from data.records import Record
from pipeline.evaluation import summary as evaluation_summary
from pipeline.evaluation.eval_config import eval_config
from pipeline.presets import preset
from pipeline.runs.fingerprints import of_metrics
from pipeline.settings import with_settings

pytestmark = pytest.mark.slow

GOOD = "great|love|loved|best|excellent|wonderful|perfect|beautiful|superb|favorite"
BAD = "bad|worst|boring|waste|awful|terrible|poor|stupid|nothing|worse"


def _examples(reader, shard, pick, folder: Path):
    """An Examples artifact; its split `eval` has those records whose number `pick` accepts."""
    source = reader.open_source()
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    examples.split_names = '["eval"]'
    (folder / "Split-eval").mkdir(parents=True)
    file = str(folder / "Split-eval" / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(file, "GZIP") as stream:
        for number, item in enumerate(reader.read_shard(source, shard, 20_000)):
            if isinstance(item, Record) and pick(number):
                stream.write(_example(item.features).SerializeToString())
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
    return _examples(
        imdb, imdb.ONE_SHARD, lambda n: n % 100 == 0, tmp_path_factory.mktemp("reviews")
    )


@pytest.fixture(scope="module")
def chapters(tmp_path_factory):
    return _examples(
        bible, bible.ONE_SHARD, lambda n: n % 5 == 0, tmp_path_factory.mktemp("chapters")
    )


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


def _word_counter(folder, sharpness):
    """Classifies by ten good and ten bad words; more sharpness gives more extreme probabilities."""

    def classify(text):
        def count(words):
            found = tf.strings.regex_replace(tf.strings.lower(text), rf"\b({words})\b", "\x01")
            only = tf.strings.regex_replace(found, "[^\x01]", "")
            return tf.cast(tf.strings.length(only), tf.float32)

        return {"probability": tf.sigmoid(sharpness * (count(GOOD) - count(BAD)))}

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
    model = _word_counter(folder, 0.5)
    return model, *_evaluate(CONFIG, reviews, model, folder)


def test_the_fixed_bounds_bless_a_first_model(first):
    _, blessing, summary = first
    assert (blessing, summary["blessed"], summary["failed_thresholds"]) == (1, True, [])


def test_metrics_have_intervals_bins_and_the_gap_between_lengths(first):
    metrics = first[2]["metrics"]["eval"]
    number = metrics["example_count"]
    assert number == 250
    for name in ("accuracy", "auc", "log_loss", "calibration_error"):
        lower, upper = metrics["intervals"][name]
        assert 0 <= lower < metrics[name] < upper
    # A share of n independent texts has about this standard error.
    error = math.sqrt(metrics["accuracy"] * (1 - metrics["accuracy"]) / number)
    lower, upper = metrics["intervals"]["accuracy"]
    assert upper - lower == pytest.approx(2 * 1.96 * error, rel=0.5)
    bins = metrics["reliability"]
    assert sum(one["count"] for one in bins) == number
    assert metrics["calibration_error"] == pytest.approx(
        sum(one["count"] * abs(one["probability"] - one["positive"]) for one in bins) / number
    )
    of_bucket = {name: of["accuracy"] for name, of in metrics["slices"].items()}
    assert len(of_bucket) == 4
    fairness = metrics["fairness"]["length_bucket"]
    assert fairness["accuracy_gap"] == max(of_bucket.values()) - min(of_bucket.values())
    assert of_bucket[f"length_bucket={fairness['lowest']}"] == min(of_bucket.values())


def test_two_workers_give_the_same_bits(first, reviews, tmp_path):
    model, _, summary = first
    _, again = _evaluate(CONFIG, reviews, model, tmp_path, workers=2)
    assert of_metrics(again["metrics"]["eval"]) == of_metrics(summary["metrics"]["eval"])


def test_an_equal_model_is_blessed_and_a_worse_one_is_not(first, reviews, tmp_path):
    model, _, summary = first
    blessing, equal = _evaluate(CONFIG, reviews, model, tmp_path / "equal", baseline=model)
    assert (blessing, equal["failed_thresholds"]) == (1, [])
    assert of_metrics(equal["metrics"]["eval"]) == of_metrics(summary["metrics"]["eval"])
    worse = _word_counter(tmp_path / "model", -0.5)
    config = with_settings(CONFIG, ["evaluation.min_accuracy=0", "evaluation.tolerance=0.01"])
    blessing, found = _evaluate(config, reviews, worse, tmp_path / "worse", baseline=model)
    assert blessing == 0
    (failure, *_) = [one for one in found["failed_thresholds"] if "last pushed" in one]
    assert failure.startswith("accuracy -0.")
    assert failure.endswith("expected no worse than -0.01 from the last pushed model")


def test_an_overconfident_model_is_not_blessed(reviews, tmp_path):
    config = with_settings(CONFIG, ["evaluation.max_calibration_error=0.1"])
    blessing, found = _evaluate(config, reviews, _word_counter(tmp_path, 50.0), tmp_path)
    assert blessing == 0
    (failure,) = found["failed_thresholds"]
    assert failure.startswith("calibration_error 0.")
    assert failure.endswith("expected at most 0.1")


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
