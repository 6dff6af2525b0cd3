"""The RDMs of several subjects at the same places, side by side, a few places at a time.

A score that is a product with the reference is linear in the RDM's lane. The mean score over
subjects is therefore one product with the mean of their lanes, however many references, or
relabellings of references, it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rsatoolbox.data import Dataset
from scipy.sparse import csr_array

from neurodnn._checks import InputError, message
from neurodnn.numerics.lane_ceilings import lane_ceilings
from neurodnn.numerics.lanes import COMPARISON_CODES
from neurodnn.numerics.searchlight import LANES, Work, fill_lanes, make_work
from neurodnn.rsa.readouts import Readout, rest_scale
from neurodnn.rsa.spheres import Prepared, SearchlightOptions, prepare, warn_of_losses

_RANKED = (COMPARISON_CODES["spearman"], COMPARISON_CODES["rho-a"])
_LANE_BYTES = 2**26
_MOST_LANES = 256


class SubjectLanes(NamedTuple):
    """Subjects in the order of their names, and what is noted of each place."""

    subjects: list[str]
    ready: list[Prepared]
    n_features: np.ndarray  # int32, subjects x places
    reasons: np.ndarray  # uint8, subjects x places

    def warn_of_losses(self, place: str) -> None:
        """Warn of channels and places that are lost, subject by subject."""
        for subject, one, reasons in zip(self.subjects, self.ready, self.reasons, strict=True):
            where = f"patterns of {subject}" if subject else "patterns"
            warn_of_losses(one.spheres.usable, reasons, place, where)

    @property
    def n_places(self) -> int:
        return self.reasons.shape[1]

    @property
    def block(self) -> int:
        """Places per block: a multiple of the kernel's lanes that depends on the data alone."""
        spheres = self.ready[0].spheres
        bytes_per_lane = len(spheres.references) * spheres.rows.itemsize
        fitting = _LANE_BYTES // bytes_per_lane // LANES * LANES
        return int(min(max(fitting, LANES), _MOST_LANES))

    def make_works(self) -> list[Work]:
        """Return buffers for every subject; subjects of one shape share theirs."""
        largest = max(int(np.diff(one.spheres.indptr).max(initial=0)) for one in self.ready)
        made: dict[tuple[object, ...], Work] = {}
        works = []
        for spheres, rule, *_ in self.ready:
            lengths = np.diff(spheres.run_starts)
            key = (spheres.rows.shape[1], rule.n_folds, lengths.size, lengths.max(initial=0))
            if key not in made:
                made[key] = make_work(spheres, rule, largest)
            works.append(made[key])
        return works


class BlockLanes(NamedTuple):
    """Mean lanes of a block of places, and the bounds of the noise ceiling there."""

    lanes: np.ndarray  # block x pairs; zero where a subject is undefined
    defined: np.ndarray  # bool, places
    lower: np.ndarray
    upper: np.ndarray


def prepare_subjects(
    patterns: Dataset | Mapping[str, Dataset],
    neighbors: csr_array | Mapping[str, csr_array],
    stimuli: list[str],
    *,
    comparison: str,
    residuals: Dataset | Mapping[str, Dataset] | None,
    options: SearchlightOptions,
) -> SubjectLanes:
    """Return all subjects' arrays for the loop over the places that they share.

    Raises
    ------
    InputError
        If a mapping lacks a subject, numbers of places differ, or what `prepare` refuses.
    """
    several = isinstance(patterns, Mapping)
    if several and not patterns:
        raise InputError(message("patterns", "hold no subjects"))
    sets = {str(key): one for key, one in patterns.items()} if several else {"": patterns}
    subjects = sorted(sets)
    if several and len(sets) < len(patterns):
        fault = "a name of a subject occurs more than once"
        raise InputError(message("patterns", fault, got=[repr(key) for key in patterns]))
    if several and residuals is not None and not isinstance(residuals, Mapping):
        fault = "are those of one subject, but the patterns of several"
        raise InputError(message("residuals", fault, remedy="Give a dict of subject -> Dataset."))
    ready = []
    for subject in subjects:
        where = f"patterns of {subject}" if several else "patterns"
        ready.append(
            prepare(
                sets[subject], _of(neighbors, subject, "neighbors", several), stimuli,
                comparison=comparison, residuals=_of(residuals, subject, "residuals", several),
                options=options, where=where,
            )
        )  # fmt: skip
    sizes = {s: one.spheres.indptr.size - 1 for s, one in zip(subjects, ready, strict=True)}
    if len(set(sizes.values())) > 1:
        remedy = "Give every subject the rows of the places that all share, in one order."
        raise InputError(
            message("neighbors", "subjects have other numbers of places", got=sizes, remedy=remedy)
        )
    if any(not np.array_equal(one.places, ready[0].places) for one in ready):
        # The first subject's channels are not what all call the places.
        ready = [one._replace(places=None) for one in ready]
    shape = (len(subjects), sizes[subjects[0]])
    return SubjectLanes(subjects, ready, np.zeros(shape, np.int32), np.zeros(shape, np.uint8))


def _of(given: object, subject: str, name: str, several: bool) -> object:
    """Return what belongs to a subject where each has its own."""
    if not isinstance(given, Mapping):
        return given
    own = {str(key): value for key, value in given.items()}
    if not several or subject not in own:
        fault = f"have nothing for subject {subject}" if several else "are those of several"
        raise InputError(message(name, fault, got=sorted(own)))
    return own[subject]


def block_lanes(
    group: SubjectLanes, readout: Readout, works: list[Work], start: int, stop: int, ceilings: bool
) -> BlockLanes:
    """Return mean lanes over subjects of the places start ... stop - 1.

    Features and reasons are noted in `group`. Where a nuisance is taken out of the data, every
    subject's lane is scaled to the length that its score asks for.
    """
    spheres = group.ready[0].spheres
    n_pairs, dtype = len(spheres.references), spheres.rows.dtype
    means = np.zeros((group.block, n_pairs), dtype)
    lower, upper = np.full(stop - start, np.nan), np.full(stop - start, np.nan)
    stack = np.empty((len(group.ready), LANES, n_pairs), dtype)
    scales, factors = np.empty((2, len(group.ready), LANES))
    basis = np.ascontiguousarray(readout.basis.T, dtype) if not readout.semi else np.empty((0, 0))
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        for s, (one, work) in enumerate(zip(group.ready, works, strict=True)):
            fill_lanes(one.spheres, one.rule, work, first, last, group.n_features[s],
                       group.reasons[s])  # fmt: skip
            stack[s], scales[s] = work.block, work.lane_scale
            factors[s] = scales[s]
            if basis.size:
                reasons = group.reasons[s, first:last]
                products = (stack[s] @ basis) * scales[s][:, np.newaxis]
                rest = rest_scale(products[: last - first], reasons, one.rule.eps)
                factors[s, : last - first] *= rest
        own, part = slice(first - start, last - start), slice(0, last - first)
        # Subjects are added one after the other, in the order of their names.
        for lanes, factor in zip(stack, factors, strict=True):
            means[own] += lanes[part] * factor[part, np.newaxis].astype(dtype)
        if ceilings:
            rule = group.ready[0].rule
            weights = np.ones_like(scales) if rule.comparison in _RANKED else scales
            bounds = lane_ceilings(stack[:, part], scales[:, part], weights[:, part], rule)
            lower[own], upper[own] = bounds
    defined = (group.reasons[:, start:stop] == 0).all(axis=0)
    means[: stop - start] /= len(group.ready)
    means[: stop - start][~defined] = 0.0
    return BlockLanes(means, defined, lower, upper)
