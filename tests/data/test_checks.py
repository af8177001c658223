"""Each check of a corpus fires alone, at its bound, and is silent when it is switched off."""

import copy
import dataclasses

import pytest

from data.checks import findings, markers
from data.tasks import Checks, WordRate

CLASSES = ("billing", "delivery", "other")
RATE = WordRate("domain", ("parcel", "invoice"), lowest=5.0, highest=20.0, remedy="Other letters?")
# Bounds that LEDGER just keeps.
CHECKS = Checks(
    lowest_class_share=0.25, lowest_mean_words=10.0, word_rates=(RATE,), least_records=100,
    least_words=2_000,
)  # fmt: skip
LEDGER = {
    "repeats_across_splits": 0,
    "facts": {
        "train": {
            "records": 200, "words": 2_000, "markers": {"parcel": 8, "invoice": 4},
            "values": {"label": {"0": 100, "1": 50, "2": 50}},
        },
        "eval": {
            "records": 100, "words": 1_000, "markers": {"parcel": 3},
            "values": {"label": {"0": 30, "1": 30, "2": 40}},
        },
        "test": {},
    },
}  # fmt: skip


def counts(split, **changes):
    """A ledger in which some facts of a split differ."""
    ledger = copy.deepcopy(LEDGER)
    ledger["facts"][split] |= changes
    return ledger


def labels(split, *of_class):
    numbers = {str(number): count for number, count in enumerate(of_class) if count}
    return counts(split, values={"label": numbers})


def test_a_corpus_that_just_keeps_every_bound_has_no_finding():
    assert findings(CLASSES, CHECKS, LEDGER) == []


FAULTS = [  # ledger; the finding; what switches the check off
    (LEDGER | {"repeats_across_splits": 1}, "repeats: expected no text in two splits, got 1",
     {"repeats_across_splits": False}),
    (labels("train", 101, 50, 49),
     "class balance: expected at least 25% of train in class other, got 24.5% of 200 records",
     {"lowest_class_share": 0.0}),
    (labels("eval", 50, 50, 0),
     "classes: expected records of every class in eval, found none of other among 100",
     {"every_class_in_every_split": False, "lowest_class_share": 0.0}),
    (counts("train", words=1_999),
     "length: expected at least 10 words a record on average, got 10",
     {"lowest_mean_words": 0.0}),
    (counts("train", markers={"parcel": 11}),
     "domain: expected at least 5.0 of parcel, invoice per 1,000 words, got 4.7",
     {"word_rates": ()}),
    (counts("train", markers={"invoice": 58}),
     "domain: expected at most 20.0 of parcel, invoice per 1,000 words, got 20.3",
     {"word_rates": ()}),
]  # fmt: skip


@pytest.mark.parametrize(("ledger", "finding", "off"), FAULTS, ids=range(len(FAULTS)))
def test_each_check_fires_and_can_be_switched_off(ledger, finding, off):
    found = findings(CLASSES, CHECKS, ledger)
    assert found[0].startswith(finding)
    # A class without records has too small a share as well.
    assert {line.split(":")[0] for line in found[1:]} <= {"class balance"}
    assert "\n" not in found[0]
    assert findings(CLASSES, dataclasses.replace(CHECKS, **off), ledger) == []


def test_only_the_balance_repeats_what_a_missing_class_says():
    assert len(findings(CLASSES, CHECKS, FAULTS[2][0])) == 2
    assert all(
        len(findings(CLASSES, CHECKS, fault[0])) == 1 for fault in FAULTS if fault != FAULTS[2]
    )


def test_a_class_that_is_not_learned_stops_whatever_is_switched_off():
    off = Checks(
        repeats_across_splits=False, every_class_in_every_split=False, of_the_reader=False,
        least_records=0, least_words=0,
    )  # fmt: skip
    (finding,) = findings(CLASSES, off, labels("train", 200, 0, 0))
    assert finding == (
        "classes: expected records of every class in train, found none of delivery, other among"
        " 200. Add some, or remove the class from task.toml."
    )


def test_few_records_and_few_words_give_no_shares_means_and_rates():
    few = {"records": 3, "words": 3, "values": {"label": {"0": 1, "1": 1, "2": 1}}}
    ledger = {"facts": {"train": few, "eval": few, "test": {}}}
    assert findings(CLASSES, dataclasses.replace(CHECKS, lowest_class_share=0.5), ledger) == []
    bounds = dataclasses.replace(CHECKS, least_records=1, least_words=6)
    assert [line.split(":")[0] for line in findings(CLASSES, bounds, ledger)] == [
        "length",
        "domain",
    ]


def test_without_classes_no_class_is_asked_for():
    ledger = copy.deepcopy(LEDGER)
    for facts in ledger["facts"].values():
        facts.pop("values", None)
    assert findings((), CHECKS, ledger) == []


def test_the_words_to_count_are_those_of_all_rates_each_once():
    other = WordRate("edition", ("invoice", "thou"))
    assert markers(Checks(word_rates=(RATE, other))) == ("parcel", "invoice", "thou")
