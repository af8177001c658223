"""Reads a source as the pipeline will, and counts what is in it."""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from data.facts import same_text
from data.features import LABEL, TEXT
from data.generic import reader
from data.records import SPLITS, TOO_LONG, DeadLetter, Record, Source
from data.tasks import Reading, Task
from pipeline.config import DataConfig

MARKUP = re.compile(r"<[A-Za-z/!][^<>]{0,200}>|&(?:[A-Za-z]{2,8}|#[0-9]{1,5});")
MOST_VALUES = 1_000  # of a kept column that are counted

_MOST_KEPT = {"train": 12_000_000, "eval": 6_000_000}  # characters

Features = Mapping[str, str | int]  # of one record, as in data.records.Record


@dataclass
class _Sample:
    """Every nth item, with n growing so that all have at most `most` characters together."""

    most: int
    items: list[Features] = field(default_factory=list)
    _step: int = 1
    _seen: int = 0
    _characters: int = 0

    def add(self, item: Features) -> None:
        if self._seen % self._step == 0:
            self.items.append(item)
            self._characters += len(str(item[TEXT]))
            while self._characters > self.most and len(self.items) > 1:
                self.items = self.items[::2]
                self._step *= 2
                self._characters = sum(len(str(kept[TEXT])) for kept in self.items)
        self._seen += 1


@dataclass
class Found:
    """What is in a source.

    Attributes:
        path, format: of the source, as its reader tells them.
        records: usable ones, by split.
        characters: of their texts, by split.
        classes: by split, the number of records of each class's number.
        values: by kept column, how often each of its first MOST_VALUES values occurs.
        words, lengths: words and characters of each record.
        markup: records with tags or character entities.
        repeats: records whose text came before; in another split: `crossing`.
        dead: records that cannot be used, by reason, and the first of each reason.
        samples: of train and eval, features of records at even distances.
    """

    path: str
    format: str
    records: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    classes: dict[str, Counter[int]] = field(
        default_factory=lambda: {split: Counter() for split in SPLITS}
    )
    values: dict[str, Counter[str]] = field(default_factory=dict)
    words: array[int] = field(default_factory=lambda: array("L"))
    lengths: array[int] = field(default_factory=lambda: array("L"))
    markup: int = 0
    repeats: int = 0
    crossing: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    first_dead: dict[str, DeadLetter] = field(default_factory=dict)
    samples: dict[str, list[Features]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of usable records."""
        return self.records.total()

    @property
    def dead_share(self) -> float:
        """Of all records read, the share that cannot be used."""
        return self.dead.total() / max(1, self.total + self.dead.total())

    def class_counts(self, split: str, classes: int) -> list[int]:
        """Records of each class in a split, in the classes' order."""
        return [self.classes[split][number] for number in range(classes)]


def quantiles(numbers: array[int] | np.ndarray, *shares: float) -> list[int]:
    """The smallest number that at least each share of them do not exceed."""
    return np.quantile(np.asarray(numbers), shares, method="inverted_cdf").astype(int).tolist()


def inspect(task: Task, reading: Reading, source_path: str) -> Found:
    """Reads a whole source; keeps counts and samples only.

    Documents that the reader cuts are as long as in a run with the default limit. If records are
    longer than that, the source is read again without a limit.

    Raises:
        DataError: if the source cannot be read.
    """
    source = reader.open_source(source_path, reading)
    found = _read(source, task, reading, DataConfig.max_characters)
    return _read(source, task, reading, sys.maxsize) if found.dead[TOO_LONG] else found


def _read(source: Source, task: Task, reading: Reading, max_characters: int) -> Found:
    found = Found(source.path, source.kind)
    found.values = {name: Counter() for name in reading.columns}
    samples = {split: _Sample(most) for split, most in _MOST_KEPT.items()}
    splits_of: dict[int, str] = {}  # by the text's hash
    for shard in source.shards:
        for item in reader.read_shard(source, shard, task, reading, max_characters):
            if isinstance(item, DeadLetter):
                found.dead[item.reason] += 1
                found.first_dead.setdefault(item.reason, item)
                continue
            _count(found, item, splits_of)
            if item.split in samples:
                samples[item.split].add(item.features)
    found.samples = {split: sample.items for split, sample in samples.items()}
    return found


def _count(found: Found, record: Record, splits_of: dict[int, str]) -> None:
    text, split = str(record.features[TEXT]), record.split
    found.records[split] += 1
    found.characters[split] += len(text)
    found.words.append(len(text.split()))
    found.lengths.append(len(text))
    found.markup += bool(MARKUP.search(text))
    if LABEL in record.features:
        found.classes[split][int(record.features[LABEL])] += 1
    for name, counter in found.values.items():
        value = str(record.features[name])
        if value in counter or len(counter) < MOST_VALUES:
            counter[value] += 1
    identity = hash(same_text(text))
    if identity in splits_of:
        found.repeats += 1
        found.crossing += splits_of[identity] != split
    splits_of.setdefault(identity, split)
