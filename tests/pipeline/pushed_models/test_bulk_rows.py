"""The rows that bulk inference reads: every row of the file, in order."""

import csv
import json
import os

import pytest

from data.errors import UserError
from pipeline.pushed_models import bulk_rows
from pipeline.pushed_models.bulk_rows import Row, read_rows


def test_json_lines_give_their_text_and_bad_lines_a_reason(tmp_path):
    file = tmp_path / "reviews.jsonl"
    lines = [
        json.dumps({"text": "A film.", "id": 7}),
        "",
        "{",
        json.dumps(["A film."]),
        json.dumps({"text": 1}),
        '{"text": "\\ud800"}',
        json.dumps({"text": "café\nnoir"}),
    ]
    file.write_text("\n".join(lines), "utf-8")
    rows = list(read_rows(file))
    assert [row.text for row in rows if not row.error] == [b"A film.", "café\nnoir".encode()]
    assert [bool(row.error) for row in rows] == [False, True, True, True, True, False]
    assert rows[1].error.startswith("expected a JSON object, got '{'")
    assert "half a surrogate pair" in rows[4].error


def test_csv_rows_may_hold_line_ends_and_bad_rows_get_a_reason(tmp_path):
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["label", "Text"], [1, 'He said "no",\nthen left.'], [0, "Fine."]])
        stream.write('1,"a "stray" quote"\r\n2\r\n1,last\r\n')
    rows = list(read_rows(file))
    assert [row.text for row in rows] == [b'He said "no",\nthen left.', b"Fine.", b"", b"", b"last"]
    assert rows[2].error.startswith("line 5: ")
    assert rows[3].error == "line 6: expected 2 fields, got 1"


def test_a_csv_file_without_a_text_column_is_refused(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("review,label\na,1\n")
    with pytest.raises(UserError, match=r"reviews.csv:1: expected a CSV header with one 'text'"):
        list(read_rows(file))


def test_plain_text_gives_one_row_per_line_whatever_its_bytes(tmp_path):
    file = tmp_path / "verses.txt"
    file.write_bytes(b"In the beginning\r\n\nca\xff\xe9\rold\n\xd7\xa1")
    texts = [b"In the beginning", b"", b"ca\xff\xe9\rold", b"\xd7\xa1"]
    assert list(read_rows(file)) == [Row(text) for text in texts]


def test_a_line_that_is_too_long_is_one_row_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(bulk_rows, "LONGEST_LINE", 100)
    for name in ("long.txt", "long.jsonl"):
        file = tmp_path / name
        long = json.dumps({"text": "x" * 1000})
        file.write_text(f'{long}\n{{"text": "short"}}\n')
        first, second = read_rows(file)
        assert first.error == "expected at most 100 characters per line"
        assert not second.error


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        list(read_rows(tmp_path / "none.txt"))


def test_a_csv_header_tells_delimiter_and_encoding_and_names_text_once(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_bytes('label;Text\n1;"He said ""no"";\nthen left."\n'.encode("utf-16"))
    assert list(read_rows(file)) == [Row(b'He said "no";\nthen left.')]
    file.write_text("text,label,text\na,1,b\n")
    with pytest.raises(UserError, match=r"header with one 'text', got 'text,label,text'"):
        list(read_rows(file))


@pytest.mark.timeout(30)
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "reviews.csv")
    with pytest.raises(UserError, match=r"reviews\.csv: expected a regular file, got a named pipe"):
        list(read_rows(tmp_path / "reviews.csv"))
