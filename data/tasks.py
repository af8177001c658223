"""What sets one task apart from another; all stages are shared.

A new task on other text is one entry here, a reader in data/ and a schema in
data/schema/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data import features
from data.bible_normal_form import BIBLE
from data.imdb_normal_form import IMDB
from data.normal_form import NormalForm


@dataclass(frozen=True)
class Task:
    """A corpus and what is learned from it."""

    name: str
    reader: str  # module with open_source, read_shard and check_corpus, as data/imdb.py
    schema: str  # file in data/schema/
    normal_form: NormalForm
    head: Literal["next_token", "sentiment"]
    label: str | None  # feature that the head predicts; None: the text itself
    slices: tuple[str, ...]  # features by which evaluation slices


TASKS = {
    task.name: task
    for task in (
        Task(
            name="bible",
            reader="data.bible",
            schema="bible.pbtxt",
            normal_form=BIBLE,
            head="next_token",
            label=None,
            slices=(features.TESTAMENT, features.BOOK),
        ),
        Task(
            name="imdb",
            reader="data.imdb",
            schema="imdb.pbtxt",
            normal_form=IMDB,
            head="sentiment",
            label=features.LABEL,
            slices=(features.LENGTH_BUCKET,),
        ),
    )
}
