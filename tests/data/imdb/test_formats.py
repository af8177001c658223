"""The formats of reviews (CSV, aclImdb's folder and archive) and faults in them."""

import csv
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from read_corpora import IMDB, LIMIT, opened, read

from data import facts, readers
from data.errors import DataError
from data.generic.streams import LONGEST_LINE
from data.imdb import formats as imdb_formats
from data.records import DeadLetter, Record


def contents(records):
    return sorted((record.key, record.split, dict(record.features)) for record in records)


def write_csv(path, rows, **style):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, **style).writerows([("text", "label"), *rows])


def rows_of(reviews):
    return [(review.features["text"], review.features["label"]) for review in reviews]


def film_of(index):
    """An address for the review: neighbours share a film, as they do in the source."""
    return f"http://www.imdb.com/title/tt{index // 7:07d}/usercomments"


@pytest.fixture(scope="session")
def aclimdb(tmp_path_factory, some):
    """`some` in aclImdb's layout, its first reviews again as test reviews."""
    root = tmp_path_factory.mktemp("acl") / "aclImdb"
    for split, count in (("train", 200), ("test", 20)):
        for side, label in (("neg", 0), ("pos", 1)):
            folder = root / split / side
            folder.mkdir(parents=True)
            of_label = [review for review in some if review.features["label"] == label][:count]
            for index, review in enumerate(of_label):
                stars = index % 4 + (7 if label else 1)
                (folder / f"{index}_{stars}.txt").write_text(review.features["text"], "utf-8")
            (root / split / f"urls_{side}.txt").write_text(
                "".join(film_of(index) + "\n" for index in range(count))
            )
    (root / "train/unsup").mkdir()
    (root / "train/unsup/0_0.txt").write_text("not labelled")
    return root


def test_the_line_of_a_record_is_where_it_starts(tmp_path, some):
    file = tmp_path / "reviews.csv"
    write_csv(file, [("one\ntwo\n\nthree", 1), *rows_of(some[:2])])
    assert [record.line for record in read(IMDB, file)] == [2, 6, 7]


def test_csv_gives_back_every_review_and_splits_by_text(tmp_path, reviews):
    file = tmp_path / "reviews.csv"
    write_csv(file, rows_of(reviews))
    records = read(IMDB, file)
    assert rows_of(records) == rows_of(reviews)
    assert {record.split for record in records} == {"train", "eval"}
    assert 0.09 < sum(record.split == "eval" for record in records) / len(records) < 0.11
    sides: dict[str, set[str]] = {}
    for record in records:
        sides.setdefault(facts.same_text(record.features["text"]), set()).add(record.split)
    assert all(len(splits) == 1 for splits in sides.values())


def test_csv_split_stays_when_the_order_changes(tmp_path, some):
    write_csv(tmp_path / "one.csv", rows_of(some))
    write_csv(tmp_path / "two.csv", rows_of(reversed(some)))
    one, two = read(IMDB, tmp_path / "one.csv"), read(IMDB, tmp_path / "two.csv")
    assert {r.features["text"]: r.split for r in one} == {r.features["text"]: r.split for r in two}


def test_csv_may_have_other_columns_line_ends_and_label_names(tmp_path, some):
    file = tmp_path / "reviews.csv"
    names = {0: ["neg", "Negative", "0"], 1: ["pos", "POSITIVE", " 1 "]}
    lines = ["\ufeffid,Label,Text"]
    for index, (text, label) in enumerate(rows_of(some)):
        quoted = text.replace('"', '""')
        lines.append(f'{index},{names[label][index % 3]},"{quoted}"')
    file.write_bytes("\r\n".join(lines).encode())
    assert rows_of(read(IMDB, file)) == rows_of(some)


BAD_ROWS = [
    (b'"",1', "empty_text"),
    (b'" \n ",0', "empty_text"),
    (b"a fine film,2", "bad_label"),
    (b"a fine film,", "bad_label"),
    (b"a fine film", "malformed_line"),
    (b"a fine, long film,1", "malformed_line"),
    (b'"a "fine" film",1', "malformed_line"),
    (b"a f\x00ne film,1", "malformed_line"),
    ("café ".encode() + b"caf\xe9,1", "invalid_utf8"),
    ("фильм хорош".encode("koi8-r") + b",1", "invalid_utf8"),
    (b"word " * 4_001 + b",1", "too_long"),
    (b"word" * 50_000 + b",1", "too_long"),
    (b"word" * (LONGEST_LINE // 2) + b",1", "too_long"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_a_bad_row_becomes_a_dead_letter_and_nothing_else_is_lost(tmp_path, row, reason):
    file = tmp_path / "reviews.csv"
    file.write_bytes(b'text,label\n"one, or\ntwo",1\n' + row + b"\nthree,0\n")
    first, dead, last = read(IMDB, file)
    assert (dead.reason, dead.file, dead.line) == (reason, str(file), 4)
    assert len(dead.excerpt) <= 200
    assert (first.features["text"], last.features["text"]) == ("one, or\ntwo", "three")


def test_a_stray_quote_loses_two_rows_and_not_the_rest(tmp_path, some):
    file = tmp_path / "reviews.csv"
    write_csv(file, rows_of(some), lineterminator="\n")
    lines = file.read_text("utf-8").split("\n")
    assert lines[5].endswith('",0')
    lines[5] = lines[5].removesuffix('",0') + ",0"
    file.write_text("\n".join(lines), "utf-8")
    items = read(IMDB, file)
    assert [(d.reason, d.line) for d in items if isinstance(d, DeadLetter)] == [
        ("malformed_line", 6)
    ]
    assert sum(isinstance(item, Record) for item in items) == len(some) - 2


def test_windows_bytes_are_repaired(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_bytes(b"text,label\nAm\xe9lie \x96 it\x92s a \x93must\x94 see film,1\n")
    assert read(IMDB, file)[0].features["text"] == "Amélie – it’s a “must” see film"


def test_a_large_file_is_not_read_into_memory(tmp_path, some):
    import tracemalloc

    file = tmp_path / "reviews.csv"
    write_csv(file, rows_of(some) * 20)
    assert file.stat().st_size > 8_000_000
    source = opened(IMDB, file)
    tracemalloc.start()
    count = sum(1 for _ in readers.all_records(source, IMDB.task, IMDB.reading, LIMIT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20 * len(some)
    assert peak < 2_000_000


def test_a_file_of_one_endless_line_is_not_read_into_memory(tmp_path):
    import tracemalloc

    file = tmp_path / "reviews.csv"
    with file.open("wb") as stream:
        stream.write(b'text,label\n"')
        for _ in range(64):
            stream.write(b"word " * (1 << 18))
    tracemalloc.start()
    items = read(IMDB, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [item.reason for item in items if isinstance(item, DeadLetter)] == ["too_long"]
    assert file.stat().st_size > 80_000_000
    assert peak < 20_000_000


def test_aclimdb_folder_gives_the_reviews_with_films_kept_together(aclimdb, some):
    source = opened(IMDB, aclimdb)
    assert (source.kind, source.shards) == ("aclimdb", imdb_formats.ACLIMDB_SHARDS)
    records = read(IMDB, aclimdb)
    train = [record for record in records if record.split != "test"]
    assert rows_of(train) == rows_of(some)
    assert sum(record.split == "test" for record in records) == 40
    splits_of_film: dict[str, set[str]] = {}
    for record in train:
        index = int(record.key.rpartition("/")[2])
        splits_of_film.setdefault(film_of(index), set()).add(record.split)
    assert all(len(splits) == 1 for splits in splits_of_film.values())
    assert {split for splits in splits_of_film.values() for split in splits} == {"train", "eval"}
    assert [record.key for record in read(IMDB, aclimdb)[:200]] == sorted(
        record.key for record in records[:200]
    )


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_aclimdb_archive_gives_the_records_of_the_folder(tmp_path, aclimdb, mode):
    archive = tmp_path / ("aclImdb_v1.tar.gz" if mode == "w:gz" else "aclImdb.tar")
    with tarfile.open(archive, mode) as stream:
        stream.add(aclimdb, "aclImdb")
    assert opened(IMDB, archive).kind == "aclimdb_archive"
    assert contents(read(IMDB, archive)) == contents(read(IMDB, aclimdb))
    assert contents(read(IMDB, aclimdb.parent)) == contents(
        read(IMDB, aclimdb)
    )  # the folder around it


def test_aclimdb_hash_changes_with_one_review(tmp_path, aclimdb):
    import shutil

    copy = tmp_path / "aclImdb"
    shutil.copytree(aclimdb, copy)
    before = opened(IMDB, copy).sha256
    assert before == opened(IMDB, aclimdb).sha256
    (copy / "train/pos/3_10.txt").write_text("This app keeps crashing on my phone.")
    assert opened(IMDB, copy).sha256 != before


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("train/pos/7_2.txt", b"A bad film.", "bad_label"),  # two stars among the positive
        ("train/neg/7_5.txt", b"A film.", "bad_label"),
        ("train/neg/best.txt", b"A film.", "malformed_line"),
        ("train/neg/999_1.txt", b"A film of no known address.", "malformed_line"),
        ("train/neg/7_1.txt", b" \n", "empty_text"),
        ("train/neg/7_1.txt", b"\xff\xfe\x00\x81", "invalid_utf8"),
        ("train/neg/7_1.txt", b"word " * 5_000, "too_long"),
        ("train/neg/7_1.txt", b"word " * 500_000, "too_long"),
    ],
)
def test_a_bad_file_of_aclimdb_is_a_dead_letter(tmp_path, aclimdb, name, content, reason):
    root = tmp_path / "aclImdb"
    for side in ("neg", "pos"):
        (root / "train" / side).mkdir(parents=True)
        (root / f"train/urls_{side}.txt").write_text(
            (aclimdb / f"train/urls_{side}.txt").read_text()
        )
    (root / name).write_bytes(content)
    (root / "train/pos/0_9.txt").write_text("A good film.")
    items = read(IMDB, root)
    dead = [item for item in items if isinstance(item, DeadLetter)]
    assert [(d.reason, d.file) for d in dead] == [(reason, str(root / name))]
    assert len(items) == 2


@pytest.mark.parametrize("damage", ["cut", "overwritten", "not an archive"])
def test_a_damaged_archive_is_refused(tmp_path, aclimdb, damage):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(aclimdb, "aclImdb")
    content = archive.read_bytes()
    half = len(content) // 2
    archive.write_bytes(
        {
            "cut": content[:-2_000],
            "overwritten": content[:half] + b"x" * 1_000 + content[half + 1_000 :],
            "not an archive": b"<html>404 Not Found</html>",
        }[damage]
    )
    with pytest.raises(DataError, match=r"damaged archive .*Get it again"):
        read(IMDB, archive)


def test_an_archive_without_film_addresses_is_refused(tmp_path):
    archive = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        member = tarfile.TarInfo("aclImdb/train/pos/0_9.txt")
        member.size = 6
        stream.addfile(member, io.BytesIO(b"A film"))
    with pytest.raises(DataError, match=r"no film addresses for train/pos \(urls_pos.txt\)"):
        read(IMDB, archive)


def test_a_folder_without_film_addresses_is_refused(tmp_path):
    for side in ("neg", "pos"):
        (tmp_path / "train" / side).mkdir(parents=True)
    with pytest.raises(DataError, match=r"urls_neg\.txt: missing; it names the film"):
        opened(IMDB, tmp_path)


def test_unknown_sources_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        opened(IMDB, tmp_path / "none.csv")
    with pytest.raises(DataError, match="expected aclImdb's layout"):
        opened(IMDB, tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            b"review,sentiment\nA film,1\n",
            r":1: expected the columns 'text', 'label', found 'review', 'sentiment', read as UTF-8"
            r" with commas between columns\. Rename them",
        ),
        (b"text,label,label\nA film,1,0\n", r":1: .* different names, got 'label' twice\. Rename"),
        (
            ";".join(f"column {i}" for i in range(402)).encode(),
            r":1: .* found 402 columns, 'column 0', .*'column 7', \.\.\., read as UTF-8 with semi",
        ),
        ("review\tlabel\n".encode("utf-16"), r":1: .*'review', 'label', read as UTF-16 with tabs"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00text,label\n",
            r":1: expected the columns 'text', 'label', found ",
        ),
        (b"", r":1: expected the columns 'text', 'label', found none"),
    ],
)
def test_a_header_that_does_not_fit_is_told_with_encoding_and_delimiter(tmp_path, content, what):
    (tmp_path / "reviews.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"reviews\.csv" + what):
        opened(IMDB, tmp_path / "reviews.csv")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_header_tells_the_delimiter_and_the_first_bytes_the_encoding(
    tmp_path, some, delimiter, encoding
):
    file = tmp_path / "reviews.csv"
    write_csv(file, rows_of(some), delimiter=delimiter)
    file.write_bytes(file.read_text("utf-8").encode(encoding))
    assert rows_of(read(IMDB, file)) == rows_of(some)


def test_reviews_may_be_json_lines_or_parquet(tmp_path, some):
    import pyarrow
    from pyarrow import parquet

    objects = [{"text": text, "label": label} for text, label in rows_of(some)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in objects))
    parquet.write_table(pyarrow.Table.from_pylist(objects), tmp_path / "a.parquet")
    write_csv(tmp_path / "a.csv", rows_of(some))
    as_csv = contents(read(IMDB, tmp_path / "a.csv"))
    assert contents(read(IMDB, tmp_path / "a.jsonl")) == as_csv
    assert contents(read(IMDB, tmp_path / "a.parquet")) == as_csv


def test_a_key_twice_in_an_object_is_a_dead_letter_that_names_it(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0, "label": 1}\n')
    _, dead = read(IMDB, file)
    assert (dead.reason, dead.line) == ("malformed_line", 2)
    assert dead.excerpt.startswith("the key 'label' twice")


def test_parquet_with_a_column_twice_is_refused(tmp_path):
    import pyarrow
    from pyarrow import parquet

    columns = [pyarrow.array(["A film."]), pyarrow.array([0]), pyarrow.array([1])]
    table = pyarrow.Table.from_arrays(columns, names=["text", "label", "label"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: .* different names, got 'label' twice"):
        opened(IMDB, tmp_path / "a.parquet")


def _archive(path, members):
    """Writes (name or TarInfo, content) pairs, below aclImdb/."""
    with tarfile.open(path, "w:gz") as stream:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.name, info.size = f"aclImdb/{info.name}", len(content)
            stream.addfile(info, io.BytesIO(content))
    return path


def test_a_review_twice_in_an_archive_is_a_dead_letter(tmp_path):
    urls = b"http://www.imdb.com/title/tt1/usercomments\n" * 3
    link = tarfile.TarInfo("train/pos/2_7.txt")
    link.type, link.linkname = tarfile.LNKTYPE, "aclImdb/train/pos/0_9.txt"
    symbolic = tarfile.TarInfo("train/neg/1_2.txt")
    symbolic.type, symbolic.linkname = tarfile.SYMTYPE, "/dev/zero"
    members = [
        ("train/pos/0_9.txt", b"A good film."),
        ("train/pos/0_9.txt", b"A good film."),
        ("train/pos/0_10.txt", b"Another film of the same number."),
        (link, b""),
        ("train/neg/0_1.txt", b"A bad film."),
        (symbolic, b""),
        ("train/urls_pos.txt", urls),
        ("train/urls_neg.txt", urls),
    ]
    items = read(IMDB, _archive(tmp_path / "a.tar.gz", members))
    dead = [item for item in items if isinstance(item, DeadLetter)]
    assert {item.reason for item in dead} == {"malformed_line"}
    assert [(item.file.rpartition(":")[2], item.excerpt.split(":")[0]) for item in dead] == [
        ("train/pos/0_9.txt", "another review has the number train/pos/00000000"),
        ("train/pos/0_10.txt", "another review has the number train/pos/00000000"),
        ("train/pos/2_7.txt", "no file, but a link or the like"),
        ("train/neg/1_2.txt", "no file, but a link or the like"),
    ]
    assert len(items) == 6


def test_film_addresses_twice_in_an_archive_are_refused(tmp_path):
    urls = ("train/urls_pos.txt", b"http://www.imdb.com/title/tt1/usercomments\n")
    archive = _archive(tmp_path / "a.tar.gz", [("train/pos/0_9.txt", b"A good film."), urls, urls])
    with pytest.raises(DataError, match=r"a\.tar\.gz: holds train/urls_pos\.txt twice"):
        read(IMDB, archive)


@pytest.fixture
def small(tmp_path):
    """A folder aclImdb of one review of each label, with addresses for nine."""
    for side, stars in (("neg", 1), ("pos", 9)):
        (tmp_path / "train" / side).mkdir(parents=True)
        (tmp_path / "train" / side / f"0_{stars}.txt").write_text(f"A film of {stars} stars.")
        address = "http://www.imdb.com/title/tt1/usercomments\n"
        (tmp_path / f"train/urls_{side}.txt").write_text(address * 9)
    return tmp_path


def test_links_that_lead_nowhere_and_numbers_that_repeat_are_dead_letters(small):
    before = opened(IMDB, small).sha256
    (small / "train/pos/3_8.txt").symlink_to("gone.txt")
    (small / "train/pos/4_8.txt").symlink_to("0_9.txt")  # to a file: read
    (small / "train/pos/0_10.txt").write_text("The number of another review.")
    (small / "train/neg/5_1.txt").mkdir()
    items = read(IMDB, small)
    dead = {Path(i.file).name: i.excerpt for i in items if isinstance(i, DeadLetter)}
    assert dead.pop("0_9.txt").startswith("another review has the number train/pos/00000000")
    assert dead == {
        "3_8.txt": "no file, but a link that leads nowhere",
        "5_1.txt": "no file, but a folder",
    }
    assert len(items) == 6
    assert opened(IMDB, small).sha256 != before


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["train/pos/3_8.txt", "train/urls_pos.txt"])
def test_a_pipe_or_a_device_in_the_folder_is_refused(small, name):
    (small / name).unlink(missing_ok=True)
    os.mkfifo(small / name)
    with pytest.raises(DataError, match=rf"{name}: expected a regular file, got a named pipe"):
        opened(IMDB, small)
    (small / name).unlink()
    (small / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match=rf"{name}: expected a regular file, got a device"):
        opened(IMDB, small)
