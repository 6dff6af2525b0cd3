"""Scores on the sensors as maps of the head at chosen times, one row per layer, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neurodnn._checks import InputError, check_number, message
from neurodnn.plotting import style
from neurodnn.plotting.colour_bar import draw_colour_bar
from neurodnn.plotting.scalp import Scalp, at_places, draw_scalp, read_scalps, type_name
from neurodnn.plotting.still_times import in_milliseconds, nearest_times, places_round_peak

if TYPE_CHECKING:
    import mne
    import xarray as xr
    from matplotlib.figure import Figure

_NAME, _FOOT, _TITLE = 0.92, 0.66, 0.36  # inches: names at the left, colour bar, title
_TYPE, _TIME = 0.2, 0.15  # inches: a type's name above its columns, a time above its map
_LARGEST = 1.25  # inches, of a map


class SensorMovie(NamedTuple):
    """Scores as arrays: sensors x times x references."""

    values: np.ndarray
    times: np.ndarray
    references: list[str]
    scalps: list[Scalp]


def plot_sensor_maps(
    maps: Sequence[mne.Evoked] | mne.Evoked | xr.DataArray,
    info: mne.Info | None = None,
    *,
    times: Sequence[float] | None = None,
    vmax: float | None = None,
    unit: str = "Spearman's rho",
    title: str | None = None,
) -> Figure:
    """Return a figure with one row of head maps per layer, all on the same colour scale.

    The nose is up and left is on the left. Types of sensors stand apart; the two planar
    gradiometers of a place are drawn as their mean. Dots are sensors, crosses sensors without a
    score, which take no part in the colours round them.

    Parameters
    ----------
    maps : list of mne.Evoked, or DataArray (sensor, time, reference)
        Scores on sensors, as `scores_to_evokeds` or `meg_sensor_maps` give them; the comments of
        evokeds are the layers' names. Times in seconds.
    info : mne.Info, optional
        Where the sensors are: necessary with a DataArray, not used with evokeds.
    times : sequence of float, optional
        Which times to draw, in seconds, the same for all layers. Default: for each layer its own
        peak (the largest score of any sensor, in bold) and times evenly round it.
    vmax : float, optional
        Value at the strong end of the colours, > 0. Default: over all maps drawn, the 99.9th
        percentile of absolute values, but never below 0.75 of the largest one.
    unit : str
        Label of the colour bar.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide.

    Raises
    ------
    InputError
        If sensors have no position or are of unknown type, evokeds differ in sensors or times, a
        time lies outside, or a number is not valid.

    Examples
    --------
    >>> import mne, xarray as xr
    >>> info = mne.create_info(["Oz", "Cz", "Fz", "T7", "T8"], 100.0, "eeg")
    >>> info = info.set_montage("colin27_1020")
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(size=(5, 9, 1)),
    ...     dims=("sensor", "time", "reference"), coords={"sensor": info["ch_names"],
    ...     "time": np.arange(9) / 100, "reference": ["conv1"]})
    >>> len(plot_sensor_maps(scores, info, times=[0.02, 0.04]).axes)
    2
    """
    movie = read_movie(maps, info)
    n_types = len(movie.scalps)
    if times is None:
        count = 5 if n_types == 1 else 3
        drawn = [places_round_peak([_largest(movie.values[..., i])], count)
                 for i in range(len(movie.references))]  # fmt: skip
    else:
        drawn = [nearest_times(movie.times, times)] * len(movie.references)
    shown = [movie.values[:, own, i] for i, own in enumerate(drawn)]
    limit = style.score_limit(shown)
    if vmax is not None:
        limit = check_number("vmax", vmax, minimum=0, strict=True)
    signed = any(np.nanmin(array, initial=0) < 0 for array in shown)
    figure = _draw(movie, drawn, (limit, signed), shared=times is not None, titled=bool(title))
    above = any(np.nanmax(array, initial=0) > limit for array in shown)
    below = any(np.nanmin(array, initial=0) < -limit for array in shown)
    extend = {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[above, below]
    draw_colour_bar(figure, limit, signed, unit, extend)
    _footnote(figure, shown, shared=times is not None)
    style.figure_title(figure, title, space=_TITLE)
    return figure


def read_movie(
    maps: Sequence[mne.Evoked] | mne.Evoked | xr.DataArray, info: mne.Info | None
) -> SensorMovie:
    """Return scores on sensors as arrays, with the layout of the sensors.

    Raises
    ------
    InputError
        As `plot_sensor_maps`.
    """
    if hasattr(maps, "dims"):
        return _of_scores(maps, info)
    evokeds = [maps] if hasattr(maps, "comment") else list(maps)
    if not evokeds or not all(hasattr(each, "comment") for each in evokeds):
        allowed = "evokeds, or scores (sensor, time, reference) and info"
        raise InputError(message("maps", "are no maps of sensors", got=type(maps).__name__,
                                 allowed=allowed))  # fmt: skip
    first = evokeds[0]
    for each in evokeds[1:]:
        if each.ch_names != first.ch_names or not np.array_equal(each.times, first.times):
            fault = f"{each.comment!r} has other sensors or times than {first.comment!r}"
            raise InputError(message("maps", fault))
    values = np.stack([np.asarray(each.data, dtype=float) for each in evokeds], axis=-1)
    names = [str(each.comment) for each in evokeds]
    return SensorMovie(values, first.times, names, read_scalps(first.info, first.ch_names))


def _of_scores(scores: xr.DataArray, info: mne.Info | None) -> SensorMovie:
    if info is None:
        remedy = "Give the info of the recording: plot_sensor_maps(scores, info)."
        raise InputError(message("info", "is needed to know where sensors are", remedy=remedy))
    for name, value in (("time", 0.0), ("reference", "")):
        if name not in scores.dims:
            own = scores.coords[name].item() if name in scores.coords else value
            scores = scores.drop_vars(name, errors="ignore").expand_dims({name: [own]})
    wanted = ("sensor", "time", "reference")
    if set(scores.dims) != set(wanted) or any(name not in scores.coords for name in wanted):
        remedy = "Take the mean over subjects, or choose one." if "subject" in scores.dims else None
        allowed = "sensor, time, reference, with coordinates"
        raise InputError(message("maps", "have other dims", got=scores.dims, allowed=allowed,
                                 remedy=remedy))  # fmt: skip
    scores = scores.transpose(*wanted)
    sensors = [str(name) for name in scores["sensor"].values]
    return SensorMovie(
        scores.values.astype(float), scores["time"].values.astype(float),
        [str(name) for name in scores["reference"].values], read_scalps(info, sensors),
    )  # fmt: skip


def _largest(values: np.ndarray) -> np.ndarray:
    """The largest score of any sensor at each time; NaN where there is none."""
    filled = np.where(np.isfinite(values), values, -np.inf).max(axis=0)
    return np.where(np.isfinite(filled), filled, np.nan)


def _draw(
    movie: SensorMovie, drawn: list[list[int]], scale: tuple[float, bool], *, shared: bool,
    titled: bool,
) -> Figure:  # fmt: skip
    columns = max(map(len, drawn))
    n_types = len(movie.scalps)
    gap = 0.14
    width = style.PAGE_WIDTH
    size = min((width - _NAME - 0.1 - gap * (n_types - 1)) / (columns * n_types), _LARGEST)
    head = (_TITLE if titled else 0.08) + _TYPE + (_TIME if shared else 0.0)
    step = size + 0.04 + (0.0 if shared else _TIME)
    height = head + step * len(drawn) + _FOOT
    figure = style.new_figure(width, height)
    text = {"ha": "center", "va": "center", "color": style.INK}
    for block, scalp in enumerate(movie.scalps):
        left = _NAME + block * (columns * size + gap)
        y = 1 - ((_TITLE if titled else 0.08) + 0.08) / height
        figure.text((left + columns * size / 2) / width, y, type_name(scalp),
                    fontsize=style.SMALL + 0.5, **text)  # fmt: skip
        for row, places in enumerate(drawn):
            top = height - head - row * step
            own = movie.values[..., row]
            peak = int(np.nanargmax(_largest(own))) if np.isfinite(own).any() else None
            for column, place in enumerate(places):
                x = left + (column + (columns - len(places)) / 2) * size
                low = top - step + 0.04
                axes = figure.add_axes((x / width, low / height, size / width, size / height))
                draw_scalp(axes, scalp, at_places(scalp, own[:, place]), *scale)
                if not shared or row == 0:
                    bold = not shared and place == peak
                    figure.text(
                        (x + size / 2) / width, (low + size + 0.075) / height,
                        in_milliseconds(movie.times[place]), fontsize=style.SMALL,
                        fontweight="bold" if bold else "normal", **text,
                    )  # fmt: skip
    for row, name in enumerate(movie.references):
        middle = height - head - row * step - step + 0.04 + size / 2
        figure.text(
            0.012, middle / height, style.plain(name, 15), fontsize=style.TEXT - 0.5,
            fontweight="bold", color=style.INK, va="center",
        )  # fmt: skip
    return figure


def _footnote(figure: Figure, shown: list[np.ndarray], *, shared: bool) -> None:
    notes = [] if shared else ["bold: peak of the layer"]
    if any(np.isnan(array).any() for array in shown):
        notes.append("crosses: no score")
    figure.text(
        0.012, 0.06 / figure.get_figheight(), style.plain("; ".join(notes), 60),
        fontsize=style.SMALL - 0.5, color=style.FAINT, va="bottom",
    )  # fmt: skip
