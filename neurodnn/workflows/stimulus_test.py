"""Patterns of one or several brains -> p by shuffled stimuli, and the ceiling of every place.

The story: if a reference has nothing to do with the responses, it does not matter which of its
stimuli is called which. The stimuli of the references are shuffled, all references, places and
subjects in the same way, and the largest score anywhere says how large a value chance alone gives
somewhere. Subjects are taken as they are: the test generalises to stimuli.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message
from neurodnn.workflows.searchlight_settings import SearchlightSettings

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from nibabel.nifti1 import Nifti1Image
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

#: Fewer stimuli can be shuffled in too few ways: 6 in 720, of which many give the same RDM.
MIN_STIMULI = 7


def subject_stimulus_test(
    patterns: Dataset,
    mask_img: Nifti1Image | str | Path,
    references: RDMs,
    settings: SearchlightSettings,
    *,
    residuals: Dataset | None = None,
    nuisance: RDMs | None = None,
    n_permutations: int = 1000,
    tail: str = "two-sided",
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.Dataset:
    """Return one subject's scores with p over shuffled stimuli, corrected over the whole map.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Observations x voxels of the mask, as for `fmri_searchlight`.
    mask_img : image or path
        The brain mask.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli.
    settings : SearchlightSettings
        Radius, distances, comparison.
    residuals, nuisance
        As for `fmri_searchlight`.
    n_permutations : int
        Shuffles, the observed order included.
    tail : {"two-sided", "greater"}
        Two-sided compares absolute scores.
    seed : int
        Of the shuffles.
    n_jobs : int
        Workers; the result does not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.Dataset
        ``score``, ``p`` and ``p_fwe`` (family: voxels x references), dims (``voxel``,
        ``reference``).

    Raises
    ------
    InputError
        Fewer than 7 stimuli, or what `fmri_searchlight` refuses.

    References
    ----------
    Kriegeskorte N, Mur M, Bandettini P (2008). Representational similarity analysis. Frontiers
    in Systems Neuroscience 2, 4.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.diag([3.0, 3, 3, 1]))
    >>> names, rng = list("abcdefgh"), np.random.default_rng(0)
    >>> patterns = Dataset(rng.normal(size=(8, 27)), obs_descriptors={"stimulus": names})
    >>> references = RDMs(rng.random((1, 28)), rdm_descriptors={"reference": ["mine"]},
    ...                   pattern_descriptors={"stimulus": names})
    >>> settings = SearchlightSettings(radius=3.0, min_share=0.1)
    >>> tested = subject_stimulus_test(patterns, mask, references, settings, n_permutations=40)
    >>> tested.attrs["generalises_to"]
    'stimuli'
    """
    from neurodnn.rsa.searchlight_label_test import searchlight_label_test

    _check_stimuli(references)
    neighbors, least = settings.spheres(mask_img)
    return searchlight_label_test(
        patterns, neighbors, references, comparison=settings.comparison, nuisance=nuisance,
        semi=settings.semi, residuals=residuals, n_permutations=n_permutations, tail=tail,
        seed=seed, options=settings.options(least, n_jobs=n_jobs, progress=progress),
    )  # fmt: skip


def group_stimulus_test(
    patterns: Mapping[str, Dataset],
    masks: Mapping[str, Nifti1Image],
    places: Nifti1Image,
    references: RDMs,
    settings: SearchlightSettings,
    *,
    residuals: Mapping[str, Dataset] | None = None,
    nuisance: RDMs | None = None,
    n_permutations: int = 1000,
    tail: str = "two-sided",
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.Dataset:
    """Return the mean score over subjects with p over stimuli, and the ceiling of every voxel.

    Parameters
    ----------
    patterns : mapping of str to rsatoolbox.data.Dataset
        Subject -> observations x voxels of that subject's mask; the same stimuli in all.
    masks : mapping of str to image
        Subject -> mask; all on one grid.
    places : image
        Voxels that are tested: inside every mask, and scored in every subject.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli.
    settings : SearchlightSettings
        Radius, distances, comparison.
    residuals : mapping of str to Dataset, optional
        Subject -> residuals, where the metric uses them.
    nuisance, n_permutations, tail, seed, n_jobs, progress
        As for `subject_stimulus_test`.

    Returns
    -------
    xarray.Dataset
        ``score`` (mean over subjects), ``p`` and ``p_fwe`` (family: voxels x references), dims
        (``voxel``, ``reference``); without nuisance also ``ceiling_lower`` and
        ``ceiling_upper``, dim ``voxel``.

    Raises
    ------
    InputError
        Fewer than 7 stimuli, subjects with other stimuli, masks on other grids.

    References
    ----------
    Nili H, et al. (2014). A toolbox for representational similarity analysis. PLoS Computational
    Biology 10, e1003553.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.diag([3.0, 3, 3, 1]))
    >>> names, rng = list("abcdefgh"), np.random.default_rng(0)
    >>> patterns = {each: Dataset(rng.normal(size=(8, 27)), obs_descriptors={"stimulus": names})
    ...             for each in ("01", "02")}
    >>> references = RDMs(rng.random((1, 28)), rdm_descriptors={"reference": ["mine"]},
    ...                   pattern_descriptors={"stimulus": names})
    >>> settings = SearchlightSettings(radius=3.0, min_share=0.1)
    >>> tested = group_stimulus_test(patterns, dict.fromkeys(patterns, mask), mask, references,
    ...                              settings, n_permutations=40)
    >>> tested["ceiling_lower"].dims
    ('voxel',)
    """
    import numpy as np

    from neurodnn.brain.masks import mask_array
    from neurodnn.rsa.searchlight_label_test import searchlight_label_test

    _check_stimuli(references)
    wanted = np.flatnonzero(mask_array(places))
    neighbors, known, least = {}, {}, 1
    for subject, mask in masks.items():
        inside = mask_array(mask)
        key = inside.tobytes()
        if key not in known:  # subjects often share a mask, and spheres are large
            spheres, least = settings.spheres(mask)
            known[key] = spheres[np.searchsorted(np.flatnonzero(inside), wanted)]
        neighbors[subject] = known[key]
    tested = searchlight_label_test(
        patterns, neighbors, references, comparison=settings.comparison, nuisance=nuisance,
        semi=settings.semi, residuals=residuals, n_permutations=n_permutations, tail=tail,
        seed=seed, options=settings.options(least, n_jobs=n_jobs, progress=progress),
    )  # fmt: skip
    return tested.assign_coords(voxel=wanted)


def _check_stimuli(references: RDMs) -> None:
    if references.n_cond < MIN_STIMULI:
        raise InputError(
            message("references", "too few stimuli to be shuffled", got=references.n_cond,
                    allowed=f"at least {MIN_STIMULI}")
        )  # fmt: skip


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``n_subjects``, ``n_stimuli``, ``n_references``, ``n_permutations``, ``minimum_p``,
        ``tail``; ``ceiling`` (bool), whether noise ceilings were computed; ``place``, what a score
        is of (default ``voxel``).

    Examples
    --------
    >>> text, keys = describe({"n_subjects": 8, "n_stimuli": 24, "n_references": 6, "tail":
    ...                        "greater", "n_permutations": 1000, "minimum_p": 0.001,
    ...                        "ceiling": True})
    >>> keys
    ['kriegeskorte2008', 'nichols2002', 'nili2014', 'schuett2023']
    """
    several = int(str(parameters["n_subjects"])) > 1
    place = str(parameters.get("place", "voxel"))
    who = f"all references, {place}s and subjects" if several else f"all references and {place}s"
    text = (
        f"The {parameters['n_stimuli']} stimuli of the reference RDMs were shuffled "
        f"{parameters['n_permutations']} times (the observed order included), in the same way for "
        f"{who} (Kriegeskorte et al., 2008), and the "
        f"{'mean score over subjects' if several else 'score'} of each {place} was compared "
        f"({parameters['tail']}) with the largest one of any {place} and any of the "
        f"{parameters['n_references']} references under each shuffle (Nichols and Holmes, 2002). "
        f"The smallest p attainable is {float(str(parameters['minimum_p'])):.3g}. The test "
        "generalises to stimuli, not to subjects."
    )
    keys = ["kriegeskorte2008", "nichols2002"]
    if parameters.get("ceiling"):
        text += (
            f" The noise ceiling of each {place} is the mean score of a subject's RDM against the "
            "mean RDM of all subjects (upper bound) and of the other subjects (lower bound; Nili "
            "et al., 2014), with RDMs brought to one scale as the comparison sees them (Schütt et "
            "al., 2023)."
        )
        keys += ["nili2014", "schuett2023"]
    return text, keys
