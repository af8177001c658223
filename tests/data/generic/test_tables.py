"""CSV, TSV, JSON and Parquet: the same records from each, and faults made on purpose."""

import dataclasses
import json
import tracemalloc

import pytest
from generic_texts import NEXT, READING, TWO, contents, dead, read, write_table

from data.errors import DataError
from data.generic import reader
from data.tasks import Reading, Task

FORMATS = (
    "a.csv", "a.tsv", "a.semicolon.csv", "a.utf16.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz",
    "a.json", "a.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_back_every_text_and_label(tmp_path, rows, name):
    assert contents(read(write_table(tmp_path / name, rows))) == rows


def test_the_label_may_be_an_alias_or_in_another_case_but_must_name_one_class(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("body,verdict\none, GOOD \ntwo,1\nthree,Thumbs Down\nfour,2\nfive,\n")
    reading = dataclasses.replace(READING, aliases={"1": "good", "thumbs down": "bad"})
    items = read(file, reading=reading)
    assert contents(items[:3]) == [("one", 1), ("two", 1), ("three", 0)]
    assert dead(items) == [("bad_label", 5), ("bad_label", 6)]
    assert items[3].excerpt == "'2': four"
    cased = Task("cases", "classification", ("Us", "US"))
    file.write_text("body,verdict\none,US\ntwo,us\n")
    items = read(file, cased)
    assert contents(items[:1]) == [("one", 1)]
    assert dead(items) == [("bad_label", 3)]


def test_numbers_of_json_and_parquet_name_classes_as_text_does(tmp_path):
    stars = Task("stars", "classification", ("1", "2", "true"))
    lines = [{"body": "a", "verdict": 1}, {"body": "b", "verdict": 2.0}]
    lines.append({"body": "c", "verdict": True})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert contents(read(tmp_path / "a.jsonl", stars)) == [("a", 0), ("b", 1), ("c", 2)]


BAD_LINES = [
    ('{"body": "x"}', "malformed_line"),
    ('{"body": "x", "verdict": "bad"', "malformed_line"),
    ('{"body": "x", "body": "y", "verdict": "bad"}', "malformed_line"),
    ('{"body": ["x"], "verdict": "bad"}', "malformed_line"),
    ("[" * 100_000, "malformed_line"),
    ("17", "malformed_line"),
    ('{"body": null, "verdict": "bad"}', "empty_text"),
    ('{"body": "x", "verdict": null}', "bad_label"),
    ('{"body": "half \\ud83d of a sign", "verdict": "bad"}', "invalid_utf8"),
    ('{"body": "' + "word " * 300_000 + '", "verdict": "bad"}', "too_long"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_of_json_costs_one_record(tmp_path, line, reason):
    good = '{"body": "a film", "verdict": "good"}'
    (tmp_path / "a.jsonl").write_text(f"{good}\n\n{line}\n{good}\n")
    items = read(tmp_path / "a.jsonl")
    assert dead(items) == [(reason, 3)]
    assert len(items) == 3
    (letter,) = (item for item in items if hasattr(item, "reason"))
    letter.excerpt.encode()  # as it is written


def test_an_array_of_one_long_line_is_read_one_object_at_a_time(tmp_path, rows):
    file = write_table(tmp_path / "a.json", rows * 60)
    assert file.stat().st_size > 8_000_000
    assert file.read_text("utf-8").count("\n") == 0
    source = reader.open_source(str(file), READING)
    tracemalloc.start()
    count = sum(1 for _ in reader.read_shard(source, "a.json", TWO, READING, 20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60 * len(rows)
    assert peak < 4_000_000


def test_an_array_may_span_lines_whose_numbers_are_kept(tmp_path):
    objects = [{"body": "one", "verdict": "bad"}, 5, {"body": "two", "verdict": "worst"}]
    (tmp_path / "a.json").write_text("\n " + json.dumps(objects, indent=1))
    items = read(tmp_path / "a.json")
    assert items[0].line == 3
    assert dead(items) == [("malformed_line", 7), ("bad_label", 8)]


@pytest.mark.parametrize(
    ("content", "what"),
    [('[{"body": "a"', "damaged JSON array"), ('[{"body": "a"},', "the JSON array has no end")],
)
def test_an_array_that_is_cut_off_stops(tmp_path, content, what):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=rf"a\.json:1: {what}"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (
            "id,text,verdict",
            r"a\.csv:1: expected the columns 'body', found 'id', 'text'",
        ),
        ("body,label", "expected the columns 'body', 'verdict', found 'body', 'label'"),
        ("body,verdict,body", "expected columns with different names, got 'body' twice"),
        ("", "expected the columns 'body', found none"),
        ("\x89PNG\x00", "expected the columns 'body', found"),
    ],
)
def test_a_header_that_does_not_fit_lists_the_columns_found(tmp_path, header, what):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(DataError, match=what):
        read(tmp_path / "a.csv")


def test_parquet_without_a_column_lists_the_columns_found(tmp_path, rows):
    file = write_table(tmp_path / "a.parquet", rows)
    with pytest.raises(DataError, match="expected the columns 'text', found 'body', 'verdict'"):
        read(file, reading=Reading())


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.parquet", b"PAR1 and no more", "no readable Parquet"),
        ("a.csv.gz", b"\x1f\x8b\x08 and no more", "cannot be read"),
        ("a.csv", "body,verdict\n".encode("utf-32"), "expected UTF-8 or UTF-16, got UTF-32"),
        ("a.csv", "body,verdict\nx,bad".encode("utf-16")[:-1], "cannot be read: .*utf-16"),
    ],
)
def test_a_damaged_file_stops_with_its_name(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: {what}"):
        read(tmp_path / name)


def test_kept_columns_are_features_and_a_gap_has_a_name(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(
        b"body,verdict,maker\none,bad, Am\xe9lie \ntwo,bad, \nthree,bad,\xc3\xa9 caf\xe9\n"
    )
    reading = dataclasses.replace(READING, columns=("maker", "file"), length_buckets=(1, 5))
    items = read(file, reading=reading)
    assert [dict(item.features) for item in items[:2]] == [
        {"text": text, "label": 0, "length_bucket": "1-1", "maker": maker, "file": "a"}
        for text, maker in (("one", "Amélie"), ("two", "(none)"))
    ]
    assert dead(items) == [("invalid_utf8", 4)]


@pytest.mark.parametrize("name", ["text", "label", "characters", "length_bucket"])
def test_a_kept_column_cannot_replace_a_feature(tmp_path, name):
    file = tmp_path / "a.csv"
    file.write_text(f"body,verdict,{name}\nx,bad,y\n")
    with pytest.raises(DataError, match=rf"reading\.columns: '{name}' is the name of a feature"):
        read(file, reading=dataclasses.replace(READING, columns=(name,)))


def test_a_table_serves_next_token_too_and_needs_no_label(tmp_path, rows):
    file = write_table(tmp_path / "a.jsonl", rows)
    assert contents(read(file, NEXT)) == [(text, None) for text, _ in rows]


def test_a_text_over_the_limit_is_a_dead_letter(tmp_path, rows):
    file = write_table(tmp_path / "a.tsv", rows)
    long = sum(len(text) > 900 for text, _ in rows)
    assert [reason for reason, _ in dead(read(file, limit=900))] == ["too_long"] * long
    assert 0 < long < len(rows)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.json.gz", "a.parquet"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damage_behind_the_header_stops_with_one_line(tmp_path, rows, name, damage):
    content = write_table(tmp_path / name, rows).read_bytes()
    half = len(content) // 2
    overwritten = content[:half] + b"x" * 500 + content[half + 500 :]
    (tmp_path / name).write_bytes(content[:-1000] if damage == "cut" else overwritten)
    with pytest.raises(DataError, match=rf"{name}: .*Get the file again\.$") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
