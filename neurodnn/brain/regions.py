"""Regions of an atlas: the columns of the patterns that belong to each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from rsatoolbox.data import Dataset

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.brain.masks import ImageLike, check_channels, mask_array, open_image, read_mask
from neurodnn.brain.nifti import check_same_grid


def region_patterns(
    patterns: Dataset,
    mask: ImageLike,
    atlas: ImageLike,
    labels: Mapping[int, str] | None = None,
) -> dict[str, Dataset]:
    """Return the patterns of each region of an atlas.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        From `load_fmri_patterns` with `mask`.
    mask : path or nibabel image
        The mask that made the patterns.
    atlas : path or nibabel image, 3-D
        Whole numbers, 0 outside, on the grid of the mask.
    labels : mapping of int to str, optional
        The regions wanted and their names. None: every number, under its digits.

    Returns
    -------
    dict of str to rsatoolbox.data.Dataset
        In the order of `labels`. Regions without a voxel inside the mask are left out with a
        DataWarning.

    Raises
    ------
    InputError
        If the atlas lies on another grid, holds fractions, or no region has a voxel.

    Examples
    --------
    >>> import nibabel, numpy
    >>> from neurodnn.brain.fmri import load_fmri_patterns
    >>> mask = nibabel.Nifti1Image(numpy.ones((2, 2, 2), "u1"), numpy.eye(4))
    >>> betas = nibabel.Nifti1Image(numpy.ones((2, 2, 2, 3), "f4"), numpy.eye(4))
    >>> atlas = nibabel.Nifti1Image(numpy.arange(8, dtype="u1").reshape(2, 2, 2), numpy.eye(4))
    >>> patterns = load_fmri_patterns(betas, ["cat", "dog", "tree"], mask)
    >>> list(region_patterns(patterns, mask, atlas, {3: "V1", 4: "V2"}))
    ['V1', 'V2']
    """
    mask_img, atlas_img = read_mask(mask), open_image(atlas, ndim=3)
    check_same_grid(atlas_img, mask_img, names=("atlas", "mask"))
    inside = mask_array(mask_img)
    check_channels(patterns.n_channel, inside)
    numbers = np.nan_to_num(np.asarray(atlas_img.dataobj)[inside])
    where = atlas_img.get_filename() or "atlas"
    if (numbers != np.round(numbers)).any():
        remedy = "Give a label image; a probability map needs a threshold first."
        raise InputError(message(where, "an atlas holds whole numbers only", remedy=remedy))
    if labels is None:
        labels = {int(n): str(int(n)) for n in np.unique(numbers) if n != 0}
    regions = {}
    for number, name in labels.items():
        members = np.flatnonzero(numbers == number)
        if members.size:
            regions[str(name)] = _channels(patterns, members)
    absent = [str(name) for name in labels.values() if str(name) not in regions]
    if not regions:
        what = "no region of the atlas has a voxel inside the mask"
        raise InputError(message(where, what, got=list(labels.values())[:5]))
    if absent:
        text = message(where, "regions without a voxel inside the mask are left out", got=absent)
        warnings.warn(text, DataWarning, stacklevel=2)
    return regions


def _channels(patterns: Dataset, members: np.ndarray) -> Dataset:
    channels = {
        key: np.asarray(value)[members] for key, value in patterns.channel_descriptors.items()
    }
    return Dataset(
        patterns.measurements[:, members],
        descriptors=dict(patterns.descriptors),
        obs_descriptors={key: list(value) for key, value in patterns.obs_descriptors.items()},
        channel_descriptors=channels,
    )
