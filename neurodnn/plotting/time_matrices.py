"""Time x time: a matrix of similarities, on one colour scale around zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_MS = 1000.0


def plot_time_generalisation(
    scores: xr.DataArray,
    *,
    test: xr.Dataset | None = None,
    alpha: float = 0.05,
    onset: float | None = 0.0,
    label: str = "Spearman's rho",
    title: str | None = None,
) -> Figure:
    """Return a figure of time by time.

    Parameters
    ----------
    scores : DataArray (time, other_time)
        Times in seconds, as `time_generalisation` gives it. Of several subjects: their mean.
    test : Dataset, optional
        With ``p_fwe`` along ``time`` and ``other_time``: a line round what is at most `alpha`.
    alpha : float
        Level of the line.
    onset : float or None
        Where the stimulus appears, in seconds: dotted lines.
    label : str
        Of the colour bar.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        89 mm wide, one printed column.

    Raises
    ------
    InputError
        If the dimensions are others, or the test has other times.

    Examples
    --------
    >>> import xarray as xr
    >>> times = np.arange(5) / 100
    >>> scores = xr.DataArray(np.eye(5), dims=("time", "other_time"),
    ...                       coords={"time": times, "other_time": times})
    >>> plot_time_generalisation(scores).axes[0].get_ylabel()
    'time (ms)'
    """
    if set(getattr(scores, "dims", ())) != {"time", "other_time"}:
        got, allowed = getattr(scores, "dims", type(scores)), "(time, other_time)"
        raise InputError(message("scores", "have other dimensions", got=got, allowed=allowed))
    scores = scores.transpose("time", "other_time")
    times = [scores[name].values.astype(float) * _MS for name in ("other_time", "time")]
    values = scores.values.astype(float)
    off = values if values.shape[0] != values.shape[1] else values - np.diag(np.diag(values))
    limit = style.score_limit([off])  # a diagonal of ones would wash out the rest
    head, width, side = (0.38 if title else 0.12), 3.5, 2.12
    height = side + 0.5 + head
    figure = style.new_figure(width, height)
    axes = figure.add_axes((0.56 / width, 0.5 / height, side / width, side / height))
    edges = [_edges(own) for own in times]
    picture = axes.pcolormesh(*edges, np.ma.masked_invalid(values), cmap=style.diverging_map(),
                              vmin=-limit, vmax=limit, rasterized=True)  # fmt: skip
    axes.set_facecolor("#c9ced3")
    if test is not None:
        _outline(axes, test, scores, times, alpha)
    _dress(axes, onset)
    bar_axes = figure.add_axes((2.78 / width, 0.5 / height, 0.09 / width, side / height))
    bar = figure.colorbar(picture, cax=bar_axes, extend="both")
    bar.outline.set_linewidth(0.4)
    bar.set_label(style.plain(label, 50), fontsize=style.SMALL, color=style.INK)
    bar_axes.tick_params(labelsize=style.SMALL - 0.5, width=0.5, length=2, color=style.FAINT)
    style.figure_title(figure, title, space=0.42)
    return figure


def _edges(times: np.ndarray) -> np.ndarray:
    if times.size < 2:
        return np.array([times[0] - 0.5, times[0] + 0.5])
    middle = (times[1:] + times[:-1]) / 2
    return np.concatenate([[2 * times[0] - middle[0]], middle, [2 * times[-1] - middle[-1]]])


def _outline(axes, test: xr.Dataset, scores: xr.DataArray, times: list, alpha: float) -> None:
    p = test["p_fwe"] if "p_fwe" in getattr(test, "data_vars", ()) else None
    if p is None or dict(p.sizes) != dict(scores.sizes):
        raise InputError(message("test", "has no p_fwe along time and other_time of the scores"))
    for name in scores.dims:
        own = p[name].values if name in p.coords else np.empty(0)
        wanted = scores[name].values
        if own.shape != wanted.shape or not np.allclose(own, wanted, rtol=0, atol=1e-6):
            got = own[:3].tolist()
            raise InputError(message("test", "has other times than the scores", got=got))
    inside = (p.transpose(*scores.dims).values <= alpha).astype(float)
    if inside.any():
        axes.contour(*times, inside, levels=[0.5], colors=[style.INK], linewidths=0.8)


def _dress(axes, onset: float | None) -> None:
    style.quiet_axes(axes)
    axes.set_aspect("equal", adjustable="box")
    if onset is not None:
        line = {"color": style.INK, "linewidth": 0.6, "linestyle": (0, (1.5, 1.5))}
        axes.axvline(onset * _MS, **line)
        axes.axhline(onset * _MS, **line)
    axes.set_xlabel("other time (ms)", fontsize=style.TEXT - 0.5, color=style.INK)
    axes.set_ylabel("time (ms)", fontsize=style.TEXT - 0.5, color=style.INK)
