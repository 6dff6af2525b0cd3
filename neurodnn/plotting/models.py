"""Models side by side: scores under the noise ceiling, and which differences are significant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_SUBJECTS, _BOTH = "subjects", "subjects and stimuli"
_NEEDED = ("mean", "standard_error", "p_fwe", "ceiling", "p_difference_fwe")


def plot_models(
    tests: xr.Dataset, *, alpha: float = 0.05, unit: str | None = None, title: str | None = None
) -> Figure:
    """Return a figure of model scores with errors, ceilings and pairwise significance.

    Parameters
    ----------
    tests : Dataset
        As `compare_models` gives it.
    alpha : float
        Level of the marks, on corrected p values. Default 0.05.
    unit : str, optional
        Label of the vertical axis; by default the name of the comparison.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        Above, each model's mean score: a thick bar is its standard error over subjects, a thin
        one over subjects and stimuli; the marker is filled where it differs from zero for new
        subjects and new stimuli, open where for new subjects only, a dash where neither. Below,
        a table of pairs, marked alike.

    Raises
    ------
    InputError
        If a variable is missing.

    References
    ----------
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.

    Examples
    --------
    >>> import xarray as xr
    >>> kinds = ["subjects", "stimuli", "subjects and stimuli"]
    >>> both = (("generalises_to", "reference"), np.full((3, 2), 0.02))
    >>> pairs = (("generalises_to", "reference", "other"), np.full((3, 2, 2), 0.02))
    >>> tests = xr.Dataset({"mean": ("reference", [0.1, 0.3]), "standard_error": both,
    ...                     "p_fwe": both, "ceiling": ("bound", [0.4, 0.5]),
    ...                     "p_difference_fwe": pairs},
    ...                    coords={"reference": ["V1", "IT"], "generalises_to": kinds})
    >>> len(plot_models(tests).axes)
    2
    """
    missing = [name for name in _NEEDED if name not in getattr(tests, "data_vars", ())]
    if missing:
        remedy = "Give what compare_models returns."
        raise InputError(message("tests", "lack variables", got=missing, remedy=remedy))
    names = [style.plain(name, 22) for name in tests["reference"].values]
    n = len(names)
    side = min(0.28, 5.9 / n)
    width = max(3.5, 1.35 + side * n + 0.15)
    step = (width - 1.5) / n
    table, head, panel = 0.2 * n, 0.42 if title else 0.15, 1.9
    foot = 0.68 + 0.05 * max(map(len, names))  # notes, and the slanted names of the columns
    height = head + panel + 0.14 + table + foot
    figure = style.new_figure(width, height)
    left, across = 1.35 / width, step * n / width
    upper = figure.add_axes((left, (height - head - panel) / height, across, panel / height))
    lower = figure.add_axes((left, foot / height, across, table / height))
    _draw_scores(upper, tests, alpha)
    upper.set_ylabel(
        style.plain(unit or tests.attrs.get("comparison", "score"), 40),
        fontsize=style.TEXT - 0.5, color=style.INK,
    )  # fmt: skip
    _draw_pairs(lower, tests, names, alpha)
    _notes(figure, tests, alpha)
    style.figure_title(figure, title, space=0.42)
    return figure


def _states(p: xr.DataArray, alpha: float) -> np.ndarray:
    """Return 2 where significant for subjects and stimuli, 1 where for subjects only, else 0."""
    kinds = list(p["generalises_to"].values)
    both, own = (p.values[kinds.index(kind)] < alpha for kind in (_BOTH, _SUBJECTS))
    return np.where(both, 2, np.where(own, 1, 0))


def _mark(axes, x: float, y: float, state: int, colour: str) -> None:
    if state:
        axes.plot(
            (x,), (y,), marker="o", markersize=5, linestyle="none", zorder=4, color=colour,
            markerfacecolor=colour if state == 2 else "white", markeredgewidth=1,
        )  # fmt: skip
    else:
        axes.plot((x,), (y,), marker="_", markersize=6, linestyle="none", zorder=4, color=colour)


def _draw_scores(axes, tests: xr.Dataset, alpha: float) -> None:
    style.quiet_axes(axes)
    lower, upper = tests["ceiling"].values
    if np.isfinite((lower, upper)).all():
        axes.axhspan(lower, upper, color="#d5dbe1", linewidth=0, zorder=0)
    axes.axhline(0, color=style.FAINT, linewidth=0.6, zorder=1)
    mean, error = tests["mean"].values, tests["standard_error"]
    for place, state in enumerate(_states(tests["p_fwe"], alpha)):
        colour = style.CATEGORIES[0]
        for kind, thickness in ((_BOTH, 0.9), (_SUBJECTS, 2.6)):
            half = error.sel(generalises_to=kind).values[place]
            axes.plot(
                (place, place), (mean[place] - half, mean[place] + half), color=colour,
                linewidth=thickness, zorder=3, solid_capstyle="butt",
            )  # fmt: skip
        _mark(axes, place, mean[place], state, colour)
    axes.set_xlim(-0.5, mean.size - 0.5)
    axes.set_xticks(range(mean.size), [""] * mean.size)


def _draw_pairs(axes, tests: xr.Dataset, names: list[str], alpha: float) -> None:
    n = len(names)
    states = _states(tests["p_difference_fwe"], alpha)
    for row in range(n):
        axes.axhline(row + 0.5, color="#e4e7ea", linewidth=0.5, zorder=0)
        for column in range(row):
            if states[row, column]:
                _mark(axes, column, row, states[row, column], style.INK)
        axes.plot((row,), (row,), marker="s", markersize=3, color="#d5dbe1", linestyle="none")
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_yticks(range(n), names)
    axes.set_xticks(range(n), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelsize=style.SMALL, labelcolor=style.INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _notes(figure, tests: xr.Dataset, alpha: float) -> None:
    counts = ""
    if "n_subjects" in tests.attrs:
        counts = f"; {tests.attrs['n_subjects']} subjects, {tests.attrs['n_stimuli']} stimuli"
    lines = [
        f"filled: p < {alpha:g} for new subjects and stimuli; open: for new subjects only",
        "thick bar: standard error over subjects; thin: over subjects and stimuli",
        f"band: noise ceiling; dots below: models that differ; p corrected{counts}",
    ]
    figure.text(
        0.012, 0.06 / figure.get_figheight(), "\n".join(style.plain(line, 120) for line in lines),
        fontsize=style.SMALL - 1, color=style.FAINT, va="bottom", linespacing=1.35,
    )  # fmt: skip
