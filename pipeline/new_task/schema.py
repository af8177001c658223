"""The schema of a new task's raw Examples: inferred by TFDV, then tightened by all records."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from data.features import CHARACTERS, LABEL, LENGTH_BUCKET, TEXT
from data.tasks import Reading, Task
from pipeline.new_task.inspection import MOST_VALUES, Found

_ROWS = 2_000  # by which TFDV tells the features and their types
_MOST_IN_DOMAIN = 100  # values of a kept column; with more, new values are no anomaly

_HEADER = """\
The schema of {name}'s raw Examples, one per record. TFDV inferred it from the source, and `tf-mamba
new` tightened it; review it, and edit it as the text changes. ExampleValidator checks each split
against it, and DataGate stops the run on an anomaly.

Every Example has every feature, with one value, so Transform and parse_example give dense (b, 1)
tensors. A feature that is not named here is an anomaly too.

TFDV can bound a number but not the length of a string. So ingest writes `{characters}`, the length
of `{text}` in Unicode characters, and this schema bounds that. [checks] in task.toml says what is
checked in the corpus as a whole."""


def schema_text(task: Task, reading: Reading, found: Found, max_characters: int) -> str:
    """The schema in protobuf's text format, with comments.

    Args:
        max_characters: the run's limit on a record.
    """
    names = length_bucket_names(reading.length_buckets)
    rows = [
        {**record, CHARACTERS: len(str(record[TEXT]))}
        | ({LENGTH_BUCKET: names[0]} if names else {})
        for record in found.samples["train"][:_ROWS]
    ]
    statistics = tfdv.generate_statistics_from_dataframe(pd.DataFrame(rows))
    inferred = {feature.name: feature for feature in tfdv.infer_schema(statistics).feature}
    first = [name for name in (TEXT, CHARACTERS, LABEL) if name in inferred]
    order = [*first, *(name for name in rows[0] if name not in first)]
    parts = [_comment(_HEADER.format(name=task.name, characters=CHARACTERS, text=TEXT))]
    for name in order:
        comment = _tighten(inferred[name], task, found, max_characters, names)
        parts.append(_feature(inferred[name], comment))
    return "\n".join([parts[0], "", *parts[1:], ""])


def length_bucket_names(bounds: Sequence[int]) -> tuple[str, ...]:
    """The values of the feature `length_bucket`; () without bounds."""
    if not bounds:
        return ()
    firsts = (1, *(bound + 1 for bound in bounds))
    return (
        *(f"{first}-{last}" for first, last in zip(firsts, bounds, strict=False)),
        f"{firsts[-1]}+",
    )


def _tighten(
    feature: Any, task: Task, found: Found, max_characters: int, buckets: Sequence[str]
) -> str:
    """Adds presence, shape and domain; returns what a comment should say."""
    name = feature.name
    for inferred in ("domain", "string_domain", "int_domain", "value_count", "unique_constraints"):
        feature.ClearField(inferred)
    feature.presence.min_fraction, feature.presence.min_count = 1.0, 1
    del feature.shape.dim[:]
    feature.shape.dim.add(size=1)
    if name == CHARACTERS:
        shortest, longest = min(found.lengths), max(found.lengths)
        domain = schema_pb2.IntDomain(name=name, min=max(1, shortest // 2), max=max_characters)
        feature.int_domain.CopyFrom(domain)
        return (
            f"The texts have {shortest:,} to {longest:,} characters. The maximum is ingest's limit,"
            " data.max_characters; raise both for longer texts."
        )
    if name == LABEL:
        last = len(task.classes) - 1
        feature.int_domain.CopyFrom(schema_pb2.IntDomain(name=name, min=0, max=last))
        classes = "; ".join(f"{number} {text}" for number, text in enumerate(task.classes[:20]))
        more = "; and so on" if len(task.classes) > 20 else ""
        return f"The classes of task.toml by number: {classes}{more}."
    if name == LENGTH_BUCKET:
        _allow(feature, buckets)
        return "By number of words: reading.length_buckets in task.toml."
    if name in found.values:
        values = found.values[name]
        if len(values) > _MOST_IN_DOMAIN:
            number = (
                f"{MOST_VALUES:,} or more" if len(values) >= MOST_VALUES else f"{len(values):,}"
            )
            return f"The source has {number} different values: any is allowed."
        _allow(feature, sorted(values))
        return "The values in the source; another is an anomaly."
    return ""


def _allow(feature: Any, values: Sequence[str]) -> None:
    feature.string_domain.CopyFrom(schema_pb2.StringDomain(name=feature.name, value=values))


def _feature(feature: Any, comment: str) -> str:
    """In the style of the built-in tasks' schemas: one line for each part but a list of values."""

    def line(name: str) -> str:
        part = text_format.MessageToString(getattr(feature, name), as_one_line=True)
        return f"  {name} {{ {part} }}"

    lines = ["feature {"]
    if comment:
        lines.append(textwrap.indent(_comment(comment, 96), "  "))
    kind = schema_pb2.FeatureType.Name(feature.type)
    lines += [f"  name: {json.dumps(feature.name, ensure_ascii=False)}", f"  type: {kind}"]
    lines += [line("presence"), line("shape")]
    if feature.HasField("int_domain"):
        lines.append(line("int_domain"))
    if feature.HasField("string_domain"):
        domain = text_format.MessageToString(feature.string_domain, indent=4, as_utf8=True)
        lines += ["  string_domain {", domain.rstrip("\n"), "  }"]
    return "\n".join([*lines, "}"])


def _comment(text: str, width: int = 98) -> str:
    wrapper = textwrap.TextWrapper(width, break_on_hyphens=False)
    lines = (line for part in text.split("\n") for line in (wrapper.wrap(part) or [""]))
    return "\n".join(f"# {line}".rstrip() for line in lines)
