"""A table of clusters in space and time: how large, how likely, from when to when, where highest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

COLUMNS = ("reference", "cluster", "sign", "size", "n_places", "start", "end", "mass", "p",
           "peak_place", "peak_time", "peak_t", "peak_mean")  # fmt: skip


def space_time_table(result: xr.Dataset, *, largest_p: float = 1.0) -> pd.DataFrame:
    """Return one row per cluster of `space_time_test`.

    Parameters
    ----------
    result : Dataset
    largest_p : float
        Clusters whose p is above are left out: of millions of cells, chance makes thousands.

    Returns
    -------
    DataFrame
        ``reference, cluster`` (its number in `result`), ``sign``, ``size`` (cells),
        ``n_places``, ``start`` and ``end`` (s, first and last time), ``mass``, ``p``; of the
        cell with the largest \\|t\\|: ``peak_place`` (its coordinate, else its number),
        ``peak_time`` (s), ``peak_t``, ``peak_mean``. By p, then by falling mass.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> from neurodnn.stats.space_time import space_time_test
    >>> scores = np.random.default_rng(0).normal(size=(12, 20, 9))
    >>> scores[:, 5:9, 3:6] += 2.0
    >>> maps = {"conv1": xr.DataArray(scores, dims=("subject", "voxel", "time"))}
    >>> table = space_time_table(space_time_test(maps, line_adjacency(20)), largest_p=0.05)
    >>> table.loc[0, ["cluster", "sign"]].tolist()
    [1, 1]
    """
    place = next(str(dim) for dim in result["cluster"].dims if dim not in ("time", "reference"))
    result = result.transpose(place, "time", "reference")
    times = result["time"].values if "time" in result.coords else np.arange(result.sizes["time"])
    n_places = result.sizes[place]
    names = result[place].values if place in result.coords else np.arange(n_places)
    rows: list[tuple[object, ...]] = []
    for number, reference in enumerate(result["reference"].values):
        one = {key: result[key].values[..., number].ravel()
               for key in ("cluster", "t", "mean", "mass", "p_cluster")}  # fmt: skip
        cells = np.flatnonzero((one["cluster"] > 0) & (one["p_cluster"] <= largest_p))
        cells = cells[np.argsort(one["cluster"][cells], kind="stable")]
        cuts = np.flatnonzero(np.diff(one["cluster"][cells])) + 1
        for members in np.split(cells, cuts) if cells.size else []:
            where, when = np.divmod(members, len(times))
            peak = int(members[np.abs(one["t"][members]).argmax()])
            at = peak // len(times), peak % len(times)
            rows.append((
                str(reference), int(one["cluster"][peak]), int(np.sign(one["t"][peak])),
                members.size, np.unique(where).size, float(times[when.min()]),
                float(times[when.max()]), float(one["mass"][peak]),
                float(one["p_cluster"][peak]), names[at[0]].item(), float(times[at[1]]),
                float(one["t"][peak]), float(one["mean"][peak]),
            ))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["p", "mass"], ascending=[True, False], kind="stable",
                             ignore_index=True)  # fmt: skip
