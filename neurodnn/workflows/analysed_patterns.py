"""Patterns as they enter the analysis, and back from the files that the analysis wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from nibabel.nifti1 import Nifti1Image
    from rsatoolbox.data import Dataset


def analysed_patterns(patterns: Dataset, metric: str) -> Dataset:
    """Return what a searchlight with this metric compares, observations in the order of names.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Observations x channels with ``obs_descriptors["stimulus"]`` and, where stimuli repeat,
        ``["run"]``.
    metric : str
        For ``"crossnobis"`` one observation per run and stimulus, since runs are its folds; for
        all others one per stimulus, the mean over runs.

    Returns
    -------
    rsatoolbox.data.Dataset
        Sorted by run, then stimulus; the channels are those of `patterns`.

    Raises
    ------
    InputError
        For crossnobis: fewer than two runs, or a stimulus is missing from one.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> both = Dataset(np.array([[1.0], [3.0], [5.0]]), obs_descriptors={
    ...     "stimulus": ["b", "b", "a"], "run": ["1", "2", "1"]})
    >>> found = analysed_patterns(both, "correlation")
    >>> found.obs_descriptors["stimulus"], found.measurements.ravel().tolist()
    (['a', 'b'], [5.0, 2.0])
    """
    from rsatoolbox.data import Dataset

    from neurodnn.rsa.conditions import condition_folds, condition_means

    crossed = metric == "crossnobis"
    names, values = (condition_folds if crossed else condition_means)(patterns)
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = [names[index] for index in order]
    values = values[..., order, :]
    described = {"stimulus": ordered}
    if crossed:
        runs = sorted({str(run) for run in patterns.obs_descriptors["run"]})
        described = {"stimulus": ordered * len(runs),
                     "run": [run for run in runs for _ in ordered]}  # fmt: skip
        values = values.reshape(-1, values.shape[-1])
    return Dataset(
        values, obs_descriptors=described, channel_descriptors=dict(patterns.channel_descriptors)
    )


def residuals_of(
    images: Sequence[Path | Nifti1Image],
    runs: Sequence[str],
    mask_img: Nifti1Image | str | Path,
    descriptors: Mapping[str, Any],
) -> Dataset:
    """Return residuals that were written run by run, as the searchlight takes them.

    Parameters
    ----------
    images : sequence of path or image
        4-D, one per run, a volume per time point.
    runs : sequence of str
        The run of each image.
    mask_img : image or path
        The mask that made them.
    descriptors : mapping
        ``degrees_of_freedom`` of all runs together.

    Returns
    -------
    rsatoolbox.data.Dataset
        Time points x voxels.

    Examples
    --------
    >>> import nibabel, numpy as np
    >>> mask = nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
    >>> rest = nibabel.Nifti1Image(np.ones((2, 2, 2, 3), np.float32), np.eye(4))
    >>> residuals_of([rest, rest], ["1", "2"], mask, {"degrees_of_freedom": 2}).n_obs
    6
    """
    import numpy as np
    from rsatoolbox.data import Dataset

    from neurodnn.brain.fmri import load_fmri_patterns
    from neurodnn.brain.nifti import read_image

    parts, labels, channels = [], [], {}
    for source, run in zip(images, runs, strict=True):
        image = source if hasattr(source, "affine") else read_image(source, ndim=4)
        names = [f"volume {number}" for number in range(image.shape[3])]
        part = load_fmri_patterns(image, names, mask_img, dtype="float32")
        parts.append(part.measurements)
        labels += [str(run)] * len(names)
        channels = dict(part.channel_descriptors)
    return Dataset(
        np.concatenate(parts), descriptors=dict(descriptors), obs_descriptors={"run": labels},
        channel_descriptors=channels,
    )  # fmt: skip
