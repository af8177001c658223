"""Checks of a corpus as a whole, by a task's Checks, from the ledger of its ingest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data import features
from data.facts import rate_per_thousand, total_facts
from data.records import SPLITS
from data.tasks import Checks, WordRate


def markers(checks: Checks) -> tuple[str, ...]:
    """The words that ingest must count, each once."""
    return tuple(dict.fromkeys(word for rate in checks.word_rates for word in rate.words))


def findings(classes: Sequence[str], checks: Checks, ledger: Mapping[str, Any]) -> list[str]:
    """What is not as expected, one line each; see Checks.

    Args:
        classes: of the task; () if it predicts the next token.
        checks: the bounds.
        ledger: of TextExampleGen, see components/text_example_gen/transforms.py.
    """
    found = []
    crossing = ledger.get("repeats_across_splits", 0)
    if checks.repeats_across_splits and crossing:
        found.append(
            f"repeats: expected no text in two splits, got {crossing}. Metrics on held-out texts "
            "would be too good. Remove the repeats."
        )
    if classes:
        for split in SPLITS:
            found += _of_classes(split, classes, checks, ledger["facts"].get(split, {}))
    facts = total_facts(ledger)
    return [*found, *_mean_words(checks, facts), *_word_rates(checks, facts)]


def _of_classes(
    split: str, classes: Sequence[str], checks: Checks, facts: Mapping[str, Any]
) -> Iterator[str]:
    by_number = facts.get("values", {}).get(features.LABEL, {})
    counts = {name: by_number.get(str(number), 0) for number, name in enumerate(classes)}
    records = sum(counts.values())
    missing = [name for name, count in counts.items() if not count]
    # A class that is not learned stops the run, whatever is switched off.
    if missing and (split == "train" or (split == "eval" and checks.every_class_in_every_split)):
        yield (
            f"classes: expected records of every class in {split}, found none of"
            f" {', '.join(missing)} among {records}. Add some, or remove the class from task.toml."
        )
    if records < max(checks.least_records, 1):
        return
    for name, count in counts.items():
        if count / records < checks.lowest_class_share:
            yield (
                f"class balance: expected at least {checks.lowest_class_share:.0%} of {split} in"
                f" class {name}, got {count / records:.1%} of {records} records. Check for missing"
                " or flipped labels and a truncated file, then balance the labels."
            )


def _mean_words(checks: Checks, facts: Mapping[str, Any]) -> Iterator[str]:
    records = facts.get("records", 0)
    mean = facts.get("words", 0) / max(records, 1)
    if records >= max(checks.least_records, 1) and mean < checks.lowest_mean_words:
        yield (
            f"length: expected at least {checks.lowest_mean_words:g} words a record on average,"
            f" got {mean:.3g}. These are shorter texts than the task's."
        )


def _word_rates(checks: Checks, facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("records", 0) and facts.get("words", 0) >= checks.least_words:
        for rate in checks.word_rates:
            yield from _word_rate(rate, rate_per_thousand(facts, rate.words))


def _word_rate(rate: WordRate, got: float) -> Iterator[str]:
    few = len(rate.words) > 8
    words = ", ".join(rate.words[:8]) + (" and the like" if few else "")
    for what, bound, holds in (
        ("at least", rate.lowest, rate.lowest is None or got >= rate.lowest),
        ("at most", rate.highest, rate.highest is None or got <= rate.highest),
    ):
        if not holds:
            yield (
                f"{rate.name}: expected {what} {bound:.1f} of {words} per 1,000 words, got"
                f" {got:.1f}. {rate.remedy}"
            ).rstrip()
