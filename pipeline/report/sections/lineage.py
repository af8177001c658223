"""The run's lineage from the source to the pushed model, by ML Metadata."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipeline.report import lineage_drawing
from pipeline.report.blocks import Block, Drawing, Fold, Sentence, Table
from pipeline.report.inputs import Run, Stage
from pipeline.report.lineage_graph import Edge, Lineage, Node
from pipeline.report.missing import no_stages

_SOURCE, _PUSHED = "source", "pushed model"


def section(run: Run) -> list[Block]:
    if not run.stages:
        return [no_stages(run)]
    stages = [stage for stage in run.stages if stage.reads or stage.makes]
    # Without RunReport, which reads nearly all artifacts.
    graph = _of_stages([stage for stage in stages if stage.name != "RunReport"], run.pushed)
    if not graph.edges:
        return [Sentence("No stage made anything.")]
    arrows = "; ".join(f"{edge.start} to {edge.end}" for edge in graph.edges)
    what = "Lineage of the run"
    svg = Markup(lineage_drawing.inline(graph, "lineage-drawing", what, f"Arrows: {arrows}."))
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
    return blocks


def _readers(stages: Sequence[Stage], number: int) -> str:
    names = [s.name for s in stages if any(item.number == number for item in s.reads)]
    return ", ".join(dict.fromkeys(names))


def _of_stages(stages: Sequence[Stage], pushed: str | None) -> Lineage:
    """A graph of stages: an edge is an artifact that one stage made and another read."""
    maker: dict[int, str] = {}
    for stage in stages:
        for item in stage.makes:  # the first: a resolver may later pass on the same artifact
            maker.setdefault(item.number, stage.name)
    edges = [
        Edge(maker[item.number], stage.name, "")
        for stage in stages
        for item in stage.reads
        if item.number in maker and maker[item.number] != stage.name
    ]
    names = {stage.name for stage in stages}
    if "TextExampleGen" in names:
        edges.insert(0, Edge(_SOURCE, "TextExampleGen", ""))
    if pushed and "Pusher" in names:
        edges.append(Edge("Pusher", _PUSHED, ""))
    linked = {name for edge in edges for name in (edge.start, edge.end)}
    nodes = [
        Node(_SOURCE, "source", _SOURCE, {}),
        *(Node(stage.name, "execution", stage.name, {}) for stage in stages),
        Node(_PUSHED, "artifact", _PUSHED, {}),
    ]
    return Lineage(
        ends=(_PUSHED,) if pushed else (),
        nodes=tuple(node for node in nodes if node.id in linked),
        edges=tuple(dict.fromkeys(edges)),
    )
