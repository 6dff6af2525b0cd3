"""Patterns in time x neighbours x references -> scores of every place at every time, streamed.

At any moment memory holds the patterns of one window beside the scores: places x times x stimuli
never stand together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from tqdm import tqdm

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.numerics.searchlight import REASONS
from neurodnn.rsa.movies import checked_times, movie_descriptors
from neurodnn.rsa.names import names_of
from neurodnn.rsa.readouts import Readout, finish, make_readout, nuisance_attributes
from neurodnn.rsa.searchlight import score_places
from neurodnn.rsa.spheres import Prepared, SearchlightOptions, prepare, warn_of_losses

DEFAULT_OPTIONS = SearchlightOptions(place="vertex")


class _Found:
    """Scores, numbers of features and reasons of all places and times, filled time by time."""

    def __init__(self, n_places: int, n_times: int, n_references: int) -> None:
        self.scores = np.empty((n_places, n_times, n_references))
        self.n_features = np.zeros((n_places, n_times), np.int32)
        self.reasons = np.zeros((n_places, n_times), np.uint8)
        self.unusable = np.zeros(n_times, np.int64)


def source_searchlight(
    patterns: Mapping[float, Dataset],
    neighbors: csr_array,
    references: RDMs,
    *,
    comparison: str = "spearman",
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.DataArray:
    """Return how alike the local RDM of every place at every time and every reference are.

    Each window of time is a searchlight of its own, over the same neighbours.

    Parameters
    ----------
    patterns : mapping of time in seconds -> Dataset
        Observations x places, as `source_patterns` gives them; one is asked for when its turn
        comes, and forgotten. The same stimuli and places at all times. With the channel
        descriptor ``sample`` every place has as many channels as a window has samples.
    neighbors : csr_array (places x places)
        Members of each place; see `source_neighbors`. A place with an empty row is not computed.
    references, comparison, nuisance, semi
        As for `neurodnn.searchlight`.
    residuals : Dataset or mapping of time -> Dataset, optional
        Noise over the same places, for mahalanobis and crossnobis.
    options : SearchlightOptions
        ``place`` names the first dimension.

    Returns
    -------
    DataArray (place x time x reference)
        float64, by rising time; NaN where undefined. Coordinates ``time`` in seconds,
        ``reference``; ``n_features`` and ``reason`` along place and time; and what the patterns
        say of the places (``vertex``, ``hemisphere``).

    Raises
    ------
    InputError
        If a key is no time, places change between times, or as for `neurodnn.searchlight`.

    References
    ----------
    Su, L., Fonteneau, E., Marslen-Wilson, W., & Kriegeskorte, N. (2012). Spatiotemporal
    searchlight representational similarity analysis in EMEG source space. 2nd International
    Workshop on Pattern Recognition in NeuroImaging. https://doi.org/10.1109/PRNI.2012.26

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> windows = {t: Dataset(rng.normal(size=(5, 4)), obs_descriptors=names) for t in (0.1, 0.2)}
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]))
    >>> layers = RDMs(rng.random((1, 10)), rdm_descriptors={"reference": ["conv1"]},
    ...               pattern_descriptors=names)
    >>> source_searchlight(windows, neighbors, layers).shape
    (4, 2, 1)
    """
    if not isinstance(patterns, Mapping):
        got, allowed = type(patterns).__name__, "{time in seconds: Dataset}"
        raise InputError(message("patterns", "are no movie", got=got, allowed=allowed))
    times = checked_times(patterns)
    wanted = names_of(references, "references")
    inner = options._replace(progress=False)
    first = found = readout = None
    for step, time in enumerate(tqdm(times, "source searchlight", disable=not options.progress,
                                     unit="window")):  # fmt: skip
        where, dataset = f"patterns at {time:g} s", patterns[time]
        if first is None:
            neighbors = _expanded(neighbors, dataset, where)
            first = _places(dataset)
        elif not _same(_places(dataset), first):
            raise InputError(message(where, "are of other places than those of the first time"))
        noise = _noise(residuals, time, step, options.metric)
        ready = prepare(dataset, neighbors, wanted, comparison=comparison, residuals=noise,
                        options=inner, where=where)  # fmt: skip
        if readout is None:
            readout = make_readout(references, ready.names, comparison, nuisance, semi)
            found = _Found(neighbors.shape[0], len(times), len(readout.labels))
        _take(found, step, ready, readout, comparison, inner)
    labelled = _labelled(found, times, readout, first, comparison, options)
    labelled.attrs |= {**movie_descriptors({times[-1]: dataset}), "n_stimuli": len(ready.names),
                       **nuisance_attributes(nuisance, semi)}  # fmt: skip
    return labelled


def _take(
    found: _Found, step: int, ready: Prepared, readout: Readout, comparison: str,
    options: SearchlightOptions,
) -> None:  # fmt: skip
    """Score all places of one time."""
    columns = readout.units.T if comparison == "tau-a" else readout.columns
    products, _, n_features, reasons = score_places(ready.with_columns(columns), ready, options)
    found.scores[:, step] = finish(products, reasons, readout, ready.rule.eps)
    found.n_features[:, step], found.reasons[:, step] = n_features, reasons
    found.unusable[step] = int((~ready.spheres.usable).sum())


def _noise(
    residuals: Dataset | Mapping[float, Dataset] | None, time: float, step: int, metric: str
) -> Dataset | None:
    if residuals is None or (step and metric not in ("mahalanobis", "crossnobis")):
        return None  # that other metrics do not use it is told once
    if not isinstance(residuals, Mapping):
        return residuals
    if time not in residuals:
        raise InputError(message("residuals", f"there are none for {time:g} s"))
    return residuals[time]


def _expanded(neighbors: csr_array, dataset: Dataset, where: str) -> csr_array:
    """Return neighbours of places as neighbours of channels, where each place has several."""
    described = getattr(dataset, "channel_descriptors", None) or {}
    if "sample" not in described:
        return neighbors
    n_samples = len(set(np.asarray(described["sample"]).tolist()))
    samples = np.asarray(described["sample"]).reshape(-1, n_samples)
    if not (samples == samples[0]).all():
        fault = "their channels are not places x samples"
        raise InputError(message(where, fault, remedy="Take source_patterns(samples=True)."))
    table = csr_array(neighbors)
    table.sort_indices()
    members = table.indices.astype(np.int64)[:, np.newaxis] * n_samples + np.arange(n_samples)
    shape = (table.shape[0], table.shape[1] * n_samples)
    kept = np.repeat(np.asarray(table.data, bool), n_samples)
    return csr_array((kept, members.ravel(), table.indptr * n_samples), shape=shape)


def _places(dataset: Dataset) -> dict[str, np.ndarray]:
    """Return what patterns say of their places, and their number."""
    described = getattr(dataset, "channel_descriptors", None) or {}
    own = {name: np.asarray(described[name]) for name in ("vertex", "hemisphere", "sample")
           if name in described}  # fmt: skip
    if "sample" in own:
        n_samples = len(set(own.pop("sample").tolist()))
        own = {name: values[::n_samples] for name, values in own.items()}
    return own


def _same(own: dict[str, np.ndarray], first: dict[str, np.ndarray]) -> bool:
    return own.keys() == first.keys() and all(np.array_equal(own[k], first[k]) for k in own)


def _labelled(
    found: _Found, times: list[float], readout: Readout, places: dict[str, np.ndarray],
    comparison: str, options: SearchlightOptions,
) -> xr.DataArray:  # fmt: skip
    place = options.place
    if found.unusable.any():
        fault = f"up to {found.unusable.max()} channels hold values that are not finite, or do " \
            f"not vary, and are left out at {(found.unusable > 0).sum()} of {len(times)} times"
        warnings.warn(message("patterns", fault), DataWarning, stacklevel=3)
    warn_of_losses(np.ones(1, dtype=bool), found.reasons, place)
    attrs = {
        "reason_codes": "; ".join(f"{code}: {text}" for code, text in REASONS.items()),
        "units": "1", "metric": options.metric, "dtype": options.dtype, "comparison": comparison,
    }  # fmt: skip
    if options.noise != "pooled":
        attrs["noise"] = options.noise
    coords = {
        "time": ("time", times, {"units": "s"}), "reference": readout.labels,
        "n_features": ((place, "time"), found.n_features),
        "reason": ((place, "time"), found.reasons),
    }  # fmt: skip
    if "vertex" in places and len(places["vertex"]) == len(found.scores):
        coords |= {"vertex" if name == "vertex" else name: (place, values)
                   for name, values in places.items()}  # fmt: skip
    dims = (place, "time", "reference")
    return xr.DataArray(found.scores, dims=dims, name=comparison, attrs=attrs, coords=coords)
