"""Charts as matplotlib figures; no global state of matplotlib is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung.analysis.charts import (
    INK,
    SOFT,
    Axis,
    Bars,
    Chart,
    Coordinates,
    Line,
    Mark,
    Panel,
    Points,
    Scale,
    Surface,
    stops,
)
from rung.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SYMBOLS: Final = {"circle": "o", "star": "*", "cross": "x", "diamond": "D", "open": "o"}
_GRID: Final = "#e2e7ed"


def figure(chart: Chart) -> Figure:
    """The chart as a figure of its own.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "matplotlib is not installed: pip install 'rung[viz]', or draw with Plotly (a file that ends in "
            ".html, or backend='plotly')"
        ) from error
    columns = min(chart.columns, len(chart.panels))
    rows = -(-len(chart.panels) // columns)
    width = 8.0 if columns <= 2 and not chart.widths else 10.0
    drawn = Figure(figsize=(width, 0.6 + 4.4 * chart.height), layout="constrained", facecolor="white")
    ratios = list(chart.widths) or None
    grid = drawn.subplots(rows, columns, squeeze=False, width_ratios=ratios).ravel().tolist()
    scales: list[tuple[Any, Scale | Surface]] = []
    for axes, panel in zip(grid, chart.panels, strict=False):
        _panel(axes, panel, scales)
    for axes in grid[len(chart.panels) :]:
        axes.set_visible(False)
    if scales:
        _colour_bar(drawn, scales, grid)
    drawn.suptitle(_plain(chart.title), fontsize=12.5, x=0.01, ha="left", color=INK)
    _legend(drawn, grid[: len(chart.panels)])
    return drawn


def _panel(axes: Axes, panel: Panel, scales: list[tuple[Any, Scale | Surface]]) -> None:
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    if panel.title:
        axes.set_title(_plain(panel.title), fontsize=10)
    for axis, side in ((panel.x, "x"), (panel.y, "y")):
        if axis.log:
            getattr(axes, f"set_{side}scale")("log")
    for mark in panel.marks:
        found = _DRAW[type(mark)](axes, mark)
        if found is not None:
            scales.append(found)
    if not isinstance(panel.marks[0], Coordinates):
        _axis(axes, panel.x, "x")
        _axis(axes, panel.y, "y")


def _axis(axes: Axes, axis: Axis, side: str) -> None:
    getattr(axes, f"set_{side}label")(_plain(axis.label), fontsize=10, color=SOFT)
    if axis.whole and axis.ticks is None and not axis.log:
        getattr(axes, f"{side}axis").get_major_locator().set_params(integer=True)
    if axis.ticks is not None:
        words = [_plain(text) for _, text in axis.ticks]
        getattr(axes, f"set_{side}ticks")([position for position, _ in axis.ticks], words)
        getattr(axes, f"{side}axis").minorticks_off()
        if side == "x" and sum(map(len, words)) > 36:
            axes.tick_params(axis="x", rotation=30)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
    if axis.span is not None:
        getattr(axes, f"set_{side}lim")(*axis.span)


def _points(axes: Axes, mark: Points) -> Any:
    looks: dict[str, Any] = {"marker": _SYMBOLS[mark.symbol], "s": mark.size**2, "alpha": mark.opacity}
    looks["zorder"] = 5 if mark.symbol == "star" else 3
    if mark.symbol == "diamond":
        looks |= {"facecolors": "none", "edgecolors": mark.colour}
    elif mark.symbol != "cross":
        looks |= {"linewidths": 0.8 if mark.symbol == "star" or mark.size > 8 else 0, "edgecolors": "white"}
    if isinstance(mark.colour, Scale):
        looks.pop("edgecolors", None)
        values = mark.colour.values
        drawn = axes.scatter(mark.x, mark.y, c=values, cmap=_colours(mark.colour.reverse), **looks)
        return drawn, mark.colour
    if mark.symbol != "diamond":
        looks["color" if mark.symbol == "cross" else "facecolors"] = mark.colour
    axes.scatter(mark.x, mark.y, label=_plain(mark.name) or None, **looks)
    return None


def _line(axes: Axes, mark: Line) -> None:
    axes.plot(
        mark.x,
        mark.y,
        color=mark.colour,
        linewidth=mark.width,
        alpha=mark.opacity,
        linestyle=":" if mark.dash else "-",
        drawstyle="steps-post" if mark.step else "default",
        label=_plain(mark.name) or None,
        zorder=4 if mark.width >= 2 else 2,
    )


def _bars(axes: Axes, mark: Bars) -> None:
    axes.barh(
        mark.y,
        mark.length,
        height=mark.thickness,
        left=mark.start if mark.start is not None else 0,
        color=mark.colour,
        edgecolor="white",
        linewidth=0.5 if len(mark.y) < 300 else 0.0,
        xerr=mark.spread,
        error_kw={"ecolor": INK, "elinewidth": 1.1, "capsize": 2.5},
        label=_plain(mark.name) or None,
        zorder=2,
    )


def _surface(axes: Axes, mark: Surface) -> Any:
    z = np.ma.masked_invalid(mark.z)
    if z.count() == 0 or np.ptp(z.compressed()) == 0.0:
        return None
    drawn = axes.contourf(mark.x, mark.y, z, levels=14, cmap=_colours(mark.reverse), alpha=0.95)
    axes.contour(mark.x, mark.y, z, levels=14, colors="white", linewidths=0.4, alpha=0.6)
    return drawn, mark


def _coordinates(axes: Axes, mark: Coordinates) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm, Normalize

    values, scale = mark.values, mark.colour
    k = values.shape[1]
    norm = (LogNorm if scale.log else Normalize)(scale.values.min(), scale.values.max())
    colours = ScalarMappable(norm, _colours(scale.reverse))
    order = np.argsort(scale.values * (1 if not scale.reverse else -1), kind="stable")  # the best on top
    lines = np.stack([np.broadcast_to(np.arange(k), values.shape), values], axis=2)[order]
    rgba = colours.to_rgba(scale.values[order], alpha=0.5)
    axes.add_collection(LineCollection(list(lines), colors=rgba, linewidths=1.0))
    if mark.best is not None:
        axes.plot(np.arange(k), values[mark.best], color="#d55e00", linewidth=2.4, label="best", zorder=5)
    low = float(values.min()) - 0.05
    axes.set(xlim=(-0.15, k - 0.7), ylim=(low, 1.05), yticks=[])
    axes.set_xticks(np.arange(k), [_plain(name) for name in mark.names], fontsize=10)
    if sum(map(len, mark.names)) > 70:
        axes.tick_params(axis="x", rotation=20)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for place, ticks in enumerate(mark.ticks):
        axes.axvline(place, color=SOFT, linewidth=0.9, zorder=3)
        for position, text in ticks:
            box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
            spot = (place + 0.02, position)
            axes.annotate(_plain(text), spot, fontsize=8, color=INK, va="center", bbox=box, zorder=6)
    return colours, scale


_DRAW: Final[dict[type[Mark], Callable[[Any, Any], Any]]] = {
    Points: _points,
    Line: _line,
    Bars: _bars,
    Surface: _surface,
    Coordinates: _coordinates,
}


def _colours(reverse: bool) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    listed = [(1 - at, colour) for at, colour in stops()][::-1] if reverse else stops()
    return LinearSegmentedColormap.from_list("rung", listed)


def _colour_bar(drawn: Figure, scales: Sequence[tuple[Any, Scale | Surface]], grid: list[Any]) -> None:
    """One bar for all panels, over the range of them all."""
    shown, scale = scales[0]
    if isinstance(scale, Scale) and len(scales) > 1:
        every = np.concatenate([one.values for _, one in scales if isinstance(one, Scale)])
        for one, _ in scales:
            one.set_clim(every.min(), every.max())
    bar = drawn.colorbar(shown, ax=grid, pad=0.02, aspect=35, fraction=0.03)
    bar.set_label(_plain(scale.label), color=SOFT)
    bar.outline.set_visible(False)
    if isinstance(scale, Surface) and scale.log:
        from matplotlib.ticker import FuncFormatter

        bar.formatter = FuncFormatter(lambda value, _: f"{10**value:.3g}")
        bar.update_ticks()
    bar.ax.tick_params(length=0, labelsize=9)


def _legend(drawn: Figure, grid: Sequence[Any]) -> None:
    """One legend below all panels, each name once."""
    found: dict[str, Any] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            found.setdefault(label, handle)
    if len(found) > 1:
        drawn.legend(
            list(found.values()), list(found), loc="outside lower center", ncols=min(6, len(found)),
            frameon=False, fontsize=9, labelcolor=INK,
        )  # fmt: skip


def _plain(text: str) -> str:
    """A user's words, so that matplotlib takes none of them for a formula."""
    return text.replace("$", r"\$")
