"""The workers of a training, from TensorFlow's standard environment variable $TF_CONFIG.

    {"cluster": {"chief": ["a:4000"], "worker": ["b:4000", "c:4000"]},
     "task": {"type": "worker", "index": 1}}                  this process is c

If no chief is named, the first worker is the chief.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from data.errors import UserError
from pipeline.config import RunConfig

TF_CONFIG = "TF_CONFIG"
_KINDS = ("chief", "worker")
_PROBE_SECONDS = 3


@dataclass(frozen=True)
class Workers:
    """Two or more workers, the chief first, and the rank of this process among them."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]  # HOST:PORT
    rank: int

    @classmethod
    def from_environment(cls) -> Workers | None:
        """Reads $TF_CONFIG; None if it names no other worker.

        Raises:
            UserError: if $TF_CONFIG is malformed.
        """
        text = os.environ.get(TF_CONFIG, "").strip()
        if not text:
            return None
        try:
            config = json.loads(text)
        except ValueError as error:
            raise UserError(f"{TF_CONFIG}: expected JSON, got {text[:60]!r}: {error}") from None
        members, task = _parts(config)
        if len(members) < 2:
            return None
        place = f"{task.get('type')} {task.get('index')}"
        names = tuple(name for name, _ in members)
        if place not in names:
            raise UserError(
                f"{TF_CONFIG}: task: expected type and index of one of {', '.join(names)}, got"
                f" {json.dumps(task)}"
            )
        return cls(names, tuple(address for _, address in members), names.index(place))

    @property
    def leads(self) -> bool:
        """Whether this process is the chief."""
        return self.rank == 0

    def name(self, rank: int) -> str:
        chief = ", the chief" if rank == 0 else ""
        return f"{self.names[rank]}{chief} ({self.addresses[rank]})"

    def check_leads(self, task: str) -> None:
        """Raises a UserError if this is not the chief, which alone runs the pipeline."""
        if not self.leads:
            raise UserError(
                f"{TF_CONFIG}: this is {self.name(self.rank)}, and {self.name(0)} runs the"
                f" pipeline; start `tf-mamba worker {task}` here"
            )

    def check_shares(self, config: RunConfig) -> None:
        """Raises a UserError if there are more workers than parts of a batch."""
        from mamba_model.training_step import shards_of  # slow, as it imports TensorFlow

        training = config.training
        classifies = config.task.kind == "classification"
        rows = max(b for _, b in training.buckets) if classifies else training.batch
        if len(self.names) > (shards := shards_of(rows)):
            raise UserError(
                f"{TF_CONFIG}: {len(self.names)} workers, but a batch of {rows} rows is split"
                f" into {shards} parts; expected at most as many workers (parts have 2 rows or"
                " more, and there are 4 at most)"
            )

    def unreachable(self, ranks: Iterable[int] | None = None) -> list[int]:
        """Ranks, among `ranks` or all other workers, at whose address nothing listens."""
        others = [rank for rank in range(len(self.names)) if rank != self.rank]
        return [rank for rank in (others if ranks is None else ranks) if not self._listens(rank)]

    def _listens(self, rank: int) -> bool:
        host, _, port = self.addresses[rank].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS).close()
        except OSError:
            return False
        return True


def _parts(config: Any) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """(name, address) of each worker, the chief first; and the `task` part."""
    parts = (
        [config.get(name, {}) for name in ("cluster", "task")] if isinstance(config, dict) else []
    )
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise UserError(f'{TF_CONFIG}: expected {{"cluster": {{...}}, "task": {{...}}}}')
    cluster, task = parts
    if unknown := sorted(set(cluster) - set(_KINDS)):
        raise UserError(
            f"{TF_CONFIG}: cluster: expected {' and '.join(_KINDS)}, got {unknown[0]!r}; there"
            " are no parameter servers and no evaluator"
        )
    members = []
    for kind in _KINDS:
        addresses = cluster.get(kind, [])
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise UserError(
                f"{TF_CONFIG}: cluster: {kind}: expected a list of HOST:PORT, got"
                f" {json.dumps(addresses)}"
            )
        members += [(f"{kind} {i}", address) for i, address in enumerate(addresses)]
    if len({address for _, address in members}) < len(members):
        raise UserError(f"{TF_CONFIG}: cluster: expected a different address for each worker")
    return members, task


def _is_address(text: Any) -> bool:
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65_536
