"""Stimulus-label permutation of references against RDMs of subjects and regions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.similarity import COMPARISONS, is_constant, normalise
from neurodnn.rsa.compare import PARTIAL
from neurodnn.rsa.names import canonical_order, labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import MIN_STIMULI, align_to
from neurodnn.rsa.readouts import (
    Readout,
    make_readout,
    nuisance_attributes,
    unit_rows,
    without,
)
from neurodnn.rsa.relabelled import TIES, Null, Relabelled, relabel, tally_null
from neurodnn.rsa.relabelling import (
    check_tail,
    checked_number,
    corrected_p,
    own_relabellings,
    plan_relabellings,
)

DRAWINGS = ("common", "per-subject")
_NOT_SUBJECTS = ("reference", "region", "time")
_TAUS = ("tau-a", "tau-b")  # no products of unit vectors: every order is compared anew


def label_permutation_test(
    data: RDMs | Mapping[str, RDMs],
    references: RDMs,
    *,
    comparison: str = "spearman",
    n_permutations: int = 1000,
    tail: str = "two-sided",
    drawing: str = "common",
    nuisance: RDMs | None = None,
    semi: bool = False,
    seed: int = 0,
) -> xr.Dataset:
    """Return mean scores of references over subjects with p over stimuli.

    Under the null hypothesis it does not matter which stimulus of a reference bears which name:
    the stimuli (rows and columns, never single distances) of all references are permuted, in the
    same way for all regions and references, and the mean score is compared with those.

    Parameters
    ----------
    data : RDMs, or dict of region -> RDMs
        One row per subject (``rdm_descriptors["subject"]``).
    references : RDMs
        Of the same stimuli, in any order.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "tau-b", "corr_cov", \
"cosine_cov"}
        As for `compare_rdms`. The two taus take longer than the others.
    n_permutations : int
        Number of orders, the given one included. All n! orders are used instead where these are
        no more (drawing "common").
    tail : {"two-sided", "greater"}
        Two-sided compares absolute values.
    drawing : {"common", "per-subject"}
        ``"common"``: one order for all subjects at a time; the test generalises to stimuli.
        ``"per-subject"``: every subject draws its own (Stelzer et al., 2013), under a warning.
        What subjects share is then averaged away in the null, so that the test says nothing
        about other stimuli: it generalises to subjects only.
    nuisance : RDMs, optional
        Taken out of both sides (partial correlation; spearman, pearson). It is not permuted;
        what it explains of a permuted reference is taken out of that.
    semi : bool
        True: the nuisance is taken out of the references only.
    seed : int
        Seed of the orders; with "per-subject" together with the subject's name.

    Returns
    -------
    Dataset
        ``score`` (mean over subjects), ``p`` (uncorrected) and ``p_fwe`` (family: regions and
        references), each (region x) reference; ``null_max`` (permutation), the largest statistic
        anywhere, the observed order first. A region that is undefined in a subject is NaN.
        ``p = (1 + b) / (1 + B)``, never 0. attrs: n_permutations, exact, tail, drawing, family,
        seed, minimum_p, generalises_to. minimum_p is 1 / number of orders; a reference that many
        orders leave as it is (a category model of few stimuli) cannot reach it.

    Raises
    ------
    InputError
        If stimuli differ, distances are missing, a subject occurs twice, a single subject draws
        "per-subject", so few orders cannot reach p <= .05, or an argument is unknown.

    Notes
    -----
    With nuisance RDMs the null hypothesis is that nothing of the reference is shared beyond what
    they explain *along a straight line* (of ranks, for spearman). A nuisance that bends on its
    way into data and reference leaves a rest in both that no permutation takes away: of tests
    with one shared, one-dimensional nuisance that added four fifths to both sides, 20 % fell
    below .05 with spearman, 6 % with pearson (400 simulations of 20 stimuli each).

    Relabelling takes stimuli to be exchangeable under the null hypothesis. With one order of
    presentation in all runs and noise that outlasts a trial they are not, and the test is liberal,
    even with distances between runs (crossnobis); an order of its own in every run cures it.
    `neurodnn.rsa.presentation.order_correlations` tells which references follow the order.

    References
    ----------
    Kriegeskorte, N., Mur, M., & Bandettini, P. (2008). Representational similarity analysis.
    Frontiers in Systems Neuroscience, 2, 4.
    Stelzer, J., Chen, Y., & Turner, R. (2013). Statistical inference and multiple testing
    correction in classification-based multi-voxel pattern analysis. NeuroImage, 65, 69-82.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcdefgh")}
    >>> model = RDMs(rng.random((2, 28)), rdm_descriptors={"reference": ["conv1", "fc8"]},
    ...              pattern_descriptors=names)
    >>> noisy = model.dissimilarities[0] + 0.1 * rng.random((5, 28))
    >>> test = label_permutation_test(RDMs(noisy, pattern_descriptors=names), model)
    >>> test.p_fwe.values.round(3).tolist()
    [0.001, 0.751]
    """
    check_choice("comparison", comparison, COMPARISONS)
    check_choice("drawing", drawing, DRAWINGS)
    check_tail(tail)
    names = sorted(names_of(references, "references"))
    regions = data if isinstance(data, Mapping) else {"data": data}
    rows = _rows_by_subject(regions, names)
    readout = _readout(references, names, comparison, nuisance, semi)
    subjects = sorted({subject for one in rows.values() for subject in one})
    plans, exact = _orders(subjects, len(names), n_permutations, seed, drawing)
    lanes, defined = _lanes(rows, subjects, readout, comparison)
    two_sided = tail == "two-sided"
    null = _null(lanes, defined, plans, readout, comparison, two_sided)
    n_orders = len(null.largest)
    usable = np.isfinite(null.scores)
    observed = np.abs(null.scores) if two_sided else null.scores
    values = {
        "score": null.scores,
        "p": np.where(usable, null.counts / n_orders, np.nan),
        "p_fwe": corrected_p(observed, null.largest, TIES["float64"]),
    }
    result = xr.Dataset(
        {name: (("region", "reference"), array) for name, array in values.items()},
        coords={"region": [str(region) for region in regions], "reference": readout.labels},
        attrs={
            "comparison": comparison, "n_subjects": len(subjects), "n_stimuli": len(names),
            "n_permutations": n_orders, "exact": int(exact), "tail": tail, "drawing": drawing,
            "family": ["region", "reference"], "seed": int(seed), "minimum_p": 1.0 / n_orders,
            "generalises_to": "stimuli" if drawing == "common" else "subjects",
            **nuisance_attributes(nuisance, semi),
        },
    )  # fmt: skip
    result["null_max"] = ("permutation", np.where(usable.any(), null.largest, np.nan))
    if isinstance(data, Mapping):
        return result
    return result.isel(region=0, drop=True).assign_attrs(family=["reference"])


def _rows_by_subject(
    regions: Mapping[str, RDMs], names: list[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Return region -> subject -> distances in canonical order; refuse what has gaps."""
    if not regions:
        raise InputError(message("data", "hold no regions"))
    rows: dict[str, dict[str, np.ndarray]] = {}
    for region, rdms in regions.items():
        where = f"data of {region}" if region != "data" else "data"
        canonical_order(names_of(rdms, where), names, where, "references")
        if len(names) < MIN_STIMULI:
            allowed = f"at least {MIN_STIMULI}"
            raise InputError(message(where, "too few stimuli", got=len(names), allowed=allowed))
        axis, labels = labels_of(rdms)
        if axis in _NOT_SUBJECTS:
            fault = f"the rows are labelled by {axis}, but rows are averaged as subjects"
            remedy = "Give a dict of region -> RDMs with one row per subject."
            raise InputError(message(where, fault, remedy=remedy))
        if not labels or len(set(labels)) < len(labels):
            raise InputError(message(where, "every subject needs one row", got=labels))
        values = np.asarray(align_to(names, rdms).dissimilarities, dtype=np.float64)
        for label, row in zip(labels, values, strict=True):
            if not np.isfinite(row).all() and not np.isnan(row).all():
                fault = f"distances of {axis} {label} are missing or infinite"
                raise InputError(message(where, fault, remedy="Drop the stimuli concerned."))
        rows[str(region)] = dict(zip(labels, values, strict=True))
    return rows


def _readout(
    references: RDMs, names: list[str], comparison: str, nuisance: RDMs | None, semi: bool
) -> Readout:
    if comparison in _TAUS and nuisance is None:
        units = unit_rows(references, names, "tau-a")
        return Readout(labels_of(references)[1], units, np.empty((0, units.shape[1])), False)
    return make_readout(references, names, comparison, nuisance, semi)


def _orders(
    subjects: list[str], n_stimuli: int, n_permutations: int, seed: int, drawing: str
) -> tuple[list[np.ndarray], bool]:
    """Return the orders of every subject, and whether they are all there are."""
    if drawing == "common":
        plan = plan_relabellings(n_stimuli, n_permutations, seed)
        return [plan.orders] * len(subjects), plan.exact
    if len(subjects) < 2:
        fault = "one subject cannot stand for others"
        remedy = "Take drawing='common', which generalises to stimuli."
        raise InputError(message("drawing", fault, got=drawing, remedy=remedy))
    text = (
        "every subject draws its own orders of the stimuli: the test generalises to subjects"
        " only, and rejects too often where subjects share a geometry that references lack"
    )
    remedy = "For other stimuli take drawing='common'."
    warnings.warn(message("drawing", text, remedy=remedy), DataWarning, stacklevel=3)
    n = checked_number(n_permutations, n_stimuli, exact_possible=False)
    return [own_relabellings(subject, n_stimuli, n, seed) for subject in subjects], False


class _Lanes(NamedTuple):
    """What each subject adds to the mean: subjects x regions x pairs, zero where it is not."""

    rows: np.ndarray
    shares: np.ndarray  # subjects x regions


def _lanes(
    rows: dict[str, dict[str, np.ndarray]],
    subjects: list[str],
    readout: Readout,
    comparison: str,
) -> tuple[_Lanes, np.ndarray]:
    """Return subjects' rows as the comparison sees them, and which regions are defined."""
    n_pairs = readout.units.shape[1]
    lanes = _Lanes(np.zeros((len(subjects), len(rows), n_pairs)),
                   np.zeros((len(subjects), len(rows))))  # fmt: skip
    defined, lost = np.ones(len(rows), dtype=bool), []
    for place, (region, own) in enumerate(rows.items()):
        for subject, row in own.items():
            lane = _lane(row, readout, comparison)
            if lane is None:
                defined[place] = False
                lost.append(f"{region} (subject {subject})")
            else:
                lanes.rows[subjects.index(subject), place] = lane
                lanes.shares[subjects.index(subject), place] = 1.0 / len(own)
    if lost:
        text = f"no distances, or none that say anything, for {shorten_list(lost)}"
        remedy = "Scores and p of these regions are NaN."
        warnings.warn(message("data", text, remedy=remedy), DataWarning, stacklevel=3)
    return lanes, defined


def _lane(row: np.ndarray, readout: Readout, comparison: str) -> np.ndarray | None:
    if np.isnan(row).any():
        return None
    if comparison in _TAUS:
        return None if is_constant(row) else row
    lane = normalise(row, comparison)
    if np.isnan(lane).any():
        return None
    if comparison in PARTIAL and len(readout.basis) and not readout.semi:
        rest, gone = without(lane[np.newaxis], readout.basis)
        return None if gone[0] else rest[0]
    return lane


def _null(
    lanes: _Lanes,
    defined: np.ndarray,
    plans: list[np.ndarray],
    readout: Readout,
    comparison: str,
    two_sided: bool,
) -> Null:
    """Return scores and their null. Subjects are added in the order of their names."""
    usable = defined[:, np.newaxis] & ~readout.undefined
    common = all(plan is plans[0] for plan in plans)
    weighted = lanes.rows * lanes.shares[:, :, np.newaxis]
    products: Callable[[int], np.ndarray]
    if comparison in _TAUS:
        sides = [relabel(readout, plan, np.float64, keep=False) for plan in plans]

        def products(chunk: int) -> np.ndarray:
            return sum(
                np.nan_to_num(_fresh(rows, side, chunk, comparison)) * share[:, np.newaxis]
                for rows, side, share in zip(lanes.rows, sides, lanes.shares, strict=True)
            )
    elif common:
        sides, mean = [relabel(readout, plans[0], np.float64, keep=False)], weighted.sum(axis=0)

        def products(chunk: int) -> np.ndarray:
            return mean @ sides[0].rows(chunk).T
    else:
        sides = [relabel(readout, plan, np.float64, keep=False) for plan in plans]

        def products(chunk: int) -> np.ndarray:
            return sum(
                own @ side.rows(chunk).T for own, side in zip(weighted, sides, strict=True)
            )

    return tally_null(products, sides[0], usable, two_sided, TIES["float64"])


def _fresh(rows: np.ndarray, side: Relabelled, chunk: int, comparison: str) -> np.ndarray:
    """Compare anew with the references of one chunk; only those that are there."""
    n = len(side.orders_of(chunk)) * len(side.readout.units)
    return COMPARISONS[comparison](rows, side.rows(chunk)[:n])
