"""Outcomes -> one figure of measured error rates, legible without colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.counting import ALPHA, Row, band
from protocols.running import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito: blue and vermilion stay apart for every kind of colour blindness.
_OURS, _NAIVE, _BAND = "#0072B2", "#D55E00", "#DDDDDD"


def draw_rates(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Write a PNG: a line per setting, with the error rates of our tests and of alternatives.

    Only errors whose nominal rate is .05 are drawn. Return whether there was any.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    lines = [(outcome, [row for row in outcome.rows if row.null]) for outcome in outcomes]
    lines = [(outcome, rows) for outcome, rows in lines if rows]
    if not lines:
        return False
    fig, axes = plt.subplots(figsize=(8.2, 1.0 + 0.27 * len(lines)), layout="constrained")
    previous = None
    for y, (outcome, rows) in enumerate(lines):
        low, high = (count / rows[0].n for count in band(rows[0].n))
        axes.fill_betweenx([y - 0.5, y + 0.5], low, high, color=_BAND, lw=0)
        _draw_rows(axes, y, rows)
        if previous != outcome.protocol.name:
            axes.axhline(y - 0.5, color="black", lw=0.5)
            axes.text(1.02, y, outcome.protocol.name, va="center", fontsize=8, weight="bold",
                      transform=axes.get_yaxis_transform())  # fmt: skip
        previous = outcome.protocol.name
    _finish(axes, [outcome.arm.label for outcome, _ in lines])
    handles = [
        plt.Line2D([], [], color=_OURS, marker="o", ms=4.5, lw=1.1, label="neurodnn"),
        plt.Line2D([], [], color=_NAIVE, marker="X", ms=4.5, lw=1.1, label="alternative"),
        plt.Rectangle((0, 0), 1, 1, color=_BAND, label="99.9 % of right tests"),
    ]
    fig.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=7.5, frameon=False)
    fig.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(fig)
    return True


def _draw_rows(axes: Axes, y: int, rows: list[Row]) -> None:
    """Draw the rates of one setting below one another, so that intervals do not hide."""
    for index, row in enumerate(rows):
        height = y + 0.7 * ((index + 0.5) / len(rows) - 0.5)
        colour, marker = (_NAIVE, "X") if row.naive else (_OURS, "o")
        axes.plot(row.interval, [height, height], color=colour, lw=1.1, clip_on=False)
        axes.plot(row.rate, height, marker, color=colour, ms=4.2, mec="white", mew=0.4,
                  clip_on=False, zorder=3)  # fmt: skip


def _finish(axes: Axes, labels: list[str]) -> None:
    axes.axvline(ALPHA, color="black", lw=0.8, ls=":")
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    # The square root gives room to small rates and still shows 0.
    axes.set_xscale("function", functions=(lambda x: abs(x) ** 0.5, lambda x: x**2))
    axes.set_xlim(0, 1)
    ticks = [0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks, [f"{tick:g}".removeprefix("0") or "0" for tick in ticks], fontsize=7.5)
    axes.set_xlabel("rate of errors (square-root axis)", fontsize=8)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
