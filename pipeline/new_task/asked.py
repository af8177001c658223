"""What the user says about a new task."""

from __future__ import annotations

from dataclasses import dataclass

from data.tasks import Kind


@dataclass(frozen=True)
class Asked:
    """The options of `tf-mamba new`; empty: to be found by looking."""

    name: str
    kind: Kind
    source: str
    text: str = ""
    label: str = ""
    columns: tuple[str, ...] = ()
    split_column: str = ""
    group_column: str = ""
    documents_at: str = ""
