"""The fusion of MEG and fMRI, narrowed to one layer: where and when its representation is.

The story: a place and a time agree to some extent. Of that, a layer accounts for the part that
the three RDMs share; the rest of the agreement belongs to something that the layer does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def layer_fusion(
    fusion: xr.DataArray, timecourse: xr.DataArray, maps: xr.DataArray, *, layer: str
) -> xr.Dataset:
    """Return the spatiotemporal map of one layer, from three tables of scores.

    Nothing is computed anew from patterns: with m the RDM of a time, f that of a place and d that
    of the layer, ``C = r_mf**2 - (r_mf - r_md r_fd)**2 / (1 - r_fd**2)``, which is
    ``R2(m~f) - [R2(m~f, d) - R2(m~d)]``.

    Parameters
    ----------
    fusion : xarray.DataArray (..., voxel or vertex or region, time)
        As `meg_fmri_fusion` or `fuse_regions` give it.
    timecourse : xarray.DataArray (time, reference)
        Of the same movie: with ``meg="group"`` that is
        ``meg_timecourse(mean_movie(movies), layers)``, and not the mean of the subjects' curves;
        with ``meg="paired"`` the subjects' curves.
    maps : xarray.DataArray (..., voxel or vertex or region, reference)
        Of the same patterns with the same radius and metric: `fmri_searchlight` and its like.
    layer : str
        The reference.

    Returns
    -------
    xarray.Dataset
        ``shared``, in the shape of `fusion`: the share of the variance of the MEG RDM that place
        and layer explain in common. It may be negative (suppression) and is never clipped.
        ``total``: ``fusion ** 2``, all that place and time share, the bound of ``shared``. In
        ranks with Spearman's correlation, in values with Pearson's (``attrs["scale"]``).

    Raises
    ------
    InputError
        Comparisons, stimuli, averages, times, places or subjects of the tables differ; the
        comparison is none whose square is a share of variance; the layer is unknown.

    Notes
    -----
    Over subjects, ``shared`` must not go to sign flips as it is: its mean is above zero even where
    the place holds noise, because noise that looks like the MEG looks like the layer as well, as
    far as these two are alike (simulated: 8 subjects, MEG and layer correlated .8, 33 % instead
    of 5 %). Take off what shuffled stimuli of the place give on average, and test what is left
    (``analyses/algonauts_meg_fmri_fusion.py`` does). `fusion` itself needs no such care. Either
    test generalises to subjects measured in space; with one mean movie for all, what noise that
    movie has is common to them, and the test cannot see it.

    Memory is some six times that of `fusion`: give one subject at a time where maps are large.

    References
    ----------
    Hebart MN, Bankson BB, Harel A, Baker CI, Cichy RM (2018). The representational dynamics of
    task and object processing in humans. eLife 7, e32816.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.rdm import RDMs
    >>> from neurodnn.rsa.compare import compare_rdms
    >>> from neurodnn.rsa.fusion import fuse_regions
    >>> from neurodnn.rsa.rdm_movies import compare_movie
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcdef")}
    >>> movie = RDMs(rng.random((3, 15)), rdm_descriptors={"time": [0.1, 0.2, 0.3]},
    ...              pattern_descriptors=names)
    >>> layers = RDMs(rng.random((2, 15)), rdm_descriptors={"reference": ["conv1", "fc6"]},
    ...               pattern_descriptors=names)
    >>> regions = RDMs(rng.random((1, 15)), rdm_descriptors={"subject": ["01"]},
    ...                pattern_descriptors=names)
    >>> fusion = fuse_regions(movie, {"IT": regions})
    >>> maps = compare_rdms(regions, layers).expand_dims(region=["IT"])
    >>> found = layer_fusion(fusion, compare_movie(movie, layers), maps, layer="fc6")
    >>> bool((found.shared <= found.total + 1e-12).all())
    True
    """
    from neurodnn.rsa.fusion import layer_share

    return layer_share(fusion, timecourse, maps, reference=layer)


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``comparison``, "spearman" or "pearson".

    Examples
    --------
    >>> describe({"comparison": "spearman"})[1]
    ['hebart2018']
    """
    scale = "ranks" if parameters["comparison"] == "spearman" else "values"
    text = (
        "What a layer shares with the fusion is the commonality coefficient (Hebart et al., "
        f"2018) of the {scale} of the three matrices: the variance of the MEG matrix explained by "
        "the fMRI matrix, less what the fMRI matrix explains beyond the layer. Negative values "
        "(suppression) were kept."
    )
    return text, ["hebart2018"]
