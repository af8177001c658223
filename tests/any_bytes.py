"""Reads any bytes as a file of each kind: records, dead letters or one error of one line."""

import io
import json
import tarfile
from pathlib import Path

from generic_texts import NEXT, READING, TWO
from read_corpora import BIBLE, IMDB

from data import dead_letters, readers
from data.errors import DataError, UserError
from data.generic import reader as generic
from data.records import DeadLetter, Record
from pipeline.pushed_models.bulk_rows import read_rows

# Bytes that mean something to a reader: fragments of valid files.
FRAGMENTS = (
    b'"', b",", b";", b"\t", b"|", b"\n", b"\r\n", b"\r", b"{", b"}", b"[", b"]", b":", b"\\",
    b"\0", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"\xc3\xa9", b"\xe9", b"\\ud83d",
    b"NaN", b"1e999", b"null", b"text,label\n", b"body,verdict\n", b"text\tlabel\n", b"A film.,1\n",
    b'"a ""b"" c",0\n', b'{"text": "A film.", "label": 1}\n', b'{"body": "x", "verdict": "good"}\n',
    b"Genesis\t1\t1\tIn the beginning\n", b"1:1 In the beginning ", b"book\tchapter\tverse\ttext\n",
    b'{"book": "Genesis", "chapter": 1, "verse": 1, "text": "In"}\n',
    b"*** START OF THE PROJECT GUTENBERG EBOOK\n", b"The First Book of Moses: Called Genesis\n\n",
    b"PAR1", b"\n\n", b" ",
)  # fmt: skip
KINDS = (
    "imdb.csv", "imdb.jsonl", "imdb.json", "imdb.parquet", "imdb.tar", "imdb.tar.gz", "imdb",
    "bible.tsv",
    "bible.txt", "generic.csv", "generic.tsv", "generic.jsonl", "generic.json", "generic.parquet",
    "generic.txt", "next.txt", "next.csv", "rows.csv", "rows.jsonl", "rows.txt",
)  # fmt: skip


def check(folder: Path, kind: str, content: bytes) -> None:
    """Fails unless a reader takes the content, or refuses it by a DataError of one line."""
    name, _, suffix = kind.partition(".")
    file = folder / (f"a.{suffix}" if suffix else "a")
    file.write_bytes(content)
    try:
        if name == "rows":
            for row in read_rows(file):
                assert row.error or isinstance(row.text, bytes)
        else:
            _check_items(name, file)
    except (DataError, UserError) as error:
        assert "\n" not in str(error)
        str(error).encode()


def _check_items(name: str, file: Path) -> None:
    if name in ("generic", "next"):
        task, reading, reader = (TWO if name == "generic" else NEXT), READING, generic
    else:
        of_task = IMDB if name == "imdb" else BIBLE
        task, reading = of_task.task, of_task.reading
        reader = readers.load(reading.reader)
    source = reader.open_source(str(file), reading)
    keys = set()
    for shard in source.shards:
        for item in reader.read_shard(source, shard, task, reading, 1_000):
            if isinstance(item, DeadLetter):
                assert "dead_letter" in json.loads(dead_letters.line(dead_letters.Bounded()(item)))
                continue
            assert isinstance(item, Record)
            assert item.key not in keys
            keys.add(item.key)
            for value in item.features.values():
                str(value).encode()


def archive(*members: tuple[str, bytes]) -> bytes:
    """A tar of the folder aclImdb."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def table() -> bytes:
    """A Parquet file with the columns of both tables."""
    import pyarrow
    from pyarrow import parquet

    stream = io.BytesIO()
    row = {"text": "A film.", "label": "1", "body": "A film.", "verdict": "good"}
    parquet.write_table(pyarrow.Table.from_pylist([row] * 3), stream)
    return stream.getvalue()


def valid(kind: str) -> bytes:
    """A valid file of the kind."""
    suffix = kind.partition(".")[2]
    if suffix.startswith("tar"):
        import gzip

        urls = b"http://www.imdb.com/title/tt1/\n" * 2
        tar = archive(
            ("train/pos/0_9.txt", b"A good film."),
            ("train/neg/1_2.txt", b"A bad film."),
            ("train/urls_pos.txt", urls),
            ("train/urls_neg.txt", urls),
        )
        return gzip.compress(tar) if suffix.endswith("gz") else tar
    if suffix == "parquet":
        return table()
    if kind.startswith("bible"):
        tsv = b"Genesis\t1\t1\tIn the beginning\nGenesis\t1\t2\tAnd the earth\n"
        return tsv if suffix == "tsv" else b"Genesis\n\n1:1 In the beginning\n1:2 And the earth\n"
    of_imdb = kind.startswith("imdb")
    text, label = ("text", "label") if of_imdb or kind.startswith("rows") else ("body", "verdict")
    value = "1" if of_imdb else "good"
    if suffix in ("jsonl", "json"):
        line = json.dumps({text: "A film.", label: value})
        return f"{line}\n{line}\n".encode() if suffix == "jsonl" else f"[{line}, {line}]".encode()
    delimiter = "\t" if suffix == "tsv" else ","
    return f'{text}{delimiter}{label}\nA film.{delimiter}{value}\n"B"{delimiter}{value}\n'.encode()
