"""Patterns on a cortical surface -> one map per reference RDM.

The story: a geodesic disc of vertices goes round every vertex; the RDM of the patterns inside it
is compared with every reference at once; the scores go back to the vertex in the middle. Both
hemispheres are one analysis, and no disc spans the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn.workflows import fmri_searchlight as volume

if TYPE_CHECKING:
    import xarray as xr
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

    from neurodnn.brain.hemispheres import MasksLike, MeshesLike


def surface_searchlight(
    patterns: Dataset | Mapping[str, Dataset],
    mesh: MeshesLike,
    references: RDMs,
    *,
    radius: float = 9.0,
    mask: MasksLike = None,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | Mapping[str, Dataset] | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    noise: str = "pooled",
    dtype: str = "float64",
    min_share: float = 0.5,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how well each reference RDM accounts for the patterns round every vertex.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset, or mapping of ``left`` and ``right`` to them
        Observations x vertices as `load_surface_patterns` gives them,
        ``obs_descriptors["stimulus"]`` and, for crossnobis, ``["run"]``. Of both hemispheres:
        the same observations in the same order.
    mesh : path or Mesh, or mapping of ``left`` and ``right`` to them
        In the form of `patterns`. White, midthickness or pial: distances are measured on it.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli, in any order; ``rdm_descriptors["reference"]`` names them.
    radius : float
        Of the discs in mm along the surface, inclusive. Default 9, as in the volume: on
        fsaverage5 a disc holds some 37 vertices.
    mask : array of bool, or mapping of ``left`` and ``right`` to them, optional
        The mask that made the patterns, in the form of `mesh`.
    metric : {"correlation", "euclidean", "cosine", "mahalanobis", "crossnobis"}
        Distance between two patterns. Only crossnobis is free of the bias that noise brings.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How brain RDM and reference are compared. Spearman assumes a monotone relation alone.
    residuals : Dataset, or mapping, optional
        Time points x the same vertices; needed for mahalanobis, used by crossnobis.
    nuisance : rsatoolbox.rdm.RDMs, optional
        Held constant: the comparison becomes a partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only. Default False: out of both.
    noise : {"pooled", "per-fold"}
        Noise covariance of crossnobis: one of all runs, or one of each run (see `searchlight`).
    dtype : {"float64", "float32"}
        float64 is exact; float32 is faster and agrees to about 1e-6.
    min_share : float
        Share of a full disc that must lie in the mask and hold usable values; other centres
        become NaN.
    n_jobs : int
        Workers. The bits of the result do not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.DataArray
        dims (``vertex``, ``reference``); coordinates ``reference``, ``vertex`` (number within
        its mesh), ``n_features``, ``reason`` (0 computed, else why it is NaN) and, with both
        hemispheres, ``hemisphere``. No unit.

    Raises
    ------
    InputError
        Channels and mesh or mask disagree, hemispheres are exchanged or differ in their
        observations, the mesh is inflated, stimuli differ (both lists), unknown option.

    References
    ----------
    Oosterhof NN, Wiestler T, Downing PE, Diedrichsen J (2011). A comparison of volume-based and
    surface-based multi-voxel pattern analysis. NeuroImage 56, 593-600.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.brain.mesh import Mesh
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> names = ["a", "b", "c", "d"]
    >>> patterns = Dataset(np.random.default_rng(0).normal(size=(4, 4)),
    ...                    obs_descriptors={"stimulus": names})
    >>> references = RDMs(np.arange(6.0)[None], rdm_descriptors={"reference": ["mine"]},
    ...                   pattern_descriptors={"stimulus": names})
    >>> both = {"left": patterns, "right": patterns}
    >>> scores = surface_searchlight(both, {"left": strip, "right": strip}, references, radius=1.0)
    >>> scores.shape, scores.hemisphere.values[[0, -1]].tolist()
    ((8, 1), ['left', 'right'])
    """
    from neurodnn.brain.discs import pattern_discs
    from neurodnn.brain.hemispheres import joined_patterns
    from neurodnn.rsa.searchlight import searchlight

    joined = joined_patterns(patterns, mesh, "patterns")
    rest = None if residuals is None else joined_patterns(residuals, mesh, "residuals")
    neighbors = pattern_discs(joined, mesh, radius, mask=mask, min_share=min_share)
    scores = searchlight(
        joined, neighbors, references, metric=metric, comparison=comparison, residuals=rest,
        nuisance=nuisance, semi=semi, noise=noise, dtype=dtype, n_jobs=n_jobs, place="vertex",
        progress=progress,
    )  # fmt: skip
    if "hemisphere" in joined.channel_descriptors:
        sides = list(joined.channel_descriptors["hemisphere"])
        scores = scores.assign_coords(hemisphere=("vertex", sides))
    scores.attrs["radius_mm"] = float(radius)
    return scores


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        As for `fmri_searchlight.describe`, with ``n_centres`` vertices and ``radius`` in mm along
        the surface; ``surface``, what the distances were measured on.

    Examples
    --------
    >>> text, keys = describe({"metric": "correlation", "comparison": "spearman", "radius": 9.0,
    ...                        "min_share": 0.5, "dtype": "float64", "n_stimuli": 24,
    ...                        "n_centres": 20484, "n_references": 4,
    ...                        "surface": "midthickness surface of fsaverage5"})
    >>> keys
    ['kriegeskorte2006', 'kriegeskorte2008', 'oosterhof2011']
    """
    text, keys = volume.describe(parameters)
    words = (
        ("voxels of the mask whose centres lie", "vertices of the mask that lie"),
        ("mm (inclusive)", f"mm (inclusive) along the {parameters['surface']} (Oosterhof et al., "
         "2011)"),
        ("spheres", "discs"), ("sphere", "disc"), ("voxels", "vertices"), ("voxel", "vertex"),
    )  # fmt: skip
    for volumes, surfaces in words:
        text = text.replace(volumes, surfaces)
    return text, [*keys, "oosterhof2011"]
