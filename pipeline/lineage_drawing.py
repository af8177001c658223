"""Draws a lineage as SVG: layers from the source at the top to the pushed model at the bottom.

Each node stands one layer below the lowest of those that it came from. An edge that passes
layers takes a place in each, so that it runs beside what stands there. Within a layer, nodes
stand near the mean of their neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean
from xml.sax.saxutils import escape

from pipeline.lineage import Lineage, Node

_WIDTH, _HEIGHT = 190, 40  # of a node, in pixels; an edge that passes takes _LANE
_LANE, _GAP, _DOWN, _MARGIN = 12, 16, 34, 12
_SWEEPS = 8
_STYLE = """
  text { font: 12px sans-serif; fill: #1b1f24; text-anchor: middle }
  .small { font-size: 10px; fill: #57606a }
  .artifact { fill: #eef4fb; stroke: #2f6db5 }
  .execution { fill: #fdf3e7; stroke: #b5651d }
  .source { fill: #e9f6ec; stroke: #2b7a3d }
  path { fill: none; stroke: #6e7781 }
  marker path { fill: #6e7781; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9aa4ae }
    .artifact { fill: #14283f } .execution { fill: #3a2713 } .source { fill: #14301c }
  }
"""

_Place = tuple[float, int]  # x of the middle, layer


def as_svg(lineage: Lineage) -> str:
    """The drawing, a whole SVG document; details are in the nodes' tooltips."""
    depth = _depths(lineage)
    chains = [_chain(edge.start, edge.end, depth) for edge in lineage.edges]
    places = _places(depth, chains)
    nodes = {node.id: node for node in lineage.nodes}
    width = max(x for x, _ in places.values()) + _WIDTH / 2 + _MARGIN
    height = (max(depth.values(), default=0) + 1) * (_HEIGHT + _DOWN) - _DOWN + 2 * _MARGIN
    title = " and ".join(nodes[end].name for end in lineage.ends)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}"'
        f' width="{width:.0f}" height="{height}" role="img">',
        f"<title>Lineage of {escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0 8 4 0 8z"/></marker>',
        *(_line(chain, places) for chain in chains),
        *(_box(node, places[node.id]) for node in lineage.nodes),
        "</svg>",
    ]
    return "\n".join(lines)


def _depths(lineage: Lineage) -> dict[str, int]:
    """The layer of each node, 0 at the top. Nodes stand behind all that led to them."""
    depth: dict[str, int] = {}
    for node in lineage.nodes:
        above = [depth[edge.start] for edge in lineage.edges if edge.end == node.id]
        depth[node.id] = max(above, default=-1) + 1
    # What nothing led to stands just above what it leads to.
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


def _places(depth: Mapping[str, int], chains: Sequence[Sequence[str]]) -> dict[str, _Place]:
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
    x = {name: float(i * _WIDTH) for layer in layers for i, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        neighbours = above if downward else below
        for layer in layers if downward else reversed(layers):
            wanted = {n: fmean([x[o] for o in neighbours[n]] or [x[n]]) for n in layer}
            layer.sort(key=wanted.__getitem__)
            _spread(layer, wanted, x)
    left = min(x.values(), default=0.0) - _WIDTH / 2 - _MARGIN
    return {name: (x[name] - left, layer_of[name]) for name in x}


def _spread(layer: Sequence[str], wanted: Mapping[str, float], x: dict[str, float]) -> None:
    """Sets a layer's nodes near where they want to be, in their order and apart."""
    right = float("-inf")
    for name in layer:
        half = (_LANE if _is_lane(name) else _WIDTH) / 2
        x[name] = max(wanted[name], right + _GAP + half)
        right = x[name] + half
    # What was pushed to the right is pushed as a whole: back by the mean.
    shift = fmean([x[name] - wanted[name] for name in layer]) if layer else 0.0
    for name in layer:
        x[name] -= shift


def _top(layer: int) -> float:
    return _MARGIN + layer * (_HEIGHT + _DOWN)


def _line(chain: Sequence[str], places: Mapping[str, _Place]) -> str:
    x, layer = places[chain[0]]
    y = _top(layer) + _HEIGHT
    d = [f"M{x:.0f} {y:.0f}"]
    for name in chain[1:]:
        x_to, layer = places[name]
        y_to = _top(layer)
        middle = (y + y_to) / 2
        d.append(f"C{x:.0f} {middle:.0f} {x_to:.0f} {middle:.0f} {x_to:.0f} {y_to:.0f}")
        x, y = x_to, y_to
        if _is_lane(name):
            y += _HEIGHT
            d.append(f"V{y:.0f}")
    return f'<path d="{"".join(d)}" marker-end="url(#end)"/>'


def _box(node: Node, place: _Place) -> str:
    x, layer = place
    y = _top(layer)
    corner = _HEIGHT / 2 if node.kind == "execution" else 4
    tooltip = "\n".join(f"{name}: {value}" for name, value in node.details.items())
    under = _under(node)
    text_y = y + (16 if under else 24)
    lines = [
        f"<g><title>{escape(node.id)}\n{escape(tooltip)}</title>",
        f'<rect class="{node.kind}" x="{x - _WIDTH / 2:.0f}" y="{y:.0f}" width="{_WIDTH}"'
        f' height="{_HEIGHT}" rx="{corner:.0f}"/>',
        f'<text x="{x:.0f}" y="{text_y:.0f}">{escape(node.name)}</text>',
    ]
    if under:
        lines.append(f'<text class="small" x="{x:.0f}" y="{y + 31:.0f}">{escape(under)}</text>')
    return "\n".join([*lines, "</g>"])


def _under(node: Node) -> str:
    """The one detail that fits below the name."""
    details = node.details
    if "pushed" in details:
        return f"version {details['pushed'].rstrip('/').rsplit('/', 1)[-1]}"
    if "blessed" in details:
        return "blessed" if details["blessed"] == "yes" else "not blessed"
    for name, value in details.items():
        if name.endswith("sha256") and name != "code_sha256":
            return f"{name.removesuffix('_sha256').removesuffix('sha256')} {value[:12]}".strip()
    return details.get("run", "")
