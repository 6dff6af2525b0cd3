"""What three RDMs share, from their three correlations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn.numerics.features import ZERO_FACTOR

_NO_REST = ZERO_FACTOR * np.finfo(np.float64).eps


def shared_variance(r_mf: ArrayLike, r_md: ArrayLike, r_fd: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the variance of m that f and d explain in common.

    ``C = r_mf**2 - (r_mf - r_md r_fd)**2 / (1 - r_fd**2)``, the closed form of
    ``R2(m~f) - [R2(m~f,d) - R2(m~d)]``, least squares with an intercept.

    Parameters
    ----------
    r_mf, r_md, r_fd : array
        Correlations, all Pearson's or all Spearman's, of shapes that broadcast.

    Returns
    -------
    array of float64
        At most ``r_mf**2``; negative where d hides what m and f share (suppression), and left
        so. Where f is d (``r_fd**2`` is 1 up to rounding) it is ``r_mf**2``: all is shared.
        NaN where a correlation is.

    References
    ----------
    Hebart, M. N., Bankson, B. B., Harel, A., Baker, C. I., & Cichy, R. M. (2018). The
    representational dynamics of task and object processing in humans. eLife, 7, e32816.

    Examples
    --------
    >>> shared_variance([0.5, 0.5], [0.5, 0.0], [0.5, 0.5]).round(4)
    array([ 0.1667, -0.0833])
    """
    r_mf, r_md, r_fd = (np.asarray(r, dtype=np.float64) for r in (r_mf, r_md, r_fd))
    rest = (1.0 - r_fd) * (1.0 + r_fd)  # 1 - r**2 without cancellation near 1
    spanned = rest <= _NO_REST
    beyond = (r_mf - r_md * r_fd) ** 2 / np.where(spanned, 1.0, rest)
    return r_mf**2 - np.where(spanned, 0.0, beyond) + 0.0 * r_md
