"""Patterns in a brain -> one map per reference RDM.

The story: a sphere of voxels goes round every voxel of the mask; the RDM of the patterns inside
it is compared with every reference at once; the scores go back to the voxel in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from nibabel.nifti1 import Nifti1Image
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

_DISTANCES = {
    "correlation": "1 - Pearson correlation",
    "euclidean": "squared Euclidean distance per voxel",
    "cosine": "1 - cosine similarity",
    "mahalanobis": "squared Mahalanobis distance per voxel",
    "crossnobis": "cross-validated squared Mahalanobis distance (crossnobis) per voxel with "
    "runs as folds, which is unbiased and may be negative (Walther et al., 2016)",
}
COMPARISON_WORDS = {
    "spearman": "Spearman's rank correlation with average ranks",
    "pearson": "Pearson's correlation",
    "cosine": "the cosine",
    "rho-a": "Spearman's rho-a, which expects random ranks among ties (Schütt et al., 2023)",
    "tau-a": "Kendall's tau-a",
    "corr_cov": "the whitened correlation, which allows for the dependence of distances that share "
    "a stimulus (Diedrichsen et al., 2021)",
    "cosine_cov": "the whitened cosine, which allows for the dependence of distances that share a "
    "stimulus (Diedrichsen et al., 2021)",
}
_CITATIONS = {
    "crossnobis": ["walther2016"],
    "rho-a": ["schuett2023"],
    "corr_cov": ["diedrichsen2021"],
    "cosine_cov": ["diedrichsen2021"],
}
_NOISE = (
    ", with the noise covariance of the residuals inside the sphere shrunk towards its diagonal "
    "(Schäfer and Strimmer, 2005)"
)
_WHITE = ", without noise normalisation: the noise of voxels was taken as white"


def fmri_searchlight(
    patterns: Dataset,
    mask_img: Nifti1Image | str | Path,
    references: RDMs,
    *,
    radius: float = 9.0,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    noise: str = "pooled",
    dtype: str = "float64",
    min_share: float = 0.5,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how well each reference RDM accounts for the patterns round every voxel.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Observations x voxels of the mask, ``obs_descriptors["stimulus"]`` and, for crossnobis,
        ``["run"]``.
    mask_img : image or path
        The brain mask; its voxels in C order are the channels of `patterns`.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli, in any order; ``rdm_descriptors["reference"]`` names them.
    radius : float
        Of the spheres in mm, centre to centre, inclusive. Default 9: a ball of 3 voxels of 3 mm.
    metric : {"correlation", "euclidean", "cosine", "mahalanobis", "crossnobis"}
        Distance between two patterns. Only crossnobis is free of the bias that noise brings.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How brain RDM and reference are compared. Spearman assumes a monotone relation alone.
    residuals : Dataset, optional
        Time points x the same voxels; needed for mahalanobis, used by crossnobis.
    nuisance : rsatoolbox.rdm.RDMs, optional
        Held constant: the comparison becomes a partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only. Default False: out of both.
    noise : {"pooled", "per-fold"}
        Noise covariance of crossnobis: one of all runs, or one of each run (see `searchlight`).
    dtype : {"float64", "float32"}
        float64 is exact; float32 is faster and agrees to about 1e-6.
    min_share : float
        Share of a full sphere that must lie in the mask and hold usable values; other centres
        become NaN.
    n_jobs : int
        Workers. The bits of the result do not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.DataArray
        dims (``voxel``, ``reference``); coordinates ``reference``, ``voxel`` (flat index in the
        grid), ``n_features`` and ``reason`` (0 computed, else why it is NaN). No unit.

    Raises
    ------
    InputError
        Channels and mask disagree, stimuli differ (both lists), unknown option.

    References
    ----------
    Kriegeskorte N, Goebel R, Bandettini P (2006). Information-based functional brain mapping.
    PNAS 103, 3863-3868.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.diag([3.0, 3, 3, 1]))
    >>> names = ["a", "b", "c", "d"]
    >>> patterns = Dataset(np.random.default_rng(0).normal(size=(4, 27)),
    ...                    obs_descriptors={"stimulus": names})
    >>> references = RDMs(np.arange(6.0)[None], rdm_descriptors={"reference": ["mine"]},
    ...                   pattern_descriptors={"stimulus": names})
    >>> fmri_searchlight(patterns, mask, references, radius=3.0, min_share=0.1).shape
    (27, 1)
    """
    from neurodnn.rsa.searchlight import searchlight
    from neurodnn.workflows.searchlight_settings import SearchlightSettings

    settings = SearchlightSettings(radius=radius, min_share=min_share)
    neighbors, least = settings.spheres(mask_img)
    return searchlight(
        patterns, neighbors, references, metric=metric, comparison=comparison,
        residuals=residuals, nuisance=nuisance, semi=semi, noise=noise, dtype=dtype,
        min_features=least, n_jobs=n_jobs, progress=progress,
    )  # fmt: skip


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``metric``, ``comparison``, ``radius`` (mm), ``min_share``, ``dtype``, ``n_stimuli``,
        ``n_centres``, ``n_references``; ``noise`` (bool), whether residuals were used;
        ``per_fold`` (bool), whether each fold had its own noise covariance; ``nuisance`` (names
        of RDMs held constant) and ``semi`` (bool).

    Examples
    --------
    >>> text, keys = describe({"metric": "correlation", "comparison": "spearman", "radius": 9.0,
    ...                        "min_share": 0.5, "dtype": "float64", "n_stimuli": 24,
    ...                        "n_centres": 5000, "n_references": 4})
    >>> keys
    ['kriegeskorte2006', 'kriegeskorte2008']
    """
    metric, comparison = str(parameters["metric"]), str(parameters["comparison"])
    noise, cited = "", []
    if metric in ("mahalanobis", "crossnobis"):
        normalised = metric == "mahalanobis" or bool(parameters.get("noise"))
        noise, cited = (_NOISE, ["schaefer2005"]) if normalised else (_WHITE, [])
        if normalised and parameters.get("per_fold"):
            noise += ", estimated in each run and averaged over the two runs of each pair"
    text = (
        "A searchlight (Kriegeskorte et al., 2006) visited "
        f"{parameters['n_centres']} voxels of the mask. Round each, the patterns of "
        f"{parameters['n_stimuli']} stimuli in all voxels of the mask whose centres lie within "
        f"{parameters['radius']:g} mm (inclusive) were compared by {_DISTANCES[metric]}{noise}. "
        "Voxels that are constant or not finite were left out of their spheres; spheres with "
        f"less than {float(parameters['min_share']):.0%} of their voxels inside the mask and "
        "usable were left out. The resulting RDM was compared with each of "
        f"{parameters['n_references']} reference RDMs by {COMPARISON_WORDS[comparison]} "
        f"(Kriegeskorte et al., 2008), in {parameters['dtype']} precision."
        f"{_held_constant(parameters)}"
    )
    keys = ["kriegeskorte2006", "kriegeskorte2008"]
    return text, keys + cited + _CITATIONS.get(metric, []) + _CITATIONS.get(comparison, [])


def _held_constant(parameters: Mapping[str, object]) -> str:
    names = list(parameters.get("nuisance") or [])
    if not names:
        return ""
    from_what = "the references alone (semi-partial)" if parameters.get("semi") else "both sides"
    return f" The RDMs {', '.join(map(str, names))} were regressed out of {from_what} first."
