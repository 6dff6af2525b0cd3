"""RDMs that are explained, and RDMs that explain them: aligned, complete, not too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.regression import explained, fit_rows
from neurodnn.rsa.names import labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import MIN_STIMULI, align_rdms
from neurodnn.rsa.sides import aligned_rows, check_data, check_references

METHODS = ("nnls", "ols")


class Sides:
    """Data and predictors as rows of the same pairs, checked.

    Attributes
    ----------
    data : array (rows x pairs)
    predictors : dict of name -> array (rows x pairs)
    axis, labels : str, list of str
        What the rows of the data are called.
    undefined : array of bool (rows,)
        Rows of the data without any distance, or with equal ones only.
    n : int
        Number of stimuli.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> rdms = RDMs(np.arange(6.0)[np.newaxis], pattern_descriptors=names)
    >>> sides = Sides(rdms, {"references": rdms}, "raise")
    >>> sides.axis, sides.n, len(sides.defined())
    ('rdm', 4, 1)
    """

    def __init__(self, data: RDMs, others: Mapping[str, RDMs], nan_policy: str) -> None:
        check_choice("nan_policy", nan_policy, ["raise", "omit"])
        names_of(data, "data")
        data, _ = align_rdms(data, data)
        self.n = data.n_cond
        if self.n < MIN_STIMULI:
            allowed = f"at least {MIN_STIMULI}"
            raise InputError(message("data", "too few stimuli", got=self.n, allowed=allowed))
        self.predictors = {}
        for where, rdms in others.items():
            self.predictors[where] = aligned_rows(rdms, data, where)
            check_references(rdms, "regression", nan_policy, where=where)
        self.data = np.asarray(data.dissimilarities, dtype=np.float64)
        axis, self.labels = labels_of(data)
        self.axis = "rdm" if axis in ("reference", "component") else axis
        self.undefined = check_data(
            self.data, names_of(data), axis, self.labels, "pearson", nan_policy
        )

    def defined(self) -> list[tuple[int, np.ndarray]]:
        """Rows of the data that vary, and the pairs that neither they nor a predictor lack."""
        present = ~np.any([np.isnan(r).any(axis=0) for r in self.predictors.values()], axis=0)
        return [
            (i, present & ~np.isnan(row))
            for i, row in enumerate(self.data)
            if not self.undefined[i]
        ]


def explained_share(y: np.ndarray, X: np.ndarray, method: str, ranks: bool) -> float:
    """Return the share of variance of `y` that rows explain within the sample.

    Examples
    --------
    >>> y = np.array([1.0, 2, 3, 4])
    >>> explained_share(y, y[np.newaxis] ** 2, "ols", ranks=True)
    1.0
    """
    if ranks:
        y, X = average_ranks(y), average_ranks(X)
    return explained(y, X) if method == "ols" else fit_rows(y, X, method=method).r2


def check_pairs(n_pairs: int, n_predictors: int) -> None:
    """Refuse predictors that explain whatever there is, because they are so many.

    Examples
    --------
    >>> check_pairs(10, 3)
    """
    if n_pairs < n_predictors + 2:
        fault = f"{n_predictors} of them explain any {n_pairs} distances without error"
        remedy = "Take fewer references, or more stimuli."
        raise InputError(message("references", fault, remedy=remedy))


def places_of_sets(
    sets: Mapping[str, Sequence[str]], labels: list[str]
) -> dict[str, list[int]]:
    """Return set -> places of its references, by their labels.

    Raises
    ------
    InputError
        If there are not two or three sets, one is empty, or a label is unknown, in two sets or
        the label of several references.

    Examples
    --------
    >>> places_of_sets({"early": ["conv1"], "late": ["fc6", "fc7"]}, ["fc6", "conv1", "fc7"])
    {'early': [1], 'late': [0, 2]}
    """
    if not isinstance(sets, Mapping) or len(sets) not in (2, 3):
        got = list(sets) if isinstance(sets, Mapping) else type(sets).__name__
        fault = "must name two or three sets of references"
        raise InputError(message("sets", fault, got=got, allowed="{name: [labels], ...}"))
    places: dict[str, list[int]] = {}
    for name, chosen in sets.items():
        if not len(chosen):
            raise InputError(message("sets", f"{name} holds no references"))
        if isinstance(chosen, str):
            raise InputError(message("sets", f"{name} must be a list of labels", got=chosen))
        for label in chosen:
            check_choice(f"sets[{name!r}]", str(label), labels)
            if labels.count(str(label)) > 1:
                fault = f"{label} occurs more than once as a label"
                raise InputError(message("references", fault, remedy="Give each its own."))
        places[name] = [labels.index(str(label)) for label in chosen]
    every = [place for own in places.values() for place in own]
    twice = [labels[place] for place in sorted(set(every)) if every.count(place) > 1]
    if twice:
        fault = f"{shorten_list(twice)} occurs more than once"
        raise InputError(message("sets", fault, remedy="What is in two sets is shared by force."))
    return places


def check_intercept(ranks: bool, intercept: bool) -> None:
    """Refuse ranks without an intercept.

    Examples
    --------
    >>> check_intercept(ranks=True, intercept=True)
    """
    if ranks and not intercept:
        remedy = "Their mean says nothing: leave the intercept in."
        raise InputError(message("intercept", "ranks need an intercept", got=False, remedy=remedy))
