"""The run: configuration, source, machine, libraries and code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.blocks import Block, Fold, Passage, Sentence, Table
from pipeline.report.inputs import Run


def section(run: Run) -> list[Block]:
    rows = [
        ("task", run.task.name),
        ("kind", run.task.kind),
        *((("classes", ", ".join(run.task.classes)),) if run.task.classes else ()),
        ("preset", run.config["preset"]),
        ("seed", str(run.config["seed"])),
    ]
    if run.run_id:
        rows.insert(0, ("run", run.run_id))
    if run.has("TextExampleGen.records"):
        source = run.read_json("TextExampleGen.records", "records.json")["source"]
        rows += [
            ("source", f"{source['kind']}: {source['path']}"),
            ("SHA-256 of the source", source["sha256"]),
        ]
    if run.machine:
        rows.append(("machine", f"{run.machine['processor']}, {run.machine['cores']} cores"))
    blocks: list[Block] = [
        Table("The run", ("", "value"), rows),
        Table("Libraries", ("library", "version"), list(run.versions.items())),
        Fold(
            "All settings",
            [
                Table(f"Settings: {name}", ("setting", "value"), _settings(section))
                for name, section in run.config.items()
                if isinstance(section, Mapping)
            ],
        ),
        Fold("The schema", [Passage("The reviewed schema", [(run.config["schema"], "")])]),
    ]
    if run.code:
        hashes = [(name, digest[:16]) for name, digest in run.code.items()]
        table = Table("First 16 digits of each module's SHA-256", ("module", "hash"), hashes)
        blocks.append(Fold("The code", [table]))
    if run.run_id and run.error is None:
        blocks.append(Sentence(f"To reproduce this run: tf-mamba reproduce {run.run_id}"))
    return blocks


def _settings(section: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in section.items()]
