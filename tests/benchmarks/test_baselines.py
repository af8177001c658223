"""The baselines: their inputs are the models', and their figures are correct."""

import importlib
import itertools
import json
import lzma
import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import baselines
from benchmarks.contest import PEERS_PYTHON
from benchmarks.report import ROOT


def peers_have(*modules):
    command = [PEERS_PYTHON, "-c", f"import {', '.join(modules)}"]
    return PEERS_PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def peers():
    """Runs code in the peers' Python, with this project's modules; returns its JSON."""
    if not peers_have("sklearn", "pyppmd"):
        pytest.skip("scikit-learn and pyppmd are not there: make peers")

    def run(code, given):
        command = [PEERS_PYTHON, "-c", f"import json, sys; given = json.load(sys.stdin); {code}"]
        done = subprocess.run(
            command, cwd=ROOT, input=json.dumps(given), text=True, check=True, capture_output=True
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def reviews():
    return baselines.read_splits("imdb")


@pytest.fixture(scope="module")
def chapters():
    return baselines.read_splits("bible")


@pytest.fixture
def few(reviews, chapters, monkeypatch):
    """Limits the benchmark to 400 and 100 reviews, half of each label, and 20 and 5 chapters."""
    kept = {"train": [], "eval": [], "test": []}
    for split, count in (("train", 200), ("eval", 50)):
        for label in (0, 1):
            of_label = [r for r in reviews[split] if r.features["label"] == label]
            kept[split] += of_label[:count]
    few_chapters = {"train": 20, "eval": 5, "test": 5}
    few_chapters = {split: chapters[split][:count] for split, count in few_chapters.items()}
    splits = {"imdb": kept, "bible": few_chapters}
    monkeypatch.setattr(baselines, "read_splits", splits.__getitem__)
    return splits


def json_lines(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_bible_text_is_every_line_with_its_line_end(chapters):
    text = baselines.bible_text(chapters["test"])
    assert text.count("\n") == sum(r.features["text"].count("\n") + 1 for r in chapters["test"])
    assert "\n\n" not in text and text.endswith("\n") and len(text) == 421_958
    inputs = baselines.bible_inputs(chapters)
    assert inputs["test"].tobytes().decode() == text
    assert list(inputs) == ["train", "eval", "test"]


def test_reviews_can_be_split_again_in_normal_form(few):
    inputs = baselines.review_inputs(few["imdb"])
    texts = inputs["eval_text"].tobytes().decode().split("\0")
    assert len(texts) == len(inputs["eval_label"]) == 100
    assert inputs["eval_label"].sum() == 50
    first = few["imdb"]["eval"][0].features["text"]
    assert texts[0].split()[:5] == first.lower().split()[:5]
    assert not any("<br" in text or text != text.lower() for text in texts)


def test_an_unknown_task_is_named_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        baselines.main(["rotten"])
    assert "expected a task among imdb, bible; got rotten" in capsys.readouterr().err


def test_without_peers_it_says_what_to_run(few, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.contest.PEERS_PYTHON", tmp_path / "python")
    assert baselines.main(["--only", "xz"]) == 0
    (record,) = json_lines(capsys)
    assert record["task"] == "bible"
    assert record["xz_reason"] == "no .venv-peers: run make peers"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["imdb", "bible"])
def test_splits_equal_those_of_the_pipelines_ingest(task, tmp_path):
    import apache_beam as beam
    import tensorflow as tf

    from components.text_example_gen.transforms import Ingest
    from data.tasks import TASKS
    from pipeline.config import DataConfig

    reader = TASKS[task].reader
    source = importlib.import_module(reader).open_source()
    config = DataConfig()
    uris = {split: str(tmp_path / f"Split-{split}") for split in ("train", "eval", "test")}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        paths = [str(tmp_path / name) for name in ("dead_letters.jsonl", "records.json")]
        _ = pipeline | Ingest(
            source, reader, config.fraction, config.max_characters, 1, uris, *paths
        )
    splits = baselines.read_splits(task)
    for split, uri in uris.items():
        written = []
        files = sorted(str(path) for path in Path(uri).glob("*"))
        for raw in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
            features = tf.train.Example.FromString(raw).features.feature
            label = list(features["label"].int64_list.value)
            written.append((features["text"].bytes_list.value[0].decode(), label))
        assert written == [
            (r.features["text"], [r.features["label"]] if task == "imdb" else [])
            for r in splits[split]
        ]
    counts = {split: len(records) for split, records in splits.items()}
    assert (
        counts
        == {
            "imdb": {"train": 22348, "eval": 2556, "test": 0},
            "bible": {"train": 970, "eval": 103, "test": 116},
        }[task]
    )


@pytest.mark.slow
def test_naive_bayes_weights_equal_those_counted_by_hand(peers, few):
    inputs = baselines.review_inputs(few["imdb"])
    texts = inputs["train_text"].tobytes().decode().split("\0")
    chosen = [*texts[:3], *texts[-2:]]  # of label 0 and of label 1
    code = """
from sklearn.feature_extraction.text import CountVectorizer
from benchmarks.contestants.reviews_scikit_learn import NGRAMS, NaiveBayesWeights
import numpy
counter = CountVectorizer(binary=True, **NGRAMS)
x = counter.fit_transform(given)
weights = NaiveBayesWeights().fit(x, numpy.array([0, 0, 0, 1, 1]))
first = weights.transform(x)[0].toarray()[0]
names = counter.get_feature_names_out().tolist()
print(json.dumps([dict(zip(names, weights.ratio_)), dict(zip(names, first))]))
"""
    weights, first = peers(code, chosen)
    ngrams = []
    for text in chosen:
        words = re.findall(r"\w+(?:'\w+)*|[^\w\s]", text)
        ngrams.append({*words, *map(" ".join, itertools.pairwise(words))})
    negative, positive = Counter(), Counter()
    for of_text, counts in zip(ngrams, [negative] * 3 + [positive] * 2, strict=True):
        counts.update(of_text)
    assert weights.keys() == negative.keys() | positive.keys()
    p_total, q_total = (len(weights) + sum(counts.values()) for counts in (positive, negative))
    for name, weight in weights.items():
        p, q = (1 + positive[name]) / p_total, (1 + negative[name]) / q_total
        assert weight == pytest.approx(math.log(p / q))
        assert first[name] == (weight if name in ngrams[0] else 0)


@pytest.mark.slow
def test_bits_of_a_text_are_those_added_to_the_training_text(peers, few, capsys):
    assert baselines.main(["bible", "--memory", "2"]) == 0
    (record,) = json_lines(capsys)
    assert (record["train"], record["eval"], record["test"]) == (20, 5, 5)
    train, test = (baselines.bible_text(few["bible"][split]) for split in ("train", "test"))
    xz = [
        len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        for text in (train, train + test)
    ]
    code = "import pyppmd; print([len(pyppmd.compress(t, max_order=16)) for t in given])"
    ppmd = peers(code, [train, train + test])
    for name, (alone, both) in (("xz", xz), ("ppmd", ppmd)):
        bits_per_char = 8 * (both - alone) / len(test)
        assert record[f"{name}_test_bits_per_char"] == pytest.approx(bits_per_char, rel=1e-3)
        assert 1.5 < bits_per_char < 3.5
        assert record[f"{name}_seconds"] > 0 and record[f"{name}_peak_mib"] > 10


@pytest.mark.slow
def test_reviews_are_classified_better_than_by_chance(peers, few, capsys, tmp_path):
    out = tmp_path / "baselines.jsonl"
    assert baselines.main(["imdb", "--memory", "2", "--out", str(out)]) == 0
    (record,) = json_lines(capsys)
    assert json.loads(out.read_text()) == record
    assert (record["bench"], record["task"]) == ("baselines", "imdb")
    assert (record["train"], record["eval"], "test" in record) == (400, 100, False)
    for name in ("tfidf_logistic", "nb_logistic"):
        assert 0.6 < record[f"{name}_accuracy"] < 1 and 0.65 < record[f"{name}_auc"] < 1
        assert 0.3 < record[f"{name}_log_loss"] < math.log(2)
    assert record["tfidf_logistic_C"] in (1, 10, 100) and record["nb_logistic_C"] == 1
    assert record["versions"].keys() == {"scikit-learn"}
