"""Patterns of one subject's runs -> how reliable the RDM round every voxel is.

The story: two halves of the runs are two measurements of one thing. In every sphere their RDMs
are compared, and the agreement, averaged over splits into halves, is stepped up to what all runs
together would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn.workflows.searchlight_settings import SearchlightSettings

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from nibabel.nifti1 import Nifti1Image
    from rsatoolbox.data import Dataset


def split_half_map(
    patterns: Dataset,
    mask_img: Nifti1Image | str | Path,
    settings: SearchlightSettings,
    *,
    residuals: Dataset | None = None,
    seed: int = 0,
    n_jobs: int = 1,
) -> xr.DataArray:
    """Return the split-half reliability of the RDM round every voxel.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Observations x voxels of the mask, ``obs_descriptors["stimulus"]`` and ``["run"]``; every
        stimulus in both halves of the runs.
    mask_img : image or path
        The brain mask.
    settings : SearchlightSettings
        Radius, distances, comparison.
    residuals : Dataset, optional
        As for `fmri_searchlight`.
    seed : int
        Of random splits, where there are too many for all of them.
    n_jobs : int
        Workers; the result does not depend on it.

    Returns
    -------
    xarray.DataArray
        dim ``voxel``, in [-1, 1].

    Raises
    ------
    InputError
        Fewer than two runs (four for crossnobis), or a stimulus is missing from one half.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.diag([3.0, 3, 3, 1]))
    >>> names = list("abcde")
    >>> patterns = Dataset(np.random.default_rng(0).normal(size=(10, 27)), obs_descriptors={
    ...     "stimulus": names * 2, "run": ["1"] * 5 + ["2"] * 5})
    >>> settings = SearchlightSettings(radius=3.0, min_share=0.1)
    >>> split_half_map(patterns, mask, settings).dims
    ('voxel',)
    """
    from neurodnn.rsa.searchlight_reliability import searchlight_reliability

    neighbors, least = settings.spheres(mask_img)
    found = searchlight_reliability(
        patterns, neighbors, comparison=settings.comparison, residuals=residuals, seed=seed,
        options=settings.options(least, n_jobs=n_jobs),
    )  # fmt: skip
    return found["reliability"].assign_attrs(found.attrs)


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``n_runs``, ``n_splits``.

    Examples
    --------
    >>> describe({"n_runs": 4, "n_splits": 3})[1]
    []
    """
    text = (
        f"The reliability of the patterns is the agreement of the RDMs of two halves of the "
        f"{parameters['n_runs']} runs in each sphere, averaged over {parameters['n_splits']} "
        "splits into halves and stepped up to all runs by the formula of Spearman and Brown."
    )
    return text, []
