"""A lineage as a graph, for the run's page and for `tf-mamba lineage`.

    source ── TextExampleGen ── Examples ── Transform ── TransformGraph ── Trainer ── Model ── ...

The graph has artifacts and stages, or only stages. It is shown as text, JSON, DOT or a drawing
(see lineage_drawing.py).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

_DIGITS = 12  # of a hash, in text and DOT


@dataclass(frozen=True)
class Node:
    """An artifact, an execution that made artifacts, or the source that the first one read."""

    id: str  # "artifact 9", "execution 7", "source 2"
    kind: Literal["artifact", "execution", "source"]
    name: str  # the artifact's type, the stage, the kind of source
    details: dict[str, str]  # uri, run, hashes, ..., in the order to show them in


@dataclass(frozen=True)
class Edge:
    """From an input to what was made from it."""

    start: str  # ids of nodes
    end: str
    name: str  # the stage's input or output


@dataclass(frozen=True)
class Lineage:
    """Everything that `ends` were made from; each node comes after its own inputs."""

    ends: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    def as_text(self) -> str:
        """As a tree, from the ends back to the source; repeated nodes are shown by name only."""
        nodes = {node.id: node for node in self.nodes}
        shown: set[str] = set()
        lines: list[str] = []

        def show(node: Node, name: str, first: str, rest: str) -> None:
            again = node.id in shown and any(edge.end == node.id for edge in self.edges)
            label = f"{name}: {node.name}" if name else node.name
            details = "(see above)" if again else "  ".join(_short(node))
            lines.append(f"{first}{label}  {details}".rstrip())
            if again:
                return
            shown.add(node.id)
            into = [edge for edge in self.edges if edge.end == node.id]
            for edge in into:
                last = edge is into[-1]
                is_artifact = node.kind == "execution"  # an execution's inputs
                show(
                    nodes[edge.start],
                    edge.name if is_artifact else "",
                    rest + ("└─ " if last else "├─ "),
                    rest + ("   " if last else "│  "),
                )

        for end in self.ends:
            show(nodes[end], "", "", "")
        return "\n".join(lines)

    def as_dot(self) -> str:
        """For Graphviz."""
        lines = ["digraph lineage {", "  node [fontname=sans];", "  edge [fontname=sans];"]
        for node in self.nodes:
            shape = "ellipse" if node.kind == "execution" else "box"
            label = "\n".join([node.name, *_short(node)])
            lines.append(f"  {json.dumps(node.id)} [shape={shape}, label={json.dumps(label)}];")
        for edge in self.edges:
            names = f"{json.dumps(edge.start)} -> {json.dumps(edge.end)}"
            lines.append(f"  {names} [label={json.dumps(edge.name)}];")
        return "\n".join([*lines, "}"])


def _short(node: Node) -> list[str]:
    """A node's details, shortened."""
    return [
        f"{name} {value[:_DIGITS] if name.endswith('sha256') else value}"
        for name, value in node.details.items()
        if name not in ("uri", "ended", "tfx", "path", "inputs")
    ]
