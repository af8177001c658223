"""Dead letters hold whole records, and are read again once they are mended."""

import csv
import dataclasses
import io
import json

import pytest
from generic_texts import READING, TWO, write_table
from generic_texts import read as read_table
from read_corpora import BIBLE, IMDB, read

from data import dead_letters
from data.records import DeadLetter, Record
from data.tasks import Split

COLUMNS = {"text": "Žižek’s \u2028 film", "label": "7"}
LETTER = DeadLetter("reviews.csv", 12, "bad_label", "'7': Žižek", COLUMNS)


def _write(path, letters):
    path.write_bytes(b"".join(map(dead_letters.line, letters)))
    return path


def _dead(items):
    return [item for item in items if isinstance(item, DeadLetter)]


def test_a_line_holds_the_columns_and_what_is_wrong(tmp_path):
    written = json.loads(dead_letters.line(LETTER))
    about = {"file": "reviews.csv", "line": 12, "reason": "bad_label", "excerpt": "'7': Žižek"}
    assert written == {**COLUMNS, "dead_letter": about}
    path = _write(tmp_path / "letters", [LETTER] * 3)
    assert list(dead_letters.read(path, most=2)) == [{**about, "columns": COLUMNS}] * 2


def test_bytes_outside_utf8_come_back(tmp_path):
    raw = b"caf\xe9 \xc3\xa9".decode("utf-8", "surrogateescape")
    line = dead_letters.line(dataclasses.replace(LETTER, row={"text": raw}))
    assert json.loads(line)["text"] == raw
    assert rb"caf\udce9" in line


def test_a_row_that_is_too_long_is_cut_and_says_so(monkeypatch):
    bounded = dead_letters.Bounded()
    assert bounded(LETTER) == LETTER
    long = dataclasses.replace(LETTER, row={"text": "x" * dead_letters.LONGEST_ROW})
    written = json.loads(dead_letters.line(bounded(long)))
    assert set(written) == {"dead_letter"}
    assert written["dead_letter"]["cut"] is True
    monkeypatch.setattr(dead_letters, "_MOST", 100)
    assert [bounded(LETTER).row for _ in range(2)] == [COLUMNS, None]


def test_reviews_of_a_table_are_read_again_after_mending(tmp_path, some):
    file = tmp_path / "reviews.csv"
    texts = [str(review.features["text"]) for review in some[:2]]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";", lineterminator="\n")
        writer.writerows([("text", "label"), (texts[0], "seven"), (texts[1], 1, 2)])
    with file.open("ab") as stream:
        stream.write(b'"a "stray" quote";1\ncaf\xc3\xa9 caf\xe9;1\n ;1\nGood.;1\n')
    letters = _dead(read(IMDB, file))
    reasons = ["bad_label", "malformed_line", "malformed_line", "invalid_utf8", "empty_text"]
    assert [letter.reason for letter in letters] == reasons
    path = _write(tmp_path / "dead_letters.jsonl", letters)
    assert [item.reason for item in read(IMDB, path)] == reasons  # as nothing is mended
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    (row,) = csv.reader(io.StringIO(lines[1]["dead_letter"]["row"]), delimiter=";")
    assert row == [texts[1], "1", "2"]
    assert lines[2]["dead_letter"]["row"] == '"a "stray" quote";1\n'
    for line, columns in zip(
        lines,
        (
            {"label": "positive"},
            {"text": texts[1], "label": "1"},
            {"text": 'a "stray" quote', "label": 1},
            {"text": "café café"},
            {"text": "Fine."},
        ),
        strict=True,
    ):
        line |= columns
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    mended = read(IMDB, path)
    assert all(isinstance(item, Record) for item in mended)
    assert [item.features["text"] for item in mended] == [
        *texts, 'a "stray" quote', "café café", "Fine."
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_records_of_ones_own_come_back_with_all_columns_that_the_task_reads(tmp_path, some, name):
    rows = [(str(each.features["text"]), int(each.features["label"])) for each in some[190:210]]
    task = dataclasses.replace(TWO, classes=("good", "other"))  # "bad" is no class
    reading = dataclasses.replace(
        READING, columns=("file",), split=Split(by="group", column="file", eval=0.5)
    )
    letters = _dead(read_table(write_table(tmp_path / name, rows), task, reading))
    assert len(letters) == sum(label == 0 for _, label in rows)
    path = _write(tmp_path / "dead_letters.jsonl", letters)
    mended = read_table(path, dataclasses.replace(task, classes=("good", "bad")), reading)
    expected = read_table(tmp_path / name, TWO, reading)
    kept = [
        (item.features["text"], "a", item.split) for item in expected if not item.features["label"]
    ]
    assert [(item.features["text"], item.features["file"], item.split) for item in mended] == kept


def test_an_object_of_json_keeps_what_it_has(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"body": "x", "n": 3}\n{"body": ["x"], "verdict": "bad"}\n[1]\n{"body"\n')
    letters = _dead(read_table(file))
    assert [letter.row for letter in letters] == [
        {"body": "x", "n": 3}, '{"body": ["x"], "verdict": "bad"}', "[1]", '{"body"'
    ]  # fmt: skip


def test_verses_are_read_again_after_mending(tmp_path):
    file = tmp_path / "bible.tsv"
    file.write_text(
        "Genesis\t1\t1\tIn the beginning\nGenesos\t1\t2\tAnd the earth\nGenesis\t1\t3\t\n"
    )
    letters = _dead(read(BIBLE, file))
    path = _write(tmp_path / "dead_letters.jsonl", letters)
    assert [item.reason for item in read(BIBLE, path)] == ["malformed_line", "empty_text"]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["book"], lines[1]["text"] = "Genesis", "And God said"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (chapter,) = read(BIBLE, path)
    assert chapter.features["text"] == "And the earth\nAnd God said"


def test_reviews_in_files_hold_their_text_and_folder(tmp_path):
    for side in ("neg", "pos"):
        (tmp_path / "train" / side).mkdir(parents=True)
        (tmp_path / f"train/urls_{side}.txt").write_text("http://www.imdb.com/title/tt1/\n")
        (tmp_path / "train" / side / "0_5.txt").write_text(f"A {side} film.")
    letters = _dead(read(IMDB, tmp_path))
    assert [letter.row for letter in letters] == [
        {"text": f"A {side} film.", "label": side} for side in ("neg", "pos")
    ]
