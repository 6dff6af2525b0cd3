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
    "mahalanobis": "squared Mahalanobis distance per voxel",
    "crossnobis": "cross-validated squared Mahalanobis distance (crossnobis) per voxel with "
    "runs as folds, which is unbiased and may be negative (Walther et al., 2016)",
}
_COMPARISONS = {
    "spearman": "Spearman's rank correlation with average ranks",
    "pearson": "Pearson's correlation",
    "cosine": "the cosine",
    "rho-a": "Spearman's rho-a, which expects random ranks among ties (Schütt et al., 2023)",
}
_CITATIONS = {
    "crossnobis": ["walther2016"],
    "rho-a": ["schuett2023"],
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
    metric : {"correlation", "euclidean", "mahalanobis", "crossnobis"}
        Distance between two patterns. Only crossnobis is free of the bias that noise brings.
    comparison : {"spearman", "pearson", "cosine", "rho-a"}
        How brain RDM and reference are compared. Spearman assumes a monotone relation alone.
    residuals : Dataset, optional
        Time points x the same voxels; needed for mahalanobis, used by crossnobis.
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
    from math import ceil

    from neurodnn.brain.fmri import read_mask, sphere_neighbors
    from neurodnn.numerics.neighbors import full_ball_size
    from neurodnn.rsa.searchlight import searchlight

    if not hasattr(mask_img, "affine"):
        mask_img = read_mask(mask_img)
    neighbors = sphere_neighbors(mask_img, radius, min_share=min_share)
    # Voxels without usable values are no better than voxels outside the mask.
    least = ceil(min_share * full_ball_size(mask_img.affine, radius) - 1e-9)
    return searchlight(
        patterns, neighbors, references, metric=metric, comparison=comparison,
        residuals=residuals, dtype=dtype, min_features=max(least, 1), n_jobs=n_jobs,
        progress=progress,
    )  # fmt: skip


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``metric``, ``comparison``, ``radius`` (mm), ``min_share``, ``dtype``, ``n_stimuli``,
        ``n_centres``, ``n_references``; ``noise`` (bool), whether residuals were used.

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
    text = (
        "A searchlight (Kriegeskorte et al., 2006) visited "
        f"{parameters['n_centres']} voxels of the mask. Round each, the patterns of "
        f"{parameters['n_stimuli']} stimuli in all voxels of the mask whose centres lie within "
        f"{parameters['radius']:g} mm (inclusive) were compared by {_DISTANCES[metric]}{noise}. "
        "Voxels that are constant or not finite were left out of their spheres; spheres with "
        f"less than {float(parameters['min_share']):.0%} of their voxels inside the mask and "
        "usable were left out. The resulting RDM was compared with each of "
        f"{parameters['n_references']} reference RDMs by {_COMPARISONS[comparison]} "
        f"(Kriegeskorte et al., 2008), in {parameters['dtype']} precision."
    )
    keys = ["kriegeskorte2006", "kriegeskorte2008"]
    return text, keys + cited + _CITATIONS.get(metric, []) + _CITATIONS.get(comparison, [])
