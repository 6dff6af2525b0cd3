"""Several sets of reference RDMs -> the variance that they explain alone and in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.numerics.partition import components, set_combinations
from neurodnn.numerics.regression import held_out_r2
from neurodnn.rsa.names import labels_of
from neurodnn.rsa.predictors import (
    METHODS,
    Sides,
    check_pairs,
    explained_share,
    places_of_sets,
)
from neurodnn.rsa.rdm import MIN_STIMULI

_STAGE = 8  # first part of the seeds of folds; every stage of the package has its own


def variance_partition(
    data: RDMs,
    references: RDMs,
    sets: Mapping[str, Sequence[str]],
    *,
    method: str = "ols",
    ranks: bool = True,
    folds: int | None = None,
    seed: int = 0,
    nan_policy: str = "raise",
) -> xr.DataArray:
    """Return what two or three sets of references explain alone and what they share.

    Shares come by inclusion and exclusion from the variance explained (R2) by each combination
    of sets. A share of several sets may be negative: together they then explain more than the
    sum of what each explains (suppression). It is left so.

    Parameters
    ----------
    data : RDMs
        One row per subject, region, time, ...
    references : RDMs
        One row per predictor, of the same stimuli; matched by name.
    sets : dict of name -> labels of references
        Two or three sets, such as ``{"objects": ["conv1", "fc6"], "scenes": ["gist"]}``.
    method : {"ols", "nnls"}
        Least squares, free or with weights that are not negative (see `regress_rdms`).
    ranks : bool
        Turn all RDMs into average ranks first (default: no linear relation is assumed).
    folds : int, optional
        Cross-validate over stimuli: weights from the pairs of the stimuli of all folds but one
        are tested on the pairs within that one, so that no stimulus is on both sides. Of use
        where sets differ in size: R2 within the sample grows with every predictor, while that
        of held-out stimuli, and with it any share, falls below zero where a set only adds
        noise. At least 4 stimuli are needed per fold.
    seed : int
        Says which stimuli make a fold.
    nan_policy : {"raise", "omit"}
        As for `regress_rdms`.

    Returns
    -------
    DataArray
        Rows of data x component, as shares of the data's variance. Components: ``"A alone"``
        for each set, ``"A & B"`` for what two share (of three: not with the third),
        ``"A & B & C"``, and ``"total"``, the R2 of all and the sum of the others.

    Raises
    ------
    InputError
        If there are not two or three sets, a label is unknown, empty or in two sets, or as for
        `regress_rdms`.

    References
    ----------
    Groen, I. I. A., et al. (2018). Distinct contributions of functional and deep neural network
    features to representational similarity of scenes in human brain and behavior. eLife, 7,
    e32962.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> layers = RDMs(np.array([[1.0, 2, 3, 4, 5, 6], [2.0, 1, 1, 3, 0, 1]]),
    ...               rdm_descriptors={"reference": ["conv1", "fc6"]}, pattern_descriptors=names)
    >>> data = RDMs(layers.dissimilarities[:1] ** 2, pattern_descriptors=names)
    >>> shares = variance_partition(data, layers, {"early": ["conv1"], "late": ["fc6"]})
    >>> shares.component.values.tolist()
    ['early alone', 'late alone', 'early & late', 'total']
    """
    check_choice("method", method, METHODS)
    places = places_of_sets(sets, labels_of(references)[1])
    sides = Sides(data, {"references": references}, nan_policy)
    rows = sides.predictors["references"]
    parts = None if folds is None else _stimulus_folds(sides.n, folds, seed)
    r2 = {chosen: np.full(len(sides.data), np.nan) for chosen in set_combinations(list(sets))}
    for i, kept in sides.defined():
        y = sides.data[i, kept]
        for chosen in r2:
            X = rows[np.concatenate([places[name] for name in chosen])][:, kept]
            check_pairs(y.size, len(X))
            if parts is not None:
                splits = _pair_splits(parts, kept)
                check_pairs(min(training.size for training, _ in splits), len(X))
                r2[chosen][i] = held_out_r2(y, X, splits, method=method, ranks=ranks)
            else:
                r2[chosen][i] = explained_share(y, X, method, ranks)
    shares = components(list(sets), r2)
    attrs = {
        "method": method, "scale": "ranks" if ranks else "raw", "n_stimuli": sides.n, "units": "1",
        "sets": [f"{name}: {', '.join(map(str, labels))}" for name, labels in sets.items()],
        "folds": 0 if folds is None else folds, "seed": seed,
    }  # fmt: skip
    return xr.DataArray(
        np.stack(list(shares.values()), axis=1), dims=(sides.axis, "component"),
        coords={sides.axis: sides.labels, "component": list(shares)}, name="share", attrs=attrs,
    )  # fmt: skip


def commonality(
    data: RDMs,
    a: RDMs,
    b: RDMs,
    *,
    given: RDMs | None = None,
    ranks: bool = True,
    nan_policy: str = "raise",
) -> xr.DataArray:
    """Return the variance of each RDM that an RDM of `a` and one of `b` explain in common.

    ``C = R2(a) + R2(b) - R2(a, b)``; with other RDMs partialled out
    ``C = R2(a, given) + R2(b, given) - R2(given) - R2(a, b, given)``. With MEG as the data, a
    region as `a` and a layer as `b` it is the part of the MEG-fMRI fusion that the layer accounts
    for.

    Parameters
    ----------
    data : RDMs
        What is explained: one row per time, subject, ...
    a, b : RDMs
        Every row of `a` is taken with every row of `b`. Stimuli are matched by name.
    given : RDMs, optional
        All its rows together are partialled out.
    ranks : bool
        Turn all RDMs into average ranks first (default), or take them as they are.
    nan_policy : {"raise", "omit"}
        As for `regress_rdms`; a gap in `a`, `b` or `given` leaves the pair out for all.

    Returns
    -------
    DataArray
        Rows of data x ``first`` (rows of `a`) x ``second`` (rows of `b`), as shares of the
        data's variance. It may be negative (suppression: together they explain more than apart)
        and is left so.

    Raises
    ------
    InputError
        As for `regress_rdms`.

    References
    ----------
    Hebart, M. N., Bankson, B. B., Harel, A., Baker, C. I., & Cichy, R. M. (2018). The
    representational dynamics of task and object processing in humans. eLife, 7, e32816.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> meg = RDMs(np.array([[1.0, 2, 3, 4, 5, 6]]), pattern_descriptors=names)
    >>> fmri = RDMs(np.array([[2.0, 1, 3, 4, 6, 5]]), pattern_descriptors=names)
    >>> layer = RDMs(np.array([[1.0, 3, 2, 4, 6, 5]]), pattern_descriptors=names)
    >>> commonality(meg, fmri, layer).values.round(4)
    array([[[0.7109]]])
    """
    others = {"a": a, "b": b} | ({} if given is None else {"given": given})
    sides = Sides(data, others, nan_policy)
    first, second = sides.predictors["a"], sides.predictors["b"]
    beside = sides.predictors.get("given", np.empty((0, first.shape[1])))
    shared = np.full((len(sides.data), len(first), len(second)), np.nan)
    for i, kept in sides.defined():
        y = sides.data[i, kept]
        check_pairs(y.size, len(beside) + 2)

        def share(*rows: np.ndarray, y: np.ndarray = y, kept: np.ndarray = kept) -> float:
            return explained_share(y, np.vstack([*rows, beside])[:, kept], "ols", ranks)

        alone = share() if len(beside) else 0.0
        of_second = [share(other) for other in second]
        for j, own in enumerate(first):
            of_first = share(own)
            for k, other in enumerate(second):
                shared[i, j, k] = of_first + of_second[k] - alone - share(own, other)
    return xr.DataArray(
        shared, dims=(sides.axis, "first", "second"),
        coords={sides.axis: sides.labels, "first": labels_of(a)[1], "second": labels_of(b)[1]},
        name="commonality",
        attrs={
            "scale": "ranks" if ranks else "raw", "n_stimuli": sides.n, "units": "1",
            "given": [] if given is None else labels_of(given)[1],
        },
    )  # fmt: skip


def _stimulus_folds(n: int, folds: int, seed: int) -> list[np.ndarray]:
    """Return the stimuli of each fold, drawn at random."""
    most = n // MIN_STIMULI
    folds = int(check_number("folds", folds, minimum=2))
    if folds > most:
        fault = f"each needs {MIN_STIMULI} stimuli, and there are {n}"
        raise InputError(message("folds", fault, got=folds, allowed=f"2 to {most}"))
    sequence = np.random.SeedSequence(
        int(check_number("seed", seed, minimum=0)), spawn_key=(_STAGE,)
    )
    order = np.random.default_rng(sequence).permutation(n)
    return [np.sort(part) for part in np.array_split(order, folds)]


def _pair_splits(
    parts: list[np.ndarray], kept: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each fold the kept pairs without any of its stimuli, and those within it."""
    n = sum(part.size for part in parts)
    first, second = (index[kept] for index in np.triu_indices(n, 1))
    splits = []
    for part in parts:
        inside = np.isin(first, part).astype(int) + np.isin(second, part)
        splits.append((np.flatnonzero(inside == 0), np.flatnonzero(inside == 2)))
    return splits
