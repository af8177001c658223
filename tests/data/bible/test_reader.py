"""The Bible's readers, split, and checks, on the real text and on deliberate faults."""

import re
import shutil

import pytest
import read_corpora
from read_corpora import BIBLE, findings, opened

from data.bible import reader as bible
from data.bible.books import BOOKS
from data.errors import DataError
from data.records import ONE_SHARD, DeadLetter, Source

UNLIMITED = 10**9


def read(path):
    return read_corpora.read(BIBLE, path, UNLIMITED)


def contents(records):
    return [(record.key, record.split, dict(record.features)) for record in records]


def tsv(verses):
    return "".join(f"{v.book}\t{v.chapter}\t{v.verse}\t{v.text}\n" for v in verses)


def without(verses, **fields):
    """The verses without those that have all of these fields."""
    return [v for v in verses if any(getattr(v, name) != fields[name] for name in fields)]


def test_packaged_text_has_its_known_size(chapters):
    assert len({chapter.features["book"] for chapter in chapters}) == 66
    assert len(chapters) == 1189
    assert sum(str(chapter.features["text"]).count("\n") + 1 for chapter in chapters) == 31102
    assert sum(chapter.features["testament"] == "old" for chapter in chapters) == 929


def test_chapters_are_in_the_order_of_the_canon_with_sorted_unique_keys(chapters):
    keys = [chapter.key for chapter in chapters]
    assert keys == sorted(set(keys))
    assert list(dict.fromkeys(chapter.features["book"] for chapter in chapters)) == list(BOOKS)


def test_split_is_the_tenth_of_the_hash_of_book_and_chapter(chapters):
    counts = {split: sum(c.split == split for c in chapters) for split in ("train", "eval", "test")}
    assert counts == {"train": 970, "eval": 103, "test": 116}
    assert bible.split_of("Genesis", 4) == "test"


def test_text_is_in_normal_form_one_verse_per_line(chapters):
    first = str(chapters[0].features["text"]).split("\n")
    assert first[1].startswith("And the earth was without form, and void; and darkness was upon")
    assert len(first) == 31
    seen = set("".join(str(chapter.features["text"]) for chapter in chapters))
    assert {c for c in seen if not c.isalpha()} == set(" \n!'(),-.:;?")
    assert all(c.isascii() for c in seen)


def test_a_flipped_byte_in_the_packaged_file_is_noticed(tmp_path, monkeypatch):
    copy = tmp_path / "plain_text_readers_bible.py"
    content = bytearray(bible.packaged_file().read_bytes())
    content[1_000_000] ^= 1
    copy.write_bytes(content)
    monkeypatch.setattr(bible, "packaged_file", lambda: copy)
    with pytest.raises(DataError, match=f"expected SHA-256 {bible.PACKAGED_SHA256}, got [0-9a-f]"):
        opened(BIBLE)


def test_tab_separated_text_gives_the_records_of_the_package(tmp_path, verses, chapters):
    file = tmp_path / "kjv.tsv"
    file.write_text("book\tchapter\tverse\ttext\n" + tsv(verses), encoding="utf-8")
    assert opened(BIBLE, file).kind == "tsv"
    assert contents(read(file)) == contents(chapters)


def test_verses_may_be_in_any_order(tmp_path, verses, chapters):
    file = tmp_path / "kjv.tsv"
    file.write_text(tsv(reversed(verses)), encoding="utf-8")
    assert contents(read(file)) == contents(chapters)


def test_gutenberg_layout_gives_the_records_of_the_package(tmp_path, gutenberg_text, chapters):
    file = tmp_path / "pg10.txt"
    file.write_text(gutenberg_text, encoding="utf-8")
    lines = gutenberg_text.split("\n")
    assert any(re.search(r" [0-9]+:[0-9]+$", line) for line in lines)  # a mark at the end of a line
    assert any(re.search(r"[a-z] [0-9]+:[0-9]+ ", line) for line in lines)  # and inside a line
    assert opened(BIBLE, file).kind == "gutenberg"
    records = read(file)
    assert contents(records) == contents(chapters)
    assert "2:1 Thus the heavens" in lines[records[1].line - 1]
    assert findings(BIBLE, opened(BIBLE, file), records) == []


def test_gutenberg_text_may_have_the_line_ends_of_windows(tmp_path, gutenberg_text, chapters):
    file = tmp_path / "pg10.txt"
    file.write_bytes(gutenberg_text.replace("\n", "\r\n").encode())
    assert contents(read(file)) == contents(chapters)


def test_a_folder_with_one_text_is_that_text(tmp_path, verses):
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "ruth.tsv").write_text(tsv(v for v in verses if v.book == "Ruth"))
    assert len(read(tmp_path)) == 4
    shutil.copy(tmp_path / "ruth.tsv", tmp_path / "again.tsv")
    with pytest.raises(DataError, match=r"expected a folder with one .tsv or .txt file, got 2"):
        opened(BIBLE, tmp_path)


def test_book_names_are_known_by_their_usual_variants(tmp_path, verses):
    names = {"1 Samuel": "I Samuel", "Psalms": "psalm", "Song of Solomon": "Song of Songs"}
    chosen = [v for v in verses if v.book in names and v.chapter == 1]
    file = tmp_path / "some.tsv"
    file.write_text("".join(f"{names[v.book]}\t{v.chapter}\t{v.verse}\t{v.text}\n" for v in chosen))
    assert [record.features["book"] for record in read(file)] == list(names)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected '<book>.*got no text"),
        (b"book,chapter,verse,text\n", "expected '<book>.*got 'book,chapter"),
    ],
)
def test_an_unknown_format_is_refused(tmp_path, content, message):
    file = tmp_path / "kjv.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        opened(BIBLE, file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        opened(BIBLE, tmp_path / "none.tsv")


BAD_LINES = [
    (b"Tobit\t1\t1\tThe book of the words of Tobit", "malformed_line"),
    (b"Ruth\t1\t1", "malformed_line"),
    (b"Ruth\tone\t1\tNow it came to pass", "malformed_line"),
    (b"Ruth\t1\t0\tNow it came to pass", "malformed_line"),
    (b"Ruth\t1\t2\t  ", "empty_text"),
    (b"Ruth\t1\t2\t[ ]", "empty_text"),
    (b"Ruth\t1\t2\tcaf\xc3\xa9 and caf\xe9", "invalid_utf8"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_becomes_a_dead_letter_and_nothing_else_is_lost(tmp_path, verses, line, reason):
    kept = without([v for v in verses if v.book == "Ruth"], chapter=1, verse=2)
    file = tmp_path / "ruth.tsv"
    file.write_bytes(line + b"\n" + tsv(kept).encode())
    if line.count(b"\t") != 3:  # the first line determines the format
        file.write_bytes(tsv(kept[:1]).encode() + line + b"\n" + tsv(kept[1:]).encode())
    dead, *records = read(file)
    assert (dead.reason, dead.file) == (reason, str(file))
    assert dead.line == (1 if line.count(b"\t") == 3 else 2)
    assert sum(str(record.features["text"]).count("\n") + 1 for record in records) == len(kept)


def test_a_verse_given_twice_is_a_dead_letter(tmp_path, verses):
    ruth = [v for v in verses if v.book == "Ruth"]
    file = tmp_path / "ruth.tsv"
    file.write_text(tsv([*ruth, ruth[0]]))
    dead, *records = read(file)
    assert (dead.reason, dead.line, len(records)) == ("malformed_line", len(ruth) + 1, 4)


def test_a_chapter_longer_than_the_limit_is_a_dead_letter():
    items = read_corpora.read(BIBLE, limit=12_000)
    dead = [item for item in items if isinstance(item, DeadLetter)]
    assert [(d.reason, d.excerpt[:25]) for d in dead] == [
        ("too_long", "Blessed are the undefiled")  # Psalm 119
    ]
    assert len(items) == 1189


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("1:0", "malformed_line"),  # no such verse
        ("1:2 1:1", "empty_text"),  # no text between two marks
        ("1:2", "malformed_line"),  # the true 1:2 is then a repeat
    ],
)
def test_impossible_gutenberg_marks_are_dead_letters(tmp_path, gutenberg_text, mark, reason):
    file = tmp_path / "pg10.txt"
    assert gutenberg_text.count("1:1 In the beginning God") == 1
    file.write_text(gutenberg_text.replace("1:1 In the beginning God", f"{mark} In the beginning"))
    dead, *records = read(file)
    assert (dead.reason, len(records)) == (reason, 1189)


def test_gutenberg_bytes_beyond_repair_are_a_dead_letter(tmp_path, gutenberg_text):
    file = tmp_path / "pg10.txt"
    # With the valid `’` in the same verse, the byte E9 is ambiguous.
    damaged = gutenberg_text.encode().replace("LORD’s side?".encode(), "LORD’s ".encode() + b"\xe9")
    file.write_bytes(damaged)
    dead, *records = read(file)
    assert (dead.reason, len(records)) == ("invalid_utf8", 1189)


def test_packaged_text_passes_its_checks(chapters):
    assert findings(BIBLE, opened(BIBLE), chapters) == []


def test_a_lost_verse_and_a_lost_book_are_noticed(chapters):
    first = chapters[0]
    shorter = str(first.features["text"]).rpartition("\n")[0]
    cut = [type(first)(first.key, first.split, {**first.features, "text": shorter}, "", 0)]
    verse_lost = findings(BIBLE, opened(BIBLE), cut + chapters[1:])
    assert [f.split(" in ")[0] for f in verse_lost] == ["verses: expected 31102, got 31101"]
    no_jude = [c for c in chapters if c.features["book"] != "Jude"]
    assert [f.split(" in ")[0] for f in findings(BIBLE, opened(BIBLE), no_jude)] == [
        "books: expected 66, got 65",
        "chapters: expected 1189, got 1188",
        "verses: expected 31102, got 31077",
    ]


MODERNISED = {
    "thou": "you", "thee": "you", "thy": "your", "ye": "you", "hath": "has", "saith": "says",
    "unto": "to", "shalt": "shall",
}  # fmt: skip


def test_a_modernised_edition_is_noticed(tmp_path, verses):
    pattern = re.compile(rf"\b({'|'.join(MODERNISED)})\b", re.IGNORECASE)
    file = tmp_path / "modern.tsv"
    file.write_text(pattern.sub(lambda word: MODERNISED[word[0].lower()], tsv(verses)))
    found = findings(BIBLE, opened(BIBLE, file), read(file))
    assert len(found) == 1
    assert re.match(
        r"edition: expected at least 8\.0 of thou, .* got 0\.0\. This is a modernised", found[0]
    )


def test_an_edition_that_spells_the_divine_name_is_noticed(tmp_path, verses):
    file = tmp_path / "asv.tsv"
    file.write_text(tsv(verses).replace("the LORD", "Jehovah"))
    found = findings(BIBLE, opened(BIBLE, file), read(file))
    assert len(found) == 1
    assert "expected at most 2.0 of jehovah" in found[0]


def test_each_long_book_alone_passes_as_king_james(chapters):
    part = Source("tsv", "part.tsv", "", (ONE_SHARD,))
    for book in BOOKS:
        of_book = [chapter for chapter in chapters if chapter.features["book"] == book]
        assert findings(BIBLE, part, of_book) == [], book


def test_an_unknown_book_is_noticed(chapters):
    part = Source("tsv", "part.tsv", "", (ONE_SHARD,))
    stray = type(chapters[0])("x", "train", {**chapters[0].features, "book": "Tobit"}, "", 0)
    found = findings(BIBLE, part, [stray])
    assert found[0].startswith(
        "book: expected one of the 66 names in data/bible/books.py, got 'Tobit'"
    )


def test_the_command_prints_one_verse_per_line_and_a_blank_line_between_chapters(capsys, chapters):
    bible.main(["--split", "eval"])
    printed = capsys.readouterr().out
    expected = [str(chapter.features["text"]) for chapter in chapters if chapter.split == "eval"]
    assert printed == "\n\n".join(expected) + "\n"


def test_the_command_fails_with_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"^data\.bible\.reader: .*no such file or folder[^\n]*$"):
        bible.main(["--split", "eval", "--source", str(tmp_path / "none.tsv")])
