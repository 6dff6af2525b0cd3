"""Which places touch: sparse graphs of grids, lines and their products, for clusters and TFCE.

Places are numbered as in the scores: voxels in C order of ``numpy.flatnonzero(mask)``, products
in C order with the first part slowest. A graph is symmetric and holds no place beside itself.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, eye_array, issparse, kron

from neurodnn._checks import InputError, check_number, message

# neighbours of a place inside the grid -> index steps that may differ from zero at once
_STEPS = {1: {2: 1}, 2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}


def grid_adjacency(mask: ArrayLike, connectivity: int = 18) -> csr_array:
    """Return which cells of a grid touch.

    Parameters
    ----------
    mask : array of bool, up to three-dimensional
        Cells that take part; numbered in C order.
    connectivity : int
        Volumes: 6 (shared faces), 18 (faces or edges; default, as in SPM) or 26 (corners too).
        Planes: 4 or 8. Lines: 2.

    Returns
    -------
    scipy.sparse.csr_array of bool (cells x cells)

    Raises
    ------
    InputError
        If the mask is empty or no grid, or the connectivity does not exist there.

    Examples
    --------
    >>> grid_adjacency(np.ones((2, 2), bool), 4).toarray().astype(int)
    array([[0, 1, 1, 0],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim not in _STEPS or not mask.any():
        fault = "must be a grid of one to three dimensions with at least one place inside"
        raise InputError(message("mask", fault, got=f"{mask.shape}, {int(mask.sum())} inside"))
    allowed = _STEPS[mask.ndim]
    if connectivity not in allowed:
        fault = f"does not exist on a grid of {mask.ndim} dimension(s)"
        listed = ", ".join(str(number) for number in allowed)
        raise InputError(message("connectivity", fault, got=connectivity, allowed=listed))
    number = np.full(mask.shape, -1, dtype=np.int64)
    number[mask] = np.arange(mask.sum())
    rows, columns = [], []
    for step in itertools.product((-1, 0, 1), repeat=mask.ndim):
        # One of each pair of opposite steps: the first that is not zero points forward.
        if step <= (0,) * mask.ndim or np.count_nonzero(step) > allowed[connectivity]:
            continue
        here, there = _shifted(number, step), _shifted(number, tuple(-s for s in step))
        both = (here >= 0) & (there >= 0)
        rows.append(here[both])
        columns.append(there[both])
    return _both_ways(np.concatenate(rows), np.concatenate(columns), int(mask.sum()))


def _shifted(number: np.ndarray, step: tuple[int, ...]) -> np.ndarray:
    """Return the part of a grid that still has a cell one `step` further, along each axis."""
    window = tuple(
        slice(max(0, -s), size - max(0, s)) for s, size in zip(step, number.shape, strict=True)
    )
    return number[window]


def line_adjacency(n: int) -> csr_array:
    """Return which of n samples in a row touch: each its neighbours in time.

    Parameters
    ----------
    n : int
        Number of samples.

    Returns
    -------
    scipy.sparse.csr_array of bool (n x n)

    Raises
    ------
    InputError
        If `n` is not a whole number of at least 1.

    Examples
    --------
    >>> line_adjacency(3).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    if check_number("n", n, minimum=1) % 1:
        raise InputError(message("n", "must be a whole number", got=n))
    first = np.arange(int(n) - 1)
    return _both_ways(first, first + 1, int(n))


def combine_adjacency(*parts: Any) -> csr_array:
    """Return which places of a product of graphs touch, such as vertices x time.

    Two places touch if they are neighbours in one part and the same in all others (the
    Cartesian product of graphs, as ``mne.stats.combine_adjacency`` makes it).

    Parameters
    ----------
    *parts : sparse array or int
        Graphs in the order of the dimensions of the scores; a number stands for a line of so
        many samples.

    Returns
    -------
    scipy.sparse.csr_array of bool
        Places in C order: the first part is the slowest.

    Raises
    ------
    InputError
        If no part is given, or one is neither a symmetric graph nor a number.

    Examples
    --------
    >>> combine_adjacency(2, 2).toarray().astype(int)
    array([[0, 1, 1, 0],
           [1, 0, 0, 1],
           [1, 0, 0, 1],
           [0, 1, 1, 0]])
    """
    if not parts:
        remedy = "Give a graph or a number of samples for each dimension."
        raise InputError(message("parts", "no graph was given", remedy=remedy))
    whole = None
    for part in parts:
        graph = line_adjacency(part) if np.isscalar(part) else _graph(part)
        if whole is None:
            whole = graph
            continue
        one, two = (eye_array(size, dtype=bool) for size in (whole.shape[0], graph.shape[0]))
        whole = csr_array(kron(whole, two, format="csr") + kron(one, graph, format="csr"))
    return _tidy(whole)


def check_adjacency(adjacency: Any, n_places: int, spanned: str = "places") -> csr_array:
    """Return a graph fit for clustering `n_places` places; refuse any other.

    Parameters
    ----------
    adjacency : sparse array (places x places)
        Nonzero where two places touch; its diagonal means nothing.
    n_places : int
        Number of places of the scores.
    spanned : str
        What the places are, for the message, such as ``"voxel (120)"``.

    Returns
    -------
    scipy.sparse.csr_array of bool
        Sorted int32 indices, symmetric, empty diagonal.

    Raises
    ------
    InputError
        If it is no square sparse array of that size, not symmetric, or joins no two places.

    Examples
    --------
    >>> check_adjacency(line_adjacency(3), 4, "time (4)")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: adjacency: spans 3 places, but the scores have 4: time (4). \
Build it for the same places in the same order, or say with places which dimensions it spans.
    """
    graph = _graph(adjacency)
    if graph.shape[0] != n_places:
        fault = f"spans {graph.shape[0]} places, but the scores have {n_places}: {spanned}"
        remedy = (
            "Build it for the same places in the same order, or say with places which dimensions"
            " it spans."
        )
        raise InputError(message("adjacency", fault, remedy=remedy))
    if graph.nnz == 0:
        remedy = "Clusters need neighbours: check the mask, or use sign_flip_test."
        raise InputError(message("adjacency", "joins no two places", remedy=remedy))
    return graph


def _graph(adjacency: Any) -> csr_array:
    """Return a square symmetric graph without its diagonal; refuse anything else."""
    if not issparse(adjacency) and not (
        isinstance(adjacency, np.ndarray) and adjacency.ndim == 2
    ):
        allowed = "a sparse array (places x places)"
        got = type(adjacency).__name__
        raise InputError(message("adjacency", "is no graph", got=got, allowed=allowed))
    if adjacency.shape[0] != adjacency.shape[1]:
        raise InputError(message("adjacency", "must be square", got=adjacency.shape))
    graph = _tidy(adjacency)
    wrong = (graph != graph.T).nnz // 2
    if wrong:
        fault = f"is not symmetric: {wrong} pairs of places touch in one direction only"
        remedy = "Use adjacency + adjacency.T, if either direction counts."
        raise InputError(message("adjacency", fault, remedy=remedy))
    return graph


def _tidy(graph: Any) -> csr_array:
    """Return a boolean csr array with sorted int32 indices and nothing on its diagonal."""
    entries = coo_array(graph)
    keep = (entries.row != entries.col) & (entries.data != 0)
    return _assembled(entries.row[keep], entries.col[keep], graph.shape[0])


def _both_ways(rows: np.ndarray, columns: np.ndarray, n: int) -> csr_array:
    return _assembled(np.concatenate([rows, columns]), np.concatenate([columns, rows]), n)


def _assembled(rows: np.ndarray, columns: np.ndarray, n: int) -> csr_array:
    graph = csr_array(coo_array((np.ones(rows.size, dtype=bool), (rows, columns)), shape=(n, n)))
    graph.sum_duplicates()
    graph.sort_indices()
    # Both of one type: SciPy wants that. It holds 2**31 pairs of neighbours.
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
    return graph
