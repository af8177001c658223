"""Writes texts in each format that the generic reader takes, and reads them."""

import csv
import gzip
import json

from data.generic import reader
from data.records import DeadLetter, Record
from data.tasks import Reading, Task

TWO = Task("films", "classification", ("bad", "good"))
NEXT = Task("plays", "next-token")
READING = Reading(text="body", label="verdict")


def read(path, task=TWO, reading=READING, limit=20_000):
    """All that the generic reader yields, shard by shard."""
    source = reader.open_source(str(path), reading)
    return [
        item
        for shard in source.shards
        for item in reader.read_shard(source, shard, task, reading, limit)
    ]


def contents(items):
    """(text, label) of records; no dead letter may be among them."""
    assert all(isinstance(item, Record) for item in items)
    return [(item.features["text"], item.features.get("label")) for item in items]


def dead(items):
    return [(item.reason, item.line) for item in items if isinstance(item, DeadLetter)]


def _delimited(stream, rows, delimiter):
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["id", "verdict", "body"])
    writer.writerows([index, TWO.classes[label], text] for index, (text, label) in enumerate(rows))


def _objects(rows):
    return [{"body": text, "verdict": TWO.classes[label], "n": 1} for text, label in rows]


def write_table(path, rows):
    """Writes reviews as the suffix says; `.semicolon.csv` and `.utf16.csv` are CSV too."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(_objects(rows)), path, row_group_size=50)
        return path
    opened = gzip.open if path.name.endswith(".gz") else open
    encoding = "utf-16" if ".utf16." in name else "utf-8"
    with opened(path, "wt", encoding=encoding, newline="") as stream:
        if name.endswith(".jsonl"):
            stream.writelines(json.dumps(each) + "\n" for each in _objects(rows))
        elif name.endswith(".json"):
            json.dump(_objects(rows), stream, ensure_ascii=False)
        else:
            tab = name.endswith(".tsv")
            _delimited(stream, rows, "\t" if tab else ";" if ".semicolon." in name else ",")
    return path
