"""Bars and lines for print and for screens: ours strong, all others calm, on white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

#: Bars of one panel: by group and then by who; and lines: by who, points of x and y.
Bars: TypeAlias = Mapping[str, Mapping[str, float]]
Lines: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]

_OURS = "#0b57d0"
_INK, _GRID = "#1f2328", "#d8dee4"
#: What a figure is drawn and saved under.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text as text: small, and it can be searched
    "svg.hashsalt": "benchmarks",  # for names of parts, which are random else
    "font.family": "sans-serif",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
#: Ours strong and all others calm, by what a name begins with; the first that fits.
_COLOURS = {
    "SessionKit, revocable: files": "#6d9eeb",
    "SessionKit, revocable: Redis": "#a4c2f4",
    "SessionKit": _OURS,
    "Flask-Session*": "#d3c3ad",
    "Flask-Session": "#a89478",
    "Django": "#8fa596",
    "starsessions": "#c3a5b4",
    "Flask's own": "#9b93ad",
    "the driver's": "#c9cfd5",
    "the same": "#e3e6e9",
    "bare Flask": "#b4bac0",
    "bare Django": "#8c959f",
}
_OTHER = "#b4bac0"
#: Of lines, which are all ours: told apart by hue, by lightness in print, and by their marks.
_LINES = (("#0b57d0", "o"), ("#b3541e", "s"), ("#3d7a57", "^"), ("#7b4ba0", "D"), ("#56606b", "v"))


def bars(panels: Mapping[str, Bars], unit: str) -> Figure:
    """Draw a panel of horizontal bars for each title, side by side and with the same groups."""
    groups = list(dict.fromkeys(group for panel in panels.values() for group in panel))
    names = list(dict.fromkeys(name for panel in panels.values() for group in panel.values() for name in group))
    names.sort(key=lambda name: not name.startswith("SessionKit"))
    within = {group: [name for name in names if _is_in(panels, group, name)] for group in groups}
    height = 0.19 * (sum(map(len, within.values())) + 0.9 * len(groups)) + 1.3
    figure, axes = _figure(len(panels), height)
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        top, middles = 0.0, []
        for group in groups:
            middles.append(top + (len(within[group]) - 1) / 2)
            for name in within[group]:
                value = panel.get(group, {}).get(name)
                if value is not None:
                    axis.barh(top, value, height=0.86, color=_colour(name), label=name)
                    axis.annotate(
                        _short(value), (max(value, 0), top), (3, 0), textcoords="offset points", va="center", fontsize=7
                    )
                top += 1
            top += 0.9
        axis.set_yticks(middles, groups)
        axis.set_ylim(top - 0.9, -0.9)
        axis.margins(x=0.16)
        axis.tick_params(axis="y", length=0)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel(unit)
        axis.grid(axis="x", color=_GRID, linewidth=0.6)
    if len(names) > 1:
        _legend(figure, axes)
    return figure


def has_colour(name: str) -> bool:
    """Return whether a name is one of those that are compared."""
    return any(name.startswith(start) for start in _COLOURS)


def lines(panels: Mapping[str, Lines], x: str, y: str) -> Figure:
    """Draw a panel of lines for each title, side by side, on logarithmic axes."""
    figure, axes = _figure(len(panels), 3.6)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    looks = dict(zip(names, cycle(_LINES), strict=False))
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        for name, points in panel.items():
            colour, mark = looks[name]
            axis.plot(*zip(*points, strict=True), color=colour, marker=mark, markersize=5, linewidth=1.6, label=name)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axis.yaxis.set_minor_formatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else "")
        axis.set_xticks(sorted({at for points in panel.values() for at, _ in points}), minor=False)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.tick_params(which="both", labelsize=8)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel(x)
        axis.grid(color=_GRID, linewidth=0.6)
    axes[0].set_ylabel(y)
    if len(names) > 1:
        _legend(figure, axes)
    return figure


def _is_in(panels: Mapping[str, Bars], group: str, name: str) -> bool:
    return any(name in panel.get(group, {}) for panel in panels.values())


def _figure(panels: int, height: float) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(8.2, height), layout="constrained", facecolor="white")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axis in axes:
        axis.set_facecolor("white")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    shown = {label: one for axis in axes for one, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    names = sorted(shown, key=lambda name: not name.startswith("SessionKit"))
    handles = [shown[name] for name in names]
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)


def _colour(name: str) -> str:
    return next((colour for start, colour in _COLOURS.items() if name.startswith(start)), _OTHER)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"
