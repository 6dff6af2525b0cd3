"""RDMs of subjects and references -> scores and ceilings of resampled stimuli and subjects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from neurodnn.numerics.resampled_ceilings import resampled_ceilings
from neurodnn.numerics.resampling import resampled_similarity
from neurodnn.rsa.matched import Matched

_DRAWS = 32  # draws per job; depends on nothing, so that results are always the same bits
LEAST_DISTINCT = 3  # stimuli in a draw; fewer have one distance, and nothing can correlate


def resample_scores(
    matched: Matched, counts: NDArray[np.int64], *, comparison: str, n_jobs: int = 1
) -> NDArray[np.float64]:
    """Return each subject's score with each reference in each draw of stimuli.

    Pairs of two copies of a stimulus are left out. Ranks and normalisations are made anew for
    each draw.

    Parameters
    ----------
    matched : Matched
    counts : int64 array (draws x stimuli)
        How often each stimulus is drawn, in the order of sorted names.
    comparison : str
        See `compare_rdms`.
    n_jobs : int
        Threads; the result is the same bits for any number.

    Returns
    -------
    float64 array (draws x subjects x references)
        NaN in a draw of fewer than three distinct stimuli, or of equal distances only.

    References
    ----------
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.rsa.matched import match_subjects
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[1.0, 2, 3, 4, 5, 6]]), pattern_descriptors=names)
    >>> matched = match_subjects(data, data)
    >>> resample_scores(matched, np.array([[2, 1, 1, 0], [4, 0, 0, 0]]),
    ...                 comparison="spearman").ravel()
    array([ 1., nan])
    """
    data, usable = _arrays(matched)
    models = np.nan_to_num(np.asarray(matched.references.dissimilarities, dtype=np.float64))

    def run(part: slice) -> NDArray:
        return resampled_similarity(data, models, counts[part], comparison, usable)

    scores = _in_blocks(run, len(counts), n_jobs)
    scores[(counts > 0).sum(axis=1) < LEAST_DISTINCT] = np.nan
    return scores


def resample_ceilings(
    matched: Matched,
    counts: NDArray[np.int64],
    subject_counts: NDArray[np.int64],
    *,
    comparison: str,
    n_jobs: int = 1,
) -> NDArray[np.float64]:
    """Return lower and upper noise ceiling in each draw of stimuli and subjects.

    Parameters
    ----------
    matched : Matched
    counts : int64 array (draws x stimuli)
    subject_counts : int64 array (draws x subjects)
        A subject drawn twice counts twice, and is left out with its copy in the lower bound.
    comparison, n_jobs
        As in `resample_scores`.

    Returns
    -------
    float64 array (draws x 2)
        NaN in a draw of one subject, or of fewer than three distinct stimuli.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.rsa.matched import match_subjects
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[1.0, 2, 3, 4, 5, 6], [1.0, 3, 2, 4, 6, 5]]),
    ...             pattern_descriptors=names)
    >>> ones = np.ones((1, 4), np.int64)
    >>> resample_ceilings(match_subjects(data, data), ones, ones[:, :2],
    ...                   comparison="spearman").round(3)
    array([[0.886, 0.971]])
    """
    data, usable = _arrays(matched)

    def run(part: slice) -> NDArray:
        own = resampled_ceilings(data, counts[part], subject_counts[part], comparison, usable)
        shares = subject_counts[part] / subject_counts[part].sum(axis=1, keepdims=True)
        # A subject that is not drawn has no score and no share; a lone one has a share: NaN.
        return np.where(shares[..., None] > 0, own * shares[..., None], 0.0).sum(axis=1)

    ceilings = _in_blocks(run, len(counts), n_jobs)
    ceilings[(counts > 0).sum(axis=1) < LEAST_DISTINCT] = np.nan
    return ceilings


def resample_ceiling_kinds(
    matched: Matched,
    counts: NDArray[np.int64],
    subject_counts: NDArray[np.int64],
    *,
    comparison: str,
    n_jobs: int = 1,
) -> NDArray[np.float64]:
    """Return the ceilings when subjects, when stimuli and when both are drawn.

    Returns
    -------
    float64 array (3 x draws x 2)
        See `resample_ceilings`.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.rsa.matched import match_subjects
    >>> names = {"stimulus": list("uvwxyz")}
    >>> data = RDMs(np.random.default_rng(0).random((3, 15)), pattern_descriptors=names)
    >>> draws = np.ones((1, 6), np.int64), np.ones((1, 3), np.int64)
    >>> resample_ceiling_kinds(match_subjects(data, data), *draws, comparison="cosine").shape
    (3, 1, 2)
    """
    settings = {"comparison": comparison, "n_jobs": n_jobs}
    all_stimuli, all_subjects = np.ones_like(counts), np.ones_like(subject_counts)
    return np.stack([
        resample_ceilings(matched, all_stimuli, subject_counts, **settings),
        resample_ceilings(matched, counts, all_subjects, **settings),
        resample_ceilings(matched, counts, subject_counts, **settings),
    ])  # fmt: skip


def ceiling_scores(matched: Matched, *, comparison: str) -> NDArray[np.float64]:
    """Return each subject's score with the pool of the others, and with the pool of all.

    The means over subjects are the lower and the upper noise ceiling.

    Returns
    -------
    float64 array (subjects x 2)
        NaN with a single subject.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.rsa.matched import match_subjects
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[1.0, 2, 3, 4, 5, 6], [1.0, 3, 2, 4, 6, 5]]),
    ...             pattern_descriptors=names)
    >>> ceiling_scores(match_subjects(data, data), comparison="spearman").round(3)
    array([[0.886, 0.971],
           [0.886, 0.971]])
    """
    data, usable = _arrays(matched)
    once = np.ones((1, matched.data.n_cond), np.int64)
    everybody = np.ones((1, len(data)), np.int64)
    return resampled_ceilings(data, once, everybody, comparison, usable)[0]


def _arrays(matched: Matched) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the data and which pairs take part; unusable places hold zero."""
    data = np.asarray(matched.data.dissimilarities, dtype=np.float64)
    models = np.asarray(matched.references.dissimilarities, dtype=np.float64)
    usable = np.isfinite(data).all(axis=0) & np.isfinite(models).all(axis=0)
    return np.where(usable, data, 0.0), usable


def _in_blocks(run: Callable[[slice], NDArray], count: int, n_jobs: int) -> NDArray[np.float64]:
    parts = [slice(start, start + _DRAWS) for start in range(0, count, _DRAWS)]
    return np.concatenate(
        Parallel(n_jobs=n_jobs, prefer="threads")(delayed(run)(part) for part in parts)
    )
