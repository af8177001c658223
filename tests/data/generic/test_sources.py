"""What a path may name, in how many shards, and by which hash."""

import dataclasses

import pytest
from generic_texts import READING, contents, read, write_table

from data.errors import DataError
from data.generic import reader
from data.tasks import Split


@pytest.fixture
def shards(tmp_path, rows):
    """The reviews in three files, of which the last has the first's format but gzipped."""
    folder = tmp_path / "in"
    folder.mkdir()
    for at, name in ((0, "a.csv"), (40, "b.csv"), (80, "c.csv.gz")):
        write_table(folder / name, rows[at : at + 40])
    return folder


def test_a_folder_has_one_shard_per_file_and_keys_sort_in_their_order(shards, rows):
    (shards / "README.md").write_text("Reviews.")
    (shards / ".part.csv").write_text("broken")
    source = reader.open_source(str(shards), READING)
    assert (source.kind, source.shards) == ("csv", ("a.csv", "b.csv", "c.csv.gz"))
    items = read(shards)
    assert contents(items) == rows
    assert [item.key for item in items] == sorted({item.key for item in items})
    assert [item.file for item in items[::40]] == [str(shards / name) for name in source.shards]


def test_a_pattern_reads_the_files_that_match_it(shards, rows):
    write_table(shards / "other.jsonl", rows[:3])
    assert contents(read(shards / "*.csv*")) == rows
    assert contents(read(shards / "[ab].csv")) == rows[:80]
    assert contents(read(shards.parent / "**/*.jsonl")) == rows[:3]


def test_shards_of_parquet_are_read_as_one_corpus(tmp_path, rows):
    write_table(tmp_path / "0.parquet", rows[:60])
    write_table(tmp_path / "1.parquet", rows[60:])
    assert contents(read(tmp_path)) == rows


def test_the_hash_is_that_of_the_contents_and_names(shards):
    before = reader.open_source(str(shards), READING).sha256
    assert reader.open_source(str(shards / "*"), READING).sha256 == before
    (shards / "b.csv").rename(shards / "d.csv")
    renamed = reader.open_source(str(shards), READING).sha256
    with (shards / "d.csv").open("a") as stream:
        stream.write("9,bad,One more.\n")
    assert len({before, renamed, reader.open_source(str(shards), READING).sha256}) == 3


def test_the_file_of_a_row_is_a_column(shards):
    split = Split(by="column", column="file", names={"a": "train", "b": "train", "c": "test"})
    items = read(shards, reading=dataclasses.replace(READING, split=split))
    assert [item.split for item in items] == ["train"] * 80 + ["test"] * 40


def test_files_of_several_formats_are_refused(shards, rows):
    write_table(shards / "other.jsonl", rows[:3])
    with pytest.raises(DataError, match=r"in: expected files of one format, got csv and json"):
        reader.open_source(str(shards), READING)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("none.csv", r"none\.csv: no such file or folder"),
        ("*.csv", "expected files that match the pattern, found none"),
        ("", "expected files that end in .csv, .tsv"),
        ("book.xlsx", r"book\.xlsx: expected a name that ends in .csv"),
    ],
)
def test_a_path_without_a_text_is_refused(tmp_path, name, what):
    if name.endswith("xlsx"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=what):
        reader.open_source(str(tmp_path / name), READING)


def test_a_task_without_a_source_says_how_to_name_one():
    with pytest.raises(DataError, match=r"the task names no source: .*--source"):
        reader.open_source(None, READING)


def test_a_file_without_a_suffix_is_known_by_its_content(tmp_path, rows):
    write_table(tmp_path / "a.jsonl", rows).rename(tmp_path / "lines")
    write_table(tmp_path / "a.parquet", rows).rename(tmp_path / "columns")
    assert contents(read(tmp_path / "lines")) == rows == contents(read(tmp_path / "columns"))
