"""What a task is. Declarations only: task.toml holds the values, task_files.py reads them.

A task is a corpus and what a model learns from it. Stages get these values as parameters, and know
no task by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from data.normal_form import NormalForm

Kind = Literal["classification", "next-token"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Natural = Annotated[int, Field(ge=0, le=2_147_483_647)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Task:
    """What a model learns."""

    name: Name  # also of its runs and of the served model
    kind: Kind
    # Of a classification, in the order of the label's numbers, from 0.
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    normal_form: NormalForm = field(default_factory=NormalForm)


@dataclass(frozen=True)
class Split:
    """How the generic reader divides a corpus into train, eval and test."""

    # "hash": of the text; "column": a column names the split; "group": records with the same value
    # in a column stay together, by the hash of the value.
    by: Literal["hash", "column", "group"] = "hash"
    column: str = ""
    # Values of the column that mean a split, beside "train", "eval" and "test" themselves.
    names: Mapping[str, Literal["train", "eval", "test"]] = field(default_factory=dict)
    eval: Share = 0.1  # of the hashes
    test: Share = 0.0


@dataclass(frozen=True)
class Reading:
    """How records are read from a source."""

    # A module, or the name of an entry point of the group `tf_mamba.readers`; see data/readers.py.
    reader: str = "data.generic.reader"
    # Whether the reader applies the task's normal form, which then counts in the key of its stage.
    normalizes: bool = False
    text: str = "text"  # names of columns
    label: str = "label"
    columns: tuple[str, ...] = ()  # others that are kept, as features to slice by
    # Other spellings of the classes in the label's column.
    aliases: Mapping[str, str] = field(default_factory=dict)
    # Upper bounds, in words, of the buckets of the feature `length_bucket`; (): no such feature.
    length_buckets: tuple[Annotated[int, Field(ge=1)], ...] = ()
    # A pattern of the lines at which a document begins, in one long text; "": at blank lines.
    documents_at: str = ""
    split: Split = field(default_factory=Split)


@dataclass(frozen=True)
class WordRate:
    """A bound on how often words occur: it tells the domain of a text, or its edition."""

    name: str
    words: Annotated[tuple[str, ...], Field(min_length=1)]  # in lower case
    lowest: Rate | None = None  # occurrences in 1,000 words
    highest: Rate | None = None
    remedy: str = ""  # what other text this may be, and what to do


@dataclass(frozen=True)
class Checks:
    """What DataGate checks in the corpus as a whole; 0 or false switches a check off."""

    repeats_across_splits: bool = True  # no text may be in two splits
    lowest_class_share: Share = 0.0  # of each class in each split
    every_class_in_every_split: bool = True  # train and eval
    lowest_mean_words: Rate = 0.0  # of a record
    word_rates: tuple[WordRate, ...] = ()
    of_the_reader: bool = True  # what the reader's own `check_corpus` finds
    # Fewer records, or fewer words, give no reliable shares, means and rates.
    least_records: Natural = 200
    least_words: Natural = 2_000


@dataclass(frozen=True)
class About:
    """Words for the model card and the page."""

    title: str = ""  # "": "A Mamba model: <name>"
    description: str = "Trained by the pipeline of tf_mamba."
    licence: str = "not written down yet: see [about] in the task's task.toml"
    intended_use: tuple[str, ...] = ()
    not_intended_use: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    example: str = "A text."  # for the request that the card shows
