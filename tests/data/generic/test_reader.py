"""Rows without records: of a table whose classes are known, and before a task is."""

import dataclasses

import pytest
from generic_texts import READING, TWO, write_table

from data.errors import DataError
from data.generic import reader
from data.tasks import Reading


def test_labelled_rows_are_the_texts_and_classes_of_a_table(tmp_path, rows):
    file = write_table(tmp_path / "a.tsv", rows)
    assert list(reader.labelled_rows(file, TWO, READING)) == rows
    file.write_text("verdict\tbody\n1\tOne\nworst\tTwo\nbad\tThree\n")
    named = dataclasses.replace(READING, aliases={"1": "good"})
    one, two, three = reader.labelled_rows(file, TWO, named)
    assert (one, three) == (("One", 1), ("Three", 0))
    assert (two.line, two.reason) == (3, "bad_label")
    (tmp_path / "a.txt").write_text("One")
    with pytest.raises(DataError, match=r"a\.txt: expected a table with a text and a label"):
        list(reader.labelled_rows(tmp_path / "a.txt", TWO, READING))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_raw_rows_have_all_columns_of_a_table(tmp_path, rows, name):
    found = list(reader.raw_rows(str(write_table(tmp_path / name, rows)), Reading()))
    assert [row["body"] for row in found] == [text for text, _ in rows]
    number = "id" if name == "a.csv" else "n"
    assert set(found[0]) == {"body", "verdict", number}


def test_raw_rows_of_a_folder_have_what_the_paths_tell(tmp_path, rows):
    for index, (text, label) in enumerate(rows):
        file = tmp_path / TWO.classes[label] / f"{index:03d}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    found = list(reader.raw_rows(str(tmp_path), Reading()))
    assert [row["folder"] for row in found] == [TWO.classes[label] for _, label in rows]
    assert " ".join(row["text"] for row in found).split() == " ".join(t for t, _ in rows).split()
