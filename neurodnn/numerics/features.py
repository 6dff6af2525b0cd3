"""Which features count: finite, and not constant beside the rounding of their own values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Rounding units within which a range, or a distance, is taken for zero.
ZERO_FACTOR = 64.0


def feature_eps(dtype: np.dtype) -> float:
    """Return the rounding unit that counts for values of `dtype`.

    float32 has its own; every other type is judged as float64 (float16 is too coarse for a
    relative rule: 64 of its rounding units are 6 % of the value).

    Examples
    --------
    >>> feature_eps(np.dtype("int16")) == feature_eps(np.dtype("float64"))
    True
    """
    return float(np.finfo(np.float32 if dtype == np.float32 else np.float64).eps)


def usable_features(patterns: ArrayLike) -> NDArray[np.bool_]:
    """Return which features are finite and vary over conditions.

    Parameters
    ----------
    patterns : array (conditions x features) or (folds x conditions x features)
        With folds, a feature must vary within every fold: one that is constant in a run was
        not measured in it.

    Returns
    -------
    array of bool (features,)

    Examples
    --------
    >>> usable_features([[0.7, 1.0, 2.0], [0.7, 3.0, float("nan")]])
    array([False,  True, False])
    """
    patterns = floating(patterns)
    folds = patterns if patterns.ndim == 3 else patterns[np.newaxis]
    usable = np.ones(patterns.shape[-1], dtype=bool)
    eps = feature_eps(patterns.dtype)
    for fold in folds:
        low, high = fold.min(axis=0), fold.max(axis=0)
        with np.errstate(invalid="ignore", over="ignore"):
            spread = high - low
            largest = np.maximum(np.abs(low), np.abs(high))
            usable &= np.isfinite(spread) & (spread > ZERO_FACTOR * eps * largest)
    return usable


def floating(values: ArrayLike) -> NDArray:
    """Return values in native float32 or float64, without a copy where they are already.

    Examples
    --------
    >>> floating(np.arange(3, dtype=">i2")).dtype.name
    'float64'
    """
    values = np.asarray(values)
    if values.dtype in (np.float32, np.float64) and values.dtype.isnative:
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)
