"""RDMs in time and patterns in a brain -> a movie of where and when the two agree.

The story: the RDM of every time is a reference of the searchlight, so that each voxel or vertex
gets a curve. With one model's scores in time and in space, the movie is narrowed to what that
model shares (`neurodnn.workflows.layer_fusion`).
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
    from rsatoolbox.rdm import RDMs

    from neurodnn.brain.hemispheres import MasksLike, MeshesLike

_DEFAULT = SearchlightSettings()


def meg_fmri_fusion(
    movies: RDMs | Mapping[str, RDMs],
    patterns: Dataset | Mapping[str, Dataset],
    mask_img: Nifti1Image | str | Path,
    *,
    meg: str = "group",
    average: str = "rdms",
    settings: SearchlightSettings = _DEFAULT,
    residuals: Dataset | Mapping[str, Dataset] | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how alike the RDM round every voxel and the RDM of every time are.

    Parameters
    ----------
    movies : rsatoolbox.rdm.RDMs, or mapping of subject -> RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds (`rdm_movie`, decoding).
    patterns : rsatoolbox.data.Dataset, or mapping of subject -> Dataset
        Observations x voxels of the mask; several subjects in one space, or one subject at a
        time.
    mask_img : image or path
        The brain mask; its voxels in C order are the channels of `patterns`.
    meg : {"group", "paired"}
        ``"group"`` (default): the mean movie of all subjects for every brain: the mean has the
        better signal, and the subjects in the brain are the random effect of a test. A subject
        of both groups is part of its own reference. ``"paired"``: each subject's own movie,
        subjects matched by name, which tests people with their own brains.
    average : {"rdms", "ranks"}
        What the mean movie is a mean of: distances as they are, or their ranks, which let all
        subjects count alike.
    settings : SearchlightSettings
        Radius in mm, metric, comparison, least share of a sphere.
    residuals : Dataset or mapping of subject -> Dataset, optional
        As for `fmri_searchlight`.
    n_jobs : int
        Workers. The bits of the result do not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.DataArray
        dims (``voxel``, ``time``), with a mapping (``subject``, ``voxel``, ``time``). float64:
        70,000 voxels x 100 times take 56 MB a subject. `scores_to_movie` makes a 4-D image.

    Raises
    ------
    InputError
        Stimuli or subjects differ (both lists), an RDM of the movie is constant or has gaps,
        channels and mask disagree.

    References
    ----------
    Cichy RM, Pantazis D, Oliva A (2014). Resolving human object recognition in space and time.
    Nature Neuroscience 17, 455-462.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> rng = np.random.default_rng(0)
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.diag([3.0, 3, 3, 1]))
    >>> names = {"stimulus": list("abcd")}
    >>> patterns = Dataset(rng.normal(size=(4, 27)), obs_descriptors=names)
    >>> movie = RDMs(rng.random((2, 6)), rdm_descriptors={"time": [0.1, 0.12]},
    ...              pattern_descriptors=names)
    >>> settings = SearchlightSettings(radius=3.0, min_share=0.1)
    >>> meg_fmri_fusion(movie, patterns, mask, settings=settings).dims
    ('voxel', 'time')
    """
    from neurodnn.rsa.fusion_maps import fuse_places

    neighbors, least = settings.spheres(mask_img)
    options = settings.options(least, n_jobs=n_jobs, progress=progress)
    return fuse_places(
        movies, patterns, neighbors, meg=meg, average=average, comparison=settings.comparison,
        residuals=residuals, options=options,
    )  # fmt: skip


def meg_fmri_fusion_surface(
    movies: RDMs | Mapping[str, RDMs],
    patterns: Dataset | Mapping[str, Dataset],
    mesh: MeshesLike,
    *,
    mask: MasksLike = None,
    average: str = "rdms",
    settings: SearchlightSettings = _DEFAULT,
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how alike the RDM round every vertex and the RDM of every time are, in one subject.

    Parameters
    ----------
    movies : rsatoolbox.rdm.RDMs, or mapping of subject -> RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds. Several subjects: their mean
        movie (``meg="group"``); to pair a subject with itself, give its own movie alone.
    average, settings, n_jobs, progress
        As for `meg_fmri_fusion`; the radius is in mm along the surface.
    patterns : rsatoolbox.data.Dataset, or mapping of ``left`` and ``right`` to them
        Observations x vertices of one subject, as for `surface_searchlight`.
    mesh : path or Mesh, or mapping of ``left`` and ``right`` to them
        In the form of `patterns`.
    mask : array of bool, or mapping of ``left`` and ``right`` to them, optional
        The mask that made the patterns, in the form of `mesh`.

    Returns
    -------
    xarray.DataArray (vertex, time)
        With ``vertex`` and, with both hemispheres, ``hemisphere``; `scores_to_surface_movie`
        makes files of it.

    Raises
    ------
    InputError
        As for `meg_fmri_fusion` and `surface_searchlight`.

    References
    ----------
    Cichy RM, Pantazis D, Oliva A (2016). Similarity-based fusion of MEG and fMRI reveals
    spatio-temporal dynamics in human cortex during visual object recognition. Cerebral Cortex 26,
    3563-3579.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.brain.mesh import Mesh
    >>> rng = np.random.default_rng(0)
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> names = {"stimulus": list("abcd")}
    >>> patterns = Dataset(rng.normal(size=(4, 4)), obs_descriptors=names)
    >>> movie = RDMs(rng.random((2, 6)), rdm_descriptors={"time": [0.1, 0.12]},
    ...              pattern_descriptors=names)
    >>> settings = SearchlightSettings(radius=1.0)
    >>> meg_fmri_fusion_surface(movie, patterns, strip, settings=settings).dims
    ('vertex', 'time')
    """
    from neurodnn.brain.discs import pattern_discs
    from neurodnn.brain.hemispheres import joined_patterns
    from neurodnn.rsa.fusion_maps import fuse_places

    joined = joined_patterns(patterns, mesh, "patterns")
    discs = pattern_discs(joined, mesh, settings.radius, mask=mask, min_share=settings.min_share)
    options = settings.options(2, n_jobs=n_jobs, progress=progress)._replace(place="vertex")
    scores = fuse_places(
        movies, joined, discs, average=average, comparison=settings.comparison, options=options
    )  # fmt: skip
    if "hemisphere" in joined.channel_descriptors:
        sides = list(joined.channel_descriptors["hemisphere"])
        scores = scores.assign_coords(hemisphere=("vertex", sides))
    scores.attrs["radius_mm"] = float(settings.radius)
    return scores


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``meg`` ("group" or "paired"), ``average``, ``n_times``, ``n_movies`` (subjects with
        movies) and ``place`` ("voxel" or "vertex").

    Examples
    --------
    >>> text, keys = describe({"meg": "group", "average": "rdms", "n_times": 45, "n_movies": 15,
    ...                        "place": "voxel"})
    >>> keys
    ['cichy2014', 'cichy2016fusion']
    """
    mean = {"rdms": "mean", "ranks": "mean of the ranks"}[str(parameters["average"])]
    whom = {
        "group": f"the {mean} over {parameters['n_movies']} subjects of the matrices of each time",
        "paired": "each subject's own matrices of each time",
    }[str(parameters["meg"])]
    text = (
        f"For the fusion of MEG and fMRI (Cichy et al., 2014, 2016) {whom} "
        f"({parameters['n_times']} times) served as references of the searchlight, so that every "
        f"{parameters['place']} received a time course of similarity."
    )
    return text, ["cichy2014", "cichy2016fusion"]
