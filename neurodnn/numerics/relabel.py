"""References under permuted stimuli, and what is kept of their products with lanes, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def relabelled_rows(
    rows: NDArray[np.float64], orders: NDArray[np.int64], dtype: np.dtype | str
) -> NDArray:
    """Return condensed rows with their stimuli permuted.

    Parameters
    ----------
    rows : array (rows x pairs)
    orders : array (permutations x stimuli)
        Stimulus ``orders[k, i]`` takes place i.
    dtype : dtype

    Returns
    -------
    array (permutations * rows x pairs)
        All rows of the first permutation, then all of the second, and so on.

    Examples
    --------
    >>> relabelled_rows(np.array([[1.0, 2.0, 3.0]]), np.array([[2, 1, 0]]), "float64")
    array([[3., 2., 1.]])
    """
    rows = np.ascontiguousarray(rows, np.float64)
    out = np.empty((len(orders) * len(rows), rows.shape[1]), dtype)
    n = orders.shape[1]
    squares = np.zeros((len(rows), n, n), dtype)
    first, second = np.triu_indices(n, 1)
    squares[:, first, second] = squares[:, second, first] = rows
    _relabel(squares, np.ascontiguousarray(orders, np.int64), out)
    return out


@njit(nogil=True, cache=True)
def _relabel(squares, orders, out):
    n_rows, n, _ = squares.shape
    for permutation in range(orders.shape[0]):
        order = orders[permutation]
        for row in range(n_rows):
            square, target = squares[row], out[permutation * n_rows + row]
            pair = 0
            for i in range(n):
                own = square[order[i]]
                for j in range(i + 1, n):
                    target[pair] = own[order[j]]
                    pair += 1


@njit(nogil=True, cache=True)
def tally_relabelled(products, n_rows, observed, defined, two_sided, tie, counts, largest):
    """Count how often products reach the observed ones, and keep the largest per permutation.

    Parameters
    ----------
    products : array (places x permutations * rows)
        As of `relabelled_rows`; the columns beyond ``largest.size`` permutations are padding.
    n_rows : int
        Rows (references) per permutation.
    observed : array of float64 (places x rows)
        What is reached, absolute where `two_sided`.
    defined : array of bool (places x rows)
        Others take no part.
    two_sided : bool
    tie : float
    counts : array of int64 (places x rows)
        Added to.
    largest : array of float64 (permutations,)
        Raised to the largest product of each permutation.
    """
    for place in range(products.shape[0]):
        for permutation in range(largest.size):
            top = largest[permutation]
            for row in range(n_rows):
                if defined[place, row]:
                    value = np.float64(products[place, permutation * n_rows + row])
                    if two_sided:
                        value = abs(value)
                    if value >= observed[place, row] - tie:
                        counts[place, row] += 1
                    if value > top:
                        top = value
            largest[permutation] = top
