"""The reader of any text: the same reviews in all formats, splits, documents, and faults."""

import gzip
import re
from collections import defaultdict

import pytest
from own_corpora import WRITERS, own_task, packed
from read_corpora import opened, read, records

from data.errors import DataError
from data.facts import same_text
from data.generic import reader
from data.generic.splits import split_of
from data.records import DeadLetter, Record
from data.tasks import Reading, Split

NUMBERED = own_task(aliases={"0": "negative", "1": "positive"})
BY_FOLDER = own_task(label="folder")
NEXT_TOKEN = own_task("next-token")


def rows_of(found):
    """Text and label of each record."""
    return [(item.features["text"], item.features["label"]) for item in found]


def dead(items):
    """(line, reason) of each dead letter."""
    return [(item.line, item.reason) for item in items if isinstance(item, DeadLetter)]


def write_folder(root, rows):
    """Writes each text to a file in the folder of its class."""
    for number, (text, label) in enumerate(rows):
        file = root / ("negative", "positive")[label] / f"{number:04d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return root


# --- formats ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_texts_and_labels_in_their_order(tmp_path, labelled, name):
    WRITERS[name](tmp_path / name, labelled)
    found = read(NUMBERED, tmp_path / name)
    assert rows_of(found) == labelled
    assert [item.key for item in found] == sorted({item.key for item in found})
    assert {item.split for item in found} == {"train", "eval"}


def test_a_folder_of_texts_takes_the_class_from_the_sub_folder(tmp_path, labelled):
    source = opened(BY_FOLDER, write_folder(tmp_path / "texts", labelled))
    assert (source.kind, source.shards) == ("text", ("negative", "positive"))
    found = read(BY_FOLDER, tmp_path / "texts")
    assert sorted(rows_of(found)) == sorted(labelled)
    keys = [item.key for item in found]
    assert keys == sorted(set(keys))


def test_a_text_has_its_split_in_every_format(tmp_path, labelled):
    write_folder(tmp_path / "texts", labelled)
    WRITERS["a.jsonl"](tmp_path / "a.jsonl", labelled[::-1])
    splits = [
        {item.features["text"]: item.split for item in found}
        for found in (read(BY_FOLDER, tmp_path / "texts"), read(NUMBERED, tmp_path / "a.jsonl"))
    ]
    assert splits[0] == splits[1]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("pattern", ["", "*/part-*"])
def test_files_of_a_folder_or_a_pattern_are_one_corpus(tmp_path, labelled, name, pattern):
    root = tmp_path / "corpus"
    for number in range(3):
        file = root / f"day-{number}" / f"part-{number}{name.removeprefix('a')}"
        file.parent.mkdir(parents=True)
        WRITERS[name](file, labelled[100 * number : 100 * number + 100])
    (root / ".hidden").mkdir()
    (root / ".hidden" / "part-9.csv").write_text("text,label\nHidden,1\n")
    WRITERS[name](tmp_path / name, labelled)
    path = root / pattern if pattern else root
    assert len(opened(NUMBERED, path).shards) == 3
    found, of_one_file = read(NUMBERED, path), read(NUMBERED, tmp_path / name)
    assert rows_of(found) == rows_of(of_one_file) == labelled
    assert [item.split for item in found] == [item.split for item in of_one_file]
    keys = [item.key for item in found]
    assert keys == sorted(set(keys))


def test_a_source_is_known_by_its_content_and_not_by_its_place(tmp_path, labelled):
    for folder in ("one", "two"):
        write_folder(tmp_path / folder, labelled[:20])
    one, two = (opened(BY_FOLDER, tmp_path / folder).sha256 for folder in ("one", "two"))
    assert one == two
    (file, *_) = (tmp_path / "two").rglob("*.txt")
    file.write_text(file.read_text("utf-8") + "!", "utf-8")
    assert opened(BY_FOLDER, tmp_path / "two").sha256 != one


def test_a_utf_16_file_is_read_and_a_utf_32_file_is_refused(tmp_path, labelled):
    file = tmp_path / "a.csv"
    WRITERS["a.csv"](file, labelled)
    text = file.read_bytes().decode()
    file.write_bytes(text.encode("utf-16"))
    assert rows_of(read(NUMBERED, file)) == labelled
    file.write_bytes(text.encode("utf-32"))
    with pytest.raises(DataError, match=r"a\.csv: expected UTF-8 or UTF-16, got UTF-32"):
        opened(NUMBERED, file)


def test_a_name_without_a_known_end_is_read_by_its_content_or_refused(tmp_path, labelled):
    WRITERS["a.parquet"](tmp_path / "reviews", labelled)
    assert rows_of(read(NUMBERED, tmp_path / "reviews")) == labelled
    (tmp_path / "reviews").write_text("text,label\nA film,1\n")
    with pytest.raises(DataError, match=r"reviews: expected a name that ends in \.csv, .* Rename"):
        opened(NUMBERED, tmp_path / "reviews")


def test_other_columns_are_kept_as_features_and_lengths_as_buckets(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('Text,label,site\n"One two three",0,north \nOne two,1,\n')
    task = own_task(
        aliases=NUMBERED.reading.aliases, columns=("site", "file"), length_buckets=(2, 5)
    )
    assert [item.features for item in read(task, file)] == [
        {"text": "One two three", "label": 0, "length_bucket": "3-5", "site": "north", "file": "a"},
        {"text": "One two", "label": 1, "length_bucket": "1-2", "site": "(none)", "file": "a"},
    ]


# --- splits -----------------------------------------------------------------------------


def test_the_shares_of_the_hash_are_near_what_the_task_says(reviews):
    split = Split(eval=0.1, test=0.2)
    of_text = [split_of(split, str(review.features["text"]), {}) for review in reviews]
    assert 0.095 < of_text.count("eval") / len(of_text) < 0.105
    assert 0.19 < of_text.count("test") / len(of_text) < 0.21


def test_groups_stay_together_and_a_record_without_one_is_its_own(tmp_path, labelled):
    lines = ["text\tlabel\tauthor"]
    for number, (text, label) in enumerate(labelled):
        author = f"author {number % 40}" if number < 200 else ""
        lines.append(f"{same_text(text).replace(chr(34), '')}\t{label}\t{author}")
    (tmp_path / "a.tsv").write_text("\n".join(lines), "utf-8")
    split = Split(by="group", column="author", eval=0.2, test=0.2)
    task = own_task(aliases=NUMBERED.reading.aliases, split=split, columns=("author",))
    splits = defaultdict(set)
    for record in records(task, tmp_path / "a.tsv"):
        splits[record.features["author"]].add(record.split)
    alone = splits.pop("(none)")
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == alone == {"train", "eval", "test"}


def test_a_column_names_the_split_and_another_value_is_a_dead_letter(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,label,part\na,0,Train\nb,1,dev\nc,1, test \nd,1,unlabelled\ne,0,\n")
    split = Split(by="column", column="part", names={"dev": "eval"})
    items = read(own_task(aliases=NUMBERED.reading.aliases, split=split), file)
    assert [i.split for i in items if isinstance(i, Record)] == ["train", "eval", "test"]
    assert dead(items) == [(5, "bad_split"), (6, "bad_split")]
    assert items[3].excerpt == "'unlabelled': d"


# --- long texts -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bible_text(chapters):
    """The whole Bible: a title, then a verse per line, with blank lines between chapters."""
    return "\n".join(
        f"CHAPTER {c.features['book']} {c.features['chapter']}\n\n{c.features['text']}\n\n"
        for c in chapters
    )


@pytest.mark.parametrize("limit", [300, 5_000, 20_000])
@pytest.mark.parametrize("documents_at", ["", "^CHAPTER "])
def test_a_long_text_is_cut_without_a_loss(tmp_path, bible_text, documents_at, limit):
    (tmp_path / "kjv.txt").write_text(bible_text, "utf-8")
    task = own_task("next-token", documents_at=documents_at, columns=("document",))
    found = records(task, tmp_path / "kjv.txt", limit)
    texts = [str(record.features["text"]) for record in found]
    assert max(map(len, texts)) <= limit
    assert "".join("".join(texts).split()) == "".join(bible_text.split())
    keys = [record.key for record in found]
    assert keys == sorted(set(keys))
    lines = bible_text.split("\n")
    for record in found[:: len(found) // 50]:  # may begin within a long line
        assert str(record.features["text"]).split("\n")[0] in lines[record.line - 1]
    if documents_at:
        titles = {line for line in lines if line.startswith("CHAPTER ")}
        assert {record.features["document"] for record in found} == titles
        if limit == 20_000:
            assert len(found) == len(titles) == 1189
    else:
        assert 0.07 < sum(record.split == "eval" for record in found) / len(found) < 0.13


def test_a_text_without_a_line_end_is_cut_at_spaces(tmp_path, bible_text):
    line = " ".join(bible_text.split())[:200_000]
    (tmp_path / "kjv.txt").write_text(line, "utf-8")
    texts = [str(record.features["text"]) for record in records(NEXT_TOKEN, tmp_path / "kjv.txt")]
    assert " ".join(" ".join(texts).split()) == line
    assert max(map(len, texts)) <= 4_000


def test_a_text_without_a_space_is_cut_anywhere(tmp_path, bible_text):
    line = "".join(bible_text.split())[:50_000]
    (tmp_path / "kjv.txt").write_text(line, "utf-8")
    texts = [str(record.features["text"]) for record in records(NEXT_TOKEN, tmp_path / "kjv.txt")]
    assert "".join(texts) == line


def test_the_titles_pattern_must_match(tmp_path, bible_text):
    (tmp_path / "kjv.txt").write_text(bible_text[:10_000], "utf-8")
    task = own_task("next-token", documents_at="^SURA ")
    with pytest.raises(DataError, match=r"kjv\.txt: expected lines that match '\^SURA ', found"):
        read(task, tmp_path / "kjv.txt")


def test_a_folder_of_long_texts_has_documents_of_each(tmp_path, chapters):
    for book in ("Ruth", "Jonah"):
        texts = [c.features["text"] for c in chapters if c.features["book"] == book]
        (tmp_path / f"{book}.txt").write_text("\n".join(f"# {n}\n{t}" for n, t in enumerate(texts)))
    found = records(own_task("next-token", documents_at="^# ", columns=("file",)), tmp_path)
    assert [record.features["file"] for record in found] == ["Jonah"] * 4 + ["Ruth"] * 4


# --- without records ----------------------------------------------------------------------


def test_labelled_rows_are_the_texts_and_classes_of_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("label,text\n1,One\nbad,Two\nnegative,Three\n")
    one, two, three = reader.labelled_rows(tmp_path / "a.csv", NUMBERED.task, NUMBERED.reading)
    assert (one, three) == (("One", 1), ("Three", 0))
    assert (two.line, two.reason) == (3, "bad_label")
    (tmp_path / "a.txt").write_text("One")
    with pytest.raises(DataError, match=r"a\.txt: expected a table with a text and a label"):
        list(reader.labelled_rows(tmp_path / "a.txt", NUMBERED.task, NUMBERED.reading))


def test_raw_rows_have_all_columns_before_a_task_is_known(tmp_path, labelled):
    (tmp_path / "a.csv").write_text("Body,Queue\nOne,x\nTwo\n")
    one, two = reader.raw_rows(str(tmp_path / "a.csv"), Reading())
    assert (one, two.reason) == ({"Body": "One", "Queue": "x"}, "malformed_line")
    texts = reader.raw_rows(str(write_folder(tmp_path / "texts", labelled)), Reading())
    of_class = [("negative", "positive")[label] for _, label in labelled]
    assert sorted(row["folder"] for row in texts) == sorted(of_class)


# --- faults -----------------------------------------------------------------------------

FAULTS = [  # a line of CSV, of JSON lines, or None; and the reason
    ("A fine film,7", '{"text": "A fine film", "label": 7}', "bad_label"),
    ("A fine film,", '{"text": "A fine film", "label": null}', "bad_label"),
    (" ,1", '{"text": " ", "label": 1}', "empty_text"),
    (None, '{"text": null, "label": 1}', "empty_text"),
    ("A fine film", '{"text": "A fine film"}', "malformed_line"),
    ("A fine, long film,1", '{"text": "A fine film", "text": "B", "label": 1}', "malformed_line"),
    ('"A "fine" film",1', '{"text": "A "fine" film", "label": 1}', "malformed_line"),
    (None, '["A fine film", 1]', "malformed_line"),
    (None, '{"text": ["A", "fine"], "label": 1}', "malformed_line"),
    (None, "[" * 100_000, "malformed_line"),
    (None, '{"text": "half a \\ud83d", "label": 1}', "invalid_utf8"),
    ("word " * 4_001 + ",1", f'{{"text": "{"word " * 4_001}", "label": 1}}', "too_long"),
    ("word " * 300_000 + ",1", f'{{"text": "{"word " * 300_000}", "label": 1}}', "too_long"),
]


@pytest.mark.parametrize("packs", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        pytest.param(name, row, fault[2], id=f"{name}-{number}-{fault[2]}")
        for number, fault in enumerate(FAULTS)
        for name, row in zip(("a.csv", "a.jsonl"), fault[:2], strict=True)
        if row is not None
    ],
)
def test_a_bad_row_is_a_dead_letter_and_costs_no_other(tmp_path, name, row, reason, packs):
    file = tmp_path / name
    before, after = {
        "a.csv": ("text,label\nOne,1\n", "Two,0\n"),
        "a.jsonl": ('\n{"text": "One", "label": 1}\n', '{"text": "Two", "label": 0}\n'),
    }[name]
    content = (before + row + "\n" + after).encode()
    file.write_bytes(gzip.compress(content) if packs else content)
    first, letter, last = read(NUMBERED, file)
    assert rows_of([first, last]) == [("One", 1), ("Two", 0)]
    assert (letter.file, letter.line, letter.reason) == (str(file), 3, reason)
    assert 0 < len(letter.excerpt) <= 200


def test_bytes_of_windows_are_repaired_and_others_are_dead_letters(tmp_path):
    rows = b"Am\xe9lie, it\x92s a must see film", "фильм хорош".encode("koi8-r")
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\n" + b"".join(row + b"\t1\n" for row in rows))
    for number, row in enumerate(rows):
        (tmp_path / "texts/positive").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"texts/positive/{number}.txt").write_bytes(row)
    for task, path in ((NUMBERED, "a.tsv"), (BY_FOLDER, "texts")):
        good, bad = read(task, tmp_path / path)
        assert good.features["text"] == "Amélie, it’s a must see film"
        assert bad.reason == "invalid_utf8"


def test_a_parquet_file_tells_the_row_of_a_fault(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"text": ["One", None, "  ", "Two"], "label": [0.0, 1.0, None, 5.0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert dead(read(NUMBERED, tmp_path / "a.parquet")) == [
        (2, "empty_text"), (3, "empty_text"), (4, "bad_label"),
    ]  # fmt: skip
    parquet.write_table(pyarrow.table({"text": [["One"]], "label": [1]}), tmp_path / "a.parquet")
    assert dead(read(NUMBERED, tmp_path / "a.parquet")) == [(1, "malformed_line")]


REFUSED = [
    ("a.csv", b"", r"a\.csv:1: expected the columns 'text', found none"),
    ("a.csv", b"body,label\nA film,1\n", r"a\.csv:1: expected the columns 'text', found 'body', "),
    ("a.csv", b"text,kind\nA film,1\n", r"a\.csv:1: expected the columns 'text', 'label', found"),
    ("a.csv", b"text,label,text\nA,1,B\n", r"a\.csv:1: .* different names, got 'text' twi"),
    ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", r"a\.csv:1: expected the columns 'text'"),
    ("a.csv", b"\xff\xfet\x00e\x00x", r"a\.csv: cannot be read: "),
    ("a.json", b'[{"text": "A", "label": 1}, {"text" "B"}]', r"a\.json:1: damaged JSON .*jsonl"),
    ("a.json", b'[{"text": "A", "label": 1},\n', r"a\.json:2: the JSON array has no end"),
    ("a.json", b'[\n{"text": "A", "label": 1}, 5', r"a\.json:2: damaged JSON .*it does not end"),
    ("a.parquet", b"PAR1 and no more", r"a\.parquet: no readable Parquet: .* Get the file again"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_file_that_cannot_be_used_is_refused_with_what_was_expected(
    tmp_path, name, content, message
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(NUMBERED, tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_gzip_is_refused(tmp_path, labelled, name, damage):
    file = tmp_path / f"{name}.gz"
    packed(WRITERS[name])(file, labelled)
    content, half = file.read_bytes(), file.stat().st_size // 2
    cut = content[:-1000], content[:half] + b"x" * 1000 + content[half + 1000 :]
    file.write_bytes(cut[damage == "overwritten"])
    with pytest.raises(
        DataError, match=rf"{re.escape(file.name)}: cannot be read: .* Get the file"
    ):
        read(NUMBERED, file)


def test_a_damaged_parquet_is_refused(tmp_path, labelled):
    file = tmp_path / "a.parquet"
    WRITERS[file.name](file, labelled)
    content = bytearray(file.read_bytes())
    content[200:2000] = b"x" * 1800
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: no readable Parquet: "):
        read(NUMBERED, file)


def test_a_text_lacks_the_columns_that_only_a_table_has(tmp_path):
    (tmp_path / "a.txt").write_text("A fine film.")
    with pytest.raises(DataError, match=r"expected the columns .*'label', found .*'folder'"):
        read(NUMBERED, tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"expected the columns .*'author'"):
        read(own_task("next-token", columns=("author",)), tmp_path / "a.txt")


def test_sources_that_are_none_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"the task names no source: write `source = "):
        opened(NUMBERED)
    with pytest.raises(DataError, match=r"none\.csv: no such file or folder"):
        opened(NUMBERED, tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"expected files that match the pattern, found none"):
        opened(NUMBERED, tmp_path / "*.csv")
    (tmp_path / "scan.pdf").write_bytes(b"%PDF")
    with pytest.raises(DataError, match=r"expected files that end in \.csv, .*, found none"):
        opened(NUMBERED, tmp_path)
    (tmp_path / "a.csv").write_text("text,label\nA film,1\n")
    (tmp_path / "a.txt").write_text("A film")
    with pytest.raises(DataError, match=r"files of one format, got csv and text\. Name one"):
        opened(NUMBERED, tmp_path)


def test_labels_match_in_any_case_unless_that_is_ambiguous(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,label\na,US\nb,us\nc,Us\nd, Billing \ne,BILLING\n")
    task = own_task(classes=("us", "US", "billing"))
    assert rows_of(records(task, file)) == [("a", 1), ("b", 0), ("d", 2), ("e", 2)]
    assert dead(read(task, file)) == [(4, "bad_label")]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet"])
def test_a_large_file_is_read_in_parts(tmp_path, labelled, name):
    import tracemalloc

    WRITERS[name](
        tmp_path / name, [(f"{n} {text}", label) for n in range(40) for text, label in labelled]
    )
    source = opened(NUMBERED, tmp_path / name)
    given = (source, source.shards[0], NUMBERED.task, NUMBERED.reading, 20_000)
    next(reader.read_shard(*given))  # what is imported on first use
    tracemalloc.start()
    count = sum(1 for _ in reader.read_shard(*given))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40 * len(labelled)
    assert peak < 3_000_000
