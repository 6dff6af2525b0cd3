"""References under all relabellings of a test, and what is kept of their scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neurodnn.numerics.relabel import relabelled_rows, tally_relabelled
from neurodnn.rsa.readouts import Readout, without

# Relabelled references are kept in memory up to here; beyond, they are made anew for each block.
_KEPT_BYTES = 290 * 2**20
_CHUNK_BYTES = 2**25
_MOST_IN_CHUNK = 64
# Two statistics that are equal in exact arithmetic differ by the rounding of their sums.
TIES = {"float64": 1e-12, "float32": 4e-6}


class Relabelled(NamedTuple):
    """Relabelled references in chunks of one shape, kept or made when asked for."""

    readout: Readout
    orders: np.ndarray
    in_chunk: int
    dtype: np.dtype
    kept: list[np.ndarray]

    @property
    def n_chunks(self) -> int:
        return -(-len(self.orders) // self.in_chunk)

    def orders_of(self, chunk: int) -> np.ndarray:
        """Return the orders of one chunk."""
        return self.orders[chunk * self.in_chunk : (chunk + 1) * self.in_chunk]

    def rows(self, chunk: int) -> np.ndarray:
        """Return one chunk, padded with zeros: permutations * references x pairs."""
        return self.kept[chunk] if self.kept else _made(self, chunk)


class Null(NamedTuple):
    """Observed scores of places x references, how many orders reach them, and the largest."""

    scores: np.ndarray
    counts: np.ndarray
    largest: np.ndarray


def relabel(readout: Readout, orders: np.ndarray, dtype: np.dtype, keep: bool = True) -> Relabelled:
    """Return references under all orders, what the nuisance leaves of each.

    Parameters
    ----------
    readout : Readout
    orders : array (permutations x stimuli)
    dtype : dtype
    keep : bool
        Whether to hold all chunks in memory where they fit.
    """
    row_bytes = readout.units.shape[1] * np.dtype(dtype).itemsize
    # The shape of a chunk depends on pairs and references alone: so do the bits.
    in_chunk = _CHUNK_BYTES // (row_bytes * len(readout.units))
    in_chunk = min(max(in_chunk, 1), _MOST_IN_CHUNK)
    relabelled = Relabelled(readout, orders, in_chunk, np.dtype(dtype), [])
    size = relabelled.n_chunks * in_chunk * len(readout.units) * row_bytes
    if keep and size <= _KEPT_BYTES:
        made = [_made(relabelled, chunk) for chunk in range(relabelled.n_chunks)]
        relabelled.kept.extend(made)
    return relabelled


def _made(relabelled: Relabelled, chunk: int) -> np.ndarray:
    units = relabelled.readout.units
    made = np.zeros((relabelled.in_chunk * len(units), units.shape[1]), relabelled.dtype)
    rows = relabelled_rows(units, relabelled.orders_of(chunk), np.float64)
    made[: len(rows)] = without(rows, relabelled.readout.basis)[0]
    return made


def tally_null(
    products: Callable[[int], np.ndarray],
    relabelled: Relabelled,
    usable: np.ndarray,
    two_sided: bool,
    tie: float,
) -> Null:
    """Return observed scores and how the scores under all orders lie beside them.

    Parameters
    ----------
    products : function of a chunk -> array (places x permutations * references)
        Rows beyond the places, and columns beyond the orders, are padding.
    relabelled : Relabelled
        Its first order is the observed one.
    usable : array of bool (places x references)
        Others take no part and are NaN.
    two_sided : bool
    tie : float
        By how much rounding may part two scores that are equal.
    """
    n_places, n_references = usable.shape
    counts = np.zeros(usable.shape, np.int64)
    largest = np.full(len(relabelled.orders), -np.inf)
    scores, observed = np.empty((0, 0)), np.empty((0, 0))
    for chunk in range(relabelled.n_chunks):
        found = products(chunk)[:n_places]
        if chunk == 0:
            scores = found[:, :n_references].astype(np.float64)
            observed = np.abs(scores) if two_sided else scores
        part = slice(chunk * relabelled.in_chunk, (chunk + 1) * relabelled.in_chunk)
        tally_relabelled(found, n_references, observed, usable, two_sided, tie, counts,
                         largest[part])  # fmt: skip
    return Null(np.where(usable, np.clip(scores, -1.0, 1.0), np.nan), counts, largest)
