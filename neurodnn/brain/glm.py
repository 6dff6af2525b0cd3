"""BOLD runs to one response estimate per stimulus and run (general linear model, nilearn)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from rsatoolbox.data import Dataset

from neurodnn._checks import DataWarning, InputError, check_number, message
from neurodnn.bids import read_tsv
from neurodnn.brain._fitting import fit_voxels
from neurodnn.brain._nifti_bytes import repetition_time
from neurodnn.brain.design import check_events, make_design
from neurodnn.brain.glm_settings import GLMSettings, describe_glm
from neurodnn.brain.masks import ImageLike, mask_array, open_image, read_mask, volumes
from neurodnn.brain.nifti import check_same_grid

__all__ = ["GLMEstimates", "GLMSettings", "concatenate_runs", "describe_glm", "fit_glm"]


class GLMEstimates(NamedTuple):
    """Response estimates of one or more runs.

    Attributes
    ----------
    patterns : rsatoolbox.data.Dataset
        (stimuli of each run) x voxels, float64, with descriptors ``stimulus`` and ``run``.
    residuals : rsatoolbox.data.Dataset or None
        Volumes x the same voxels, float32, with descriptor ``run``. They are those of the
        whitened model, so their covariance over voxels is that of the noise in the estimates;
        ``descriptors["degrees_of_freedom"]`` counts what the design left.
    design : dict of str to pandas.DataFrame
        Run -> design matrix.
    description : str
        For the methods paragraph.
    """

    patterns: Dataset
    residuals: Dataset | None
    design: dict[str, pd.DataFrame]
    description: str


_DEFAULT = GLMSettings()


def fit_glm(
    bold: ImageLike,
    events: pd.DataFrame | str | os.PathLike,
    mask: ImageLike,
    *,
    confounds: pd.DataFrame | None = None,
    names_column: str = "stimulus",
    tr: float | None = None,
    run: str = "1",
    settings: GLMSettings = _DEFAULT,
) -> GLMEstimates:
    """Return one response estimate per stimulus of one run, and the residuals.

    Parameters
    ----------
    bold : path or nibabel image, 4-D
        One run, preprocessed.
    events : pandas.DataFrame or path
        Columns ``onset`` and ``duration`` in seconds, and `names_column`. Rows whose stimulus
        is missing (NaN) are left out; they belong to the baseline. Events of one stimulus
        share a regressor.
    mask : path or nibabel image, 3-D
        On the grid of `bold`.
    confounds : pandas.DataFrame, optional
        One row per volume, for example from `load_confounds`.
    names_column : str
        The column of `events` that names the stimulus.
    tr : float, optional
        Seconds between volumes, for example from the sidecar. None: from the image's header.
        Where both exist and differ, this one holds, with a DataWarning.
    run : str
        Label of the run in the result.
    settings : GLMSettings
        Response function, drift, noise model, scaling, kind of estimate.

    Returns
    -------
    GLMEstimates

    Raises
    ------
    InputError
        For faulty images, another grid, an unknown TR, faulty events or confounds.

    Warns
    -----
    DataWarning
        For voxels without signal (constant or not finite: NaN in the result), stimuli that
        cannot be estimated, nearly collinear regressors, few degrees of freedom.

    References
    ----------
    .. [1] Friston et al. (1994), Statistical parametric maps in functional imaging: a general
       linear approach, Human Brain Mapping 2:189.
    .. [2] Worsley et al. (2002), A general statistical analysis for fMRI data, NeuroImage 15:1
       (autoregressive noise).

    Examples
    --------
    >>> import nibabel, numpy, pandas
    >>> noise = numpy.random.default_rng(0).normal(1000, 10, (2, 2, 2, 60)).astype("f4")
    >>> bold = nibabel.Nifti1Image(noise, numpy.eye(4))
    >>> mask = nibabel.Nifti1Image(numpy.ones((2, 2, 2), "u1"), numpy.eye(4))
    >>> events = pandas.DataFrame(
    ...     {"onset": [10, 40, 70], "duration": 2, "stimulus": ["cat", "dog", "cat"]})
    >>> fit_glm(bold, events, mask, tr=2.0).patterns.measurements.shape
    (2, 8)
    """
    image = open_image(bold, ndim=4)
    where = image.get_filename() or f"run {run}"
    mask_img = read_mask(mask)
    check_same_grid(image, mask_img, names=("bold", "mask"))
    tr = _resolve_tr(repetition_time(image.header), tr, where)
    n_volumes = image.shape[3]
    if isinstance(events, (str, os.PathLike)):
        table, events_where = read_tsv(events), str(events)
    else:
        table, events_where = events, f"events of run {run}"
    checked = check_events(table, names_column, n_volumes * tr, where=events_where)
    frame_times = (np.arange(n_volumes) + settings.slice_time_ref) * tr
    design = make_design(
        checked,
        frame_times,
        confounds,
        hrf=settings.hrf,
        drift=settings.drift,
        high_pass=settings.high_pass,
        where=events_where,
    )
    inside = mask_array(mask_img)
    data = np.empty((n_volumes, int(inside.sum())), np.float32)
    for t, volume in enumerate(volumes(image)):
        data[t] = volume[inside]
    estimates, residuals = fit_voxels(data, design, settings, where)
    voxels = {"voxel": np.flatnonzero(inside)}
    labels = {"stimulus": list(design.stimuli), "run": [str(run)] * len(design.stimuli)}
    patterns = Dataset(estimates, obs_descriptors=labels, channel_descriptors=voxels)
    kept = None
    if residuals is not None:
        kept = Dataset(
            residuals,
            descriptors={"degrees_of_freedom": design.degrees_of_freedom},
            obs_descriptors={"run": [str(run)] * n_volumes},
            channel_descriptors=dict(voxels),
        )
    return GLMEstimates(patterns, kept, {str(run): design.table}, describe_glm(settings))


def concatenate_runs(estimates: Sequence[GLMEstimates]) -> GLMEstimates:
    """Return the estimates of several runs as one.

    A stimulus may be missing from a run; distances that cross-validate over runs will say so.

    Parameters
    ----------
    estimates : sequence of GLMEstimates
        With different run labels and the same mask.

    Returns
    -------
    GLMEstimates

    Raises
    ------
    InputError
        If there is none, runs share a label, or masks differ.

    Examples
    --------
    >>> concatenate_runs([])
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: runs: is empty. Give the estimates of at least one run.
    """
    estimates = list(estimates)
    if not estimates:
        remedy = "Give the estimates of at least one run."
        raise InputError(message("runs", "is empty", remedy=remedy))
    names = [name for part in estimates for name in part.design]
    if len(set(names)) != len(names):
        raise InputError(message("runs", "share a label", got=names, remedy="Label each run."))
    first = estimates[0].patterns.channel_descriptors["voxel"]
    for part in estimates[1:]:
        if not np.array_equal(part.patterns.channel_descriptors["voxel"], first):
            what = f"{list(part.design)} were estimated in another mask than {names[:1]}"
            raise InputError(message("runs", what, remedy="Use one mask for all runs."))
    residuals = [part.residuals for part in estimates if part.residuals is not None]
    design = {name: table for part in estimates for name, table in part.design.items()}
    return GLMEstimates(
        _stack([part.patterns for part in estimates]),
        _stack(residuals) if len(residuals) == len(estimates) else None,
        design,
        estimates[0].description,
    )


def _resolve_tr(stated: float | None, given: float | None, where: str) -> float:
    tr = stated if given is None else check_number("tr", given, minimum=0, strict=True, unit="s")
    if tr is None:
        remedy = "Pass tr= in seconds, or give a sidecar with RepetitionTime."
        raise InputError(message(where, "the header does not state the TR", remedy=remedy))
    if tr > 30:
        remedy = "The TR is in seconds; this looks like milliseconds. Pass tr=."
        raise InputError(message(where, "the TR is not possible", got=f"{tr:g} s", remedy=remedy))
    if given is not None and stated is not None and abs(stated - tr) > 1e-3 * tr:
        what = f"the header states a TR of {stated:g} s; {tr:g} s as given is used"
        remedy = "Check which is right: onsets are placed by it."
        warnings.warn(message(where, what, remedy=remedy), DataWarning, stacklevel=3)
    return tr


def _stack(parts: list[Dataset]) -> Dataset:
    keys = parts[0].obs_descriptors
    freedom = [part.descriptors.get("degrees_of_freedom") for part in parts]
    return Dataset(
        np.concatenate([part.measurements for part in parts]),
        descriptors={} if None in freedom else {"degrees_of_freedom": sum(freedom)},
        obs_descriptors={
            key: [value for part in parts for value in part.obs_descriptors[key]] for key in keys
        },
        channel_descriptors={
            key: np.asarray(value) for key, value in parts[0].channel_descriptors.items()
        },
    )
