"""Patterns x neighbours x reference RDMs -> scores: the engine behind every map."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from neurodnn.numerics.kendall import Ordered, in_order, make_concordance_work
from neurodnn.numerics.searchlight import (
    COMPARISON_CODES,
    REASONS,
    Spheres,
    make_work,
    score_centres,
    score_orders,
)
from neurodnn.rsa.names import names_of
from neurodnn.rsa.readouts import finish, make_readout, nuisance_attributes
from neurodnn.rsa.spheres import Prepared, SearchlightOptions, prepare, warn_of_losses

# Centres per block, a multiple of the kernel's lanes. Fixed, so that how work is cut never
# depends on who does it.
BLOCK = 256


def searchlight(
    patterns: Dataset,
    neighbors: csr_array,
    references: RDMs,
    *,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    noise: str = "pooled",
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
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance of patterns: 1 - Pearson r (default: ignores the mean and the gain of a
        region); 1 - cosine; squared Euclidean; squared Mahalanobis; cross-validated
        Mahalanobis.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        Similarity of RDMs. Spearman (default) assumes a monotone relation only; rho-a where
        references hold many ties, or tau-a, which takes longer; cosine keeps the zero of
        crossnobis; corr_cov and cosine_cov allow for distances that share a stimulus.
    residuals : Dataset, optional
        Time points x the same channels, ``obs_descriptors["run"]`` where there are several:
        the noise covariance of every sphere is estimated from it, divided by
        ``descriptors["degrees_of_freedom"]`` (else time points - runs) and shrunk to its
        diagonal (Schaefer & Strimmer 2005). Necessary for mahalanobis; crossnobis without it
        takes the noise as white.
    nuisance : RDMs, optional
        Of the same stimuli: what they explain is taken out of both sides, which gives the
        partial correlation (spearman, pearson).
    semi : bool
        True: the nuisance is taken out of the references only (semi-partial correlation).
    noise : {"pooled", "per-fold"}
        Of crossnobis with residuals: one noise covariance of all runs (default), or one of each
        run, shrunk on its own; two runs are then whitened with the mean of theirs. Runs of
        patterns and residuals must bear the same names.
    dtype : {"float64", "float32"}
        float64 is exact to 1e-12; float32 is about a third faster and differs by some 1e-6, with
        correlation and cosine more where the values of a sphere are far from zero: by 1e-5 where
        their mean is 1,000 times their spread, by 1e-4 at 10,000 times.
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
    options = SearchlightOptions(metric, noise, dtype, min_features, place, n_jobs, progress)
    ready = prepare(patterns, neighbors, names_of(references, "references"),
                    comparison=comparison, residuals=residuals, options=options)  # fmt: skip
    readout = make_readout(references, ready.names, comparison, nuisance, semi)
    columns = readout.units.T if comparison == "tau-a" else readout.columns
    products, _, n_features, reasons = score_places(ready.with_columns(columns), ready, options)
    scores = finish(products, reasons, readout, ready.rule.eps)
    warn_of_losses(ready.spheres.usable, reasons, place)
    labelled = label_places({comparison: scores}, n_features, reasons, readout.labels, ready,
                            options)[comparison]  # fmt: skip
    labelled.attrs |= {"comparison": comparison, **nuisance_attributes(nuisance, semi)}
    return labelled


def label_places(
    values: dict[str, np.ndarray],
    n_features: np.ndarray,
    reasons: np.ndarray,
    references: list[str],
    ready: Prepared,
    options: SearchlightOptions,
) -> xr.Dataset:
    """Return arrays of places x references, or of places, with their labels."""
    place = options.place
    dims = (place, "reference")
    attrs = {
        "reason_codes": "; ".join(f"{code}: {text}" for code, text in REASONS.items()),
        "units": "1",
        "metric": options.metric,
        "dtype": options.dtype,
        "n_stimuli": len(ready.names),
    }
    if options.noise != "pooled":
        attrs["noise"] = options.noise
    labelled = xr.Dataset(
        {name: (dims[: array.ndim], array, attrs) for name, array in values.items()},
        coords={
            "reference": references,
            "n_features": (place, n_features),
            "reason": (place, reasons),
        },
        attrs=attrs,
    )
    return labelled if ready.places is None else labelled.assign_coords({place: ready.places})


def score_places(
    spheres: Spheres, ready: Prepared, options: SearchlightOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the products of all centres with the columns, norms, n_features and reasons."""
    n_centres = spheres.indptr.size - 1
    scores = np.empty((n_centres, spheres.references.shape[1]))
    norms = np.empty(n_centres)
    n_features = np.zeros(n_centres, np.int32)
    reasons = np.zeros(n_centres, np.uint8)
    orders = None
    if ready.rule.comparison == COMPARISON_CODES["tau-a"]:
        sides = [in_order(column) for column in spheres.references.T]
        orders = Ordered(*(np.stack(parts) for parts in zip(*sides, strict=True)))

    def score_block(start: int, stop: int) -> None:
        work = make_work(spheres, ready.rule)
        if orders is None:
            score_centres(spheres, ready.rule, work, start, stop, scores, norms, n_features,
                          reasons)  # fmt: skip
        else:
            buffers = make_concordance_work(len(spheres.references), spheres.rows.dtype)
            score_orders(spheres, ready.rule, work, orders, buffers, start, stop, scores,
                         n_features, reasons)  # fmt: skip

    for _ in run_blocks(score_block, n_centres, BLOCK, options):
        pass
    return scores, norms, n_features, reasons


def run_blocks(
    work_on: Callable[[int, int], object], n_centres: int, block: int, options: SearchlightOptions
) -> Iterator[object]:
    """Yield ``work_on(start, stop)`` for all blocks of centres, in their order."""

    def counted(start: int) -> tuple[int, object]:
        stop = min(start + block, n_centres)
        return stop - start, work_on(start, stop)

    parallel = Parallel(n_jobs=options.n_jobs, require="sharedmem", return_as="generator")
    tasks = (delayed(counted)(start) for start in range(0, n_centres, block))
    bar = tqdm(total=n_centres, desc="searchlight", unit="centre", disable=not options.progress)
    # One thread for each product: several would compete with the workers, and the bits of a
    # product may depend on how it is shared out.
    with threadpool_limits(1, user_api="blas"), bar:
        for done, result in parallel(tasks):
            bar.update(done)
            yield result
