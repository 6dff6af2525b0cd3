"""Residuals of a first-level model -> covariance of the noise, of all runs or of each."""

from __future__ import annotations

import numpy as np
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, message
from neurodnn.numerics.covariance import centred_by_run, precision_of, shrunk_covariance
from neurodnn.numerics.features import usable_features
from neurodnn.rsa.names import shorten_list, stimulus_names

NOISES = ("pooled", "per-fold")


def noise_precision(
    residuals: Dataset | None, usable: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which channels to keep, and the precision matrix of the noise of all runs.

    Parameters
    ----------
    residuals : Dataset
        Time points x channels.
    usable : array of bool (channels,)
        Channels of the patterns that may be used.
    where : str
        What the patterns are called in messages.

    Raises
    ------
    InputError
        If there are no residuals, or they have other channels.

    Examples
    --------
    >>> noise = Dataset(np.array([[1.0, 2], [-1, 2], [1, -2], [-1, -2]]))
    >>> noise_precision(noise, np.array([True, True]), "patterns")[1].round(4)
    array([[0.75  , 0.    ],
           [0.    , 0.1875]])
    """
    values = _checked_values(residuals, usable, where)
    runs = residuals.obs_descriptors.get("run")
    keep = usable & usable_features(values)
    centred = centred_by_run(values[:, keep], runs)
    n_runs = 1 if runs is None else len(set(map(str, runs)))
    freedom = noise_freedom(residuals, len(centred) - n_runs)
    shrunk = shrunk_covariance(centred, degrees_of_freedom=freedom)
    return keep, precision_of(shrunk.covariance)


def fold_covariances(
    residuals: Dataset | None, runs: list[str], usable: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which channels to keep, and the covariance of the noise of every run.

    Each is centred and shrunk to its own diagonal on its own.

    Parameters
    ----------
    residuals : Dataset
        Time points x channels, ``obs_descriptors["run"]``.
    runs : list of str
        The runs of the patterns, in the order of the folds.
    usable : array of bool (channels,)
    where : str

    Returns
    -------
    keep : array of bool (channels,)
        Usable in the patterns, and varying in every run of the residuals.
    covariances : array (runs x kept channels x kept channels)

    Raises
    ------
    InputError
        If there are no residuals, they have other channels, no runs or other runs, or a run has
        fewer than two time points.

    Examples
    --------
    >>> values = np.array([[1.0, 2], [-1, 2], [1, -2], [-1, -2]] * 2)
    >>> noise = Dataset(values, obs_descriptors={"run": [1, 1, 1, 1, 2, 2, 2, 2]})
    >>> fold_covariances(noise, ["1", "2"], np.array([True, True]), "patterns")[1].shape
    (2, 2, 2)
    """
    values = _checked_values(residuals, usable, where)
    rows, degrees = fold_freedom(residuals, runs, where)
    keep = usable.copy()
    for own in rows:
        keep &= usable_features(values[own])
    covariances = [
        shrunk_covariance(centred_by_run(values[own][:, keep]), degrees_of_freedom=nu).covariance
        for own, nu in zip(rows, degrees, strict=True)
    ]
    return keep, np.array(covariances)


def fold_freedom(
    residuals: Dataset, runs: list[str], where: str = "patterns"
) -> tuple[list[np.ndarray], list[float]]:
    """Return the rows of each run in the residuals, and its degrees of freedom.

    What the model left over all runs is shared out by the length of the runs: with n_r of N time
    points in run r of R, ``(n_r - 1) nu / (N - R)``.

    Parameters
    ----------
    residuals : Dataset
        With ``obs_descriptors["run"]``.
    runs : list of str
        The runs of the patterns, in the order that is wanted.
    where : str

    Raises
    ------
    InputError
        If the runs are missing or other than those of the patterns, or a run has fewer than two
        time points.

    Examples
    --------
    >>> noise = Dataset(np.eye(7), obs_descriptors={"run": ["b"] * 4 + ["a"] * 3},
    ...                 descriptors={"degrees_of_freedom": 4})
    >>> rows, degrees = fold_freedom(noise, ["a", "b"])
    >>> rows[0].tolist(), [round(nu, 3) for nu in degrees]
    ([4, 5, 6], [1.6, 2.4])
    """
    if "run" not in residuals.obs_descriptors:
        remedy = "Give obs_descriptors['run'], or take noise='pooled'."
        raise InputError(message("residuals", "noise per fold needs runs", remedy=remedy))
    found = np.array(stimulus_names(residuals.obs_descriptors["run"], "run"))
    if set(found) != set(runs):
        own, theirs = shorten_list(sorted(set(found))), shorten_list(sorted(runs))
        fault = f"the runs of the residuals ({own}) are not those of {where} ({theirs})"
        raise InputError(message("residuals", fault, remedy="Call them alike."))
    rows = [np.flatnonzero(found == run) for run in runs]
    short = [run for run, own in zip(runs, rows, strict=True) if own.size < 2]
    if short:
        fault = f"too few time points in run {shorten_list(short)}"
        raise InputError(message("residuals", fault, allowed=">= 2"))
    most = found.size - len(runs)
    share = noise_freedom(residuals, most) / most
    return rows, [(own.size - 1) * share for own in rows]


def check_channels(residuals: Dataset, patterns: Dataset, where: str = "patterns") -> None:
    """Refuse residuals whose channels, by a descriptor of both sides, are not those of patterns.

    Raises
    ------
    InputError
        If a descriptor differs, in its values or in their order.

    Examples
    --------
    >>> patterns = Dataset(np.eye(2), channel_descriptors={"voxel": [4, 7]})
    >>> check_channels(Dataset(np.ones((5, 2)), channel_descriptors={"voxel": [4, 7]}), patterns)
    """
    own, theirs = (side.channel_descriptors or {} for side in (residuals, patterns))
    for key in sorted(own.keys() & theirs.keys()):
        if list(map(str, own[key])) != list(map(str, theirs[key])):
            fault = f"other channels than {where}, or in another order: {key} differs"
            raise InputError(message("residuals", fault, remedy="Take both from one mask."))


def noise_freedom(residuals: Dataset, most: int) -> int:
    """Return the degrees of freedom of residuals: what their model left, else `most`.

    A design with many regressors leaves far fewer than there are time points; without that the
    noise is taken for too small and its correlations for too certain.

    Examples
    --------
    >>> noise_freedom(Dataset(np.eye(9), descriptors={"degrees_of_freedom": 3}), 8)
    3
    """
    stated = (residuals.descriptors or {}).get("degrees_of_freedom")
    return most if stated is None else min(int(stated), most)


def _checked_values(residuals: Dataset | None, usable: np.ndarray, where: str) -> np.ndarray:
    if residuals is None:
        remedy = "Give the residuals of the first-level model, or choose another metric."
        raise InputError(message("residuals", "mahalanobis needs residuals", remedy=remedy))
    values = np.asarray(residuals.measurements, dtype=np.float64)
    if values.shape[1] != usable.size:
        fault = f"have other channels than {where}"
        allowed = str(usable.size)
        raise InputError(message("residuals", fault, got=values.shape[1], allowed=allowed))
    return values
