"""What `tf-mamba new` prints."""

from __future__ import annotations

from collections.abc import Mapping

from tabulate import tabulate

from data.decoding import printable
from data.records import SPLITS
from pipeline.config import DataConfig
from pipeline.new_task.inspection import quantiles
from pipeline.new_task.plan import Plan, chance_lines

_MOST_CLASSES = 30  # lines
_EXCERPT = 60  # characters


def findings(plan: Plan) -> str:
    """What was found in the source, what chance is, and how much of a text is read."""
    found, reading = plan.found, plan.reading
    splits = [split for split in SPLITS if found.records[split]]
    by_split = ", ".join(f"{split} {found.records[split]:,}" for split in splits)
    split = reading.split
    rule = "by the hash of the text" if split.by == "hash" else f"by the column {split.column}"
    rule += "'s groups" if split.by == "group" else ""
    lines = [
        f"{found.path} ({found.format}), columns {', '.join(plan.columns)}",
        f"records: {found.total:,} ({by_split}), split {rule}",
        _quantiles("words", found.words),
        _quantiles("characters", found.lengths),
        f"tokens: about {plan.sized.tokens:,} in train",
        *(
            f"preset {name} reads the whole of {1 - share:.1%} of the texts and cuts the others"
            for name, share in plan.sized.cut.items()
        ),
        f"repeats: {found.repeats:,}, of which one stays; {found.crossing:,} in another split",
        f"tags or character entities: in {found.markup / found.total:.1%} of the records",
        *_dead(plan),
        *(_classes(plan, splits) if plan.task.classes else []),
        *chance_lines(plan.chance),
    ]
    return "\n".join(lines)


def cost(minutes: Mapping[str, float]) -> str:
    """What presets will cost; `minutes`: of their training, by preset."""
    each = "; ".join(f"{name} {_minutes(number)}" for name, number in minutes.items())
    return (
        f"training, at the speed of a few steps on this machine just now: {each}."
        " The other stages take a minute or more, by the size of the text."
    )


def _minutes(number: float) -> str:
    return f"about {number:.1f} min" if number < 10 else f"about {number:.0f} min"


def _quantiles(what: str, numbers: object) -> str:
    shares = {"least": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "most": 1.0}
    values = quantiles(numbers, *shares.values())  # type: ignore[arg-type]
    return f"{what}: " + ", ".join(f"{n} {v:,}" for n, v in zip(shares, values, strict=True))


def _dead(plan: Plan) -> list[str]:
    found = plan.found
    if not found.dead:
        return ["records that cannot be used: none"]
    lines = [f"records that cannot be used: {found.dead.total():,} ({found.dead_share:.2%})"]
    for reason, count in found.dead.most_common():
        first = found.first_dead[reason]
        excerpt = " ".join(printable(first.excerpt).split())[:_EXCERPT]
        lines.append(f"  {reason} {count:,}, first at {first.file}:{first.line}: {excerpt}")
    if found.dead_share > DataConfig.max_dead_letter_share:
        lines.append(
            f"  a run stops at more than {DataConfig.max_dead_letter_share:.0%}: mend them, or"
            " raise data.max_dead_letter_share in task.toml"
        )
    return lines


def _classes(plan: Plan, splits: list[str]) -> list[str]:
    names = plan.task.classes
    counts = {split: plan.found.class_counts(split, len(names)) for split in splits}
    totals = [sum(of_class) for of_class in zip(*counts.values(), strict=True)]
    order = sorted(range(len(names)), key=lambda number: -totals[number])[:_MOST_CLASSES]
    rows = [
        [printable(names[n]), totals[n], f"{totals[n] / plan.found.total:.1%}"]
        + [counts[split][n] for split in splits]
        for n in order
    ]
    table = tabulate(
        rows, headers=["class", "records", "share", *splits], tablefmt="plain", intfmt=","
    )
    more = len(names) - len(order)
    return [
        f"classes: {len(names)}",
        *table.splitlines(),
        *([f"and {more} others"] if more else []),
    ]
