"""Charts as Plotly figures: the plain mapping that Plotly's script takes, so that a report needs no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from rung.analysis.charts import (
    INK,
    SOFT,
    Axis,
    Bars,
    Chart,
    Coordinates,
    Floats,
    Line,
    Mark,
    Panel,
    Points,
    Scale,
    Surface,
    stops,
)

HEIGHT: Final = 420  # pixels of a chart of height 1
_SYMBOLS: Final = {
    "circle": "circle",
    "star": "star",
    "cross": "x-thin",
    "diamond": "diamond-open",
    "open": "circle-open",
}
_GRID: Final = "#e2e7ed"
_FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

Spec = dict[str, Any]


def figure(chart: Chart) -> Spec:
    """The chart as {"data": [...], "layout": {...}}."""
    traces: list[Spec] = []
    layout: Spec = {
        "height": round(HEIGHT * chart.height),
        "margin": {"l": 64, "r": 20, "t": 30, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12.5, "color": INK},
        "hoverlabel": {"align": "left", "font": {"size": 12.5}},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#b9c4cf", "activecolor": SOFT},
        "barmode": "overlay",
        "hovermode": "closest",
    }
    named: set[str] = set()
    boxes = _boxes(chart)
    for place, (panel, box) in enumerate(zip(chart.panels, boxes, strict=True)):
        if isinstance(panel.marks[0], Coordinates):
            traces.append(_coordinates(panel.marks[0]))
            layout["margin"] = {"l": 90, "r": 40, "t": 60, "b": 30}
            continue
        suffix = "" if place == 0 else str(place + 1)
        layout[f"xaxis{suffix}"] = _axis(panel.x, box[0], f"y{suffix}", _values(panel, "x"))
        layout[f"yaxis{suffix}"] = _axis(panel.y, box[1], f"x{suffix}", _values(panel, "y"))
        if panel.y.ticks is not None:
            layout["margin"]["l"] = max(layout["margin"]["l"], _room(panel.y))
        for mark in panel.marks:
            _add(traces, mark, suffix, named)
    _one_colour_bar(traces)
    legends = len(named)
    layout["showlegend"] = legends > 1 or (legends == 1 and len(traces) > 1)
    return {"data": traces, "layout": layout}


def _boxes(chart: Chart) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Where each panel stands: its part of the width and of the height."""
    columns = min(chart.columns, len(chart.panels))
    rows = -(-len(chart.panels) // columns)
    widths = np.array(chart.widths or [1.0] * columns)
    gap, rise = 0.09 if columns <= 2 else 0.055, min(0.2, 0.18 * 2 / max(rows, 1)) if rows > 1 else 0.0
    edges = np.concatenate([[0.0], np.cumsum(widths / widths.sum() * (1 - gap * (columns - 1)))])
    height = (1 - rise * (rows - 1)) / rows
    found = []
    for place in range(len(chart.panels)):
        row, column = divmod(place, columns)
        left = edges[column] + gap * column
        right = left + edges[column + 1] - edges[column]
        top = 1 - row * (height + rise)
        found.append(((float(left), min(1.0, float(right))), (max(0.0, float(top - height)), float(top))))
    return found


def _axis(axis: Axis, domain: tuple[float, float], anchor: str, values: Floats) -> Spec:
    spec: Spec = {
        "domain": [round(domain[0], 4), round(domain[1], 4)],
        "anchor": anchor,
        "title": {"text": _plain(axis.label), "standoff": 8, "font": {"size": 13, "color": SOFT}},
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
    }
    if axis.log:
        spec["type"] = "log"
        spec |= _log_ticks(axis, values)
    if axis.whole and not axis.log and len(values) and np.nanmax(values) - np.nanmin(values) < 6.0:
        spec["dtick"] = 1
    if axis.ticks is not None:
        spec["tickvals"] = [position for position, _ in axis.ticks]
        spec["ticktext"] = [_plain(text) for _, text in axis.ticks]
        spec["tickmode"] = "array"
    if axis.span is not None:
        spec["range"] = [math.log10(end) for end in axis.span] if axis.log else list(axis.span)
    return spec


def _log_ticks(axis: Axis, values: Floats) -> Spec:
    """Powers of ten only, where there are enough of them; Plotly's own choice crowds small panels."""
    sound = values[np.isfinite(values) & (values > 0)]
    decades = math.log10(sound.max() / sound.min()) if len(sound) else 0.0
    if decades >= 2.0:
        return {"dtick": max(1, round(decades / 5)), "tickformat": "~g"}
    return {"dtick": "D2", "tickformat": "~g"}


def _values(panel: Panel, side: str) -> Floats:
    arrays = [getattr(mark, side) for mark in panel.marks if isinstance(mark, Points | Line)]
    return np.concatenate(arrays) if arrays else np.empty(0)


def _room(axis: Axis) -> int:
    """Pixels that the words beside an axis need."""
    longest = max((len(text) for _, text in axis.ticks or ()), default=0)
    return 40 + round(7.2 * min(longest, 40))


def _add(traces: list[Spec], mark: Mark, suffix: str, named: set[str]) -> None:
    trace = _TRACES[type(mark)](mark)
    trace |= {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    name = getattr(mark, "name", "")
    trace["showlegend"] = bool(name) and name not in named
    if name:
        named.add(name)
        trace |= {"name": _plain(name), "legendgroup": name}
    traces.append(trace)


def _points(mark: Points) -> Spec:
    symbol = _SYMBOLS[mark.symbol]
    marker: Spec = {"size": mark.size, "opacity": mark.opacity, "symbol": symbol}
    if isinstance(mark.colour, Scale):
        marker |= _scaled(mark.colour)
    else:
        marker["color"] = mark.colour
    if symbol.endswith(("thin", "open")):
        marker["line"] = {"width": 1.6, "color": mark.colour if isinstance(mark.colour, str) else INK}
    elif mark.symbol == "star" or mark.size > 8:
        marker["line"] = {"width": 1, "color": "white"}
    many = len(mark.x) > 1000
    spec = {"type": "scattergl" if many else "scatter", "mode": "markers", "marker": marker}
    return spec | {"x": numbers(mark.x), "y": numbers(mark.y)} | _hover(mark.text)


def _line(mark: Line) -> Spec:
    line: Spec = {"color": mark.colour, "width": mark.width}
    if mark.step:
        line["shape"] = "hv"
    if mark.dash:
        line["dash"] = "dot"
    spec = {"type": "scatter", "mode": "lines", "line": line, "opacity": mark.opacity, "connectgaps": False}
    return spec | {"x": numbers(mark.x), "y": numbers(mark.y)} | _hover(mark.text)


def _bars(mark: Bars) -> Spec:
    spec: Spec = {
        "type": "bar",
        "textposition": "none",
        "orientation": "h",
        "y": numbers(mark.y),
        "x": numbers(mark.length),
        "width": mark.thickness,
        "marker": {"color": mark.colour, "line": {"width": 0.6, "color": "white"}},
    }
    if mark.start is not None:
        spec["base"] = numbers(mark.start)
    if mark.spread is not None:
        spec["error_x"] = {"array": numbers(mark.spread), "color": INK, "thickness": 1.2, "width": 3}
    return spec | _hover(mark.text)


def _surface(mark: Surface) -> Spec:
    return {
        "type": "contour",
        "x": numbers(mark.x),
        "y": numbers(mark.y),
        "z": [numbers(row) for row in mark.z],
        "colorscale": [list(stop) for stop in stops()],
        "reversescale": mark.reverse,
        "contours": {"coloring": "heatmap", "showlines": True},
        "line": {"width": 0.5, "color": "rgba(255,255,255,.6)"},
        "colorbar": _bar(mark.label) | (_powers(mark.z[np.isfinite(mark.z)]) if mark.log else {}),
        "hoverinfo": "skip",
        "connectgaps": False,
    }


_TRACES: Final[dict[type, Callable[[Any], Spec]]] = {
    Points: _points,
    Line: _line,
    Bars: _bars,
    Surface: _surface,
}


def _coordinates(mark: Coordinates) -> Spec:
    dimensions = [
        {
            "label": _plain(name),
            "values": numbers(column),
            "range": [min(-0.02, float(column.min()) - 0.02), 1.02],
            "tickvals": [round(position, 5) for position, _ in ticks],
            "ticktext": [text for _, text in ticks],  # here Plotly reads no marks
        }
        for name, column, ticks in zip(mark.names, mark.values.T, mark.ticks, strict=True)
    ]
    line = _scaled(mark.colour)
    return {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": line,
        "labelfont": {"size": 13, "color": INK},
        "tickfont": {"size": 11, "color": INK},
        "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        "unselected": {"line": {"opacity": 0.05}},
    }


def _scaled(scale: Scale) -> Spec:
    values = np.log10(scale.values) if scale.log else scale.values
    bar = _bar(scale.label)
    if scale.log:
        bar |= _powers(values)
    return {
        "color": numbers(values),
        "colorscale": [list(stop) for stop in stops()],
        "reversescale": scale.reverse,
        "showscale": True,
        "colorbar": bar,
    }


def _powers(values: Floats) -> Spec:
    """Ticks of a bar over logarithms, as the numbers themselves."""
    at = np.linspace(values.min(), values.max(), 5)
    return {"tickvals": numbers(at), "ticktext": [f"{10**x:.3g}" for x in at.tolist()]}


def _bar(label: str) -> Spec:
    return {
        "title": {"text": _plain(label), "side": "right"},
        "thickness": 12,
        "outlinewidth": 0,
        "len": 0.95,
    }


def _one_colour_bar(traces: list[Spec]) -> None:
    """Panels that show the same scale share one bar, over the range of them all."""
    shared = [t["marker"] for t in traces if t.get("marker", {}).get("showscale")]
    every = [value for marker in shared for value in marker["color"]]
    for place, marker in enumerate(shared):
        marker["showscale"] = place == 0
        marker["cmin"], marker["cmax"] = min(every, default=0), max(every, default=1)


def _hover(text: Sequence[str]) -> Spec:
    if not text:
        return {"hoverinfo": "skip"}
    return {"text": [_hoverable(line) for line in text], "hovertemplate": "%{text}<extra></extra>"}


def _hoverable(text: str) -> str:
    """Our own <b> and <br> stay; what users named may hold any sign."""
    marks = (("<br>", "\0"), ("<b>", "\1"), ("</b>", "\2"))
    for mark, sign in marks:
        text = text.replace(mark, sign)
    text = _plain(text)
    for mark, sign in marks:
        text = text.replace(sign, mark)
    return text


def _plain(text: str) -> str:
    """A user's words, so that Plotly takes no sign of them for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")


def numbers(values: Floats) -> list[float | None]:
    """Plain numbers of six digits; None where there is none."""
    return [None if not math.isfinite(value) else float(f"{value:.6g}") for value in values.tolist()]
