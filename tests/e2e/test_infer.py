"""`tf-mamba infer` with the pushed models, killed and resumed."""

import csv
import json
import time

import numpy as np
import pytest
from read_corpora import IMDB, records

from pipeline.pushed_models import model as pushed_model
from serving.served_model import ServedModel

pytestmark = pytest.mark.slow


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _reviews(most):
    return [record.features["text"] for record in records(IMDB)[:most]]


def test_reviews_of_a_csv_file_are_labelled_even_after_a_kill(imdb, tmp_path):
    file, out = tmp_path / "reviews.csv", tmp_path / "out.jsonl"
    reviews = _reviews(3000)
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "text"], *enumerate(reviews)])
        stream.write('3000,"unfinished\n')
    partial = tmp_path / "out.jsonl.partial"
    process = imdb.start("infer", "imdb", str(file), "--out", str(out))
    end = time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not out.exists()
    written = len(partial.read_text().splitlines())
    again = imdb("infer", "imdb", str(file), "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert f"resuming after row {written} " in again.stderr
    assert "1 with an error" in again.stderr
    *rows, last = _read(out)
    assert [row["row"] for row in rows] == list(range(len(reviews)))
    assert last["error"]
    sample = slice(0, None, 100)
    model = pushed_model.latest_version(imdb.root / "serving_models", "imdb")
    expected = ServedModel(model).predict("serving_default", text=reviews[sample])
    np.testing.assert_allclose(
        [row["probability"] for row in rows[sample]], expected["probability"], atol=1e-5
    )
    labels = [label.decode() for label in expected["label"]]
    assert [row["label"] for row in rows[sample]] == labels


def test_verses_are_scored_or_continued(bible, tmp_path):
    file, out = tmp_path / "verses.txt", tmp_path / "out.jsonl"
    verses = ["In the beginning God created the heaven and the earth.", "", "And God said,"]
    file.write_text("\n".join(verses) + "\n")
    bible.succeeds("infer", "bible", str(file), "--out", str(out))
    rows = _read(out)
    assert [row["characters"] for row in rows] == [len(verse) + 1 for verse in verses]
    assert all(row["bits"] > 0 for row in rows)
    options = ("--generate", "--max-new-tokens", "5", "--seed", "3")
    bible.succeeds("infer", "bible", str(file), "--out", str(out), *options)
    generated = _read(out)
    assert [0 < row["tokens"] <= 5 for row in generated] == [True] * 3
    refused = bible("infer", "bible", str(file), "--out", str(out), "--seed", "3")
    assert refused.stderr.strip() == "tf-mamba: --seed: needs --generate"
