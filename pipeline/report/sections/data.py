"""The data: what happened to each record, the splits, anomalies and drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data import dead_letters, features
from data.tasks import Task
from pipeline.report import figures
from pipeline.report.blocks import Block, Drawing, Fold, Sentence, Table
from pipeline.report.inputs import Run, split_names
from pipeline.report.missing import not_measured
from pipeline.report.numbers import count, share

_RECORDS = "TextExampleGen.records"
_STATISTICS = "StatisticsGen.statistics"
_DEAD_SHOWN = 10
# A feature has drifted if the L-infinity distance of its value frequencies, or the Jensen-Shannon
# divergence of its numbers, is above this; TFDV's guide starts with 0.01.
_DRIFT = 0.01


def section(run: Run) -> list[Block]:
    if not run.has(_RECORDS):
        return [Sentence("No record was read.")]
    ledger = run.read_json(_RECORDS, "records.json")
    return [
        _accounts(ledger),
        *_dead_letters(run, ledger),
        _splits(ledger),
        *_values(ledger, run.task),
        *_lengths(run),
        *_words(run),
        *_findings(run),
        *_drift(run),
    ]


def _accounts(ledger: Mapping[str, Any]) -> Table:
    rows = [
        ("read", ledger["read"]),
        ("dead letters: records that could not be used", sum(ledger["dead_letters"].values())),
        ("repeats of another record's text", ledger["repeats"]),
        ("left out by data.fraction", ledger["sampled_out"]),
        *((f"kept in split {name}", number) for name, number in ledger["examples"].items()),
    ]
    return Table(
        "What happened to each record",
        ("", "records", "share"),
        [(name, count(number), share(number, ledger["read"])) for name, number in rows],
    )


def _dead_letters(run: Run, ledger: Mapping[str, Any]) -> list[Block]:
    if not ledger["dead_letters"]:
        return [Sentence("No dead letters.")]
    by_reason = sorted(ledger["dead_letters"].items(), key=lambda item: (-item[1], item[0]))
    reasons = [(reason, count(number)) for reason, number in by_reason]
    letters = dead_letters.read(run.file(_RECORDS, "dead_letters.jsonl"), most=_DEAD_SHOWN)
    head = ("file", "line", "reason", "excerpt")
    rows = [[_cell(letter.get(name)) for name in head] for letter in letters]
    return [
        Table("Dead letters by reason", ("reason", "records"), reasons),
        Fold(f"The first {len(rows)} dead letters", [Table("Dead letters", head, rows)]),
    ]


def _cell(value: Any) -> str:
    return "" if value is None else str(value)[:200]


def _splits(ledger: Mapping[str, Any]) -> Table:
    rows = []
    for split, facts in sorted(ledger["facts"].items()):
        if facts:
            records, words, characters = (facts[n] for n in ("records", "words", "characters"))
            per_record = f"{words / records:,.1f}" if records else ""
            rows.append((split, count(records), count(words), count(characters), per_record))
    head = ("split", "records", "words", "characters", "words per record")
    return Table("Splits", head, rows)


def _values(ledger: Mapping[str, Any], task: Task) -> list[Block]:
    """Counts of the values of each feature that has only a few different ones; labels by name."""
    blocks: list[Block] = []
    splits = [split for split, facts in sorted(ledger["facts"].items()) if facts]
    values: dict[str, dict[str, dict[str, int]]] = {}
    for split in splits:
        for feature, counts in ledger["facts"][split].get("values", {}).items():
            for value, number in counts.items():
                name = task.classes[int(value)] if feature == features.LABEL else value
                values.setdefault(feature, {}).setdefault(name, {})[split] = number
    for feature, of_value in sorted(values.items()):
        rows = [
            (value, *(count(of_split.get(split, 0)) for split in splits))
            for value, of_split in sorted(of_value.items())
        ]
        table = Table(f"Records by {feature}", (feature, *splits), rows)
        blocks.append(table if len(rows) <= 6 else Fold(f"Records by {feature}", [table]))
    return blocks


def _lengths(run: Run) -> list[Block]:
    if not run.has(_STATISTICS):
        return [Sentence("There are no statistics, so there are no histograms.")]
    curves = {}
    for split in split_names(run.artifacts[_STATISTICS]):
        buckets = _characters(_statistics(run.artifacts[_STATISTICS], split))
        whole = sum(number for _, _, number in buckets)
        if whole:  # per width, as the splits have ranges of different widths
            curves[split] = [
                (low, high, number / whole / max(1, high - low)) for low, high, number in buckets
            ]

    def paint(axes: Any) -> None:
        for i, (split, buckets) in enumerate(sorted(curves.items(), reverse=True)):
            edges = [low for low, _, _ in buckets] + [buckets[-1][1]]
            axes.stairs(
                [100_000 * part for _, _, part in buckets],
                edges,
                label=split,
                color=figures.SERIES[i % len(figures.SERIES)],
                linestyle="-" if i == 0 else "--",
                linewidth=1.6,
            )
        figures.label(axes, "characters per record", "percent of the split, per 1,000")
        axes.legend()

    svg = figures.draw(
        "lengths",
        "Lengths of the records",
        "For each split, the share of its records in ten ranges of length, per 1,000 characters.",
        paint,
    )
    return [Drawing(svg, "Lengths of the records, by StatisticsGen")]


def _statistics(uri: str, split: str) -> Any:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    content = Path(uri, f"Split-{split}", "FeatureStats.pb").read_bytes()
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(content)


def _characters(statistics: Any) -> list[tuple[float, float, float]]:
    """(from, to, records) of each bucket of lengths."""
    for feature in statistics.datasets[0].features:
        if list(feature.path.step) == [features.CHARACTERS]:
            standard = feature.num_stats.histograms[0]  # equal widths; the second has quantiles
            return [(b.low_value, b.high_value, b.sample_count) for b in standard.buckets]
    return []


def _words(run: Run) -> list[Block]:
    words = run.measurements.get("words")
    if not words or "error" in words:
        return [not_measured("The most frequent words", words)]
    svg = figures.draw(
        "words",
        "The most frequent words",
        "Counts: " + ", ".join(f"{word} {number:,}" for word, number in words["words"]),
        lambda axes: figures.bars(axes, dict(words["words"]), "occurrences"),
        height=4.4,
    )
    caption = f"The most frequent words of the first {count(words['characters'])} characters"
    return [Drawing(svg, f"{caption} of split train")]


def _findings(run: Run) -> list[Block]:
    if not run.has("DataGate.blessing"):
        if run.has("ExampleValidator.anomalies"):
            return [Sentence("DataGate stopped the run; the error lists its findings.", "warning")]
        return [Sentence("The data was not checked for anomalies.")]
    report = run.read_json("DataGate.blessing", "report.json")
    if not report["findings"]:
        return [Sentence("No anomalies: the data is as its schema and its reader expect.", "good")]
    return [
        Sentence(f"{len(report['findings'])} anomalies, which DataGate let pass:", "warning"),
        *(Sentence(finding, "warning") for finding in report["findings"]),
    ]


def _drift(run: Run) -> list[Block]:
    """Compares with the last statistics, by TFDV."""
    if not run.has(_STATISTICS):
        return []
    if run.stages is None:
        return [
            Sentence("Drift is known at the run's end only: see report.html in the run's folder.")
        ]
    if run.last_statistics is None:
        return [Sentence("Drift: there are no earlier statistics to compare with.")]
    rows = []
    for split in split_names(run.artifacts[_STATISTICS]):
        if split in split_names(run.last_statistics):
            before = _statistics(run.last_statistics, split)
            rows += _drifts(split, _statistics(run.artifacts[_STATISTICS], split), before)
    head = ("feature", "split", "measure", "distance", "verdict")
    return [Table("Drift from the last earlier statistics", head, rows)]


def _drifts(split: str, now: Any, before: Any) -> list[tuple[str, ...]]:
    import tensorflow_data_validation as tfdv

    schema = tfdv.infer_schema(before)
    for feature in schema.feature:
        comparator = feature.drift_comparator
        if feature.type == 1:  # BYTES
            comparator.infinity_norm.threshold = _DRIFT
        else:
            comparator.jensen_shannon_divergence.threshold = _DRIFT
    anomalies = tfdv.validate_statistics(now, schema, previous_statistics=before)
    return [
        (
            ".".join(info.path.step),
            split,
            measure.Type.Name(measure.type).replace("_", " ").lower(),
            f"{measure.value:.4f}",
            "drift" if measure.value > measure.threshold else "none",
        )
        for info in anomalies.drift_skew_info
        for measure in info.drift_measurements
    ]
