"""When the layers of the simulated subjects are active."""

from __future__ import annotations

import pandas as pd

LATENCIES = (0.08, 0.13, 0.18, 0.23, 0.28, 0.33)
"""When the layer at each place of `neurodnn.simulate.brain.VENTRAL_STREAM` is most active, s.

Chosen, not measured: rising along the stream, and far enough apart for activity of 80 ms to be
over when the next layer's is at its highest.
"""


def with_latencies(places: pd.DataFrame) -> pd.DataFrame:
    """Return the table of places with the time at which the layer of each is most active, s.

    Parameters
    ----------
    places : pandas.DataFrame
        As `neurodnn.simulate.brain.planted_places` makes it.

    Examples
    --------
    >>> from neurodnn.simulate.brain import planted_places
    >>> with_latencies(planted_places(["conv1", "conv2"]))["latency"].tolist()
    [0.08, 0.08, 0.13, 0.13]
    """
    layers = list(dict.fromkeys(places["layer"]))
    times = dict(zip(layers, LATENCIES, strict=False))
    return places.assign(latency=places["layer"].map(times).astype(float))
