"""Compares two runs: parameters, data, code, versions, results.

parameters
  preset                   smoke       quick
  model.d_model            64          128
metrics
  accuracy                 0.781       0.874       +0.093
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from data import plain_json

_HASH = 64  # digits of a hash
_DIGITS = 12  # of a hash, in the table
_LONGEST = 40  # characters of a value, in the table


@dataclass(frozen=True)
class Difference:
    """A value that differs between two runs."""

    section: str  # parameters, data, code, versions, results or metrics
    name: str
    first: Any  # None: the run does not have it
    second: Any

    @property
    def change(self) -> float | None:
        """The second number minus the first; None if they are not numbers."""
        values = (self.first, self.second)
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
            return None
        return self.second - self.first


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The differences between two summaries (see runs/summary.py), by section."""
    differences = []
    for section, one in _sections(first).items():
        other = _sections(second)[section]
        differences += [
            Difference(section, name, one.get(name), other.get(name))
            for name in [*one, *(name for name in other if name not in one)]
            if one.get(name) != other.get(name)
        ]
    return differences


def _sections(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    metrics = summary["metrics"] or {}
    parts: dict[str, Any] = {
        "parameters": {
            "partial": (summary.get("partial") or {}).get("stages"),
            # With task, preset and seed.
            **summary["config"],
        },
        "data": {
            "source": summary["source"],
            "data_sha256": summary["data_sha256"],
            "records": summary["records"] or {},
            "findings": summary["data_findings"],
        },
        "code": summary["code"],
        "versions": {**summary["versions"], **summary["machine"]},
        "results": {
            "vocabulary_sha256": summary["vocabulary_sha256"],
            "weights_sha256": summary["weights_sha256"],
            "blessed": summary["blessed"],
            "failed_thresholds": summary["failed_thresholds"],
            "pushed_path": summary["pushed_path"],
            "error": summary["error"],
        },
        "metrics": metrics.get("eval") or {},
    }
    # Nested names are joined with dots; names of modules have dots already.
    return {section: dict(_flat(values)) for section, values in parts.items()}


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def as_json(differences: Sequence[Difference], first: str, second: str) -> str:
    """As JSON: {"runs": [first, second], section: {name: [first value, second value]}}."""
    found: dict[str, Any] = {"runs": [first, second]}
    for each in differences:
        found.setdefault(each.section, {})[each.name] = [each.first, each.second]
    return plain_json.dumps(found, indent=2)


def as_text(differences: Sequence[Difference], first: str, second: str) -> str:
    """As a table with one heading per section."""
    if not differences:
        return f"{first} and {second} do not differ"
    rows = []
    for section, group in itertools.groupby(differences, key=lambda each: each.section):
        rows.append((section, "", "", ""))
        for each in group:
            change = "" if each.change is None else f"{each.change:+.4g}"
            rows.append((f"  {each.name}", _cell(each.first), _cell(each.second), change))
    return tabulate(
        rows,
        headers=("", first, second, ""),
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(value.split()) if isinstance(value, str) else json.dumps(value)
    if len(text) == _HASH and set(text) <= set("0123456789abcdef"):
        return text[:_DIGITS]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
