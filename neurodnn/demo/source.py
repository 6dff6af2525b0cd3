"""Where and when each planted layer was found on the cortex: the verdict on MEG source maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from neurodnn.demo.time import ALPHA, TOLERANCE, results_of

if TYPE_CHECKING:
    import pandas as pd

REACH = 30.0  # mm: MEG sees a source blurred, and the discs of the searchlight have 20 mm

COLUMNS = {
    "distance": {"Description": "From the peak to the nearer planted place", "Units": "mm"},
    "latency": {"Description": "Planted", "Units": "s"},
    "peak_time": {"Description": "Of the layer's map on the cortex", "Units": "s"},
    "p_fwe": {"Description": "At the peak, over subjects, corrected over vertices, times, layers"},
}


def source_verdict(output: str | Path, places: pd.DataFrame) -> pd.DataFrame:
    """Return whether each layer's map on the cortex peaks where and when it was planted.

    Parameters
    ----------
    output : path
        An output folder with the group level of MEG sources.
    places : pandas.DataFrame
        As `neurodnn.simulate_dataset` returns it, with ``latency`` in seconds.

    Returns
    -------
    pandas.DataFrame
        One row a layer: ``layer, place, peak_x, peak_y, peak_z`` (mm), ``distance`` (mm, to the
        nearer of the two places), ``latency, peak_time`` (s), ``mean, p_fwe`` (at the peak),
        ``recovered``: the peak lies within 30 mm of its place and within 30 ms of its latency,
        and p is below .05.

    Raises
    ------
    InputError
        If results are missing.
    """
    import numpy as np
    import pandas as pd

    entries = {each["Reference"]: each["Peak"]
               for each in results_of(Path(output), "sourceresults")["Maps"]}  # fmt: skip
    rows = []
    for layer, spots in places.groupby("layer", sort=False):
        peak = entries[layer]
        world = np.array([peak["X"], peak["Y"], peak["Z"]], dtype=float)
        centres = spots[["x", "y", "z"]].to_numpy()
        gap = float(np.linalg.norm(centres - world, axis=1).min())
        latency, found, p = float(spots["latency"].iloc[0]), float(peak["Time"]), float(peak["P"])
        right = gap <= REACH and abs(found - latency) <= TOLERANCE and p < ALPHA
        rows.append((layer, spots["place"].iloc[0], *map(float, world), gap, latency, found,
                     float(peak["Value"]), p, bool(right)))  # fmt: skip
    return pd.DataFrame(rows, columns=["layer", "place", "peak_x", "peak_y", "peak_z", "distance",
                                       "latency", "peak_time", "mean", "p_fwe",
                                       "recovered"])  # fmt: skip
