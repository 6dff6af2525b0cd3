"""Scores on a graph: which places touch, one map after the other, flips in fixed blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from scipy.sparse import csr_array

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.adjacency import check_adjacency
from neurodnn.numerics.signflips import GROUP, signed_sums, split_codes
from neurodnn.stats.flips import Flips
from neurodnn.stats.group_scores import arranged, describe, scaled

_FLIPS = 128  # flips per job; depends on nothing, so that results are always the same bits
_TABLES = 2**27  # bytes of signed sums of one map; above them groups of four, an eighth, do
# Statistics of two flips that tie in exact arithmetic differ by rounding.
TIE = 1e-9


class GraphScores(NamedTuple):
    """Scores as (subject, other dimensions, places of the graph)."""

    array: xr.DataArray
    places: tuple[str, ...]  # the dimensions that the graph spans
    graph: csr_array
    dims: tuple[str, ...]  # of the result, in the order of the scores given

    @property
    def family(self) -> tuple[str, ...]:
        return tuple(str(dim) for dim in self.array.dims[1:])

    @property
    def subjects(self) -> list[str]:
        return [str(name) for name in self.array["subject"].values]


class GraphMap(NamedTuple):
    """One map: what it is like, and its defined places with the graph that remains of them."""

    described: dict[str, np.ndarray]
    keep: np.ndarray  # bool (all places,)
    units: np.ndarray  # subjects x kept places; sums are c
    graph: csr_array  # kept places


def on_graph(
    scores: xr.DataArray | np.ndarray, adjacency: Any, places: str | Sequence[str] | None
) -> GraphScores:
    """Return scores arranged for a graph, which is refused unless it fits.

    Parameters
    ----------
    scores : DataArray or ndarray
    adjacency : sparse array (places x places)
    places : str or sequence of str, optional
        Dimensions that the graph spans, in its order; by default all but ``subject`` and
        ``reference``.

    Returns
    -------
    GraphScores

    Raises
    ------
    InputError
        If scores are not valid, dimensions are unknown, or the graph does not fit.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> on_graph(np.ones((3, 5, 2)), line_adjacency(5), None).array.dims
    ('subject', 'reference', 'voxel')
    """
    array, dims = arranged(scores, None)
    if places is None:
        places = [dim for dim in dims if dim != "reference"]
    places = (places,) if isinstance(places, str) else tuple(places)
    for dim in places:
        check_choice("places", dim, dims)
    if not places or len(set(places)) < len(places):
        fault = "must name the dimensions that the adjacency spans, each once"
        raise InputError(message("places", fault, got=places, allowed=", ".join(dims)))
    spanned = " x ".join(f"{dim} ({array.sizes[dim]})" for dim in places)
    n_places = int(np.prod([array.sizes[dim] for dim in places]))
    graph = check_adjacency(adjacency, n_places, spanned)
    array = array.transpose("subject", *[dim for dim in dims if dim not in places], *places)
    return GraphScores(array, places, graph, dims)


def each_map(scores: GraphScores) -> Iterator[GraphMap]:
    """Yield the maps one by one: one for each combination of the other dimensions."""
    flat = scores.array.values.reshape(scores.array.sizes["subject"], -1, scores.graph.shape[0])
    for i in range(flat.shape[1]):
        # One layout, whatever came in: the order in which NumPy sums subjects depends on it.
        x = np.ascontiguousarray(flat[:, i], dtype=np.float64)
        described = describe(x)
        keep = described["fault"] == 0
        graph = scores.graph if keep.all() else csr_array(scores.graph[keep][:, keep])
        yield GraphMap(described, keep, scaled(x[:, keep]), graph)


def flip_tables(units: np.ndarray, flips: Flips) -> tuple[np.ndarray, np.ndarray]:
    """Return the signed sums of one map and the codes that go with them."""
    n, n_places = units.shape
    if -(-n // GROUP) * 2**GROUP * n_places * 8 <= _TABLES:
        return signed_sums(units), flips.codes
    tables = signed_sums(units, GROUP // 2)
    return tables, split_codes(flips.codes, len(tables))


def sweep(n_rows: int, work: Callable[[slice], Any], n_jobs: int) -> list[Any]:
    """Return what `work` makes of each block of flips, in their order."""
    blocks = [slice(start, min(start + _FLIPS, n_rows)) for start in range(0, n_rows, _FLIPS)]
    return Parallel(n_jobs=n_jobs, prefer="threads")(delayed(work)(block) for block in blocks)


def reached(largest: np.ndarray, statistic: np.ndarray) -> np.ndarray:
    """Return the share of flips whose largest statistic reaches each given one."""
    ordered = np.sort(largest)
    below = np.searchsorted(ordered, statistic * (1 - TIE))
    return (ordered.size - below) / ordered.size


def spread(values: np.ndarray, keep: np.ndarray, fill: float) -> np.ndarray:
    """Return values of the kept places on all places."""
    result = np.full(keep.size, fill, dtype=np.asarray(values).dtype)
    result[keep] = values
    return result


def as_dataset(
    scores: GraphScores, parts: list[dict[str, np.ndarray]], attrs: dict[str, Any]
) -> xr.Dataset:
    """Return the maps of all parts together, with dimensions in the order of the scores."""
    array = scores.array
    dims = array.dims[1:]
    shape = tuple(array.sizes[dim] for dim in dims)
    values = {
        name: (dims, np.stack([part[name] for part in parts]).reshape(shape)) for name in parts[0]
    }
    coords = {name: c for name, c in array.coords.items() if "subject" not in c.dims}
    attrs = attrs | {"places": list(scores.places)}
    return xr.Dataset(values, coords=coords, attrs=attrs).transpose(*scores.dims)
