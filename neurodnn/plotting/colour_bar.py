"""The colour bar of brain maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurodnn.plotting import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_colour_bar(
    figure: Figure, limit: float, signed: bool, unit: str, extend: str
) -> None:
    """Draw the scale at the foot of a figure.

    A strip of quads in the figure's own coordinates: a second pair of axes with its ticks would
    take as long to draw as the slices, and a report draws it for every map.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        With 0.5 inches free at its lower edge.
    limit : float
        Value at the strong end of the colours.
    signed : bool
        Whether the scale begins at ``-limit`` instead of 0.
    unit : str
        Name of the scale, untrusted text.
    extend : {"neither", "min", "max", "both"}
        Ends that are pointed: values beyond exist.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    total, low = figure.get_figheight(), -limit if signed else 0.0
    left, right, bottom, high = 0.34, 0.66, 0.36 / total, 0.085 / total

    def place(value: float) -> float:
        return left + (right - left) * (value - low) / (limit - low)

    edges = np.linspace(left, right, 129)
    middles = low + (limit - low) * (np.arange(128) + 0.5) / 128
    quads = [[(a, bottom), (b, bottom), (b, bottom + high), (a, bottom + high)]
             for a, b in zip(edges[:-1], edges[1:], strict=True)]  # fmt: skip
    colours = list(style.score_colours(middles, limit, signed))
    for name, base, tip in (("min", left, left - 0.014), ("max", right, right + 0.014)):
        if extend in (name, "both"):
            quads.append([(base, bottom), (base, bottom + high), (tip, bottom + high / 2)])
            colours.append(colours[0 if name == "min" else 127])
    where = {"transform": figure.transFigure}
    figure.add_artist(PolyCollection(quads, facecolors=colours, antialiased=False, **where))
    ticks = _round_ticks(limit, signed)
    marks = [[(place(tick), bottom), (place(tick), bottom - 0.03 / total)] for tick in ticks]
    figure.add_artist(LineCollection(marks, colors=style.INK, linewidths=0.5, **where))
    words = {"fontsize": style.SMALL - 0.5, "color": style.INK, "ha": "center", "va": "top"}
    for tick in ticks:
        text = f"{tick:g}".replace("-", "\N{MINUS SIGN}")
        figure.text(place(tick), bottom - 0.05 / total, text, **words)
    figure.text((left + right) / 2, bottom - 0.18 / total, style.plain(unit, 100), **words)


def _round_ticks(limit: float, signed: bool) -> list[float]:
    """Zero and round numbers within the limit, at most five of them."""
    step = 10.0 ** np.floor(np.log10(limit))
    step *= next((factor for factor in (5, 2, 1, 0.5) if factor * step * 2 <= limit * 1.0001), 0.5)
    count = int(limit / step + 1e-6)
    positive = [round(step * number, 12) for number in range(1, count + 1)]
    return ([-value for value in reversed(positive)] if signed else []) + [0.0, *positive]
