"""Patterns -> RDMs, and the one door where the stimuli of two sides meet by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.crossnobis import crossnobis_per_fold
from neurodnn.numerics.dissimilarity import METRICS
from neurodnn.numerics.features import usable_features
from neurodnn.rsa.conditions import condition_folds, condition_means
from neurodnn.rsa.names import (
    canonical_order,
    labels_of,
    names_of,
    shorten_list,
    stimulus_names,
)
from neurodnn.rsa.noise import (
    NOISES,
    check_channels,
    fold_covariances,
    noise_freedom,
    noise_precision,
)

__all__ = [
    "align_rdms",
    "align_to",
    "canonical_order",
    "compute_rdms",
    "labels_of",
    "names_of",
    "noise_freedom",
    "stimulus_names",
]

MIN_STIMULI = 4  # three stimuli have three pairs: any two RDMs of them correlate by chance


def compute_rdms(
    patterns: Dataset | Mapping[str, Dataset],
    *,
    metric: str = "correlation",
    residuals: Dataset | Mapping[str, Dataset] | None = None,
    noise: str = "pooled",
) -> RDMs:
    """Return the RDM of each set of patterns.

    Parameters
    ----------
    patterns : Dataset or dict of label -> Dataset
        Observations x channels with ``obs_descriptors["stimulus"]``; with a dict (layers,
        regions, times) all sets must hold the same stimuli. Stimuli shown in several runs
        (``obs_descriptors["run"]``) are averaged over runs, except for crossnobis. A channel
        that is not finite for every stimulus, or that is constant over stimuli, is left out,
        as in the searchlight. (The RDMs of network layers, `neurodnn.layer_rdms`, are over all
        activations instead: a unit that answers alike to all images has been measured.)
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        1 - Pearson r; 1 - cosine; squared Euclidean, Mahalanobis and cross-validated
        Mahalanobis distance, these three per channel, in squared units of the patterns.
        Crossnobis has a true zero and may be negative.
    residuals : Dataset or dict of label -> Dataset, optional
        Time points x the same channels, with ``obs_descriptors["run"]`` where there are several
        runs: what the noise covariance is estimated from (shrunk to its diagonal). Its degrees
        of freedom are ``descriptors["degrees_of_freedom"]``, as `fit_glm` sets it, else time
        points - runs. Necessary for ``"mahalanobis"``; crossnobis without it takes the noise as
        white.
    noise : {"pooled", "per-fold"}
        Covariance of the noise in crossnobis: one from all residuals (default, the better
        estimate where runs are alike), or one of each run, shrunk on its own; two runs are then
        whitened by the mean of theirs. Per fold, the residuals need the runs of the patterns.

    Returns
    -------
    RDMs
        One row per set; stimuli in order of first appearance, in
        ``pattern_descriptors["stimulus"]``; labels of a dict in
        ``rdm_descriptors["reference"]``.

    Raises
    ------
    InputError
        If names are missing or differ between sets, stimuli repeat without runs, there are
        fewer than 4 stimuli, or residuals do not fit the metric or the channels.

    References
    ----------
    Kriegeskorte, N., Mur, M., & Bandettini, P. (2008). Representational similarity analysis.
    Frontiers in Systems Neuroscience, 2, 4.
    Walther, A., et al. (2016). Reliability of dissimilarity measures for multi-voxel pattern
    analysis. NeuroImage, 137, 188-200.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(5, 20))
    >>> patterns = Dataset(values, obs_descriptors={"stimulus": list("abcde")})
    >>> compute_rdms({"V1": patterns}).dissimilarities.shape
    (1, 10)
    """
    check_choice("metric", metric, METRICS)
    check_choice("noise", noise, NOISES)
    if noise == "per-fold" and (metric != "crossnobis" or residuals is None):
        fault = "per-fold noise needs crossnobis and residuals"
        remedy = "Give the residuals of every run, or take noise='pooled'."
        raise InputError(message("noise", fault, got=metric, remedy=remedy))
    labelled = isinstance(patterns, Mapping)
    sets = dict(patterns) if labelled else {"patterns": patterns}
    if not sets:
        raise InputError(message("patterns", "are empty"))
    if not isinstance(residuals, Mapping):
        residuals = dict.fromkeys(sets, residuals)
    elif sets.keys() - residuals.keys():
        missing = [str(label) for label in sets if label not in residuals]
        fault = f"there are none for {shorten_list(missing)}"
        raise InputError(message("residuals", fault, got=list(residuals)))
    rows: list[np.ndarray] = []
    names: list[str] = []
    for label, dataset in sets.items():
        own, row = _compute_one(dataset, metric, residuals.get(label), noise, label)
        # Every set is brought to the stimulus order of the first.
        back, forth, _ = canonical_order(names or own, own, next(iter(sets)), label)
        order = np.empty_like(back)
        order[back] = forth
        names = names or own
        rows.append(_permuted(row, order, len(own)))
    rdm_descriptors = {"reference": [str(label) for label in sets]} if labelled else {}
    return RDMs(
        np.array(rows),
        dissimilarity_measure=metric,
        rdm_descriptors=rdm_descriptors,
        pattern_descriptors={"stimulus": list(names)},
    )


def align_rdms(
    a: RDMs, b: RDMs, *, by_position: bool = False, subset: bool = False
) -> tuple[RDMs, RDMs]:
    """Return both RDMs with their stimuli in the same order, that of the sorted names.

    Parameters
    ----------
    a, b : RDMs
        With the names of stimuli in ``pattern_descriptors["stimulus"]``.
    by_position : bool
        True: ignore names and pair stimuli by their position, under a warning. Nothing then
        protects from two files that differ in order.
    subset : bool
        True: go on with the stimuli that both have, under a warning, instead of refusing.

    Returns
    -------
    a, b : RDMs
        New objects, labelled alike.

    Raises
    ------
    InputError
        If the sets of names differ (both differences and near matches are listed), a name
        occurs twice, names are missing, or the sizes differ with `by_position`.

    Examples
    --------
    >>> a = RDMs(np.array([[1.0, 2, 3]]), pattern_descriptors={"stimulus": ["x", "y", "z"]})
    >>> b = RDMs(np.array([[3.0, 2, 1]]), pattern_descriptors={"stimulus": ["z", "y", "x"]})
    >>> align_rdms(a, b)[1].dissimilarities.tolist()
    [[1.0, 2.0, 3.0]]
    """
    if by_position:
        if a.n_cond != b.n_cond:
            fault = f"{b.n_cond} stimuli cannot be paired by position with {a.n_cond}"
            raise InputError(message("b", fault))
        text = "The stimuli of the two sides are paired by position; their names are not compared."
        warnings.warn(text, DataWarning, stacklevel=2)
        names = next((_names_or_none(rdms) for rdms in (a, b) if _names_or_none(rdms)), None)
        names = names or [str(i + 1) for i in range(a.n_cond)]
        order = np.arange(a.n_cond)
        return _reordered(a, order, names), _reordered(b, order, names)
    index_a, index_b, names = canonical_order(
        names_of(a, "a"), names_of(b, "b"), "a", "b", subset=subset
    )
    return _reordered(a, index_a, names), _reordered(b, index_b, names)


def align_to(names: Sequence[str], rdms: RDMs) -> RDMs:
    """Return RDMs with their stimuli in the order of `names`.

    Parameters
    ----------
    names : sequence of str
        All stimuli of `rdms`, each once.
    rdms : RDMs

    Raises
    ------
    InputError
        If the names are not those of `rdms`.

    Examples
    --------
    >>> a = RDMs(np.array([[1.0, 2, 3]]), pattern_descriptors={"stimulus": ["x", "y", "z"]})
    >>> align_to(["z", "y", "x"], a).dissimilarities.tolist()
    [[3.0, 2.0, 1.0]]
    """
    wanted, found, _ = canonical_order(names, names_of(rdms, "rdms"), "names", "rdms")
    order = np.empty_like(wanted)
    order[wanted] = found
    return _reordered(rdms, order, stimulus_names(names, "names"))


def _compute_one(
    dataset: Dataset, metric: str, residuals: Dataset | None, noise: str, where: str
) -> tuple[list[str], np.ndarray]:
    """Return the names of stimuli and the RDM of one set of patterns."""
    folded = metric == "crossnobis"
    names, values = (condition_folds if folded else condition_means)(dataset, where)
    if len(names) < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message(where, "too few stimuli", got=len(names), allowed=allowed))
    # Computed in canonical order: the order of the observations must not change a bit.
    order = np.argsort(np.array(names))
    values = values[..., order, :]
    if residuals is not None and metric in ("mahalanobis", "crossnobis"):
        check_channels(residuals, dataset, where)
    if noise == "per-fold":
        runs = sorted(set(stimulus_names(dataset.obs_descriptors["run"], "run")))
        keep, covariances = fold_covariances(residuals, runs, usable_features(values), where)
        row = crossnobis_per_fold(values[..., keep], covariances)
    elif metric == "mahalanobis" or (folded and residuals is not None):
        keep, precision = noise_precision(residuals, usable_features(values), where)
        row = METRICS[metric](values[..., keep], precision)
    else:
        row = METRICS[metric](values)
    undefined = np.isnan(squareform(row, checks=False)).sum(axis=0) == len(names) - 1
    if undefined.any():
        affected = [names[order[i]] for i in np.flatnonzero(undefined)]
        fault = f"the distances of {shorten_list(affected)} are undefined and become NaN"
        remedy = "Their patterns are constant, or no channel is usable."
        warnings.warn(message(where, fault, remedy=remedy), DataWarning, stacklevel=3)
    return names, _permuted(row, np.argsort(order), len(names))


def _permuted(rows: np.ndarray, order: np.ndarray, n: int) -> np.ndarray:
    """Return condensed rows with stimulus ``order[i]`` in place i."""
    i, j = np.triu_indices(len(order), 1)
    low, high = np.minimum(order[i], order[j]), np.maximum(order[i], order[j])
    return rows[..., low * n - low * (low + 1) // 2 + high - low - 1]


def _names_or_none(rdms: RDMs) -> list[str] | None:
    values = rdms.pattern_descriptors.get("stimulus")
    return None if values is None else stimulus_names(values)


def _reordered(rdms: RDMs, order: np.ndarray, names: Sequence[str]) -> RDMs:
    """Return new RDMs; every dict is copied, because rsatoolbox edits those it is given."""
    patterns = {
        key: [values[i] for i in order]
        for key, values in rdms.pattern_descriptors.items()
        if key != "index"
    }
    patterns["stimulus"] = list(names)
    return RDMs(
        _permuted(rdms.dissimilarities, order, rdms.n_cond),
        dissimilarity_measure=rdms.dissimilarity_measure,
        descriptors=dict(rdms.descriptors or {}),
        rdm_descriptors={key: list(values) for key, values in rdms.rdm_descriptors.items()},
        pattern_descriptors=patterns,
    )
