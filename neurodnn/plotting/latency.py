"""Peak latencies by layer, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_NEEDED = ("latency", "low", "high")
_MS = 1000.0


def plot_peak_latency(
    latencies: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    hierarchy: xr.Dataset | Mapping[str, xr.Dataset] | None = None,
    title: str | None = None,
) -> Figure:
    """Return a figure of peak latency by layer, with intervals, a line per network.

    Parameters
    ----------
    latencies : Dataset, or mapping of network -> Dataset
        As `bootstrap_peak_latency` gives them: ``latency``, ``low``, ``high`` in seconds, along
        ``reference`` in the order of the layers. A layer without a peak is left open and marked
        on the axis.
    hierarchy : Dataset, or mapping of network -> Dataset, optional
        As `hierarchy_test` gives them; correlation, interval and p stand beside the network.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        89 mm wide, one printed column.

    Raises
    ------
    InputError
        If a variable is missing, or networks have other layers than the first.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.

    Examples
    --------
    >>> import xarray as xr
    >>> found = xr.Dataset({"latency": ("reference", [0.1, 0.13]),
    ...                     "low": ("reference", [0.09, 0.11]),
    ...                     "high": ("reference", [0.12, 0.15])},
    ...                    coords={"reference": ["conv1", "conv2"]})
    >>> plot_peak_latency(found).axes[0].get_ylabel()
    'peak latency (ms)'
    """
    groups = dict(latencies) if isinstance(latencies, Mapping) else {"": latencies}
    if not hasattr(next(iter(groups.values()), None), "data_vars"):
        groups = {"": latencies}  # a Dataset is a mapping of its variables, too
    layers = _checked_layers(groups)
    orders = hierarchy if isinstance(hierarchy, dict) else dict.fromkeys(groups, hierarchy)
    labelled = len(groups) > 1 or hierarchy is not None
    head = (0.4 if title else 0.12) + (0.16 * len(groups) + 0.06 if labelled else 0)
    width, height = 3.5, 2.9 + head
    figure = style.new_figure(width, height)
    bottom = 0.95
    axes = figure.add_axes(
        (0.52 / width, bottom / height, (width - 0.62) / width, (height - bottom - head) / height)
    )
    for number, (name, found) in enumerate(groups.items()):
        offset = 0.0 if len(groups) == 1 else np.linspace(-0.18, 0.18, len(groups))[number]
        _draw(axes, found, number, offset, _label(name, orders.get(name)))
    _dress(axes, layers)
    if labelled:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.01), frameon=False, borderaxespad=0,
            fontsize=style.SMALL, handlelength=1.4, labelspacing=0.3,
        )  # fmt: skip
    _footnote(figure, groups)
    style.figure_title(figure, title, space=0.42)
    return figure


def _checked_layers(groups: Mapping[str, xr.Dataset]) -> list[str]:
    layers = None
    for name, found in groups.items():
        missing = [key for key in _NEEDED if key not in getattr(found, "data_vars", ())]
        if missing or "reference" not in found.dims:
            remedy = "Give what bootstrap_peak_latency returns."
            raise InputError(message("latencies", f"{name} lacks variables", got=missing,
                                     remedy=remedy))  # fmt: skip
        own = [str(layer) for layer in found["reference"].values]
        layers = layers or own
        if own != layers:
            raise InputError(message("latencies", f"{name} has other layers", got=own))
    return layers or []


def _draw(axes, found: xr.Dataset, number: int, offset: float, label: str) -> None:
    colour = style.CATEGORIES[number % len(style.CATEGORIES)]
    x = np.arange(found.sizes["reference"]) + offset
    y = found["latency"].values * _MS
    low, high = found["low"].values * _MS, found["high"].values * _MS
    known = np.isfinite(y)
    axes.vlines(x[known], low[known], high[known], color=colour, linewidth=1.1, zorder=3)
    axes.plot(
        x, y, color=colour, linewidth=0.8, marker=style.MARKERS[number % len(style.MARKERS)],
        markersize=4.5, markeredgecolor="white", markeredgewidth=0.5, zorder=4, label=label,
    )  # fmt: skip
    for place in x[~known]:
        axes.plot(
            (place,), (0.02,), marker="x", markersize=3.5, color=colour, linestyle="none",
            transform=axes.get_xaxis_transform(), zorder=4,
        )  # fmt: skip


def _label(name: str, order: xr.Dataset | None) -> str:
    text = style.plain(name, 24)
    if order is None:
        return text
    facts = (
        f"R = {order['correlation'].item():.2f} [{order['low'].item():.2f}, "
        f"{order['high'].item():.2f}], p {_p_text(order['p'].item())}"
    )
    return f"{text}: {facts}" if text else facts


def _p_text(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< .001"


def _dress(axes, layers: list[str]) -> None:
    style.quiet_axes(axes)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    labels = [style.plain(layer, 16) for layer in layers]
    long = max(map(len, labels), default=0) * len(labels) > 34
    axes.set_xticks(
        range(len(labels)), labels, rotation=40 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor",
    )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high)  # room for the marks of layers without a peak
    axes.set_ylabel("peak latency (ms)", fontsize=style.TEXT - 0.5, color=style.INK)
    axes.set_xlabel("layer", fontsize=style.TEXT - 0.5, color=style.INK)


def _footnote(figure, groups: Mapping[str, xr.Dataset]) -> None:
    first = next(iter(groups.values()))
    confidence = float(first.attrs.get("confidence", 0.95))
    note = f"bars: {confidence:.0%} interval"
    if "n_subjects" in first.attrs:
        note += f", bootstrap of {first.attrs['n_subjects']} subjects"
    if any(bool(np.isnan(found["latency"].values).any()) for found in groups.values()):
        note += "; x: no peak inside the window"
    figure.text(
        0.02, 0.06 / figure.get_figheight(), style.plain(note, 90), fontsize=style.SMALL - 0.5,
        color=style.FAINT, va="bottom",
    )  # fmt: skip
