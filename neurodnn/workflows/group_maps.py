"""Maps of several subjects -> mean, t and corrected p per place and reference.

The story: under the null hypothesis a subject's whole set of maps may as well have the opposite
sign; the largest |t| anywhere under all (or many random) such flips says how large a value
chance alone would give somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def group_maps(
    scores: xr.DataArray,
    *,
    n_permutations: int | str = 10_000,
    tail: str = "two-sided",
    seed: int = 0,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return the group's mean, t and p, corrected over all places and references at once.

    Parameters
    ----------
    scores : xarray.DataArray
        dims (``subject``, ``voxel``, ``reference``). Places that lack a score in any subject
        become NaN and take no part in the maximum.
    n_permutations : int or "exact"
        Sign flips, the identity included; all 2**n are used where that is affordable (up to 14
        subjects).
    tail : {"two-sided", "greater"}
        Two-sided by default, because skewed scores make one-sided sign flips liberal.
    seed : int
        Of the random flips.
    n_jobs : int
        Workers; the result does not depend on it.
    allow_small : bool
        True: go on, under a warning, where so few subjects cannot reach p <= .05.

    Returns
    -------
    xarray.Dataset
        ``mean``, ``t``, ``p`` (per place, uncorrected), ``p_fwe`` (corrected for the family
        voxels x references) and ``skewness``, dims (``voxel``, ``reference``).

    Raises
    ------
    InputError
        So few subjects that p <= .05 is out of reach, unknown tail.

    References
    ----------
    Nichols TE, Holmes AP (2002). Nonparametric permutation tests for functional neuroimaging.
    Human Brain Mapping 15, 1-25.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(1, 1, (6, 10, 2)),
    ...                       dims=("subject", "voxel", "reference"))
    >>> sorted(group_maps(scores).data_vars)
    ['mean', 'p', 'p_fwe', 'skewness', 't']
    """
    from neurodnn.stats.permutation import sign_flip_test

    return sign_flip_test(
        scores, n_permutations=n_permutations, tail=tail, seed=seed,
        family=("voxel", "reference"), n_jobs=n_jobs, allow_small=allow_small,
    )  # fmt: skip


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``n_subjects``, ``tail``, ``n_flips``, ``exact`` (bool), ``n_voxels``, ``n_references``,
        ``minimum_p``.

    Examples
    --------
    >>> text, keys = describe({"n_subjects": 8, "tail": "two-sided", "n_flips": 256,
    ...                        "exact": True, "n_voxels": 900, "n_references": 4,
    ...                        "minimum_p": 0.0078125})
    >>> keys
    ['nichols2002']
    """
    flips = (
        f"all {parameters['n_flips']} sign flips"
        if parameters["exact"]
        else f"{parameters['n_flips']} random sign flips, the identity included"
    )
    text = (
        f"Over {parameters['n_subjects']} subjects the mean score of each voxel was tested "
        f"against zero ({parameters['tail']}) by {flips}; p values were corrected for all "
        f"{parameters['n_voxels']} voxels and {parameters['n_references']} references together "
        "by the distribution of the maximum statistic (Nichols and Holmes, 2002). The smallest "
        f"p attainable is {float(parameters['minimum_p']):.3g}. "
        "The test generalises to subjects, not to stimuli."
    )
    return text, ["nichols2002"]
