import tarfile
import zlib
from pathlib import Path

import pytest
from read_corpora import BIBLE, IMDB, ledger_of, opened, records

from components.text_example_gen.component import source_identity
from data import facts, features
from data.bible import reader as bible
from data.errors import UserError
from data.imdb import reader as imdb
from data.records import BAD_SPLIT, REASONS


def add_faults(path: Path) -> Path:
    """Adds one row for each reason of a dead letter to a CSV of reviews."""
    with path.open("ab") as stream:
        stream.write(b'"   ",1\n')
        stream.write(b"A fine film,7\n")
        stream.write(b"A film, and a comma too many,1\n")
        stream.write(b"A film \xc3\xa9 " + b"\xff\xfe\x81" * 40 + b",1\n")
        stream.write(b"A long film. " * 2000 + b",0\n")
    return path


def test_writes_the_same_bits_with_one_worker_and_with_two(ingest, write_folder, reviews):
    folder = write_folder(reviews)
    one = ingest(IMDB, folder, workers=1, files_per_split=2)
    two = ingest(IMDB, folder, workers=2, files_per_split=2)
    assert sorted(one.files) == [
        f"Split-{split}/data_tfrecord-0000{file}-of-00002.gz"
        for split in ("eval", "test", "train")
        for file in (0, 1)
    ]
    assert one.files == two.files
    assert one.ledger == two.ledger


def test_the_order_of_rows_in_a_csv_changes_their_keys_but_not_their_splits(
    ingest, write_reviews, reviews
):
    forth = ingest(IMDB, write_reviews(reviews))
    back = ingest(IMDB, write_reviews(reviews[::-1], "back.csv"))
    for split in ("train", "eval"):
        assert forth.read(split) == back.read(split)[::-1]


def test_every_example_has_the_readers_features_and_the_length_of_its_text(
    ingest, write_reviews, reviews
):
    ingested = ingest(IMDB, write_reviews(reviews))
    written = ingested.read("train") + ingested.read("eval")
    assert sorted((row["text"], row["label"]) for row in written) == sorted(reviews)
    for row in written:
        assert row["characters"] == len(row["text"])
        assert row["length_bucket"] == features.length_bucket(
            row["text"], IMDB.reading.length_buckets
        )
        assert set(row) == {"text", "characters", "label", "length_bucket"}


def test_chapters_are_in_their_split_in_the_order_of_the_canon(ingest, write_verses, chapters):
    some = chapters[:60]
    ingested = ingest(BIBLE, write_verses(some))
    for split in ("train", "eval", "test"):
        expected = [
            {**chapter.features, "characters": len(chapter.features["text"])}
            for chapter in some
            if bible.split_of(chapter.features["book"], chapter.features["chapter"]) == split
        ]
        assert ingested.read(split) == expected
    assert ingested.ledger["facts"]["test"]["records"] > 0


def test_a_split_without_records_is_not_named(ingest, write_reviews, reviews):
    ingested = ingest(IMDB, write_reviews(reviews))
    assert ingested.examples.split_names == '["train", "eval"]'
    assert ingested.examples.get_string_custom_property("payload_format") == "FORMAT_TF_EXAMPLE"
    assert ingested.examples.get_string_custom_property("file_format") == "tfrecords_gzip"


def test_the_ledger_equals_that_of_a_plain_loop(ingest, write_reviews, reviews):
    path = add_faults(write_reviews([*reviews, *reviews[:7]]))
    ingested = ingest(IMDB, path, max_dead_letter_share=1.0)
    assert ingested.ledger == ledger_of(IMDB, path)
    assert ingested.ledger["read"] == 312
    assert ingested.ledger["repeats"] == 7


def test_the_ledger_of_chapters_equals_that_of_a_plain_loop(ingest, write_verses, chapters):
    path = write_verses(chapters[900:])
    assert ingest(BIBLE, path).ledger == ledger_of(BIBLE, path)


def test_every_kind_of_dead_letter_is_kept_with_file_line_and_reason(
    ingest, write_reviews, reviews
):
    path = write_reviews(reviews)
    first = path.read_bytes().count(b"\n") + 1
    ingested = ingest(IMDB, add_faults(path), max_characters=4000, max_dead_letter_share=1.0)
    letters = ingested.dead_letters
    assert [(letter["line"] - first, letter["reason"]) for letter in letters] == [
        (0, "empty_text"),
        (1, "bad_label"),
        (2, "malformed_line"),
        (3, "invalid_utf8"),
        (4, "too_long"),
    ]
    assert {letter["reason"] for letter in letters} == set(REASONS) - {BAD_SPLIT}
    assert {letter["file"] for letter in letters} == {str(path)}
    assert letters[1]["excerpt"] == "'7': A fine film"
    assert ingested.ledger["dead_letters"] == {letter["reason"]: 1 for letter in letters}
    assert sum(ingested.ledger["examples"].values()) == len(reviews)


def test_too_many_dead_letters_stop_and_are_kept_beside_the_outputs(
    ingest, write_reviews, reviews, tmp_path
):
    path = add_faults(write_reviews(reviews))
    with pytest.raises(UserError) as caught:
        ingest(IMDB, path)
    kept = tmp_path / "ingest-0/records-dead_letters.jsonl"
    assert len(kept.read_text().splitlines()) == 5
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(
        f"{path}: 5 of 305 records cannot be used (1.6%; at most 1.0% may): bad_label 1, "
        "empty_text 1, invalid_utf8 1, malformed_line 1, too_long 1. First: "
    )
    assert "bad_label \"'7': A fine film\"" in message
    assert message.endswith(
        f"All of them: {kept}. Correct the source or raise max_dead_letter_share."
    )


def test_as_many_dead_letters_as_allowed_do_not_stop(ingest, write_reviews, reviews):
    path = write_reviews([*reviews[:99], ("", 1)])
    assert ingest(IMDB, path).ledger["dead_letters"] == {"empty_text": 1}
    path = write_reviews([*reviews[:98], ("", 1)], "more.csv")
    with pytest.raises(UserError, match=r"1 of 99 records cannot be used \(1\.0%"):
        ingest(IMDB, path)


def test_a_repeat_is_kept_in_the_held_out_split_only(ingest, write_folder, reviews):
    held_out = [text for text, _ in reviews[225:]]
    repeated = [(f"  {text}\n".replace(" ", "  "), 1) for text in held_out[:10]]
    ingested = ingest(IMDB, write_folder([*repeated, *reviews[10:]]))
    assert ingested.ledger["repeats"] == 10
    assert ingested.ledger["repeats_across_splits"] == 0
    learned = {facts.same_text(row["text"]) for row in ingested.read("train")}
    learned |= {facts.same_text(row["text"]) for row in ingested.read("eval")}
    tested = {facts.same_text(row["text"]) for row in ingested.read("test")}
    assert not learned & tested
    assert tested == {facts.same_text(text) for text in held_out}


def test_of_repeats_in_one_split_the_first_is_kept(ingest, write_reviews, reviews):
    ingested = ingest(IMDB, write_reviews([*reviews, *((f"{t} ", y) for t, y in reviews)]))
    assert ingested.ledger["repeats"] == 300
    written = ingested.read("train") + ingested.read("eval")
    assert sorted(row["text"] for row in written) == sorted(text for text, _ in reviews)


def test_a_fraction_keeps_records_by_the_hash_of_their_key(ingest, write_reviews, reviews):
    path = write_reviews(reviews)
    ingested = ingest(IMDB, path, fraction=0.4)
    expected = [
        record.features["text"]
        for record in records(IMDB, path)
        if zlib.crc32(record.key.encode()) % 10_000 < 4000
    ]
    written = ingested.read("train") + ingested.read("eval")
    assert sorted(row["text"] for row in written) == sorted(expected)
    ledger = ingested.ledger
    assert ledger["sampled_out"] == len(reviews) - len(expected) > 100
    assert ledger["facts"] == ingest(IMDB, path).ledger["facts"]


def test_a_source_without_an_eval_example_stops(ingest, write_reviews, reviews):
    in_train = [row for row in reviews if zlib.crc32(facts.same_text(row[0]).encode()) % 10][:5]
    with pytest.raises(UserError, match=r"no example for eval among the 5 records read"):
        ingest(IMDB, write_reviews(in_train))


def test_a_source_that_changed_during_the_run_stops(ingest, write_reviews, reviews, monkeypatch):
    path = write_reviews(reviews)
    before = opened(IMDB, path)
    write_reviews(reviews[:-1])
    after = imdb.open_source
    answers = iter([before])
    monkeypatch.setattr(imdb, "open_source", lambda *given: next(answers, None) or after(*given))
    with pytest.raises(UserError, match=f"changed during the run: .* {before.sha256}, got "):
        ingest(IMDB, path)


def test_an_unreadable_source_stops_with_one_line(ingest, tmp_path, write_folder, reviews):
    folder = write_folder(reviews)
    archive = tmp_path / "aclImdb.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(folder, "aclImdb")
    archive.write_bytes(archive.read_bytes()[:-30_000])
    with pytest.raises(UserError) as caught:
        ingest(IMDB, archive)
    assert str(caught.value).startswith(f"{archive}: damaged archive (")
    assert "\n" not in str(caught.value)


def test_the_identity_of_a_packaged_corpus_has_no_path():
    source = opened(BIBLE)
    assert source_identity(source) == (
        f'{{"kind": "packaged", "path": "", "sha256": "{bible.PACKAGED_SHA256}"}}'
    )


def test_the_identity_of_a_file_changes_with_its_content_and_not_with_its_time(
    write_reviews, reviews
):
    path = write_reviews(reviews)
    before = source_identity(opened(IMDB, path))
    write_reviews(reviews)
    assert source_identity(opened(IMDB, path)) == before
    write_reviews([(reviews[0][0] + "!", reviews[0][1]), *reviews[1:]])
    assert source_identity(opened(IMDB, path)) != before


def test_mended_dead_letters_are_ingested_as_a_source(ingest, write_reviews, reviews):
    bad = [(text, 7) for text, _ in reviews[:60]]
    first = ingest(IMDB, write_reviews([*bad, *reviews[60:]]), max_dead_letter_share=1.0)
    path = Path(first.records.uri, "dead_letters.jsonl")
    mended = path.with_name("mended.jsonl")
    mended.write_text(path.read_text("utf-8").replace('"label": "7"', '"label": "1"'), "utf-8")
    again = ingest(IMDB, mended)
    assert not again.dead_letters
    written = again.read("train") + again.read("eval")
    assert sorted((row["text"], row["label"]) for row in written) == sorted(
        (text, 1) for text, _ in reviews[:60]
    )
