"""Draws a lineage as SVG: layers from the source at the top to the pushed model at the bottom.

A node is one layer below the lowest node that it was made from. An edge that crosses layers
takes a lane in each of them, so that it passes beside the nodes there. Within a layer, nodes are
placed near the mean of their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from xml.sax.saxutils import escape

from pipeline.report.lineage_graph import Lineage, Node

# In pixels. An edge that crosses a layer takes a lane in it.
_LANE, _GAP, _DOWN, _MARGIN = 10, 12, 30, 8
_LETTER, _SMALL_LETTER, _PADDING = 6.6, 5.8, 22  # widths, for that of the nodes
_HIGH, _LOW = 38, 26  # heights of nodes with and without a line below the name
_SWEEPS = 8
# With the page's variables, so that the drawing follows the page's colours.
_STYLE = """
.lineage text { font: 12px system-ui, sans-serif; fill: var(--ink); text-anchor: middle }
.lineage .small { font-size: 10px; fill: var(--muted) }
.lineage rect { fill: var(--surface); stroke-width: 1.2 }
.lineage .execution { stroke: var(--first) } .lineage .artifact { stroke: var(--second) }
.lineage .source { stroke: var(--third) }
.lineage path { fill: none; stroke: var(--muted) }
.lineage marker path { fill: var(--muted); stroke: none }
"""
_COLOURS = """
:root { --surface: #ffffff; --ink: #1b1f24; --muted: #57606a;
  --first: #0a58a6; --second: #b3450b; --third: #5a3e9b }
@media (prefers-color-scheme: dark) { :root { --surface: #14181d; --ink: #e6edf3;
  --muted: #9aa6b2; --first: #79b8ff; --second: #ffa657; --third: #c4a7ff } }
"""

_Place = tuple[float, int]  # x of the middle, layer


def as_svg(lineage: Lineage) -> str:
    """The drawing as an SVG document; details are in the nodes' tooltips."""
    nodes = {node.id: node for node in lineage.nodes}
    title = " and ".join(nodes[end].name for end in lineage.ends)
    arrows = ", ".join(f"{nodes[e.start].name} to {nodes[e.end].name}" for e in lineage.edges)
    svg = inline(lineage, "lineage", f"Lineage of {title}", f"Arrows: {arrows}.")
    return svg.replace("<style>", f"<style>{_COLOURS}", 1)


def inline(lineage: Lineage, name: str, title: str, description: str) -> str:
    """The drawing as a part of a page that defines the variables in `_STYLE`.

    Args:
        name: unique on the page; of letters, digits and "-".
        title: what the drawing shows, for screen readers.
        description: the drawing's content in words, for screen readers.
    """
    size = _size(lineage.nodes)
    depth = _depths(lineage)
    chains = [_chain(edge.start, edge.end, depth) for edge in lineage.edges]
    places = _places(depth, chains, size)
    right = max(x + (_LANE if _is_lane(n) else size.width) / 2 for n, (x, _) in places.items())
    width = right + _MARGIN
    height = size.top(max(depth.values())) + size.height + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" role="img"'
        f' viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
        f' style="max-width: {width:.0f}px"'
        f' aria-labelledby="{name}-title {name}-desc">',
        f'<title id="{name}-title">{escape(title)}</title>',
        f'<desc id="{name}-desc">{escape(description)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker>',
        *(_line(chain, places, size, f"{name}-arrow") for chain in chains),
        *(_box(node, places[node.id], size) for node in lineage.nodes),
        "</svg>",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Size:
    """The size of every node of a drawing, in pixels."""

    width: float
    height: int

    def top(self, layer: int) -> int:
        return _MARGIN + layer * (self.height + _DOWN)


def _size(nodes: Sequence[Node]) -> _Size:
    widths = [max(_LETTER * len(n.name), _SMALL_LETTER * len(_under(n))) for n in nodes]
    return _Size(max(widths) + _PADDING, _HIGH if any(map(_under, nodes)) else _LOW)


def _depths(lineage: Lineage) -> dict[str, int]:
    """The layer of each node, 0 at the top; a node is below everything that it was made from."""
    depth: dict[str, int] = {}
    for node in lineage.nodes:
        above = [depth[edge.start] for edge in lineage.edges if edge.end == node.id]
        depth[node.id] = max(above, default=-1) + 1
    # A node without inputs moves down to just above the first node that uses it.
    for node in reversed(lineage.nodes):
        if not any(edge.end == node.id for edge in lineage.edges):
            below = [depth[edge.end] for edge in lineage.edges if edge.start == node.id]
            depth[node.id] = min(below, default=1) - 1
    return depth


def _chain(start: str, end: str, depth: Mapping[str, int]) -> list[str]:
    """The nodes of an edge: start, a lane in each layer between, end."""
    between = range(depth[start] + 1, depth[end])
    return [start, *(f"{start}>{end}@{layer}" for layer in between), end]


def _is_lane(name: str) -> bool:
    return "@" in name


def _places(
    depth: Mapping[str, int], chains: Sequence[Sequence[str]], size: _Size
) -> dict[str, _Place]:
    layer_of = dict(depth)
    for chain in chains:
        layer_of.update({name: depth[chain[0]] + i for i, name in enumerate(chain[:-1])})
    layers: list[list[str]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    for name, number in layer_of.items():
        layers[number].append(name)
    above: dict[str, list[str]] = {name: [] for name in layer_of}
    below: dict[str, list[str]] = {name: [] for name in layer_of}
    for chain in chains:
        for upper, lower in itertools.pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    x = {name: i * size.width for layer in layers for i, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        neighbours = above if downward else below
        for layer in layers if downward else reversed(layers):
            wanted = {n: fmean([x[o] for o in neighbours[n]] or [x[n]]) for n in layer}
            layer.sort(key=wanted.__getitem__)
            _spread(layer, wanted, x, size)
    left = min(at - (_LANE if _is_lane(n) else size.width) / 2 for n, at in x.items()) - _MARGIN
    return {name: (x[name] - left, layer_of[name]) for name in x}


def _spread(
    layer: Sequence[str], wanted: Mapping[str, float], x: dict[str, float], size: _Size
) -> None:
    """Places a layer's nodes near their wanted x, in order and without overlap."""
    right = float("-inf")
    for name in layer:
        half = (_LANE if _is_lane(name) else size.width) / 2
        x[name] = max(wanted[name], right + _GAP + half)
        right = x[name] + half
    # Removing overlap pushed nodes to the right: move the layer back by the mean.
    shift = fmean([x[name] - wanted[name] for name in layer]) if layer else 0.0
    for name in layer:
        x[name] -= shift


def _line(chain: Sequence[str], places: Mapping[str, _Place], size: _Size, arrow: str) -> str:
    x, layer = places[chain[0]]
    y = size.top(layer) + size.height
    d = [f"M{x:.0f} {y:.0f}"]
    for name in chain[1:]:
        x_to, layer = places[name]
        y_to = size.top(layer)
        middle = (y + y_to) / 2
        d.append(f"C{x:.0f} {middle:.0f} {x_to:.0f} {middle:.0f} {x_to:.0f} {y_to:.0f}")
        x, y = x_to, y_to
        if _is_lane(name):
            y += size.height
            d.append(f"V{y:.0f}")
    return f'<path d="{"".join(d)}" marker-end="url(#{arrow})"/>'


def _box(node: Node, place: _Place, size: _Size) -> str:
    x, layer = place
    y = size.top(layer)
    corner = size.height / 2 if node.kind == "execution" else 4
    tooltip = "\n".join([node.id, *(f"{name}: {value}" for name, value in node.details.items())])
    under = _under(node)
    text_y = y + (16 if under else size.height / 2 + 4)
    lines = [
        f"<g><title>{escape(tooltip)}</title>",
        f'<rect class="{node.kind}" x="{x - size.width / 2:.0f}" y="{y}" width="{size.width:.0f}"'
        f' height="{size.height}" rx="{corner:.0f}"/>',
        f'<text x="{x:.0f}" y="{text_y:.0f}">{escape(node.name)}</text>',
    ]
    if under:
        lines.append(f'<text class="small" x="{x:.0f}" y="{y + 30}">{escape(under)}</text>')
    return "\n".join([*lines, "</g>"])


def _under(node: Node) -> str:
    """The detail to show below the name."""
    details = node.details
    if "pushed" in details:
        return f"version {details['pushed'].rstrip('/').rsplit('/', 1)[-1]}"
    if "blessed" in details:
        return "blessed" if details["blessed"] == "yes" else "not blessed"
    for name, value in details.items():
        if name.endswith("sha256") and name != "code_sha256":
            return f"{name.removesuffix('_sha256').removesuffix('sha256')} {value[:12]}".strip()
    return details.get("run", "")
