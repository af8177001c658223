"""The content of an artifact: SHA-256 of its files, kept with it in ML Metadata.

Two custom properties of each output artifact hold it:

    content_files    JSON, each file's name relative to the artifact's URI to its SHA-256
    content_sha256   one hash over all of these, by which people compare artifacts
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types

from serving import checksums

SHA256, FILES = "content_sha256", "content_files"


def properties(path: str) -> dict[str, str]:
    """Both properties of the artifact at a path."""
    files = json.dumps(checksums.of_files(Path(path)), sort_keys=True)
    return {FILES: files, SHA256: hashlib.sha256(files.encode()).hexdigest()}


def differences(path: str, recorded: Mapping[str, Any]) -> list[str]:
    """How the files at a path differ from the properties recorded of them, one line a file.

    Empty for artifacts of earlier releases, which have no such properties.
    """
    files = recorded.get(FILES)
    return checksums.differences(Path(path), json.loads(files)) if files else []


def record(artifact: types.Artifact) -> None:
    """Hashes an artifact's files and sets both properties."""
    for name, value in properties(artifact.uri).items():
        artifact.set_string_custom_property(name, value)


def of_artifact(artifact: types.Artifact) -> dict[str, str]:
    """The properties that an artifact carries; {} if it is of an earlier release."""
    if not artifact.has_custom_property(FILES):
        return {}
    return {name: artifact.get_string_custom_property(name) for name in (FILES, SHA256)}
