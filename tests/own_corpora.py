"""Tasks of one's own, as a user writes them, and the same rows written in all formats."""

import csv
import dataclasses
import gzip
import json

from read_corpora import IMDB

from data.task_files import TaskFile
from data.tasks import Reading, Task


def own_task(kind="classification", classes=("negative", "positive"), **reading) -> TaskFile:
    """A task with the generic reader, as a user writes it."""
    return dataclasses.replace(
        IMDB, task=Task("own", kind, classes if kind == "classification" else ()),
        reading=Reading(**reading),
    )  # fmt: skip


def _delimited(delimiter):
    def write(path, rows, **style):
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter, **style)
            writer.writerows([("text", "label"), *rows])

    return write


def _json_lines(path, rows):
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    path.write_text("".join(lines), "utf-8")


def _json_array(path, rows):
    objects = [{"label": label, "text": text} for text, label in rows]
    path.write_text(json.dumps(objects, indent=2, ensure_ascii=False), "utf-8")


def _parquet(path, rows):
    import pyarrow
    from pyarrow import parquet

    texts, labels = zip(*rows, strict=True)
    table = pyarrow.table({"text": texts, "label": labels, "unread": [[1, 2]] * len(texts)})
    parquet.write_table(table, path, row_group_size=100)


def packed(write):
    """`write`, gzipped."""

    def write_packed(path, rows):
        write(path, rows)
        path.write_bytes(gzip.compress(path.read_bytes()))

    return write_packed


WRITERS = {  # name of a file to what writes it
    "a.csv": _delimited(","),
    "a.tsv": _delimited("\t"),
    "semicolons.csv": _delimited(";"),
    "a.jsonl": _json_lines,
    "a.json": _json_array,
    "a.parquet": _parquet,
    "a.csv.gz": packed(_delimited(",")),
    "a.tsv.gz": packed(_delimited("\t")),
    "a.jsonl.gz": packed(_json_lines),
    "a.json.gz": packed(_json_array),
}
