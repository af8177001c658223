"""The baselines: their inputs are the models', and their figures are correct."""

import dataclasses
import itertools
import json
import lzma
import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import baselines, corpora
from benchmarks.contest import PEERS_PYTHON, Limits
from benchmarks.report import ROOT
from data import readers
from data.errors import UserError
from data.features import LABEL
from data.tasks import Task
from pipeline import presets

IMDB, BIBLE = (corpora.packaged(task) for task in ("imdb", "bible"))


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
    return corpora.read_splits(IMDB)


@pytest.fixture(scope="module")
def chapters():
    return corpora.read_splits(BIBLE)


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
    monkeypatch.setattr(
        baselines, "read_splits", lambda config, source=None: splits[config.task.name]
    )
    return splits


def json_lines(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_bible_text_is_every_line_with_its_line_end(chapters):
    text = baselines.joined_text(BIBLE.task, chapters["test"])
    assert text.count("\n") == sum(r.features["text"].count("\n") + 1 for r in chapters["test"])
    assert "\n\n" not in text and text.endswith("\n") and len(text) == 421_958
    inputs = baselines.inputs(BIBLE.task, chapters)
    assert inputs["test"].tobytes().decode() == text
    assert list(inputs) == ["train", "eval", "test"]


def texts_of(inputs, split):
    joined, texts = inputs[f"{split}_text"].tobytes(), []
    for size in inputs[f"{split}_bytes"]:
        texts.append(joined[:size].decode())
        joined = joined[size:]
    assert not joined
    return texts


def test_reviews_can_be_split_again_in_normal_form(few):
    inputs = baselines.inputs(IMDB.task, few["imdb"])
    texts = texts_of(inputs, "eval")
    assert len(texts) == len(inputs["eval_label"]) == 100
    assert inputs["eval_label"].sum() == 50
    first = few["imdb"]["eval"][0].features["text"]
    assert texts[0].split()[:5] == first.lower().split()[:5]
    assert not any("<br" in text or text != text.lower() for text in texts)


def test_an_unknown_task_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(
        SystemExit, match="rotten: there is no such task; expected one of bible, im"
    ):
        baselines.main(["rotten", "--tasks", str(tmp_path)])


def test_a_source_is_of_one_task_and_not_of_a_run(capsys):
    for options in (["imdb", "bible"], ["imdb", "--root", "."]):
        with pytest.raises(SystemExit):
            baselines.main([*options, "--source", "reviews.csv"])
        assert "--source: expected one task, and no --root" in capsys.readouterr().err


def finished_run(root, config, splits, metrics, sha256):
    """A summary of the last run, with the keys that the benchmark reads."""
    folder = root / "runs" / config.task.name / "latest"
    folder.mkdir(parents=True)
    summary = {
        "config": dataclasses.asdict(config),
        "preset": config.preset,
        "source": None,
        "data_sha256": sha256,
        "records": {"out": {split: len(records) for split, records in splits.items()}},
        "metrics": metrics,
        "seconds": {"Trainer": 61.26},
        "error": None,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder / "summary.json"


def packaged_sha256(config):
    reader = readers.load(config.reading.reader)
    return reader.open_source(None, config.reading).sha256


def test_a_run_stands_beside_the_baselines_with_its_own_records(few, capsys, tmp_path):
    metrics = {"eval": {"bits_per_char": 1.23456, "top1": 0.5}}
    finished_run(tmp_path, BIBLE, few["bible"], metrics, packaged_sha256(BIBLE))
    baselines.main(["bible", "--root", str(tmp_path), "--only", "xz"])
    (record,) = json_lines(capsys)
    assert record["tf_mamba_quick_eval_bits_per_char"] == 1.235
    assert record["tf_mamba_quick_seconds"] == 61.3
    assert (record["train"], record["eval"], record["test"]) == (20, 5, 5)


def test_a_run_whose_corpus_or_records_changed_is_no_comparison(few, tmp_path):
    metrics = {"eval": {"bits_per_char": 1.2}}
    fewer = few["bible"] | {"eval": few["bible"]["eval"][1:]}
    file = finished_run(tmp_path, BIBLE, fewer, metrics, packaged_sha256(BIBLE))
    with pytest.raises(SystemExit, match=r"bible: expected the records of the run, .*'eval': 4"):
        baselines.main(["bible", "--root", str(tmp_path)])
    file.write_text(file.read_text().replace(packaged_sha256(BIBLE), "0" * 64))
    with pytest.raises(SystemExit, match="the corpus has changed since the run"):
        baselines.main(["bible", "--root", str(tmp_path)])


def test_a_task_without_a_run_or_a_run_without_metrics_says_so(tmp_path):
    with pytest.raises(UserError, match=r"there is no run; `tf-mamba run bible --root "):
        baselines.of_last_run(tmp_path, "bible")
    finished_run(tmp_path, BIBLE, {}, None, "")
    with pytest.raises(UserError, match="the run ended before its model was evaluated: None"):
        baselines.of_last_run(tmp_path, "bible")


def test_without_peers_it_says_what_to_run(few, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.contest.PEERS_PYTHON", tmp_path / "python")
    assert baselines.main(["--only", "xz"]) == 0
    (record,) = json_lines(capsys)
    assert record["task"] == "bible"
    assert record["xz_reason"] == "no .venv-peers: run make peers"


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "smoke"])
@pytest.mark.parametrize("task", ["imdb", "bible"])
def test_splits_equal_those_of_the_pipelines_ingest(task, preset, tmp_path):
    import apache_beam as beam
    import tensorflow as tf

    from components.text_example_gen.transforms import Ingest

    config = presets.preset(task, preset)
    source = readers.load(config.reading.reader).open_source(None, config.reading)
    uris = {split: str(tmp_path / f"Split-{split}") for split in ("train", "eval", "test")}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        paths = [tmp_path / name for name in ("dead_letters.jsonl", "records.json")]
        _ = pipeline | Ingest(
            source=source,
            task=config.task,
            reading=config.reading,
            markers=(),
            fraction=config.data.fraction,
            max_characters=config.data.max_characters,
            files_per_split=1,
            split_uris=uris,
            dead_letters_path=paths[0],
            ledger_path=paths[1],
        )
    splits = corpora.read_splits(config)
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
    if preset == "quick":
        assert {split: len(records) for split, records in splits.items()} == {
            "imdb": {"train": 22348, "eval": 2556, "test": 0},
            "bible": {"train": 970, "eval": 103, "test": 116},
        }[task]


@pytest.mark.slow
def test_naive_bayes_weights_equal_those_counted_by_hand(peers, few):
    texts = texts_of(baselines.inputs(IMDB.task, few["imdb"]), "train")
    chosen = [*texts[:3], *texts[-2:]]  # of label 0 and of label 1
    code = """
from sklearn.feature_extraction.text import CountVectorizer
from benchmarks.contestants.classification_scikit_learn import NGRAMS, NaiveBayesWeights
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
    train, test = (
        baselines.joined_text(BIBLE.task, few["bible"][split]) for split in ("train", "test")
    )
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
        # Of two balanced classes both measures are close.
        assert record[f"{name}_macro_f1"] == pytest.approx(record[f"{name}_accuracy"], abs=0.05)
        assert 0.3 < record[f"{name}_log_loss"] < math.log(2)
    assert record["tfidf_logistic_C"] in (1, 10, 100) and record["nb_logistic_C"] == 1
    assert record["versions"].keys() == {"scikit-learn"}


@pytest.mark.slow
def test_four_classes_are_told_apart_by_each_model(peers, chapters, tmp_path):
    """Chapters of four books, whose names are the classes."""
    books = ("Genesis", "Psalms", "Isaiah", "Luke")
    task = Task("books", "classification", books, BIBLE.task.normal_form)
    splits = {
        split: [
            dataclasses.replace(
                record,
                features={
                    "text": record.features["text"],
                    LABEL: books.index(record.features["book"]),
                },
            )
            for record in records
            if record.features["book"] in books
        ]
        for split, records in chapters.items()
    }
    held_to = Limits(repeats=1, budget_s=0, limit_s=120, memory_gib=2, working_memory=False)
    models = baselines.CONTESTANTS["classification"]
    results = baselines._hold(task, list(models), splits, held_to)
    labels = [record.features[LABEL] for record in splits["eval"]]
    majority = max(Counter(labels).values()) / len(labels)
    for name, result in results.items():
        figures = baselines.contestant_figures(task, result, splits)
        assert majority + 0.1 < figures["accuracy"] <= 1, name
        assert figures["macro_f1"] > 0.4 and figures["auc"] > 0.8
        assert figures["log_loss"] < math.log(len(books))


@pytest.mark.slow
def test_scores_of_three_classes_equal_those_worked_out_by_hand(peers):
    code = """
import numpy as np
from benchmarks.contestants.classification_scikit_learn import scores
print(json.dumps(scores(np.array(given[0]), np.array(given[1]))))
"""
    # The third class does not occur: no AUC of its own, and an F1 of 0, as it is predicted once.
    probabilities = [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]]
    found = peers(code, [[0, 1, 1, 0], probabilities])
    assert found["accuracy"] == 0.5
    first, second = 2 * 1 / (2 + 2), 2 * 1 / (1 + 2)  # 2 hits / (predicted + occurring)
    assert found["macro_f1"] == pytest.approx((first + second + 0) / 3)
    # Pairs in the right order; equal probabilities count half. First: of 0.6 and 0.2 against 0.2
    # and 0.5; second: of 0.7 and 0.4 against 0.3 and 0.3.
    assert found["auc"] == pytest.approx(((1 + 1 + 0.5 + 0) / 4 + 4 / 4) / 2)
    losses = [math.log(p) for p in (0.6, 0.7, 0.4, 0.2)]
    assert found["log_loss"] == pytest.approx(-sum(losses) / 4)
