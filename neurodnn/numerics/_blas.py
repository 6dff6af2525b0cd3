"""BLAS and LAPACK inside compiled loops, without the interpreter and without allocation.

`numba` can call the routines that SciPy exports to Cython. They are bound by a name of our own,
not by address, so that compiled kernels can be cached on disk; the names must therefore be
registered whenever this module is imported. Arguments are addresses, as Fortran wants them.

A C-ordered array of shape (k, n) is a Fortran array of shape (n, k); "lower" of the one is
"upper" of the other. The functions below speak of C order only.
"""

from __future__ import annotations

import llvmlite.binding
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (loads the library that holds the routines)
import scipy.linalg.cython_lapack  # noqa: F401
from numba import njit, types
from numba.extending import get_cython_function_address

_ROUTINES = {"syrk": ("blas", 10), "trsm": ("blas", 11), "potrf": ("lapack", 5)}


def _bind(name: str) -> types.ExternalFunction:
    library, n_arguments = _ROUTINES[name[1:]]
    symbol = f"neurodnn_{name}"
    address = get_cython_function_address(f"scipy.linalg.cython_{library}", name)
    llvmlite.binding.add_symbol(symbol, address)
    return types.ExternalFunction(symbol, types.void(*[types.intp] * n_arguments))


_SSYRK, _DSYRK = _bind("ssyrk"), _bind("dsyrk")
_STRSM, _DTRSM = _bind("strsm"), _bind("dtrsm")
_SPOTRF, _DPOTRF = _bind("spotrf"), _bind("dpotrf")

# Letters that the routines read through addresses.
LETTERS = b"LUNTR"
_LOWER, _UPPER, _PLAIN, _TURNED, _RIGHT = range(5)


def letters() -> np.ndarray:
    """Return the array of letters that every call below needs.

    Examples
    --------
    >>> bytes(letters())
    b'LUNTR'
    """
    return np.frombuffer(LETTERS, dtype=np.uint8).copy()


@njit(nogil=True, cache=True)
def columns_gram(rows, n_rows, first, gram, factors, sizes, letters):
    """Upper triangle of `gram` <- a X'X + b gram, X = rows[:n_rows, first:first + len(gram)].

    `factors` holds (a, b) in the type of `rows`; `sizes` is work space of three int32.
    """
    sizes[0] = gram.shape[0]
    sizes[1] = n_rows
    sizes[2] = rows.shape[1]
    letter = letters.ctypes.data
    size = sizes.ctypes.data
    factor = factors.ctypes.data
    start = rows.ctypes.data + first * rows.itemsize
    if rows.itemsize == 4:
        _SSYRK(letter + _LOWER, letter + _PLAIN, size, size + 4, factor, start, size + 8,
               factor + 4, gram.ctypes.data, size)
    else:
        _DSYRK(letter + _LOWER, letter + _PLAIN, size, size + 4, factor, start, size + 8,
               factor + 8, gram.ctypes.data, size)  # fmt: skip


@njit(nogil=True, cache=True)
def rows_gram(rows, n_rows, gram, factors, sizes, letters):
    """Upper triangle of gram[:n_rows, :n_rows] <- a X X' + b gram, X = rows[:n_rows].

    `gram` is a flat array that is read as n_rows x n_rows.
    """
    sizes[0] = n_rows
    sizes[1] = rows.shape[1]
    letter = letters.ctypes.data
    size = sizes.ctypes.data
    factor = factors.ctypes.data
    if rows.itemsize == 4:
        _SSYRK(letter + _LOWER, letter + _TURNED, size, size + 4, factor, rows.ctypes.data,
               size + 4, factor + 4, gram.ctypes.data, size)
    else:
        _DSYRK(letter + _LOWER, letter + _TURNED, size, size + 4, factor, rows.ctypes.data,
               size + 4, factor + 8, gram.ctypes.data, size)  # fmt: skip


@njit(nogil=True, cache=True)
def cholesky_upper(matrix, n, sizes, letters):
    """Overwrite the upper triangle of a flat n x n matrix with U, matrix = U'U; True if it is
    positive definite."""
    sizes[0] = n
    sizes[1] = 0
    letter = letters.ctypes.data
    size = sizes.ctypes.data
    if matrix.itemsize == 4:
        _SPOTRF(letter + _LOWER, size, matrix.ctypes.data, size, size + 4)
    else:
        _DPOTRF(letter + _LOWER, size, matrix.ctypes.data, size, size + 4)
    return sizes[1] == 0


@njit(nogil=True, cache=True)
def solve_upper(factor, n, rows, factors, sizes, letters):
    """Overwrite rows[:n] with the solution Y of U'Y = rows[:n]; `factor` holds U, flat."""
    sizes[0] = rows.shape[1]
    sizes[1] = n
    letter = letters.ctypes.data
    size = sizes.ctypes.data
    one = factors.ctypes.data
    # In Fortran's eyes: Y' L' = rows', with L' the transposed lower triangle, from the right.
    if rows.itemsize == 4:
        _STRSM(letter + _RIGHT, letter + _LOWER, letter + _TURNED, letter + _PLAIN, size,
               size + 4, one, factor.ctypes.data, size + 4, rows.ctypes.data, size)
    else:
        _DTRSM(letter + _RIGHT, letter + _LOWER, letter + _TURNED, letter + _PLAIN, size,
               size + 4, one, factor.ctypes.data, size + 4, rows.ctypes.data, size)  # fmt: skip
