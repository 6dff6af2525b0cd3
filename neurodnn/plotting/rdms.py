"""Representational dissimilarity matrices side by side, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import InputError, closest, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_READABLE = 4.5  # points: where names would be smaller, the stimuli are numbered
_TITLE, _FOOT = 0.42, 0.62  # inches


def plot_rdms(
    rdms: Any,
    *,
    ncols: int = 4,
    order: Sequence[str] | None = None,
    categories: Mapping[str, str] | None = None,
    ranks: bool = False,
    unit: str = "dissimilarity",
    title: str | None = None,
) -> Figure:
    """Return a figure with one matrix per RDM, all on the same colour scale.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Matrices to draw. The titles are ``rdm_descriptors["reference"]``, or ``"subject"``, or
        numbers; the stimuli are ``pattern_descriptors["stimulus"]``.
    ncols : int
        Matrices in a row. Default 4: a layer's RDM is then 40 mm wide in print.
    order : sequence of str, optional
        Stimulus names, all of them, in the order wanted. Default: the order in `rdms`.
    categories : mapping of str to str, optional
        Stimulus -> category. The stimuli are grouped by it (in order of first appearance), and
        coloured bars with names mark the groups.
    ranks : bool
        Show within each RDM the percentile of every dissimilarity (0 to 100, ties share their
        mean) in place of its value: what a comparison by ranks sees. Default False.
    unit : str
        Label of the colour bar where `ranks` is False, such as ``"1 - Pearson r"``.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide. The diagonal, which is zero by definition, and pairs without a value are
        left grey.

    Raises
    ------
    InputError
        If `order` or `categories` do not name every stimulus once, or `ncols` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.rdm import RDMs
    >>> rdms = RDMs(np.array([[1.0, 2.0, 3.0]]), rdm_descriptors={"reference": ["features.2"]},
    ...             pattern_descriptors={"stimulus": ["cat", "dog", "house"]})
    >>> figure = plot_rdms(rdms, categories={"cat": "animal", "dog": "animal", "house": "place"})
    >>> figure.axes[0].get_title(loc="left")
    'features.2'
    """
    if ncols < 1:
        raise InputError(message("ncols", "must be at least 1", got=ncols))
    names = _descriptor(rdms.pattern_descriptors, ("stimulus",), rdms.n_cond)
    titles = _descriptor(rdms.rdm_descriptors, ("reference", "subject"), rdms.n_rdm)
    index = _stimulus_order(names, order, categories)
    squares = [_square(row, rdms.n_cond, ranks)[np.ix_(index, index)] for row in
               np.asarray(rdms.dissimilarities, dtype=float)]  # fmt: skip
    groups = [] if categories is None else _groups([categories[names[place]] for place in index])
    figure, places = _layout(len(squares), ncols, title is not None, bool(groups))
    limits = (0.0, 100.0) if ranks else _limits(squares)
    for number, (place, square, label) in enumerate(zip(places, squares, titles, strict=True)):
        axes = figure.add_axes(place)
        picture = _draw(axes, square, label, limits)
        if groups:
            _category_bars(axes, groups, rdms.n_cond, named=number % ncols == 0)
        else:
            _stimulus_ticks(axes, [names[i] for i in index], first=number % ncols == 0)
    _bar(figure, picture, "percentile within its RDM" if ranks else unit)
    style.figure_title(figure, title, space=_TITLE)
    return figure


def _descriptor(descriptors: Mapping[str, Any], keys: Sequence[str], count: int) -> list[str]:
    for key in keys:
        if key in descriptors and len(descriptors[key]) == count:
            return [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                for value in descriptors[key]
            ]
    return [str(number + 1) for number in range(count)]


def _stimulus_order(
    names: list[str], order: Sequence[str] | None, categories: Mapping[str, str] | None
) -> np.ndarray:
    index = np.arange(len(names))
    if order is not None:
        if sorted(order) != sorted(names):
            missing = sorted(set(names) - set(order)) or sorted(set(order) - set(names))
            near = closest(missing[0], set(order)) if missing else None
            hint = f"Did you mean {missing[0]} by {near}?" if near else None
            raise InputError(
                message("order", "must name every stimulus of the RDMs once",
                        got=missing[:5] or "a name twice", remedy=hint)
            )  # fmt: skip
        where = {name: place for place, name in enumerate(names)}
        index = np.array([where[name] for name in order])
    if categories is not None:
        without = [name for name in names if name not in categories]
        if without:
            raise InputError(
                message("categories", f"lacks {len(without)} stimuli", got=without[:5])
            )
        seen = list(dict.fromkeys(categories[names[place]] for place in index))
        index = np.array(sorted(index, key=lambda place: seen.index(categories[names[place]])))
    return index


def _square(condensed: np.ndarray, count: int, ranks: bool) -> np.ndarray:
    if ranks:
        from scipy.stats import rankdata

        finite = np.isfinite(condensed)
        condensed = condensed.copy()
        total = max(int(finite.sum()) - 1, 1)
        condensed[finite] = 100 * (rankdata(condensed[finite]) - 1) / total
    square = np.full((count, count), np.nan)
    upper = np.triu_indices(count, 1)
    square[upper] = condensed
    square.T[upper] = condensed
    return square


def _limits(squares: list[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([square[np.isfinite(square)] for square in squares])
    if not values.size:
        return 0.0, 1.0
    low, high = min(float(values.min()), 0.0), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def _groups(labels: list[str]) -> list[tuple[str, int, int]]:
    """Runs of equal labels as (label, first, last + 1)."""
    edges = [0, *(i for i in range(1, len(labels)) if labels[i] != labels[i - 1]), len(labels)]
    return [(labels[a], a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _layout(count: int, ncols: int, titled: bool, barred: bool):
    """The figure and the box of every matrix; the first column leaves room for names."""
    rows, columns = -(-count // ncols), min(count, ncols)
    width = style.PAGE_WIDTH
    names, gap = (0.95 if barred else 0.85), 0.2
    side = (width - names - 0.12 - gap * (ncols - 1)) / ncols
    side = min(side, 2.6)
    head = _TITLE if titled else 0.1
    step = side + 0.42
    height = head + rows * step + _FOOT
    figure = style.new_figure(min(width, names + 0.12 + columns * (side + gap)), height)
    width = figure.get_figwidth()
    places = []
    for number in range(count):
        row, column = divmod(number, ncols)
        left = names + column * (side + gap)
        bottom = height - head - 0.3 - row * step - side
        places.append((left / width, bottom / height, side / width, side / height))
    return figure, places


def _draw(axes, square: np.ndarray, label: str, limits: tuple[float, float]):
    from matplotlib import colormaps

    colours = colormaps["viridis"].with_extremes(bad="#d9dde1")
    picture = axes.imshow(
        square, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest"
    )
    axes.set_title(
        style.plain(label, 28), fontsize=style.TEXT, color=style.INK, loc="left",
        fontweight="bold", pad=8,
    )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return picture


def _stimulus_ticks(axes, names: list[str], first: bool) -> None:
    """Names beside the first matrix of a row; where they are many, places in the order."""
    count = len(names)
    height = axes.get_position().height * axes.figure.get_figheight()
    size = min(0.85 * 72 * height / count, style.SMALL)
    if size >= _READABLE:
        if first:
            labels = [style.plain(name, 18) for name in names]
            axes.set_yticks(range(count), labels, fontsize=size, color=style.INK)
            axes.tick_params(length=0, pad=2)
        return
    step = next(step for step in (10, 20, 50, 100, 200, 500, 10**9) if count / step <= 6)
    marks = [*range(step - 1, count, step)] or [count - 1]
    axes.set_xticks(marks, [str(mark + 1) for mark in marks])
    axes.set_yticks(marks if first else [], [str(mark + 1) for mark in marks] if first else [])
    axes.tick_params(length=2, width=0.5, labelsize=style.SMALL - 1, labelcolor=style.INK)
    if first:
        axes.set_ylabel("stimulus", fontsize=style.SMALL, color=style.INK)


def _category_bars(axes, groups: list[tuple[str, int, int]], count: int, named: bool) -> None:
    """A coloured bar above and left of the matrix for every run of one category."""
    from matplotlib.patches import Rectangle

    labels = list(dict.fromkeys(label for label, _, _ in groups))
    thick, away = 0.028 * count, 0.012 * count
    for label, first, last in groups:
        colour = style.CATEGORIES[labels.index(label) % len(style.CATEGORIES)]
        size, start = last - first, first - 0.5
        for corner, box in (
            ((start, -0.5 - away - thick), (size, thick)),
            ((-0.5 - away - thick, start), (thick, size)),
        ):
            axes.add_patch(
                Rectangle(corner, *box, facecolor=colour, edgecolor="white", linewidth=0.4,
                          clip_on=False)
            )  # fmt: skip
        if named:
            axes.text(
                -0.5 - 2 * away - thick, start + size / 2, style.plain(label, 16),
                fontsize=style.SMALL, color=style.INK, ha="right", va="center",
            )  # fmt: skip


def _bar(figure, picture, unit: str) -> None:
    width, height = figure.get_size_inches()
    first = figure.axes[0].get_position().x0
    long = min(2.2, width * (1 - first) - 0.2)
    axes = figure.add_axes((first, 0.36 / height, long / width, 0.085 / height))
    bar = figure.colorbar(picture, cax=axes, orientation="horizontal")
    bar.set_label(style.plain(unit, 60), fontsize=style.SMALL, color=style.INK, labelpad=2)
    bar.ax.tick_params(labelsize=style.SMALL - 0.5, length=2, width=0.5, labelcolor=style.INK)
    bar.outline.set_linewidth(0.4)
