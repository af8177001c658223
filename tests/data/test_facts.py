"""Counting facts and dropping repeats."""

from data.facts import rate_per_thousand, split_facts, total_facts, without_repeats
from data.records import Record


def record(key, split, text, **features):
    return Record(key, split, {"text": text, **features}, "", 0)


def test_facts_count_lines_words_characters_markers_and_values():
    text = "And God said unto Noah,\nUnto thee;\nthou shalt not"
    facts = split_facts([record("1", "eval", text, book="Genesis")], ("unto", "thou", "hath"))
    assert facts["train"] == {} == facts["test"]
    assert facts["eval"] == {
        "records": 1,
        "lines": 3,
        "words": 10,
        "characters": len(text),
        "markers": {"unto": 2, "thou": 1},
        "values": {"book": {"Genesis": 1}},
    }


def test_facts_add_up_over_records_and_splits():
    records = [
        record("1", "train", "a film"),
        record("2", "train", "b"),
        record("3", "eval", "film"),
    ]
    facts = split_facts(records, ("film",))
    assert facts["train"]["words"] == 3
    total = total_facts({"facts": facts})
    assert (total["records"], total["words"], total["markers"]) == (3, 4, {"film": 2})
    assert rate_per_thousand(total, ("film", "movie")) == 500.0
    assert rate_per_thousand({}, ("film",)) == 0.0


def test_of_repeats_a_held_out_one_and_then_the_first_key_is_kept():
    records = [
        record("1", "train", "same  text\n"),
        record("2", "eval", "same text"),
        record("3", "eval", " same text"),
        record("4", "train", "other text"),
        record("5", "train", "other\ttext"),
    ]
    assert [kept.key for kept in without_repeats(records)] == ["2", "4"]
