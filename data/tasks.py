"""The tasks. Declarations only: all that differs from task to task; the stages are shared.

A new task needs an entry here, and in data/ a reader, a normal form and a schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data import features
from data.bible.normal_form import BIBLE
from data.imdb.normal_form import IMDB
from data.normal_form import NormalForm


@dataclass(frozen=True)
class Task:
    """A corpus and what a model learns from it."""

    name: str
    reader: str  # module with open_source, read_shard, check_corpus and MARKERS
    schema: str  # name of the file in data/schema/
    normal_form: NormalForm
    head: Literal["next_token", "sentiment"]
    label: str | None  # feature that the head predicts; None: the next token
    slices: tuple[str, ...]  # features by which the evaluation slices


TASKS = {
    task.name: task
    for task in (
        Task(
            name="bible",
            reader="data.bible.reader",
            schema="bible.pbtxt",
            normal_form=BIBLE,
            head="next_token",
            label=None,
            slices=(features.TESTAMENT, features.BOOK),
        ),
        Task(
            name="imdb",
            reader="data.imdb.reader",
            schema="imdb.pbtxt",
            normal_form=IMDB,
            head="sentiment",
            label=features.LABEL,
            slices=(features.LENGTH_BUCKET,),
        ),
    )
}
