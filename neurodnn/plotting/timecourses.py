"""Time courses: a curve per layer with its error, ceilings, significance and peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from neurodnn._checks import InputError, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MS = 1000.0
_ROW, _GAP = 0.085, 0.1  # inches: a row of significance, and the gap above the first
_FOOT = 0.52
_LEFT, _RIGHT = 0.62, 1.0
# Early to late: lightness falls and hue turns evenly, so that order can be read without a legend.
_RAMP = ("#7cc4e8", "#3f8fc9", "#4a5fb5", "#7a3b95", "#9a1f5e", "#6d0f1c")


def plot_timecourse(
    courses: xr.DataArray,
    *,
    test: xr.Dataset | None = None,
    ceiling: xr.Dataset | None = None,
    peaks: xr.Dataset | None = None,
    alpha: float = 0.05,
    onset: float | None = 0.0,
    label: str = "Spearman's rho",
    title: str | None = None,
) -> Figure:
    """Return a figure with a curve per reference over time.

    Parameters
    ----------
    courses : DataArray (time, reference) or (subject, time, reference)
        Times in seconds. Several subjects: the mean, with a band of one standard error.
    test : Dataset, optional
        With ``p_fwe`` (or ``p``) along ``time`` and ``reference``, as `cluster_test`, `tfce_test`
        or `sign_flip_test` give it: a bar under the curves wherever it is at most `alpha`.
    ceiling : Dataset, optional
        ``lower`` and ``upper`` along ``time``: a grey band, as `movie_ceiling` gives it.
    peaks : Dataset, optional
        ``latency``, ``low``, ``high`` in seconds along ``reference``, as `bootstrap_peak_latency`
        gives them: a mark with its interval above the curves.
    alpha : float
        Level of the bars.
    onset : float or None
        Where the stimulus appears, in seconds: a dotted line. None: no line.
    label : str
        Of the vertical axis.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide.

    Raises
    ------
    InputError
        If dimensions are missing or unknown, or another table has other times or references.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.

    Examples
    --------
    >>> import xarray as xr
    >>> courses = xr.DataArray(np.random.default_rng(0).normal(size=(12, 30, 2)),
    ...                        dims=("subject", "time", "reference"),
    ...                        coords={"time": np.arange(30) / 100, "reference": ["conv1", "fc6"]})
    >>> plot_timecourse(courses).axes[0].get_xlabel()
    'time (ms)'
    """
    _check_courses(courses)
    references = [str(name) for name in courses["reference"].values]
    times = courses["time"].values.astype(float) * _MS
    p = None if test is None else _matching(test, courses, ("p_fwe", "p"), "test")
    bounds = None if ceiling is None else _bounds(ceiling, courses)
    marks = None if peaks is None else _peaks(peaks, references)
    colours = reference_colours(len(references))
    rows = 0 if p is None else len(references)
    figure, axes = _layout(rows, title is not None)
    if bounds is not None:
        axes.fill_between(times, *bounds, color="#d5dade", linewidth=0, zorder=1,
                          label="noise ceiling")  # fmt: skip
    means = _draw_curves(axes, courses, times, references, colours)
    _dress(axes, times, onset, label)
    if marks is not None:
        _draw_peaks(axes, marks, colours)
    if p is not None:
        _draw_significance(axes, p, times, colours, alpha)
    _legend(axes, len(references))
    _footnote(figure, courses, test, peaks, alpha, means)
    style.figure_title(figure, title, space=0.42)
    return figure


def reference_colours(count: int) -> list[tuple[float, ...]]:
    """Return a colour per layer, early to late; few ones far apart.

    Examples
    --------
    >>> len(reference_colours(8))
    8
    """
    ramp = LinearSegmentedColormap.from_list("neurodnn_layers", _RAMP)
    return [ramp(0.5 if count == 1 else place / (count - 1)) for place in range(count)]


def _check_courses(courses: xr.DataArray) -> None:
    allowed = "(time, reference) or (subject, time, reference)"
    dims = set(map(str, getattr(courses, "dims", ())))
    if not {"time", "reference"} <= dims or dims - {"subject", "time", "reference"}:
        raise InputError(message("courses", "have other dimensions", got=sorted(dims),
                                 allowed=allowed))  # fmt: skip
    if "time" not in courses.coords or "reference" not in courses.coords:
        raise InputError(message("courses", "lack times or names of references"))


def _matching(
    table: xr.Dataset, courses: xr.DataArray, keys: tuple[str, ...], where: str
) -> np.ndarray:
    """Return the first variable that is there, time x reference, as the courses have it."""
    found = next((key for key in keys if key in getattr(table, "data_vars", ())), None)
    if found is None or set(table[found].dims) != {"time", "reference"}:
        allowed = f"{' or '.join(keys)} along time and reference"
        raise InputError(message(where, "lacks a variable", allowed=allowed))
    _same_times(table, courses, where)
    names = [str(name) for name in table["reference"].values]
    wanted = [str(name) for name in courses["reference"].values]
    if names != wanted:
        raise InputError(message(where, "has other references than the courses", got=names))
    return table[found].transpose("time", "reference").values


def _same_times(table: xr.Dataset, courses: xr.DataArray, where: str) -> None:
    own = table["time"].values if "time" in table.coords else np.empty(0)
    wanted = courses["time"].values
    if own.shape != wanted.shape or not np.allclose(own, wanted, rtol=0, atol=1e-6):
        raise InputError(message(where, "has other times than the courses", got=own[:3].tolist()))


def _bounds(ceiling: xr.Dataset, courses: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    missing = [key for key in ("lower", "upper") if key not in getattr(ceiling, "data_vars", ())]
    if missing:
        raise InputError(message("ceiling", "lacks variables", got=missing))
    _same_times(ceiling, courses, "ceiling")
    return ceiling["lower"].values, ceiling["upper"].values


def _peaks(peaks: xr.Dataset, references: list[str]) -> np.ndarray:
    """Return references x (latency, low, high) in milliseconds."""
    keys = ("latency", "low", "high")
    missing = [key for key in keys if key not in getattr(peaks, "data_vars", ())]
    if missing or [str(name) for name in peaks["reference"].values] != references:
        fault = "needs latency, low and high of the references of the courses"
        raise InputError(message("peaks", fault, got=missing or None))
    return np.stack([peaks[key].values for key in keys], axis=1) * _MS


def _layout(n_rows: int, titled: bool) -> tuple[Figure, Axes]:
    head = 0.38 if titled else 0.12
    foot = _FOOT + (_GAP + n_rows * _ROW if n_rows else 0.0)
    width, height = style.PAGE_WIDTH, 2.35 + head + foot
    figure = style.new_figure(width, height)
    place = (_LEFT / width, foot / height, (width - _LEFT - _RIGHT) / width,
             (height - foot - head) / height)  # fmt: skip
    return figure, figure.add_axes(place)


def _draw_curves(axes, courses, times, references, colours) -> np.ndarray:
    grouped = "subject" in courses.dims and courses.sizes["subject"] > 1
    plain = courses.isel(subject=0) if "subject" in courses.dims and not grouped else courses
    values = plain.transpose(..., "time", "reference").values.astype(float)
    means = values.mean(axis=0) if grouped else values
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if grouped else None
    for number, name in enumerate(references):
        curve = means[:, number]
        if errors is not None:
            axes.fill_between(
                times, curve - errors[:, number], curve + errors[:, number],
                color=colours[number], alpha=0.16, linewidth=0, zorder=2,
            )  # fmt: skip
        axes.plot(times, curve, color=colours[number], linewidth=1.3, zorder=4,
                  label=style.plain(name, 18))  # fmt: skip
    return means


def _dress(axes, times: np.ndarray, onset: float | None, label: str) -> None:
    style.quiet_axes(axes)
    axes.set_xlim(times[0], times[-1])
    axes.axhline(0.0, color=style.FAINT, linewidth=0.6, zorder=1.5)
    if onset is not None and times[0] <= onset * _MS <= times[-1]:
        axes.axvline(onset * _MS, color=style.FAINT, linewidth=0.8, linestyle=(0, (1.5, 1.5)),
                     zorder=1.5)  # fmt: skip
    axes.set_ylabel(style.plain(label, 60), fontsize=style.TEXT - 0.5, color=style.INK)
    axes.set_xlabel("time (ms)", fontsize=style.TEXT - 0.5, color=style.INK)


def _draw_peaks(axes, marks: np.ndarray, colours: list) -> None:
    """Mark every peak above the curves, with its interval; levels keep them apart."""
    low, high = axes.get_ylim()
    step = 0.034 * (high - low)
    axes.set_ylim(low, high + step * (len(marks) + 0.8))
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])  # not beside marks
    for number, (latency, first, last) in enumerate(marks):
        if not np.isfinite(latency):
            continue
        level = high + step * (len(marks) - number)
        axes.plot((first, last), (level, level), color=colours[number], linewidth=1.1, zorder=5,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot((latency,), (level,), marker="o", markersize=3.4, color=colours[number],
                  markeredgecolor="white", markeredgewidth=0.5, linestyle="none", zorder=6)


def _draw_significance(axes, p: np.ndarray, times: np.ndarray, colours: list, alpha: float) -> None:
    """Draw a bar per run of significant times under the axes, one row per reference."""
    height = axes.get_position().height * axes.figure.get_figheight()
    half = np.diff(times).mean() / 2 if times.size > 1 else 0.5
    # The axis of times moves below the bars, which stand between it and the curves.
    axes.spines["bottom"].set_position(("outward", 72 * (_GAP + p.shape[1] * _ROW)))
    transform = axes.get_xaxis_transform()
    for number in range(p.shape[1]):
        level = -(_GAP + (number + 0.35) * _ROW) / height
        edges = np.flatnonzero(np.diff(np.concatenate([[0], p[:, number] <= alpha, [0]])))
        for start, stop in edges.reshape(-1, 2):
            span = (max(times[start] - half, times[0]), min(times[stop - 1] + half, times[-1]))
            axes.plot(span, (level, level), color=colours[number], linewidth=2.6, zorder=5,
                      transform=transform, clip_on=False, solid_capstyle="butt")  # fmt: skip


def _legend(axes, count: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: labels[place] == "noise ceiling")
    axes.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="upper left",
        bbox_to_anchor=(1.01, 1.02), frameon=False, borderaxespad=0,
        fontsize=style.SMALL if count <= 14 else style.SMALL - 1.5, handlelength=1.3,
        labelspacing=0.35, handletextpad=0.5, labelcolor=style.INK,
    )  # fmt: skip


def _footnote(figure, courses, test, peaks, alpha: float, means: np.ndarray) -> None:
    notes = []
    if "subject" in courses.dims and courses.sizes["subject"] > 1:
        notes.append(f"mean and standard error of {courses.sizes['subject']} subjects")
    if test is not None:
        whom = test.attrs.get("generalises_to")
        corrected = "corrected p" if "p_fwe" in test.data_vars else "p"
        bars = f"bars: {corrected} ≤ {alpha:g}"
        notes.append(f"{bars}, generalises to {whom}" if whom else bars)
    if peaks is not None:
        confidence = float(peaks.attrs.get("confidence", 0.95))
        notes.append(f"dots: peak latency with {confidence:.0%} interval")
    if np.isnan(means).any():
        notes.append("gaps: no score in some subject")
    figure.text(
        0.012, 0.06 / figure.get_figheight(), style.plain("; ".join(notes), 150),
        fontsize=style.SMALL - 0.5, color=style.FAINT, va="bottom",
    )  # fmt: skip
