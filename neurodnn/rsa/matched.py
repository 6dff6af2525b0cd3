"""RDMs of subjects and references over the same stimuli and pairs, ready to be resampled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.similarity import is_constant
from neurodnn.rsa.names import labels_of, shorten_list
from neurodnn.rsa.rdm import align_rdms

_FEW_STIMULI = 7


class Matched(NamedTuple):
    """RDMs of one region that are ready to be resampled together with the references."""

    data: RDMs  # subjects in the order of their names
    references: RDMs
    subjects: list[str]
    left_out: list[str]  # subjects without any information


def match_subjects(data: RDMs, references: RDMs, *, nan_policy: str = "raise") -> Matched:
    """Return data and references over the same stimuli and the same pairs, subjects sorted.

    Parameters
    ----------
    data : RDMs
        One row per subject.
    references : RDMs
    nan_policy : {"raise", "omit"}
        ``"omit"``: a pair that lacks a distance in any subject or reference is left out of all
        of them, so that all references are judged by the same pairs.

    Returns
    -------
    Matched
        Subjects whose distances are all missing or all equal are left out, under a warning.

    Raises
    ------
    InputError
        Stimuli differ, a subject occurs twice, distances are missing under "raise", or no
        subject is left.

    Examples
    --------
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]] * 2), pattern_descriptors=names,
    ...             rdm_descriptors={"subject": ["02", "01"]})
    >>> match_subjects(data, data).subjects
    ['01', '02']
    """
    check_choice("nan_policy", nan_policy, ["raise", "omit"])
    data, references = align_rdms(data, references)
    axis, labels = labels_of(data)
    if len(set(labels)) < len(labels):
        twice = sorted({name for name in labels if labels.count(name) > 1})
        remedy = "Average the sessions of a subject first."
        raise InputError(message("data", "a subject has several RDMs", got=twice, remedy=remedy))
    names = labels_of(references)[1]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(message("references", "a name occurs more than once", got=twice))
    rows = np.asarray(data.dissimilarities, dtype=np.float64)
    empty = [bool(np.isnan(r).all() or is_constant(r[~np.isnan(r)])) for r in rows]
    left_out = sorted(label for label, bad in zip(labels, empty, strict=True) if bad)
    kept = sorted((i for i, bad in enumerate(empty) if not bad), key=labels.__getitem__)
    if left_out:
        text = f"{axis} {shorten_list(left_out)} has no distances, or equal ones only"
        remedy = "It is left out of means and tests."
        warnings.warn(message("data", text, remedy=remedy), DataWarning, stacklevel=3)
    if not kept:
        raise InputError(message("data", "no subject has distances that differ"))
    if len(kept) == 1:
        text = "one subject says nothing about others: inference is over stimuli only"
        warnings.warn(message("data", text), DataWarning, stacklevel=3)
    if data.n_cond < _FEW_STIMULI:
        text = f"{data.n_cond} stimuli are few: inference over stimuli is rough"
        remedy = f"Take at least {_FEW_STIMULI}; twenty or more to rely on it."
        warnings.warn(message("data", text, remedy=remedy), DataWarning, stacklevel=3)
    models = np.asarray(references.dissimilarities, dtype=np.float64)
    gaps = ~(np.isfinite(rows[kept]).all(axis=0) & np.isfinite(models).all(axis=0))
    if gaps.any() and nan_policy == "omit":
        rows, models = rows.copy(), models.copy()
        rows[:, gaps] = models[:, gaps] = np.nan
        text = f"{int(gaps.sum())} of {gaps.size} pairs lack a distance somewhere"
        remedy = "They are left out of all subjects and references alike."
        warnings.warn(message("data", text, remedy=remedy), DataWarning, stacklevel=3)
    subjects = [labels[i] for i in kept]
    return Matched(
        _with_rows(data, rows[kept], {axis: subjects}),
        _with_rows(references, models, {"reference": names}),
        subjects, left_out,
    )  # fmt: skip


def match_regions(
    data: Mapping[str, RDMs], references: RDMs, *, nan_policy: str = "raise"
) -> dict[str, Matched]:
    """Return what `match_subjects` gives for each region, over the subjects they share.

    Raises
    ------
    InputError
        There is no region, or regions hold different subjects.

    Examples
    --------
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]] * 2), pattern_descriptors=names)
    >>> sorted(match_regions({"V1": data, "IT": data}, data))
    ['IT', 'V1']
    """
    if not isinstance(data, Mapping) or not data:
        allowed = "region -> RDMs with one row per subject"
        raise InputError(message("data", "names no region", got=type(data), allowed=allowed))
    found = {}
    for region, rdms in data.items():
        try:
            found[str(region)] = match_subjects(rdms, references, nan_policy=nan_policy)
        except InputError as error:
            raise InputError(f"region {region}: {error}") from error
    first = next(iter(found))
    for region, matched in found.items():
        if matched.subjects != found[first].subjects:
            differing = sorted(set(matched.subjects) ^ set(found[first].subjects))
            fault = f"regions {first} and {region} differ in subjects {shorten_list(differing)}"
            remedy = "Give the same subjects for every region."
            raise InputError(message("data", fault, remedy=remedy))
    return found


def share_pairs(drawings: Sequence[Mapping[str, Matched]]) -> list[dict[str, Matched]]:
    """Return the drawings with a pair that one of them lacks left out of all, region by region.

    Scores that are averaged or held against one another are of the same pairs then.

    Examples
    --------
    >>> names = {"stimulus": list("wxyz")}
    >>> data = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]] * 2), pattern_descriptors=names)
    >>> gap = RDMs(np.array([[np.nan, 1, 4, 3, 6, 5]]), pattern_descriptors=names)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     pair = [{"IT": match_subjects(data, each, nan_policy="omit")} for each in (data, gap)]
    >>> int(np.isnan(share_pairs(pair)[0]["IT"].references.dissimilarities).sum())
    2
    """
    shared: list[dict[str, Matched]] = [{} for _ in drawings]
    for region in drawings[0]:
        sides = [side for each in drawings for side in each[region][:2]]
        gaps = np.any([np.isnan(side.dissimilarities).any(axis=0) for side in sides], axis=0)
        for each, found in zip(drawings, shared, strict=True):
            data, references = (_without(side, gaps) for side in each[region][:2])
            found[region] = each[region]._replace(data=data, references=references)
    return shared


def _without(rdms: RDMs, gaps: NDArray[np.bool_]) -> RDMs:
    axis, labels = labels_of(rdms)
    rows = np.where(gaps, np.nan, np.asarray(rdms.dissimilarities, dtype=np.float64))
    return _with_rows(rdms, rows, {axis: labels})


def _with_rows(rdms: RDMs, rows: NDArray[np.float64], labels: dict[str, list[str]]) -> RDMs:
    return RDMs(
        rows,
        dissimilarity_measure=rdms.dissimilarity_measure,
        rdm_descriptors=labels,
        pattern_descriptors={"stimulus": list(rdms.pattern_descriptors["stimulus"])},
    )
