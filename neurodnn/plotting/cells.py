"""One cell of a region figure: the mean, its interval, the subjects, and what is significant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurodnn.plotting import style


class Look(NamedTuple):
    """How a group is drawn."""

    colour: str
    marker: str
    number: int


def look_of(number: int) -> Look:
    """Return the look of the group of that number.

    Examples
    --------
    >>> look_of(1).marker
    's'
    """
    colour = style.CATEGORIES[number % len(style.CATEGORIES)]
    return Look(colour, style.MARKERS[number % len(style.MARKERS)], number)


def foot_of(number: int) -> float:
    """Return where the dashes of a group stand, as a share of the height of the panel.

    Examples
    --------
    >>> foot_of(0) < foot_of(1) < 0.1
    True
    """
    return 0.025 + 0.028 * number


def draw_cell(axes, x: float, cell, scores: np.ndarray, colour: str) -> None:
    """Subjects as dots; the interval, or the standard error of their mean, as a bar."""
    if scores.size > 1:
        # spread by rank, not by chance: the same table gives the same picture
        spread = np.linspace(-0.08, 0.08, scores.size)
        axes.plot(
            x + spread, scores, linestyle="none", marker="o", markersize=2.2, color=colour,
            alpha=0.28, markeredgewidth=0, zorder=2,
        )  # fmt: skip
    if "low" in cell and "high" in cell:
        ends = cell["low"].iloc[0], cell["high"].iloc[0]
    elif scores.size > 1:
        error = scores.std(ddof=1) / np.sqrt(scores.size)
        ends = scores.mean() - error, scores.mean() + error
    else:
        return
    axes.plot((x, x), ends, color=colour, linewidth=1.1, zorder=3)


def mark_cell(axes, x: float, cell, scores: np.ndarray, look: Look, alpha: float) -> None:
    """A star where p alone is given; else a filled or an open marker, or none.

    Where p for new stimuli alone is given, a dash at the foot of the panel marks it.
    """
    colour, marker, number = look
    if _below(cell, "p_stimuli", alpha):
        axes.plot(
            (x,), (foot_of(number),), linestyle="none", marker="_", markersize=4,
            markeredgewidth=1.4, color=colour, transform=axes.get_xaxis_transform(), zorder=5,
        )  # fmt: skip
    if "p_both" in cell:
        own, both = _below(cell, "p", alpha), _below(cell, "p_both", alpha)
        if own or both:
            axes.plot(
                (x,), (scores.mean(),), linestyle="none", marker=marker, markersize=4.2,
                color=colour, markerfacecolor=colour if both else "white", markeredgewidth=0.9,
                zorder=5,
            )  # fmt: skip
    elif _below(cell, "p", alpha):
        axes.annotate(
            "*", (x, scores.max()), xytext=(0, -1), textcoords="offset points", ha="center",
            va="bottom", fontsize=style.TEXT + 2, color=colour, annotation_clip=False,
        )  # fmt: skip


def _below(cell, column: str, alpha: float) -> bool:
    if column not in cell:
        return False
    values = cell[column].to_numpy(dtype=float)
    return bool(values.size and np.nanmin(values, initial=1.0) < alpha)
