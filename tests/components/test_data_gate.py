import copy
import dataclasses
import json
from pathlib import Path

import pytest
from read_corpora import BIBLE, IMDB, ledger_of, records

from components.data_gate import DataGate
from data.bible import reader as bible
from data.errors import UserError
from data.features import length_bucket
from data.records import Record


def rows_of(records) -> list[dict]:
    """Raw features as ingest writes them."""
    return [{**r.features, "characters": len(r.features["text"])} for r in records]


@pytest.fixture
def judged(tmp_path):
    """Validates rows against the schema of `task` as ExampleValidator does, and runs the gate."""

    def judge(task, rows, ledger, mode="stop"):
        import pandas as pd
        import tensorflow_data_validation as tfdv
        from tfx.types import standard_artifacts

        from components.artifacts import DataBlessing, IngestRecords

        schema = tfdv.load_schema_text(str(task.file.with_name("schema.pbtxt")))
        stats = tfdv.generate_statistics_from_dataframe(pd.DataFrame(rows), n_jobs=1)
        anomalies, kept = standard_artifacts.ExampleAnomalies(), IngestRecords()
        anomalies.uri, kept.uri = str(tmp_path / "anomalies"), str(tmp_path / "records")
        anomalies.split_names = '["train"]'
        split = tmp_path / "anomalies/Split-train"
        split.mkdir(parents=True)
        found = tfdv.validate_statistics(stats, schema)
        (split / "SchemaDiff.pb").write_bytes(found.SerializeToString())
        (tmp_path / "records").mkdir()
        (tmp_path / "records/records.json").write_text(json.dumps(ledger))
        blessing = DataBlessing()
        blessing.uri = str(tmp_path / "blessing")
        DataGate.test_call(
            anomalies,
            kept,
            blessing,
            task=json.dumps({"name": task.task.name, "classes": task.task.classes}),
            reader=task.reading.reader,
            checks=json.dumps(dataclasses.asdict(task.checks)),
            mode=mode,
        )
        return blessing

    return judge


@pytest.fixture
def read_reviews(write_reviews, reviews):
    """Rows and ledger of real reviews."""
    path = write_reviews(reviews)
    return rows_of(records(IMDB, path)), ledger_of(IMDB, path)


@pytest.fixture
def read_chapters(write_verses, chapters):
    """Rows and ledger of the real Psalms and the books after them."""
    some = chapters[478:]
    return rows_of(some), ledger_of(BIBLE, write_verses(some))


def test_lets_real_reviews_pass(judged, read_reviews):
    blessing = judged(IMDB, *read_reviews)
    assert blessing.get_int_custom_property("blessed") == 1
    report = json.loads(Path(blessing.uri, "report.json").read_text())
    assert report == {"mode": "stop", "findings": []}


def test_lets_real_chapters_pass(judged, read_chapters):
    blessing = judged(BIBLE, *read_chapters)
    assert blessing.get_int_custom_property("blessed") == 1


def change(**features):
    """A fault: sets values of the first row; None removes the feature."""

    def apply(rows):
        rows[0].update(features)

    return apply


def drop(feature):
    def apply(rows):
        for row in rows:
            del row[feature]

    return apply


def add_feature(rows):
    for row in rows:
        row["rating"] = 8


def label_as_text(rows):
    for row in rows:
        row["label"] = ["negative", "positive"][row["label"]]


@pytest.mark.parametrize(
    ("task", "fault", "feature", "what"),
    [
        (IMDB, change(label=2), "label", "Unexpectedly large value: 2"),
        (IMDB, change(label=-1), "label", "Unexpectedly small value: -1"),
        (IMDB, label_as_text, "label", "Expected data of type: INT"),
        (IMDB, drop("label"), "label", "Column dropped"),
        (IMDB, change(text=None), "text", "The feature was present in fewer examples"),
        (IMDB, drop("text"), "text", "Column dropped"),
        (IMDB, change(characters=9), "characters", "Unexpectedly small value: 9"),
        (IMDB, change(characters=20_001), "characters", "Unexpectedly large value: 20001"),
        (IMDB, change(length_bucket="285-"), "length_bucket", "285-"),
        (IMDB, add_feature, "rating", "New column"),
        (BIBLE, change(testament="middle"), "testament", "middle"),
        (BIBLE, change(book="Tobit"), "book", "Tobit"),
        (BIBLE, change(chapter=151), "chapter", "Unexpectedly large value: 151"),
        (BIBLE, change(chapter=0), "chapter", "Unexpectedly small value: 0"),
        (BIBLE, change(text=None), "text", "The feature was present in fewer examples"),
        (BIBLE, change(characters=49), "characters", "Unexpectedly small value: 49"),
        (BIBLE, change(characters=20_001), "characters", "Unexpectedly large value: 20001"),
    ],
)
def test_stops_on_an_anomaly(judged, request, tmp_path, task, fault, feature, what):
    rows, ledger = request.getfixturevalue("read_reviews" if task is IMDB else "read_chapters")
    rows = copy.deepcopy(rows)
    fault(rows)
    with pytest.raises(UserError) as caught:
        judged(task, rows, ledger)
    message = str(caught.value)
    path = ledger["source"]["path"]
    assert message.startswith(f"data gate: 1 finding(s) in {path}; the run stops ")
    assert f"First: split train, feature {feature}: " in message
    assert what in message
    assert message.endswith(
        f"Correct {path} or, if it is right, the schema.pbtxt of the task {task.task.name}."
    )
    assert "\n" not in message
    assert not (tmp_path / "blessing").exists()


def test_prints_every_finding_and_continues_in_mode_report(judged, read_reviews, capsys):
    rows, ledger = copy.deepcopy(read_reviews)
    change(label=2, characters=3)(rows)
    blessing = judged(IMDB, rows, ledger, mode="report")
    assert blessing.get_int_custom_property("blessed") == 0
    report = json.loads(Path(blessing.uri, "report.json").read_text())
    assert [finding.split(": ")[0] for finding in report["findings"]] == [
        "split train, feature characters",
        "split train, feature label",
    ]
    printed = capsys.readouterr().err
    assert all(f"data gate: {finding}\n" in printed for finding in report["findings"])


def test_stops_on_an_edition_that_is_not_the_king_james(judged, chapters, write_verses):
    modern = {"thou": "you", "thee": "you", "thy": "your", "ye": "you", "hath": "has",
              "saith": "says", "unto": "to", "shalt": "shall"}  # fmt: skip
    changed = []
    for chapter in chapters[:50]:
        text = " ".join(modern.get(word.lower(), word) for word in chapter.features["text"].split())
        changed.append(
            Record(chapter.key, chapter.split, {**chapter.features, "text": text}, "", 0)
        )
    with pytest.raises(UserError, match=r"First: edition: expected at least 8\.0 of thou"):
        judged(BIBLE, rows_of(changed), ledger_of(BIBLE, write_verses(changed)))


def test_stops_on_an_incomplete_packaged_text(judged, read_chapters):
    rows, ledger = copy.deepcopy(read_chapters)
    ledger["source"]["kind"] = "packaged"
    with pytest.raises(UserError, match=r"3 finding\(s\) .* First: books: expected 66, got 48"):
        judged(BIBLE, rows, ledger)


def test_stops_on_reviews_of_one_label(judged, write_reviews, reviews, read_reviews):
    rows, _ = read_reviews
    ledger = ledger_of(IMDB, write_reviews([(text, 1) for text, _ in reviews]))
    what = "First: classes: expected records of every class in train, found none of negative among"
    with pytest.raises(UserError, match=what):
        judged(IMDB, rows, ledger)


def test_stops_on_a_text_in_two_splits(judged, read_reviews):
    rows, ledger = copy.deepcopy(read_reviews)
    ledger["repeats_across_splits"] = 3
    with pytest.raises(UserError, match="First: repeats: expected no text in two splits, got 3"):
        judged(IMDB, rows, ledger)


def test_refuses_an_unknown_mode(judged, read_reviews):
    with pytest.raises(UserError, match="expected mode 'stop' or 'report', got 'warn'"):
        judged(IMDB, *read_reviews, mode="warn")


def test_the_domains_of_the_bibles_schema_are_those_of_the_reader():
    import tensorflow_data_validation as tfdv

    from data.bible import books

    schema = tfdv.load_schema_text("data/bible/schema.pbtxt")
    domains = {f.name: tuple(f.string_domain.value) for f in schema.feature if f.type == 1}
    assert domains["book"] == books.BOOKS
    assert set(domains["testament"]) == {books.testament(book) for book in books.BOOKS}
    assert len(domains["book"]) == bible.WHOLE_BOOKS


def test_the_domain_of_length_buckets_is_that_of_the_reader():
    import tensorflow_data_validation as tfdv

    schema = tfdv.load_schema_text("data/imdb/schema.pbtxt")
    buckets = tfdv.get_feature(schema, "length_bucket").string_domain.value
    assert list(buckets) == [
        length_bucket("word " * n, IMDB.reading.length_buckets) for n in (1, 128, 175, 285)
    ]
