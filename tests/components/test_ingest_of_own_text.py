"""TextExampleGen with the generic reader."""

import csv
import dataclasses

import pytest
from read_corpora import IMDB, ledger_of

from data.errors import UserError
from data.tasks import Reading, Task


def task_file(reading: Reading):
    task = Task("films", "classification", ("bad", "good"))
    return dataclasses.replace(IMDB, task=task, reading=reading)


@pytest.fixture
def shards(tmp_path, reviews):
    """Real reviews in three files, with an identifier and a column of two values."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        with (folder / f"{number}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "length", "text", "label"])
            for index, (text, label) in enumerate(reviews[number::3]):
                length = "long" if len(text) > 800 else "short"
                writer.writerow([f"{number}-{index}", length, text, ("bad", "good")[label]])
    return folder


def test_shards_give_the_same_bits_with_one_worker_and_with_two(ingest, shards, reviews):
    task = task_file(Reading(columns=("length",)))
    one, two = ingest(task, shards), ingest(task, shards, workers=2)
    assert one.files == two.files
    assert one.ledger == two.ledger == ledger_of(task, shards)
    written = one.read("train") + one.read("eval")
    assert sorted((row["text"], row["label"]) for row in written) == sorted(reviews)
    assert {row["length"] for row in written} == {"long", "short"}


def test_the_ledger_counts_no_values_of_an_identifier(ingest, shards, monkeypatch):
    from components.text_example_gen import transforms

    monkeypatch.setattr(transforms, "_MOST_VALUES", 20)
    ledger = ingest(task_file(Reading(columns=("id", "length"))), shards).ledger
    values = ledger["facts"]["train"]["values"]
    assert set(values) == {"label", "length"}
    assert sum(values["length"].values()) == ledger["examples"]["train"]


def test_too_many_values_are_forgotten_in_any_order_of_adding():
    from components.text_example_gen import transforms

    def count(names):
        return {"facts": {"train": {"values": {"id": dict.fromkeys(names, 1)}}}}

    names = [str(number) for number in range(transforms._MOST_VALUES + 1)]
    sums = transforms._SumCounts()
    few = sums.merge_accumulators([count(names[:500]), count(names[500:-1])])
    assert few == count(names[:-1])
    one = sums.add_input(sums.merge_accumulators([count(names[:-1]), {}]), count(names[-1:]))
    two = sums.merge_accumulators([count(names[600:]), count(names[:600])])
    more = sums.add_input(one, count(["another"]))
    assert two == more == count([transforms._TOO_MANY])


def test_a_shard_without_a_column_stops_with_one_line(ingest, shards):
    (shards / "1.csv").write_text("id,length,text\n1,short,A film.\n")
    with pytest.raises(UserError) as caught:
        ingest(task_file(Reading()), shards)
    message = str(caught.value)
    assert message.startswith(f"{shards}/1.csv:1: expected the columns 'text', 'label', found 'id'")
    assert "\n" not in message
