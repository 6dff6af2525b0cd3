"""The verdicts as tables: written beside the group's results, and shown on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_WORDS = {
    "distance": "distance (mm)", "mean": "mean", "p_fwe": "p subjects", "p_stimuli": "p stimuli",
    "best_layer": "best layer there", "latency": "planted (ms)", "peak_time": "found (ms)",
}  # fmt: skip
_MILLISECONDS = ("latency", "peak_time")


def write_verdict(
    path: Path, table: pd.DataFrame, description: str, columns: Mapping[str, object]
) -> None:
    """Write a verdict as TSV with a sidecar that says what its columns mean.

    Parameters
    ----------
    path : Path
        Of the table.
    table : pandas.DataFrame
        One row a layer.
    description : str
        What the verdict is on.
    columns : mapping
        Of a column to its entry in the sidecar.
    """
    from neurodnn.bids import write_atomic
    from neurodnn.bids.serialize import json_bytes, table_bytes

    write_atomic(path, table_bytes(table))
    write_atomic(path.with_suffix(".json"), json_bytes({"Description": description, **columns}))


def as_text(table: pd.DataFrame, what: str) -> str:
    """Return a verdict for the screen, and how many layers were recovered.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``layer`` and ``recovered``, and any of ``peak_x, peak_y, peak_z, distance, mean,
        p_fwe, p_stimuli, best_layer, latency, peak_time``.
    what : str
        Ends the last line: ``"in time"``.

    Examples
    --------
    >>> import pandas
    >>> print(as_text(pandas.DataFrame({"layer": ["a"], "recovered": [True]}), "in time"))
    layer recovered
        a       yes
    1 of 1 planted layers were recovered in time.
    """
    shown = table.copy()
    shown["recovered"] = table["recovered"].map({True: "yes", False: "NO"})
    for name in set(_MILLISECONDS) & set(shown):
        shown[name] = [f"{1000 * value:.0f}" for value in table[name]]
    if "peak_x" in shown:
        places = table[["peak_x", "peak_y", "peak_z"]].to_numpy()
        shown.insert(list(shown).index("peak_x"), "peak (mm)",
                     [f"{x:.0f} {y:.0f} {z:.0f}" for x, y, z in places])  # fmt: skip
        shown = shown.drop(columns=["peak_x", "peak_y", "peak_z"])
    count = int(table["recovered"].sum())
    lines = shown.rename(columns=_WORDS).to_string(index=False,
                                                   float_format=lambda value: f"{value:.3g}")
    return f"{lines}\n{count} of {len(table)} planted layers were recovered {what}."
