"""Long texts and folders of texts, made of the real chapters and reviews."""

import dataclasses
import tracemalloc

import pytest
from generic_texts import NEXT, READING, TWO, contents, dead, read

from data.errors import DataError
from data.generic import reader
from data.tasks import Reading, Split

PLAIN = Reading()


@pytest.fixture(scope="session")
def book(chapters):
    """Two books with titles, as a long text: one paragraph per three verses."""
    parts = []
    for chapter in chapters[:90]:
        verses = str(chapter.features["text"]).split("\n")
        paragraphs = ["\n".join(verses[at : at + 3]) for at in range(0, len(verses), 3)]
        title = f"CHAPTER {chapter.features['book']} {chapter.features['chapter']}"
        parts.append("\n\n".join([title, *paragraphs]))
    return "A preface.\n\n\n\n" + "\n\n\n".join(parts) + "\n"


def words(texts):
    return " ".join(texts).split()


def test_a_long_text_is_cut_at_blank_lines_into_documents_of_about_one_size(tmp_path, book):
    (tmp_path / "book.txt").write_text(book, "utf-8")
    items = read(tmp_path / "book.txt", NEXT, PLAIN)
    texts = [text for text, _ in contents(items)]
    assert words(texts) == book.split()
    assert all(2_000 <= len(text) <= 4_000 for text in texts[:-1])
    assert [item.key for item in items] == sorted({item.key for item in items})
    assert {item.split for item in items} == {"train", "eval"}
    lines = book.split("\n")
    assert all(lines[item.line - 1] == item.features["text"].split("\n")[0] for item in items)


def test_a_long_text_is_cut_where_a_line_matches(tmp_path, book):
    (tmp_path / "book.txt").write_text(book, "utf-8")
    reading = Reading(documents_at="^CHAPTER ", columns=("document",))
    items = read(tmp_path / "book.txt", NEXT, reading)
    assert items[0].features == {"text": "A preface.", "document": "(none)"}
    titles = [str(item.features["document"]) for item in items[1:]]
    assert titles[0] == "CHAPTER Genesis 1"
    assert len(titles) == 90
    for item, title in zip(items[1:], titles, strict=True):
        assert str(item.features["text"]).split("\n")[0] == title
    assert words(str(item.features["text"]) for item in items) == book.split()


def test_a_document_over_the_limit_is_cut_into_parts_that_can_stay_together(tmp_path, book):
    (tmp_path / "book.txt").write_text(book, "utf-8")
    together = Split(by="group", column="document", eval=0.3)
    reading = Reading(documents_at="^CHAPTER ", columns=("document",), split=together)
    items = read(tmp_path / "book.txt", NEXT, reading, limit=1_500)
    assert all(len(str(item.features["text"])) <= 1_500 for item in items)
    assert words(str(item.features["text"]) for item in items) == book.split()
    splits = {}
    for item in items[1:]:
        splits.setdefault(item.features["document"], set()).add(item.split)
    assert len(items) > len(splits) == 90
    assert all(len(found) == 1 for found in splits.values())
    assert {"train", "eval"} == set.union(*splits.values())


def test_documents_may_begin_at_blank_lines(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\nlines\n\n\nthree")
    items = read(tmp_path / "a.txt", NEXT, Reading(documents_at="^ *$"))
    assert contents(items) == [("one", None), ("two\nlines", None), ("three", None)]


def test_a_text_on_one_line_is_cut_at_spaces(tmp_path, book):
    line = " ".join(book.split())
    (tmp_path / "a.txt").write_text(line)
    texts = [text for text, _ in contents(read(tmp_path / "a.txt", NEXT, PLAIN))]
    assert words(texts) == line.split()
    assert all(1_900 <= len(text) <= 4_000 for text in texts[:-1])


def test_a_text_without_a_space_is_cut_within_a_word(tmp_path, book):
    line = "".join(book.split())
    (tmp_path / "a.txt").write_text(line)
    texts = [text for text, _ in contents(read(tmp_path / "a.txt", NEXT, PLAIN))]
    assert "".join(texts) == line
    assert max(map(len, texts)) <= 4_000


@pytest.mark.parametrize("limit", [300, 20_000])
@pytest.mark.parametrize("documents_at", ["", "^CHAPTER "])
def test_a_whole_book_loses_no_text_whatever_the_limit(tmp_path, chapters, documents_at, limit):
    whole = "\n\n".join(
        f"CHAPTER {each.features['chapter']}\n{each.features['text']}" for each in chapters
    )
    (tmp_path / "book.txt").write_text(whole, "utf-8")
    reading = Reading(documents_at=documents_at)
    items = read(tmp_path / "book.txt", NEXT, reading, limit)
    texts = [text for text, _ in contents(items)]
    assert words(texts) == whole.split()
    assert max(map(len, texts)) <= limit
    assert len({item.key for item in items}) == len(items)
    if documents_at and limit > 12_991 + 20:  # the longest chapter
        assert len(items) == 1_189


def test_a_long_text_is_not_held_in_memory(tmp_path, book):
    file = tmp_path / "book.txt"
    with file.open("w", encoding="utf-8") as stream:
        for _ in range(40):
            stream.write(book)
    assert file.stat().st_size > 10_000_000
    source = reader.open_source(str(file), PLAIN)
    tracemalloc.start()
    count = sum(1 for _ in reader.read_shard(source, source.shards[0], NEXT, PLAIN, 20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 3_000
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("^ACT ", r"a\.txt: expected lines that match '\^ACT ', found none"),
        ("(ACT", r"reading\.documents_at: expected a regular expression, got '\(ACT'"),
    ],
)
def test_a_pattern_that_finds_nothing_is_refused(tmp_path, pattern, what):
    (tmp_path / "a.txt").write_text("CHAPTER 1\n\nIn the beginning")
    with pytest.raises(DataError, match=what):
        read(tmp_path / "a.txt", NEXT, Reading(documents_at=pattern))


def test_bytes_beyond_repair_cost_one_document(tmp_path, chapters):
    parts = [str(chapter.features["text"]).encode() for chapter in chapters[:30]]
    parts[7] += "é".encode() + b"\xe9"
    (tmp_path / "a.txt").write_bytes(b"\n\nNEXT\n".join(parts))
    items = read(tmp_path / "a.txt", NEXT, Reading(documents_at="^NEXT$"))
    assert [reason for reason, _ in dead(items)] == ["invalid_utf8"]
    assert len(items) == 30


@pytest.fixture
def folder(tmp_path, rows):
    """Reviews as files, each class in a sub-folder; with a README."""
    for index, (text, label) in enumerate(rows):
        file = tmp_path / "films" / TWO.classes[label] / f"{index:03d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    (tmp_path / "films/README.md").write_text("Reviews of films.")
    (tmp_path / "films/good/.notes.txt").write_text("Not to be read.")
    return tmp_path / "films"


def test_a_folder_has_a_class_per_sub_folder_and_a_shard_for_each(folder, rows):
    reading = dataclasses.replace(READING, label="folder", columns=("file",))
    assert reader.open_source(str(folder), reading).shards == ("bad", "good")
    items = read(folder, reading=reading)
    assert contents(items) == rows
    assert [item.features["file"] for item in items] == [f"{i:03d}" for i in range(len(rows))]
    assert [item.key for item in items] == sorted({item.key for item in items})


def test_a_file_in_no_known_class_is_a_dead_letter_and_so_is_an_empty_one(folder):
    (folder / "loose.txt").write_text("In no folder.")
    (folder / "good/empty.txt").write_text(" \n")
    (folder / "good/long.txt").write_text("word " * 500_000)
    (folder / "fine").mkdir()
    (folder / "fine/other.txt").write_text("Of another class.")
    items = read(folder, reading=dataclasses.replace(READING, label="folder"))
    found = {item.file.rpartition("/")[2]: item.reason for item in items if hasattr(item, "reason")}
    assert found == {
        "loose.txt": "bad_label",
        "empty.txt": "empty_text",
        "long.txt": "too_long",
        "other.txt": "bad_label",
    }


def test_for_next_token_each_file_is_a_document_and_a_long_one_is_cut(folder, rows):
    items = read(folder, NEXT, Reading(columns=("folder",)), limit=1_000)
    assert words(str(item.features["text"]) for item in items) == words(text for text, _ in rows)
    assert {item.features["folder"] for item in items} == set(TWO.classes)
    assert len(items) > len(rows)
    assert all(len(str(item.features["text"])) <= 1_000 for item in items)
    (folder / "good/empty.txt").write_text("\n")
    assert dead(read(folder, NEXT, Reading())) == [("empty_text", 0)]


def test_sub_folders_may_name_the_splits(tmp_path, chapters):
    for name, some in (("train", chapters[:6]), ("dev", chapters[6:8])):
        (tmp_path / name).mkdir()
        for index, chapter in enumerate(some):
            (tmp_path / name / f"{index}.txt").write_text(str(chapter.features["text"]))
    split = Split(by="column", column="folder", names={"dev": "eval"})
    items = read(tmp_path, NEXT, Reading(split=split))
    assert [item.split for item in items] == ["eval"] * 2 + ["train"] * 6
    (tmp_path / "dev").rename(tmp_path / "notes")
    assert dead(read(tmp_path, NEXT, Reading(split=split))) == [("bad_split", 1)] * 2


def test_texts_without_the_wanted_column_say_what_there_is(folder, tmp_path):
    what = "expected the column 'verdict', but text files have only file, folder, document"
    with pytest.raises(DataError, match=what + r'.*label = "folder"\.$'):
        read(folder)
    with pytest.raises(DataError, match="expected the column 'author', but text files"):
        read(folder, NEXT, Reading(columns=("author",)))
    (tmp_path / "one.txt").write_text("One text.\n")
    with pytest.raises(DataError, match=r"one\.txt: expected texts with their classes, got one"):
        read(tmp_path / "one.txt")


def test_an_invalid_pattern_of_a_folder_is_refused_before_reading(folder):
    with pytest.raises(DataError, match=r"got '\['"):
        reader.open_source(str(folder), Reading(documents_at="["))
