"""Plots by matplotlib as inline SVG that is legible in light and dark.

Matplotlib draws in placeholder colours, which are then replaced by the page's CSS variables, so
that a plot follows the reader's colour scheme. Text stays text, in the page's font.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

# Placeholder colours, and the CSS variables (style.css) that replace them.
INK, MUTED, LINES, SURFACE = "#010101", "#010102", "#010103", "#010104"
SERIES = ("#010105", "#010106", "#010107")
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINES: "var(--lines)",
    SURFACE: "var(--surface)",
    SERIES[0]: "var(--first)",
    SERIES[1]: "var(--second)",
    SERIES[2]: "var(--third)",
}
# In inches of 72 points. As wide as a phone, so that phones do not shrink the text.
WIDTH, HEIGHT = 4.6, 2.9
_DASHES = ("-", "--", ":")  # not all readers can tell colours apart
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "run report",  # otherwise ids are random
    "text.parse_math": False,  # "$" is not math
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "grid.color": LINES,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw(
    name: str,
    title: str,
    description: str,
    paint: Callable[[Any], None],
    width: float = WIDTH,
    height: float = HEIGHT,
) -> Markup:
    """Draws on one set of axes.

    Args:
        name: unique on the page; of letters, digits and "-".
        title: what the plot shows, for screen readers.
        description: the plot's content in words, for screen readers.
        paint: draws on matplotlib's Axes.
        width, height: in inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _inline(text.getvalue(), name, title, description)


def lines(
    axes: Any,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    across: str,
    up: str,
) -> None:
    """Draws curves by name, each as (x, y); leaves out empty ones."""
    shown = {name: xy for name, xy in series.items() if len(xy[0])}
    for i, (name, (x, y)) in enumerate(shown.items()):
        marker = "o" if len(x) < 3 else None
        axes.plot(x, y, label=name, color=SERIES[i], ls=_DASHES[i], lw=1.6, marker=marker, ms=4)
    label(axes, across, up)
    if len(shown) > 1:
        axes.legend()


def bars(axes: Any, values: Mapping[str, float], across: str, form: str = "{:,.0f}") -> None:
    """Draws horizontal bars, the first on top, each with its value at the end."""
    names = list(values)
    drawn = axes.barh(names, list(values.values()), color=SERIES[0], height=0.7)
    axes.bar_label(drawn, [form.format(v) for v in values.values()], padding=3, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_locator(_few_ticks())
    axes.set_xlabel(across)


def label(axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.xaxis.set_major_locator(_few_ticks())
    axes.grid(axis="y", lw=0.7)
    axes.set_axisbelow(True)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def _inline(svg: str, name: str, title: str, description: str) -> Markup:
    """Turns an SVG file into a part of a page: no metadata or styles, and unique ids."""
    svg = svg[svg.index("<svg") :]
    for part in (r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>", r"<!--.*?-->"):
        svg = re.sub(part, "", svg, flags=re.S)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)  # the family is the page's
    svg = re.sub(r"font-family: [^;\"]*;?\s*", "", svg)
    used = set(re.findall(r"[\"(]#([\w-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r'(id="|"#|\(#)([\w-]+)', rf"\1{name}-\2", svg)
    svg = svg.replace("xlink:href", "href")
    (box,) = re.findall(r'viewBox="([\d. ]+)"', svg)[:1]
    width = float(box.split()[2])
    head = (
        f'<svg viewBox="{box}" style="max-width: {width:.0f}pt" role="img"'
        f' aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    body = svg[svg.index(">") + 1 :]
    return Markup(head + re.sub(r"\n\s*", "\n", body))
