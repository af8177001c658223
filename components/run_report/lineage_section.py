"""What came from what: from the source to the pushed model, by ML Metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.run_report import figures
from components.run_report.blocks import Block, Drawing, Fold, Section, Sentence, Table
from components.run_report.run import Run, Stage

_SOURCE, _PUSHED = "source", "pushed model"
Edge = tuple[str, str]


def section(run: Run) -> Section:
    title = "Lineage"
    if not run.stages:
        text = "Known at the run's end only: see report.html in the run's folder."
        if run.stages is not None:
            text = "No stage began."
        return Section("lineage", title, [Sentence(text)])
    stages = [stage for stage in run.stages if stage.reads or stage.makes]
    # The stage of this page reads nearly all there is.
    edges = _edges([stage for stage in stages if stage.name != "RunReport"])
    if run.pushed:
        edges.append(("Pusher", _PUSHED))
    if not edges:
        return Section("lineage", title, [Sentence("No stage made anything.")])
    layers = _layers(edges)
    arrows = "; ".join(f"{maker} to {reader}" for maker, reader in edges)
    svg = figures.draw(
        "lineage",
        "What came from what",
        f"Arrows: {arrows}.",
        lambda axes: _paint(axes, layers, edges),
        height=0.3 + 0.62 * len(layers),
    )
    made = [
        (f"{item.type} {item.number}", stage.name, _readers(stages, item.number), item.uri)
        for stage in stages
        for item in stage.makes
    ]
    caption = "An arrow is an artifact that one stage made and another read"
    blocks: list[Block] = [Drawing(svg, caption)]
    if run.has("TextExampleGen.records"):
        source = run.read_json("TextExampleGen.records", "records.json")["source"]
        blocks.append(
            Sentence(f"Source: {source['kind']}, {source['path']}, SHA-256 {source['sha256']}")
        )
    if run.pushed:
        blocks.append(Sentence(f"Pushed model: {run.pushed}"))
    head = ("artifact", "made by", "read by", "where")
    blocks.append(Fold("All artifacts", [Table("Artifacts of the run", head, made)]))
    return Section("lineage", title, blocks)


def _readers(stages: Sequence[Stage], number: int) -> str:
    names = [s.name for s in stages if any(item.number == number for item in s.reads)]
    return ", ".join(dict.fromkeys(names))


def _edges(stages: Sequence[Stage]) -> list[Edge]:
    maker: dict[int, str] = {}
    for stage in stages:
        for item in stage.makes:  # a resolver, later, may hand on what a stage made
            maker.setdefault(item.number, stage.name)
    edges = [
        (maker[item.number], stage.name)
        for stage in stages
        for item in stage.reads
        if item.number in maker and maker[item.number] != stage.name
    ]
    if any(stage.name == "TextExampleGen" for stage in stages):
        edges.insert(0, (_SOURCE, "TextExampleGen"))
    return list(dict.fromkeys(edges))


def _layers(edges: Sequence[Edge]) -> list[list[str]]:
    """Names in rows, each below all that it comes from."""
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for maker, reader in edges:
            depth[reader] = max(depth[reader], depth[maker] + 1)
    # What nothing led to stands just above what reads it, not at the top.
    for name in names:
        readers = [depth[reader] for maker, reader in edges if maker == name]
        if depth[name] == 0 and readers and name != _SOURCE:
            depth[name] = min(readers) - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    return [layer for layer in layers if layer]


def _paint(axes: Any, layers: Sequence[Sequence[str]], edges: Sequence[Edge]) -> None:
    places = {
        name: ((column + 1) / (len(layer) + 1), -row)
        for row, layer in enumerate(layers)
        for column, name in enumerate(layer)
    }
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(-len(layers) + 0.5, 0.5)
    for maker, reader in edges:
        (x, y), (to_x, to_y) = places[maker], places[reader]
        # Those that pass a row bow, so that they do not run through what stands there.
        bow = 0.0 if y - to_y < 1.5 else (0.35 if x >= 0.5 else -0.35)
        axes.annotate(
            "",
            (to_x, to_y + 0.25),
            (x, y - 0.25),
            arrowprops={
                "arrowstyle": "-|>",
                "color": figures.MUTED,
                "lw": 1,
                "connectionstyle": f"arc3,rad={bow}",
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    for name, (x, y) in places.items():
        outer = name in (_SOURCE, _PUSHED)
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            fontsize=9,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": figures.SURFACE,
                "edgecolor": figures.SERIES[1 if outer else 0],
                "lw": 1.2,
            },
        )
