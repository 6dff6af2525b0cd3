"""Regions x layers: how well each layer's geometry fits each region, under its noise ceiling."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from neurodnn._checks import InputError, closest, message
from neurodnn.plotting import style
from neurodnn.plotting.cells import draw_cell, foot_of, look_of, mark_cell

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_TITLE, _FOOT = 0.42, 0.3  # inches
_NEEDED = ("region", "reference", "score")


def plot_regions(
    table: pd.DataFrame,
    *,
    ceilings: Mapping[str, tuple[float, float]] | None = None,
    alpha: float = 0.05,
    p_meaning: str = "p values as given in the table",
    interval_meaning: str = "95 % interval",
    unit: str = "Spearman rho",
    ncols: int = 3,
    title: str | None = None,
) -> Figure:
    """Return a figure with one panel per region: scores over layers under the noise ceiling.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per region and reference, and per subject and group where there are any, with
        columns ``region``, ``reference`` (the layer), ``score``; optional ``subject`` (dots are
        drawn, and the mean with its standard error), ``group`` (a line each, such as a network),
        ``low`` and ``high`` (an interval, drawn in place of the standard error), ``p``,
        ``p_both`` and ``p_stimuli`` (these the same for all subjects of a cell). Order of first
        appearance is kept.
    ceilings : mapping of str to (float, float), optional
        Region -> lower and upper noise ceiling, drawn as a band.
    alpha : float
        Level of the marks. Default 0.05. With ``p`` alone a star marks cells below it. With
        ``p`` (generalises to subjects) and ``p_both`` (to subjects and stimuli) a filled marker
        stands where both are below it, an open one where ``p`` alone is, and none elsewhere;
        ``p_stimuli`` below it is a dash at the foot of the panel.
    p_meaning : str
        What the p values are, printed beside the meaning of the marks: which test, over what,
        and corrected or not.
    interval_meaning : str
        What ``low`` and ``high`` are.
    unit : str
        Label of the vertical axis. Default ``"Spearman rho"``.
    ncols : int
        Panels in a row. Default 3.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide.

    Raises
    ------
    InputError
        If a column is missing, a score is given twice, or the table is empty.

    References
    ----------
    Nili H. et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology 10, e1003553 (the noise ceiling and its band).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"region": ["V1", "V1", "IT", "IT"],
    ...                       "reference": ["features.2", "features.12"] * 2,
    ...                       "score": [0.12, 0.05, 0.08, 0.2]})
    >>> figure = plot_regions(table, ceilings={"V1": (0.15, 0.22), "IT": (0.3, 0.36)})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['V1', 'IT']
    """
    _check(table, ncols)
    regions = list(dict.fromkeys(table["region"].astype(str)))
    references = list(dict.fromkeys(table["reference"].astype(str)))
    groups = _groups(table)
    notes = _notes(table, alpha, p_meaning, interval_meaning, ceilings is not None)
    notes = [note[:1].upper() + note[1:] for note in (style.plain(note, 300) for note in notes)]
    # No line ends between p and its level.
    text = ". ".join(notes).replace("p < ", "p\u00a0<\u00a0")
    lines = textwrap.wrap(text, 138)
    foot = _FOOT + 0.11 * max(0, len(lines) - 1)
    head = (_TITLE if title is not None else 0.12) + (0.26 if len(groups) > 1 else 0.0)
    figure, places = _layout(len(regions), ncols, head, foot, _label_room(references))
    limits = _limits(table, ceilings, regions, len(groups))
    for number, (region, place) in enumerate(zip(regions, places, strict=True)):
        axes = figure.add_axes(place)
        axes.set_ylim(*limits)
        rows = table[table["region"].astype(str) == region]
        if ceilings is not None and region in ceilings:
            _draw_ceiling(axes, ceilings[region])
        _draw_groups(axes, rows, groups, references, alpha)
        _dress(axes, region, references, unit if number % ncols == 0 else None)
    _legend(figure, groups)
    figure.text(
        0.012, 0.1 / figure.get_figheight(), "\n".join(lines), fontsize=style.SMALL - 0.5,
        color=style.FAINT, va="bottom", linespacing=1.3,
    )  # fmt: skip
    style.figure_title(figure, title, space=_TITLE)
    return figure


def _check(table: pd.DataFrame, ncols: int) -> None:
    if ncols < 1:
        raise InputError(message("ncols", "must be at least 1", got=ncols))
    for column in _NEEDED:
        if column not in table.columns:
            near = closest(column, table.columns)
            raise InputError(
                message("table", f"has no column {column!r}", got=list(map(str, table.columns)),
                        remedy=f"Did you mean {near}?" if near else None)
            )  # fmt: skip
    if not len(table):
        raise InputError(message("table", "has no rows"))
    keys = [name for name in ("region", "reference", "subject", "group") if name in table]
    twice = table.duplicated(keys)
    if twice.any():
        got = table.loc[twice, keys].iloc[0].to_dict()
        raise InputError(message("table", "has two scores for one cell", got=got))


def _groups(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["group"].astype(str))) if "group" in table else [""]


def _label_room(references: list[str]) -> float:
    """Return the inches below a panel that slanted names and the next panel's title take."""
    longest = max(len(style.plain(reference, 16)) for reference in references)
    return 0.62 + 0.024 * longest


def _layout(count: int, ncols: int, head: float, foot: float, below: float):
    columns, rows = min(count, ncols), -(-count // ncols)
    width = style.PAGE_WIDTH if columns > 1 else 3.6
    panel, gap, left = 1.75, 0.4, 0.55
    side = (width - left - 0.1 - gap * (columns - 1)) / columns
    step = panel + below
    height = head + rows * step + foot
    figure = style.new_figure(width, height)
    places = []
    for number in range(count):
        row, column = divmod(number, ncols)
        bottom = height - head - 0.22 - row * step - panel
        places.append(
            ((left + column * (side + gap)) / width, bottom / height, side / width, panel / height)
        )
    return figure, places


def _limits(table, ceilings, regions, n_groups: int) -> tuple[float, float]:
    values = table["score"].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    bands = [value for region in regions for value in (ceilings or {}).get(region, ())]
    bands += [v for name in ("low", "high") if name in table for v in table[name].dropna()]
    low, high = min([0.0, *values, *bands]), max([0.0, *values, *bands])
    room = (high - low) or 1.0
    low, high = low - (0.06 * room if low < 0 else 0), high + 0.14 * room
    if "p_stimuli" in table:
        # Dashes at the foot have a strip of their own: at the end of a bar they read as its cap.
        share = foot_of(n_groups)
        low -= (high - low) * share / (1 - share)
    return low, high


def _draw_ceiling(axes, band: Sequence[float]) -> None:
    # named in the note below the panels: inside one it would meet dots and stars
    lower, upper = band
    axes.axhspan(lower, upper, color="#d5dbe1", linewidth=0, zorder=0)


def _draw_groups(axes, rows, groups: list[str], references: list[str], alpha: float) -> None:
    width = 0.5 if len(groups) > 1 else 0.0
    offsets = np.linspace(-width / 2, width / 2, len(groups)) if len(groups) > 1 else [0.0]
    for number, (group, offset) in enumerate(zip(groups, offsets, strict=True)):
        part = rows[rows["group"].astype(str) == group] if "group" in rows else rows
        look = look_of(number)
        means = np.full(len(references), np.nan)
        for place, reference in enumerate(references):
            cell = part[part["reference"].astype(str) == reference]
            scores = cell["score"].to_numpy(dtype=float)
            scores = scores[np.isfinite(scores)]
            if scores.size:
                means[place] = scores.mean()
                draw_cell(axes, place + offset, cell, scores, look.colour)
                mark_cell(axes, place + offset, cell, scores, look, alpha)
        graded = "p_both" in part
        axes.plot(
            np.arange(len(references)) + offset, means, color=look.colour, linewidth=1.1,
            marker=None if graded else look.marker, markersize=4, markeredgecolor="white",
            markeredgewidth=0.5, zorder=3 if graded else 4, label=style.plain(group),
        )  # fmt: skip


def _dress(axes, region: str, references: list[str], unit: str | None) -> None:
    style.quiet_axes(axes)
    axes.axhline(0, color=style.FAINT, linewidth=0.6, zorder=1)
    axes.set_xlim(-0.5, len(references) - 0.5)
    labels = [style.plain(reference, 16) for reference in references]
    long = max(map(len, labels)) * len(labels) > 26
    axes.set_xticks(
        range(len(labels)), labels, rotation=40 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor",
    )  # fmt: skip
    axes.set_title(
        style.plain(region, 28), loc="left", fontsize=style.TEXT, fontweight="bold",
        color=style.INK, pad=5,
    )  # fmt: skip
    if unit is not None:
        axes.set_ylabel(style.plain(unit, 40), fontsize=style.SMALL + 0.5, color=style.INK)


def _legend(figure, groups: list[str]) -> None:
    if len(groups) < 2:
        return
    handles = [
        Line2D(
            [], [], color=look_of(i).colour, marker=look_of(i).marker, linewidth=1.1,
            markersize=4, markeredgecolor="white", markeredgewidth=0.5,
            label=style.plain(group, 48),
        )
        for i, group in enumerate(groups)
    ]  # fmt: skip
    top = figure.axes[0].get_position().y1 + 0.5 / figure.get_figheight()
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.06, top), ncols=len(groups),
        frameon=False, fontsize=style.SMALL + 0.5, handlelength=1.6, columnspacing=1.6,
        borderaxespad=0,
    )  # fmt: skip


def _notes(
    table: pd.DataFrame, alpha: float, p_meaning: str, interval_meaning: str, band: bool
) -> list[str]:
    """Return what the marks, the bars and the band mean."""
    notes = []
    if "p_both" in table:
        notes.append(
            f"filled: p < {alpha:g} for new subjects and new stimuli; open: for new subjects"
            f" only; no marker: neither ({p_meaning})"
        )
    elif "p" in table:
        notes.append(f"* p < {alpha:g} ({p_meaning})")
    if "p_stimuli" in table:
        notes.append(f"dash at the foot: p < {alpha:g} for new stimuli (labels permuted)")
    dots = f"dots: {table['subject'].nunique()} subjects" if "subject" in table else ""
    if "low" in table and "high" in table:
        notes.append("; ".join(filter(None, [dots, f"bars: {interval_meaning}"])))
    elif dots:
        notes.append(f"{dots}; bars: standard error of the mean")
    if band:
        notes.append("band: lower to upper noise ceiling")
    return notes

