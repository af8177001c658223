"""Each check of a corpus, alone."""

import pytest

from data import checks, facts
from data.records import Record
from data.tasks import Checks, WordRate

CLASSES = ("billing", "login", "other")
NO_CHECKS = Checks(
    repeats_across_splits=False, every_class_in_every_split=False, least_records=0, least_words=0
)


def findings(counts, check=NO_CHECKS, classes=CLASSES, crossing=0, text="the cat sat"):
    """Of records with these numbers of each label, by split."""
    records = [
        Record("", split, {"text": text, "label": label}, "", 0)
        for split, of_label in counts.items()
        for label, count in of_label.items()
        for _ in range(count)
    ]
    ledger = {
        "facts": facts.split_facts(records, checks.markers(check)),
        "repeats_across_splits": crossing,
    }
    return checks.findings(classes, check, ledger)


EVEN = {"train": {0: 4, 1: 4, 2: 4}, "eval": {0: 1, 1: 1, 2: 1}}


def test_an_even_corpus_passes_and_an_empty_one_divides_by_nothing():
    everything = Checks(
        lowest_class_share=0.3,
        lowest_mean_words=3,
        word_rates=(WordRate("cats", ("cat",), 300, 400),),
        least_records=0,
        least_words=0,
    )
    assert findings(EVEN, everything) == []
    assert findings({}, everything, classes=()) == []


def test_a_class_without_training_rows_stops_whatever_is_switched_off():
    (found,) = findings({"train": {0: 4, 2: 4}, "eval": {0: 1, 1: 1}})
    assert found.startswith(
        "classes: expected records of every class in train, found none of login among 8."
    )


def test_a_class_that_eval_lacks_is_a_finding_unless_switched_off():
    counts = {**EVEN, "eval": {0: 3}}
    assert findings(counts) == []
    (found,) = findings(counts, Checks(every_class_in_every_split=True))
    assert "in eval, found none of login, other among 3" in found


def test_a_rare_class_is_a_finding_from_the_least_number_of_records_on():
    counts = {**EVEN, "train": {0: 90, 1: 90, 2: 20}}
    (found,) = findings(counts, Checks(lowest_class_share=0.2, least_records=200))
    assert found.startswith(
        "class balance: expected at least 20% of train in class other, got 10.0% of 200 records."
    )
    assert findings(counts, Checks(lowest_class_share=0.2, least_records=201)) == []


def test_repeats_across_splits_are_a_finding_unless_switched_off():
    (found,) = findings(EVEN, Checks(), crossing=2)
    assert found.startswith("repeats: expected no text in two splits, got 2.")
    assert findings(EVEN, crossing=2) == []


def test_short_texts_are_a_finding():
    (found,) = findings(EVEN, Checks(lowest_mean_words=3.5, least_records=15))
    assert "expected at least 3.5 words a record on average, got 3" in found
    assert findings(EVEN, Checks(lowest_mean_words=3.5, least_records=16)) == []


@pytest.mark.parametrize(
    ("rate", "what"),
    [
        (WordRate("pets", ("dog", "hen"), lowest=1.0), "at least 1.0 of dog, hen per 1,000 words"),
        (
            WordRate("pets", ("cat",), highest=2.0, remedy="Use dogs."),
            "at most 2.0 of cat",
        ),
    ],
)
def test_words_that_are_too_rare_or_too_frequent_are_a_finding(rate, what):
    (found,) = findings(EVEN, Checks(word_rates=(rate,), least_words=45))
    assert found.startswith(f"pets: expected {what}")
    assert found.endswith(rate.remedy or ".")
    assert findings(EVEN, Checks(word_rates=(rate,), least_words=46)) == []


def test_each_word_is_counted_once_and_next_token_has_no_classes():
    rates = (WordRate("a", ("x", "y"), 1), WordRate("b", ("y", "z"), 1))
    assert checks.markers(Checks(word_rates=rates)) == ("x", "y", "z")
    assert findings({"train": {0: 3}}, classes=()) == []
