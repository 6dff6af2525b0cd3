"""A table of clusters: how large, how likely, where they peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neurodnn._checks import InputError, check_choice, message

_P = ("p_fwe", "p_cluster", "p_fdr", "significant")


def cluster_table(
    result: xr.Dataset, places: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Return one row per cluster of a cluster test.

    Parameters
    ----------
    result : Dataset
        From `cluster_test`, `reference_cluster_test` or `stelzer_test`.
    places : str or sequence of str, optional
        Dimensions that the clusters span; by default those that the test used.

    Returns
    -------
    DataFrame
        A column for each other dimension (``reference``), then ``cluster`` (its number in
        `result`), ``sign`` (1 or -1, of the peak), ``size`` (places), ``mass`` (sum of \\|t\\|;
        if there is t), ``statistic`` (what the test compared), its p, ``peak`` (number of the
        peak's place, in C order of the places; the largest \\|t\\|, or \\|mean\\| if there is no
        t), a column for each coordinate of the peak (``peak_voxel``, ``peak_time``, ``peak_x``,
        ...), ``peak_t`` and ``peak_mean``. By falling statistic within each map.

    Raises
    ------
    InputError
        If `result` holds no clusters' labels, or a dimension is unknown.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> from neurodnn.stats.clusters import cluster_test
    >>> scores = np.random.default_rng(0).normal(size=(12, 40))
    >>> scores[:, 10:20] += 1.5
    >>> table = cluster_table(cluster_test(scores, line_adjacency(40)))
    >>> table.loc[0, ["cluster", "sign"]].tolist()
    [1, 1]
    """
    if not isinstance(result, xr.Dataset) or "cluster" not in result:
        allowed = "a Dataset with cluster, as from cluster_test"
        raise InputError(message("result", "holds no clusters", allowed=allowed))
    if places is None:
        places = result.attrs.get("places", [d for d in result["cluster"].dims if d != "reference"])
    # netCDF gives a list of one name back as the name
    places = [places] if isinstance(places, str) else list(places)
    for dim in places:
        check_choice("places", dim, [str(name) for name in result["cluster"].dims])
    rest = [dim for dim in result["cluster"].dims if dim not in places]
    sizes = tuple(result.sizes[dim] for dim in rest)
    rows = []
    for position in np.ndindex(sizes):
        part = result.isel(dict(zip(rest, position, strict=True))).transpose(*places)
        named = {dim: _value(result, dim, i) for dim, i in zip(rest, position, strict=True)}
        rows += [named | row for row in _rows(part, places)]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else _columns(result, rest, places))


def _rows(part: xr.Dataset, places: list[str]) -> list[dict[str, object]]:
    """Return the rows of one map."""
    labels, rows = part["cluster"].values.ravel(), []
    height = part["t" if "t" in part else "mean"].values.ravel()
    for label in range(1, int(labels.max(initial=0)) + 1):
        members = np.flatnonzero(labels == label)
        peak = int(members[np.abs(height[members]).argmax()])
        row: dict[str, object] = {
            "cluster": label, "sign": int(np.sign(height[peak])), "size": members.size,
        }  # fmt: skip
        if "t" in part:
            row["mass"] = float(np.abs(height[members]).sum())
        for name in ("statistic", *_P):
            if name in part:
                row[name] = part[name].values.ravel()[peak].item()
        row |= {"peak": peak} | _coordinates(part, places, peak)
        for name in ("t", "mean"):
            if name in part:
                row[f"peak_{name}"] = float(part[name].values.ravel()[peak])
        rows.append(row)
    return rows


def _coordinates(part: xr.Dataset, places: list[str], peak: int) -> dict[str, object]:
    """Return every coordinate along the places at the peak."""
    shape = tuple(part.sizes[dim] for dim in places)
    position = dict(zip(places, np.unravel_index(peak, shape), strict=True))
    found = {f"peak_{dim}": _value(part, dim, int(position[dim])) for dim in places}
    for name, coordinate in part.coords.items():
        if name not in places and coordinate.dims and set(coordinate.dims) <= set(places):
            at = coordinate.isel({dim: int(position[dim]) for dim in coordinate.dims})
            found[f"peak_{name}"] = at.values.item()
    return found


def _value(result: xr.Dataset, dim: str, i: int) -> object:
    """Return the coordinate of a dimension, or the position where it has none."""
    return result[dim].values[i].item() if dim in result.coords else i


def _columns(result: xr.Dataset, rest: list[str], places: list[str]) -> list[str]:
    """Return the columns of a table without rows."""
    first = result.isel(dict.fromkeys(rest, 0)).transpose(*places)
    mass = ["mass"] if "t" in result else []
    tested = [name for name in ("statistic", *_P) if name in result]
    ends = [f"peak_{name}" for name in ("t", "mean") if name in result]
    where = list(_coordinates(first, places, 0))
    return [*rest, "cluster", "sign", "size", *mass, *tested, "peak", *where, *ends]
