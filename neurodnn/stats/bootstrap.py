"""Bootstrap over subjects, over stimuli and over both: draws, variances, intervals, t tests.

What differs between two samples of subjects is not what differs between two samples of stimuli.
Each test below says which of the two it has let vary: that is what its result generalises to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, check_number, message

KINDS = ("subjects", "stimuli", "subjects and stimuli")
# First part of the seeds; every stage of the package has its own.
STAGE_SUBJECTS, STAGE_STIMULI = 3, 4


class Inference(NamedTuple):
    """What a bootstrap says about estimates; axes are `KINDS` x estimates."""

    standard_error: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    t: NDArray[np.float64]
    p: NDArray[np.float64]
    dof: NDArray[np.float64]  # one per kind
    n_draws: NDArray[np.int64]  # draws that could be used, one per kind


def draw_indices(n: int, n_bootstrap: int, seed: int, stage: int) -> NDArray[np.int64]:
    """Return which of n subjects or stimuli each draw with replacement takes.

    Parameters
    ----------
    n : int
        Number of subjects or stimuli, in the order of their sorted names.
    n_bootstrap : int
        Number of draws.
    seed : int
    stage : int
        `STAGE_SUBJECTS` or `STAGE_STIMULI`: the two never share random numbers.

    Returns
    -------
    int64 array (draws x n)
        Draw b depends on `seed`, `stage`, b and n alone: more draws keep the first ones.

    Raises
    ------
    InputError
        If there is no whole number of at least 2 draws.

    Examples
    --------
    >>> few, more = (draw_indices(5, count, 0, STAGE_STIMULI) for count in (2, 3))
    >>> few.shape, bool((more[:2] == few).all())
    ((2, 5), True)
    """
    if not isinstance(n_bootstrap, (int, np.integer)) or n_bootstrap < 2:
        allowed = "a whole number of at least 2; 1000 or more to report"
        raise InputError(message("n_bootstrap", "is not valid", got=n_bootstrap, allowed=allowed))
    draws = np.empty((int(n_bootstrap), n), dtype=np.int64)
    for b in range(len(draws)):
        sequence = np.random.SeedSequence(seed, spawn_key=(stage, b))
        draws[b] = np.random.default_rng(sequence).integers(0, n, size=n)
    return draws


def count_draws(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each draw takes each of the n.

    Examples
    --------
    >>> count_draws(np.array([[0, 2, 2]]))
    array([[1, 0, 2]])
    """
    n = indices.shape[1]
    offsets = np.arange(len(indices))[:, None] * n
    return np.bincount((indices + offsets).ravel(), minlength=indices.size).reshape(indices.shape)


def two_factor_variance(
    both: ArrayLike, subjects: ArrayLike, stimuli: ArrayLike, *, n_subjects: int, n_stimuli: int
) -> NDArray[np.float64]:
    """Return the variance over new subjects and new stimuli from three bootstrap variances.

    The bootstrap over both at once counts the noise of single measurements three times; this
    puts it right, with the exact factors of small samples.

    Parameters
    ----------
    both, subjects, stimuli : array-like
        Variances over draws (``ddof=1``) of the bootstrap over both factors at once, over
        subjects and over stimuli alone.
    n_subjects, n_stimuli : int
        Sizes of the samples.

    Returns
    -------
    array of float64
        Not below either single variance (each corrected by ``n / (n - 1)``), not above `both`.
        NaN with one subject or one stimulus.

    References
    ----------
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> float(two_factor_variance(6.0, 2.0, 3.0, n_subjects=3, n_stimuli=5))
    4.875
    """
    both, subjects, stimuli = (np.asarray(v, dtype=np.float64) for v in (both, subjects, stimuli))
    if min(n_subjects, n_stimuli) < 2:
        return np.full(np.broadcast(both, subjects, stimuli).shape, np.nan)
    f_subjects, f_stimuli = n_subjects / (n_subjects - 1), n_stimuli / (n_stimuli - 1)
    rest = f_subjects * f_stimuli * (both - subjects - stimuli)
    combined = f_subjects * subjects + f_stimuli * stimuli - rest
    lower = np.maximum(f_subjects * subjects, f_stimuli * stimuli)
    # The upper limit has the last word, as in the reference implementation.
    return np.minimum(np.maximum(combined, lower), both)


def group_draws(
    scores: NDArray, stimulus_draws: NDArray, subject_counts: NDArray
) -> NDArray[np.float64]:
    """Return the mean over subjects in each draw, for each kind of draw.

    Parameters
    ----------
    scores : array (subjects x places)
        Over all stimuli.
    stimulus_draws : array (draws x subjects x places)
        The same in each draw of stimuli.
    subject_counts : array (draws x subjects)
        How often each draw takes a subject.

    Returns
    -------
    array of float64 (`KINDS` x draws x places)

    Examples
    --------
    >>> scores = np.array([[1.0], [3.0]])
    >>> group_draws(scores, scores[None] + 1, np.array([[2, 0]])).ravel()
    array([1., 3., 2.])
    """
    n = len(scores)
    shares = subject_counts / n
    return np.stack([
        np.einsum("bs,sk->bk", shares, scores),
        stimulus_draws.mean(axis=1),
        np.einsum("bs,bsk->bk", shares, stimulus_draws),
    ])  # fmt: skip


def infer(
    estimate: NDArray,
    draws: NDArray,
    *,
    n_subjects: int,
    n_stimuli: int,
    confidence: float = 0.95,
    tail: str = "two-sided",
) -> Inference:
    """Return standard errors, intervals and t tests against zero for each kind of draw.

    Parameters
    ----------
    estimate : array (places,)
        From the whole data.
    draws : array (`KINDS` x draws x places)
        See `group_draws`; a draw with a NaN is left out, and counted.
    n_subjects, n_stimuli : int
    confidence : float
        Of the interval, estimate -/+ the t quantile times the standard error.
    tail : {"two-sided", "greater"}

    Returns
    -------
    Inference
        Degrees of freedom: one less than the smaller of the samples that vary. NaN where the
        factor has one member, or nothing varies.

    References
    ----------
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(1, 0.1, size=(3, 500, 1))
    >>> infer(np.ones(1), draws, n_subjects=12, n_stimuli=40).dof.tolist()
    [11.0, 39.0, 11.0]
    """
    check_number("confidence", confidence, minimum=0.5, maximum=0.9999)
    good = np.isfinite(draws).all(axis=2)
    raw = np.stack([_variance(d[g]) for d, g in zip(draws, good, strict=True)])
    together = good.all(axis=0)  # the three variances of the difference from the same draws
    shared = np.stack([_variance(d[together]) for d in draws])
    variance = np.stack([
        _corrected(raw[0], n_subjects),
        _corrected(raw[1], n_stimuli),
        two_factor_variance(
            shared[2], shared[0], shared[1], n_subjects=n_subjects, n_stimuli=n_stimuli
        ),
    ])  # fmt: skip
    # Rounding alone is no variance: identical references differ by nothing, in every draw.
    scale = np.nanmax(np.abs(draws), initial=0.0)
    variance[~(variance > (1e-12 * scale) ** 2)] = np.nan
    dof = np.array([n_subjects, n_stimuli, min(n_subjects, n_stimuli)], dtype=float) - 1
    error = np.sqrt(variance)
    t = estimate / error
    with np.errstate(invalid="ignore"):
        upper = scipy.stats.t.sf(np.abs(t) if tail == "two-sided" else t, dof[:, None])
        half = scipy.stats.t.ppf(0.5 + confidence / 2, dof[:, None]) * error
    p = 2 * upper if tail == "two-sided" else upper
    n_draws = np.array([*good[:2].sum(axis=1), together.sum()])
    return Inference(error, estimate - half, estimate + half, t, p, dof, n_draws)


def percentile_interval(
    draws: NDArray, confidence: float = 0.95, axis: int = 0
) -> tuple[NDArray, NDArray]:
    """Return the lower and upper percentile of draws, NaN left out.

    Examples
    --------
    >>> low, high = percentile_interval(np.arange(101.0), 0.9)
    >>> round(float(low)), round(float(high))
    (5, 95)
    """
    check_number("confidence", confidence, minimum=0.5, maximum=0.9999)
    draws = np.asarray(draws, dtype=np.float64)
    empty = ~np.isfinite(draws).any(axis=axis, keepdims=True)
    filled = np.where(empty, 0.0, draws)  # a slice without any draw is NaN, in silence
    share = (1 - confidence) / 2
    low, high = np.nanquantile(filled, [share, 1 - share], axis=axis)
    empty = empty.squeeze(axis)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def draws_p(draws: NDArray, axis: int = 0) -> NDArray[np.float64]:
    """Return the two-sided p against zero of bootstrap draws: twice the smaller tail.

    The observed counts as one of the draws, so p is never 0; NaN draws take no part.

    Examples
    --------
    >>> float(draws_p(np.r_[np.ones(98), -1.0]))
    0.04
    """
    draws = np.asarray(draws, dtype=np.float64)
    n = np.isfinite(draws).sum(axis=axis)
    tails = np.minimum((draws <= 0).sum(axis=axis), (draws >= 0).sum(axis=axis))
    return np.where(n > 0, np.minimum(1.0, 2 * (1 + tails) / (1 + n)), np.nan)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p values corrected for their number under any dependence (Holm's steps), NaN kept.

    References
    ----------
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian
    Journal of Statistics, 6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, np.nan]).tolist()
    [0.02, 0.04, nan]
    """
    p = np.asarray(p, dtype=np.float64)
    flat = p.ravel()
    places = np.flatnonzero(~np.isnan(flat))
    order = places[np.argsort(flat[places], kind="stable")]
    steps = flat[order] * np.arange(order.size, 0, -1)
    corrected = np.full(flat.shape, np.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected.reshape(p.shape)


def _variance(draws: NDArray) -> NDArray[np.float64]:
    return draws.var(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)


def _corrected(variance: NDArray, n: int) -> NDArray[np.float64]:
    """A bootstrap draws from the sample, whose variance is too small by (n - 1) / n."""
    return variance * n / (n - 1) if n > 1 else np.full_like(variance, np.nan)
