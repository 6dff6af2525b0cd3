"""Patterns x neighbours x reference RDMs -> scores: the engine behind every map."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from neurodnn._checks import DataWarning, check_choice, check_number
from neurodnn.numerics.searchlight import (
    COMPARISON_CODES,
    METRIC_CODES,
    REASONS,
    Rule,
    Spheres,
    make_work,
    score_centres,
)
from neurodnn.rsa.names import labels_of
from neurodnn.rsa.spheres import (
    aligned_patterns,
    checked_neighbors,
    noise_rows,
    normalised_references,
    voxel_major,
)

DTYPES = ("float64", "float32")
# Centres per block, a multiple of the kernel's lanes. Fixed, so that how work is cut never
# depends on who does it.
_BLOCK = 256


def searchlight(
    patterns: Dataset,
    neighbors: csr_array,
    references: RDMs,
    *,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | None = None,
    dtype: str = "float64",
    min_features: int = 2,
    n_jobs: int = 1,
    place: str = "voxel",
    progress: bool = False,
) -> xr.DataArray:
    """Return how alike the local RDM of every place and every reference RDM are.

    At each centre the patterns of its neighbours give an RDM, which is compared with all
    references at once. Stimuli are matched by name, never by position. Channels that hold a
    value that is not finite, or that are constant over stimuli, are left out of the spheres
    that hold them, for all stimuli, and change no other sphere.

    Parameters
    ----------
    patterns : Dataset
        Observations x channels, ``obs_descriptors["stimulus"]``, and ``["run"]`` where stimuli
        repeat: crossnobis takes runs as folds, the other metrics average over runs first.
    neighbors : csr_array (centres x channels)
        Members of each centre; see `sphere_neighbors`. A centre with an empty row is not
        computed.
    references : RDMs
        Of the same stimuli, in any order, without gaps.
    metric : {"correlation", "euclidean", "mahalanobis", "crossnobis"}
        Distance of patterns: 1 - Pearson r (default: ignores the mean and the gain of a
        region); squared Euclidean; squared Mahalanobis; cross-validated Mahalanobis.
    comparison : {"spearman", "pearson", "cosine", "rho-a"}
        Similarity of RDMs. Spearman (default) assumes a monotone relation only; rho-a where
        references hold many ties; cosine keeps the zero of crossnobis.
    residuals : Dataset, optional
        Time points x the same channels, ``obs_descriptors["run"]`` where there are several:
        the noise covariance of every sphere is estimated from it, divided by
        ``descriptors["degrees_of_freedom"]`` (else time points - runs) and shrunk to its
        diagonal (Schaefer & Strimmer 2005). Necessary for mahalanobis; crossnobis without it
        takes the noise as white.
    dtype : {"float64", "float32"}
        float64 is exact to 1e-12; float32 is about a third faster and differs by some 1e-6.
    min_features : int
        Spheres with fewer usable channels get NaN; at least 2 for correlation.
    n_jobs : int
        Threads; -1 for one per core. The result is the same bits for any number.
    place : str
        Name of the first dimension: ``"voxel"``, ``"vertex"``, ``"region"``, ...
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    xarray.DataArray (place x reference)
        float64; NaN where undefined. Coordinates ``reference``; ``n_features`` and ``reason``
        (code, 0 = computed; texts in ``attrs["reason_codes"]``) along the place; and the
        channel descriptor of the place's name, where centres are the channels.

    Raises
    ------
    InputError
        If names of stimuli differ between the sides, shapes do not fit, a reference is constant
        or has gaps, there are fewer than 4 stimuli, or the metric lacks what it needs.

    References
    ----------
    Kriegeskorte, N., Goebel, R., & Bandettini, P. (2006). Information-based functional brain
    mapping. PNAS, 103(10), 3863-3868.
    Walther, A., et al. (2016). Reliability of dissimilarity measures for multi-voxel pattern
    analysis. NeuroImage, 137, 188-200.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = list("abcdef")
    >>> patterns = Dataset(rng.normal(size=(6, 4)), obs_descriptors={"stimulus": names})
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> model = RDMs(rng.random((1, 15)), rdm_descriptors={"reference": ["conv1"]},
    ...              pattern_descriptors={"stimulus": names})
    >>> searchlight(patterns, neighbors, model).sel(reference="conv1").shape
    (2,)
    """
    check_choice("metric", metric, METRIC_CODES)
    check_choice("comparison", comparison, COMPARISON_CODES)
    check_choice("dtype", dtype, DTYPES)
    least = 2 if metric == "correlation" else 1
    min_features = max(int(check_number("min_features", min_features, minimum=1)), least)
    neighbors = checked_neighbors(neighbors, patterns)
    values, names = aligned_patterns(patterns, references, metric)
    rows, usable = voxel_major(values, metric, dtype)
    noise, degrees, usable = noise_rows(residuals, metric, usable, rows.dtype)
    n_folds = len(values) if values.ndim == 3 else 1
    del values  # the rows are the copy that is worked on
    spheres = Spheres(
        rows, usable, neighbors.indptr.astype(np.int64), neighbors.indices.astype(np.int32),
        noise, normalised_references(references, names, comparison, rows.dtype),
    )  # fmt: skip
    rule = Rule(
        METRIC_CODES[metric], COMPARISON_CODES[comparison], n_folds, min_features, degrees,
        float(np.finfo(rows.dtype).eps),
    )  # fmt: skip
    scores, n_features, reasons = _score_blocks(spheres, rule, n_jobs, progress)
    _warn_of_losses(usable, reasons, place)
    labelled = _labelled(scores, n_features, reasons, labels_of(references)[1], place)
    labelled.attrs |= {"metric": metric, "comparison": comparison, "dtype": dtype}
    labelled.attrs["n_stimuli"] = len(names)
    own = (patterns.channel_descriptors or {}).get(place)
    if own is not None and neighbors.shape[0] == neighbors.shape[1]:
        labelled.coords[place] = np.asarray(own)
    return labelled.rename(comparison)


def _labelled(
    scores: np.ndarray,
    n_features: np.ndarray,
    reasons: np.ndarray,
    labels: list[str],
    place: str,
) -> xr.DataArray:
    return xr.DataArray(
        scores,
        dims=(place, "reference"),
        coords={
            "reference": labels,
            "n_features": (place, n_features),
            "reason": (place, reasons),
        },
        attrs={
            "reason_codes": "; ".join(f"{code}: {text}" for code, text in REASONS.items()),
            "units": "1",
        },
    )


def _score_blocks(
    spheres: Spheres, rule: Rule, n_jobs: int, progress: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, numbers of features and reason codes of all centres."""
    n_centres = spheres.indptr.size - 1
    scores = np.empty((n_centres, spheres.references.shape[1]))
    n_features = np.zeros(n_centres, np.int32)
    reasons = np.zeros(n_centres, np.uint8)

    def score_block(start: int) -> int:
        stop = min(start + _BLOCK, n_centres)
        work = make_work(spheres, rule)
        score_centres(spheres, rule, work, start, stop, scores, n_features, reasons)
        return stop - start

    parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
    tasks = (delayed(score_block)(start) for start in range(0, n_centres, _BLOCK))
    bar = tqdm(total=n_centres, desc="searchlight", unit="centre", disable=not progress)
    # One thread for each product: several would compete with the workers, and the bits of a
    # product may depend on how it is shared out.
    with threadpool_limits(1, user_api="blas"), bar:
        for done in parallel(tasks):
            bar.update(done)
    return scores, n_features, reasons


def _warn_of_losses(usable: np.ndarray, reasons: np.ndarray, place: str) -> None:
    lost = int((~usable).sum())
    if lost:
        text = (
            f"patterns: {lost} of {usable.size} channels hold values that are not finite, or do"
            " not vary, and are left out."
        )
        warnings.warn(text, DataWarning, stacklevel=3)
    for code, reason in REASONS.items():
        count = int((reasons == code).sum())
        if code > 1 and count:
            text = f"{count} of {reasons.size} {place} scores are undefined (NaN): {reason}."
            warnings.warn(text, DataWarning, stacklevel=3)
