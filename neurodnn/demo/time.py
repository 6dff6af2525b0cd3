"""When each planted layer was found: the verdict on the time courses of MEG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ALPHA = 0.05
TOLERANCE = 0.03  # s, of a latency: a window of 20 ms and half the step to the next

COLUMNS = {
    "latency": {"Description": "Planted", "Units": "s"},
    "peak_time": {"Description": "Of the group's mean time course", "Units": "s"},
    "p_fwe": {"Description": "At the peak, over subjects, corrected over times and layers"},
    "best_layer": {"Description": "Highest group mean at the planted latency"},
}


def time_verdict(output: str | Path, places: pd.DataFrame) -> pd.DataFrame:
    """Return whether each planted layer was found when it was planted.

    Parameters
    ----------
    output : path
        An output folder with the group level of MEG.
    places : pandas.DataFrame
        As `neurodnn.simulate_dataset` returns it, with ``latency`` in seconds.

    Returns
    -------
    pandas.DataFrame
        One row a layer: ``layer, latency, peak_time`` (s), ``mean`` (at the peak), ``p_fwe``
        (there, over subjects), ``best_layer``, ``recovered``: the peak lies within 30 ms of the
        planted latency, p is below .05, and at the planted latency no other layer scores higher.

    Raises
    ------
    InputError
        If tables are missing.
    """
    import numpy as np
    import pandas as pd

    times, means, tests = group_courses(Path(output))
    rows = []
    for layer, spots in places.groupby("layer", sort=False):
        latency = float(spots["latency"].iloc[0])
        peak = int(np.nanargmax(means[layer]))
        then = int(np.abs(times - latency).argmin())
        best = max(means, key=lambda name: means[name][then])
        p = float(tests[layer][peak])
        found = abs(times[peak] - latency) <= TOLERANCE and p < ALPHA and best == layer
        rows.append((layer, latency, float(times[peak]), float(means[layer][peak]), p, best,
                     bool(found)))  # fmt: skip
    return pd.DataFrame(rows, columns=["layer", "latency", "peak_time", "mean", "p_fwe",
                                       "best_layer", "recovered"])  # fmt: skip


def results_of(output: Path, ending: str) -> dict[str, Any]:
    """Return the one results file of the group level with this ending.

    Parameters
    ----------
    output : Path
        The output folder.
    ending : str
        ``megresults``, ``sourceresults`` or ``fusionresults``.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    from neurodnn._checks import InputError, message
    from neurodnn.bids import read_json

    found = sorted((output / "group").glob(f"*_{ending}.json"))
    if len(found) != 1:
        fault = f"holds {len(found)} results of this kind, not one"
        raise InputError(message(str(output / "group"), fault, got=f"*_{ending}.json"))
    return read_json(found[0])


def group_courses(
    output: Path,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return times in seconds, and of every layer the mean time course and its corrected p.

    Parameters
    ----------
    output : Path
        The output folder.
    """
    from neurodnn.bids import read_tsv

    times, means, tests = None, {}, {}
    for entry in results_of(output, "megresults")["TimeSeries"]:
        mean = read_tsv(output / entry["Statistics"]["mean"])
        corrected = read_tsv(output / entry["Statistics"].get("pmax", entry["Statistics"]["p"]))
        times = mean["time"].to_numpy(dtype=float)
        for name in entry["References"]:
            means[name] = mean[name].to_numpy(dtype=float)
            tests[name] = corrected[name].to_numpy(dtype=float)
    return times, means, tests
