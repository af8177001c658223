"""TextExampleGen's Beam pipeline: shards of a source to files of Examples.

    shards -> read -+-> dead letters ------------------------> dead_letters.jsonl
                    +-> records -> one of each text -> sample -> Split-<name>/*.gz
      each step counts the records that it saw or dropped -----> records.json

The ledger, records.json, is the sum of those counts, each of which has the ledger's form:

    {"source": {"kind": "packaged", "path": "...", "sha256": "..."},
     "read": 25000,                                   = the sum of the next four
     "examples": {"train": 22348, "eval": 2556, "test": 0},   written
     "dead_letters": {"empty_text": 3},               unusable, by reason
     "repeats": 96,                                   dropped: another record has the text
     "sampled_out": 0,                                dropped by `fraction`
     "repeats_across_splits": 0,                      texts written to more than one split
     "facts": {"train": {...}, ...}}                  see data/facts.py

Facts cover all usable records without repeats, before sampling, so that they compare with
those of the whole corpus. Of a feature with more than 1,000 values they do not count the values.

The files are bit-identical for any number of workers: records are grouped by file, sorted by
key and serialized deterministically. Files are written atomically.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from data import dead_letters, readers
from data.errors import DataError
from data.facts import add_counts, precedence, same_text, split_facts
from data.features import CHARACTERS, LABEL, TEXT
from data.files import whole_file, write_whole
from data.records import SPLITS, DeadLetter, Record, Source
from data.tasks import Reading, Task

_MOST_VALUES = 1_000  # of a feature other than the label, whose numbers the ledger keeps
_TOO_MANY = "\0"  # stands for the values of a feature with more
Counts = dict[str, Any]  # part of a ledger: nested numbers


@dataclass(eq=False, repr=False)
class Ingest(beam.PTransform):
    """Reads `source` and writes Examples, dead letters and the ledger.

    Attributes:
        source: to read.
        task: what it is read for.
        reading: how; names the reader.
        markers: lower-case words that are counted.
        fraction: share of the records to keep, by a hash of the key.
        max_characters: the reader makes a longer text a dead letter.
        files_per_split: number of files of a split; records go to files by a hash of the key.
        split_uris: folder of each split.
        dead_letters_path, ledger_path: files to write.
    """

    source: Source
    task: Task
    reading: Reading
    markers: Sequence[str]
    fraction: float
    max_characters: int
    files_per_split: int
    split_uris: Mapping[str, str]
    dead_letters_path: Path
    ledger_path: Path

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pipeline: beam.Pipeline) -> None:
        """Applies the steps above to `pipeline`."""
        read = (
            pipeline
            | "Shards" >> beam.Create(list(self.source.shards))
            | "SpreadShards" >> beam.Reshuffle()
            | "Read"
            >> beam.FlatMap(
                _read_shard, self.source, self.task, self.reading, self.max_characters
            ).with_outputs("dead_letters", "counts", main="records")
        )
        unique = (
            read.records
            | "TextIdentity" >> beam.Map(_with_identity)
            | "SameText" >> beam.GroupByKey()
            | "KeepOne" >> beam.FlatMap(_keep_one).with_outputs("counts", main="records")
        )
        facts = unique.records | "Facts" >> beam.Map(_facts, self.markers)
        sampled = unique.records | "Sample" >> beam.FlatMap(_sample, self.fraction).with_outputs(
            "counts", main="records"
        )
        written = (
            sampled.records
            | "ToFile" >> beam.Map(_to_file, self.files_per_split)
            | "GatherFiles" >> beam.GroupByKey()
            | "WriteExamples" >> beam.Map(_write_examples, self.files_per_split, self.split_uris)
        )
        across = (
            sampled.records
            | "WhereText" >> beam.Map(_identity_and_split)
            | "TextInSplits" >> beam.CombinePerKey(_distinct)
            | "AcrossSplits" >> beam.FlatMap(_count_across)
        )
        start = pipeline | "Once" >> beam.Create([None])
        _ = start | "WriteDeadLetters" >> beam.Map(
            _write_dead_letters, self.dead_letters_path, beam.pvalue.AsList(read.dead_letters)
        )
        _ = (
            (read.counts, unique.counts, facts, sampled.counts, written, across)
            | "AllCounts" >> beam.Flatten()
            | "SumCounts" >> beam.CombineGlobally(_SumCounts())
            | "WriteLedger" >> beam.Map(_write_ledger, self.source, self.ledger_path)
        )


def is_sampled(key: str, fraction: float) -> bool:
    """Whether the record is in the `fraction` to keep; 1 keeps all records."""
    return zlib.crc32(key.encode()) % 10_000 < fraction * 10_000


def serialize(record: Record) -> bytes:
    """Serializes a record as a tf.train.Example, deterministically.

    Adds CHARACTERS, the length of the text, as TFDV can bound a number but not the length of a
    string.
    """
    import tensorflow as tf

    features = {**record.features, CHARACTERS: len(str(record.features[TEXT]))}
    example = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, str):
            example.features.feature[name].bytes_list.value.append(value.encode())
        else:
            example.features.feature[name].int64_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def _read_shard(
    shard: str, source: Source, task: Task, reading: Reading, max_characters: int
) -> Iterator[Record | beam.pvalue.TaggedOutput]:
    counts: Counts = {"read": 0}
    bounded = dead_letters.Bounded()
    try:
        reader = readers.load(reading.reader)
        for item in reader.read_shard(source, shard, task, reading, max_characters):
            counts["read"] += 1
            if isinstance(item, DeadLetter):
                add_counts(counts, {"dead_letters": {item.reason: 1}})
                yield beam.pvalue.TaggedOutput("dead_letters", bounded(item))
            else:
                yield item
    except DataError as error:  # the executor raises it, without Beam's traceback
        counts["unreadable"] = {str(error): 1}
    yield beam.pvalue.TaggedOutput("counts", counts)


def _identity(record: Record) -> bytes:
    """A hash that is equal for texts that differ only in white space."""
    text = same_text(str(record.features[TEXT]))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _with_identity(record: Record) -> tuple[bytes, Record]:
    return _identity(record), record


def _identity_and_split(record: Record) -> tuple[bytes, str]:
    return _identity(record), record.split


def _keep_one(
    group: tuple[bytes, Iterable[Record]],
) -> Iterator[Record | beam.pvalue.TaggedOutput]:
    records = iter(group[1])
    kept, repeats = next(records), 0
    for record in records:
        kept, repeats = min(kept, record, key=precedence), repeats + 1
    yield kept
    if repeats:
        yield beam.pvalue.TaggedOutput("counts", {"repeats": repeats})


def _sample(record: Record, fraction: float) -> Iterator[Record | beam.pvalue.TaggedOutput]:
    if is_sampled(record.key, fraction):
        yield record
    else:
        yield beam.pvalue.TaggedOutput("counts", {"sampled_out": 1})


def _distinct(values: Iterable[Any]) -> list[str]:
    """Combines splits, and lists of already combined splits, to one sorted list."""
    splits: set[str] = set()
    for value in values:
        splits.update([value] if isinstance(value, str) else value)
    return sorted(splits)


def _count_across(text_splits: tuple[bytes, list[str]]) -> Iterator[Counts]:
    if len(text_splits[1]) > 1:
        yield {"repeats_across_splits": 1}


def _to_file(record: Record, files: int) -> tuple[str, tuple[str, bytes]]:
    file = zlib.crc32(record.key.encode()) % files
    return f"{record.split}/{file:05d}", (record.key, serialize(record))


def _write_examples(
    group: tuple[str, Iterable[tuple[str, bytes]]], files: int, split_uris: Mapping[str, str]
) -> Counts:
    import tensorflow as tf

    split, file = group[0].split("/")
    examples = sorted(group[1])
    if len({key for key, _ in examples}) < len(examples):
        raise AssertionError(f"{split}: the reader gave the same key to different records")
    folder = Path(split_uris[split])
    # Written one folder up: TFX reads every file in the split's own folder.
    with (
        whole_file(folder / f"data_tfrecord-{file}-of-{files:05d}.gz", folder.parent) as unfinished,
        tf.io.TFRecordWriter(str(unfinished), options="GZIP") as writer,
    ):
        for _, example in examples:
            writer.write(example)
    return {"examples": {split: len(examples)}}


def _write_dead_letters(_: None, path: Path, letters: list[DeadLetter]) -> None:
    ordered = sorted(letters, key=lambda letter: (letter.file, letter.line, letter.reason))
    write_whole(path, b"".join(map(dead_letters.line, ordered)))


def _write_ledger(counts: Counts, source: Source, path: Path) -> None:
    ledger: Counts = {
        "source": {name: value for name, value in asdict(source).items() if name != "shards"},
        "read": 0,
        "examples": dict.fromkeys(SPLITS, 0),
        "dead_letters": {},
        "repeats": 0,
        "sampled_out": 0,
        "repeats_across_splits": 0,
        "facts": {split: {} for split in SPLITS},
    }
    add_counts(ledger, counts)
    for facts in ledger["facts"].values():
        for name, values in [*facts.get("values", {}).items()]:
            if _TOO_MANY in values:
                del facts["values"][name]
    write_whole(path, json.dumps(ledger, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _facts(record: Record, markers: Sequence[str]) -> Counts:
    return {"facts": split_facts([record], markers)}


class _SumCounts(beam.CombineFn):
    """Sums counts, in place."""

    def create_accumulator(self) -> Counts:
        return {}

    def add_input(self, accumulator: Counts, counts: Counts) -> Counts:
        return _bounded(add_counts(accumulator, counts))

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        total: Counts = {}
        for accumulator in accumulators:
            _bounded(add_counts(total, accumulator))
        return total

    def extract_output(self, accumulator: Counts) -> Counts:
        return accumulator


def _bounded(counts: Counts) -> Counts:
    """Forgets, in place, the values of a feature that has too many, an identifier, say.

    The order of adding does not matter: a part has too many only if the whole has.
    """
    for facts in counts.get("facts", {}).values():
        for name, values in facts.get("values", {}).items():
            if _TOO_MANY in values or (len(values) > _MOST_VALUES and name != LABEL):
                facts["values"][name] = {_TOO_MANY: 1}
    return counts
