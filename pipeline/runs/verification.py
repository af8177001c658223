"""Compares the files of past runs and of pushed versions with the checksums that they carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as pb

from components import content
from pipeline.places import Places
from pipeline.runs import records
from pipeline.runs import store as metadata
from serving import checksums


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        files: how many files have a checksum.
        damage: what differs, one line a file.
        unknown: what has no checksums, as it is of an earlier release.
    """

    files: int
    damage: tuple[str, ...]
    unknown: tuple[str, ...]


def of_run(places: Places, run_id: str) -> Verification:
    """Compares all outputs of a run's stages, those from the cache too."""
    store = metadata.open_store(places)
    assert store is not None, f"{run_id} is in no store"
    files, damage, unknown = 0, [], []
    for stage, execution in records.executions_of(store, run_id):
        if execution.last_known_state not in records.SUCCEEDED:
            continue
        for artifact in records.outputs_of(store, execution).values():
            recorded = _recorded(artifact)
            if content.FILES not in recorded:
                unknown.append(f"{stage}: {artifact.uri}")
                continue
            files += len(json.loads(recorded[content.FILES]))
            found = content.differences(artifact.uri, recorded)
            damage += [f"{stage}: {line}" for line in found]
    return Verification(files, tuple(damage), tuple(unknown))


def of_version(version: Path) -> Verification:
    """Compares a pushed version with its own checksums."""
    sums = version / checksums.SUMS
    if not sums.exists():
        return Verification(0, (), (str(version),))
    damage = checksums.damage(version)
    files = sums.read_text("utf-8", errors="replace").count("\n")
    return Verification(files, tuple(damage), ())


def _recorded(artifact: pb.Artifact) -> dict[str, str]:
    return {name: value.string_value for name, value in artifact.custom_properties.items()}
