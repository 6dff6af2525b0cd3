"""How much of an RDM comes back when it is measured again: split halves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.names import labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import align_rdms
from neurodnn.rsa.sides import check_data

# Kendall's tau is no product moment, and the formula of Spearman and Brown not its own.
_MOMENTS = tuple(sorted(COMPARISONS.keys() - {"tau-a", "tau-b"}))


def split_half_reliability(
    first: RDMs,
    second: RDMs | None = None,
    *,
    comparison: str = "spearman",
    halves: str = "half",
) -> xr.DataArray:
    """Return how reliable RDMs are that are made of both halves of the measurements.

    The RDMs of two independent halves (odd and even runs, say) are compared, and the similarity
    r is stepped up to the full amount of measurements by Spearman and Brown's formula,
    ``2 r / (1 + r)``. It needs one subject only, and bounds what any model can reach there: a
    true model scores about the root of it.

    Parameters
    ----------
    first, second : RDMs
        Row by row (subject, region, ...) the RDMs of the halves. Rows are matched by label,
        stimuli by name. Without `second` both halves are in `first`.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov"}
        The same as for the models. Kendall's tau has no such formula.
    halves : str
        Without `second`: which of ``first.rdm_descriptors`` tells the halves apart, by two
        different values.

    Returns
    -------
    DataArray
        Reliability of each row; dimension: what the rows are labelled by. The coordinate
        ``correlation`` holds r itself. A negative r is stepped up like its mirror,
        ``2 r / (1 + |r|)``, so that reliability stays within [-1, 1] and the values of
        unreliable rows average out instead of diverging. A row without distances, or with equal
        ones only, is NaN under a warning.

    Raises
    ------
    InputError
        If rows or stimuli of the halves differ, there are not two halves, or `comparison` is
        not one of the above.

    References
    ----------
    Spearman, C. (1910). Correlation calculated from faulty data. British Journal of
    Psychology, 3, 271-295.
    Brown, W. (1910). Some experimental results in the correlation of mental abilities. British
    Journal of Psychology, 3, 296-322.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> odd = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]]), pattern_descriptors=names)
    >>> even = RDMs(np.array([[1.0, 2, 3, 4, 5, 6]]), pattern_descriptors=names)
    >>> split_half_reliability(odd, even).values.round(4)
    array([0.9062])
    """
    check_choice("comparison", comparison, _MOMENTS)
    if second is None:
        first, second = _halves(first, halves)
    axis, labels = labels_of(first)
    second = _matched(first, second)
    first, second = align_rdms(first, second)
    rows = [np.asarray(half.dissimilarities, dtype=np.float64) for half in (first, second)]
    for half in rows:
        check_data(half, names_of(first), axis, labels, comparison, "omit")
    r = np.array(
        [COMPARISONS[comparison](x, y).item() for x, y in zip(*rows, strict=True)], dtype=float
    )
    return xr.DataArray(
        2.0 * r / (1.0 + np.abs(r)),
        dims=(axis,),
        coords={axis: labels, "correlation": (axis, r)},
        name="reliability",
        attrs={"comparison": comparison, "n_stimuli": first.n_cond, "units": "1"},
    )


def _halves(rdms: RDMs, halves: str) -> tuple[RDMs, RDMs]:
    """Return the rows of the first and of the second half."""
    names_of(rdms, "first")  # refuses what is no RDMs object
    if halves not in rdms.rdm_descriptors:
        fault = f"rdm_descriptors has no {halves!r} that tells two halves apart"
        remedy = "Give second=, or the name of the descriptor as halves=."
        raise InputError(message("first", fault, got=sorted(rdms.rdm_descriptors), remedy=remedy))
    values = [str(value) for value in rdms.rdm_descriptors[halves]]
    found = list(dict.fromkeys(values))
    if len(found) != 2:
        fault = f"{halves!r} must have two different values"
        remedy = "Average the RDMs, or better the patterns, of each half first."
        raise InputError(message("first", fault, got=found, remedy=remedy))
    places = [[i for i, value in enumerate(values) if value == half] for half in found]
    return _rows(rdms, places[0]), _rows(rdms, places[1])


def _matched(first: RDMs, second: RDMs) -> RDMs:
    """Return the second half with its rows in the order of the first."""
    sides = [labels_of(half) for half in (first, second)]
    for where, (axis, labels) in zip(("first", "second"), sides, strict=True):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            fault = f"{axis} {shorten_list(twice)} occurs more than once in this half"
            raise InputError(message(where, fault, remedy="Give one row per label."))
    (axis, labels), (other, found) = sides
    if axis != other or sorted(labels) != sorted(found):
        fault = f"its rows ({other} {shorten_list(found)}) are not those of first"
        raise InputError(message("second", fault, allowed=f"{axis} {shorten_list(labels)}"))
    return _rows(second, [found.index(label) for label in labels])


def _rows(rdms: RDMs, places: list[int]) -> RDMs:
    """Return some rows as new RDMs."""
    return RDMs(
        rdms.dissimilarities[places],
        dissimilarity_measure=rdms.dissimilarity_measure,
        rdm_descriptors={
            key: [values[i] for i in places]
            for key, values in rdms.rdm_descriptors.items()
            if key != "index"
        },
        pattern_descriptors={
            key: list(values)
            for key, values in rdms.pattern_descriptors.items()
            if key != "index"
        },
    )
