"""Patterns of sensors in time -> one movie over the helmet per reference RDM.

The story: around every sensor, at every time, the patterns of its neighbours give an RDM, which is
compared with every reference at once and forgotten; the scores go back to the sensor in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message
from neurodnn.workflows.fmri_searchlight import COMPARISON_WORDS

if TYPE_CHECKING:
    import mne
    import xarray as xr
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

_DISTANCES = {
    "correlation": "1 - Pearson correlation",
    "cosine": "1 - cosine similarity",
    "euclidean": "squared Euclidean distance per sensor",
    "mahalanobis": "squared Mahalanobis distance per sensor",
    "crossnobis": "cross-validated squared distance (crossnobis) per sensor",
}


def meg_sensor_maps(
    patterns: Mapping[float, Dataset],
    info: mne.Info,
    references: RDMs,
    *,
    channels: str = "meg",
    radius: float | str = 0.04,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    dtype: str = "float64",
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how well each reference RDM accounts for the patterns round every sensor in time.

    Parameters
    ----------
    patterns : mapping of time in seconds -> rsatoolbox.data.Dataset
        Observations x sensors, as `window_patterns` gives them.
    info : mne.Info
        Where the sensors are; it may hold more than those of the patterns.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli, in any order; ``rdm_descriptors["reference"]`` names them.
    channels : {"meg", "mag", "grad", "eeg"}
        As of the patterns.
    radius : float or "adjacency"
        Of the neighbourhoods, in metres; see `sensor_neighbors`. Default 0.04, some 5 places of
        a Neuromag helmet with three sensors each.
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance between two patterns.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How the RDM of a neighbourhood and a reference are compared.
    residuals : Dataset, or mapping of time -> Dataset, optional
        Noise of the same sensors; needed for mahalanobis, used by crossnobis.
    nuisance : rsatoolbox.rdm.RDMs, optional
        Held constant: the comparison becomes a partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only. Default False: out of both.
    dtype : {"float64", "float32"}
        float64 is exact; float32 agrees to about 1e-6.
    n_jobs : int
        Workers. The bits of the result do not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.DataArray
        dims (``sensor``, ``time``, ``reference``); ``sensor`` holds the names, ``time`` seconds.
        No unit; NaN where undefined, the reason in the coordinate ``reason``.
        `scores_to_evokeds` makes responses of MNE of it.

    Raises
    ------
    InputError
        Stimuli differ (both lists), sensors have no position or are not in `info`, or as for
        `meg_source_searchlight`.

    References
    ----------
    Su L, Fonteneau E, Marslen-Wilson W, Kriegeskorte N (2012). Spatiotemporal searchlight
    representational similarity analysis in EMEG source space. International Workshop on Pattern
    Recognition in NeuroImaging. https://doi.org/10.1109/PRNI.2012.26

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> info = mne.create_info(["A", "B", "C"], 100.0, "mag")
    >>> for place, channel in enumerate(info["chs"]):
    ...     channel["loc"][:3] = 0.03 * place, 0, 0.1
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> windows = {t: Dataset(rng.normal(size=(5, 3)), obs_descriptors=names,
    ...                       channel_descriptors={"sensor": ["A", "B", "C"]})
    ...            for t in (0.0, 0.02)}
    >>> layers = RDMs(rng.random((2, 10)), rdm_descriptors={"reference": ["conv1", "fc6"]},
    ...               pattern_descriptors=names)
    >>> scores = meg_sensor_maps(windows, info, layers)
    >>> scores.dims, scores.sensor.values.tolist()
    (('sensor', 'time', 'reference'), ['A', 'B', 'C'])
    """
    from neurodnn.brain.sensors import sensor_names, sensor_neighbors
    from neurodnn.rsa.source_searchlight import source_searchlight
    from neurodnn.rsa.spheres import SearchlightOptions

    sensors = _sensors(patterns)
    known = sensor_names(info, channels)
    strange = sorted(set(sensors) - set(known))
    if strange:
        fault = f"{len(strange)} sensors of the patterns are not among the good ones of info"
        raise InputError(message("info", fault, got=strange[:5]))
    order = [known.index(name) for name in sensors]
    neighbors = sensor_neighbors(info, channels=channels, radius=radius)[order][:, order]
    scores = source_searchlight(
        patterns, neighbors, references, comparison=comparison, residuals=residuals,
        nuisance=nuisance, semi=semi,
        options=SearchlightOptions(metric=metric, dtype=dtype, place="sensor", n_jobs=n_jobs,
                                   progress=progress),
    )  # fmt: skip
    return scores.assign_coords(sensor=sensors)


def _sensors(patterns: Mapping[float, Dataset]) -> list[str]:
    if not isinstance(patterns, Mapping) or not patterns:
        got, allowed = type(patterns).__name__, "{time in seconds: Dataset}"
        raise InputError(message("patterns", "are no movie", got=got, allowed=allowed))
    first = patterns[next(iter(patterns))]
    described = getattr(first, "channel_descriptors", None) or {}
    if "sensor" not in described:
        remedy = "Take those of window_patterns."
        raise InputError(message("patterns", "do not name their sensors", remedy=remedy))
    return [str(name) for name in described["sensor"]]


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``metric``, ``comparison``, ``radius`` (m, or "adjacency"), ``n_sensors``, ``n_times``,
        ``n_references``.

    Examples
    --------
    >>> text, keys = describe({"metric": "correlation", "comparison": "spearman", "radius": 0.04,
    ...                        "n_sensors": 306, "n_times": 45, "n_references": 8})
    >>> keys
    ['kriegeskorte2008', 'su2012']
    """
    radius, distance = parameters["radius"], _DISTANCES[str(parameters["metric"])]
    reach = "touch it" if isinstance(radius, str) else f"lie within {1000 * float(radius):g} mm"
    text = (
        f"For maps of the sensors, the same was done round each of {parameters['n_sensors']} "
        f"sensors at each of {parameters['n_times']} times, with the patterns of all sensors that "
        f"{reach} (a searchlight in space and time; Su et al., 2012): "
        f"{distance}, compared with {parameters['n_references']} reference matrices by "
        f"{COMPARISON_WORDS[str(parameters['comparison'])]}."
    )
    return text, ["kriegeskorte2008", "su2012"]
