"""Sign-flip test with threshold-free cluster enhancement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.numerics.clusters import t_of
from neurodnn.numerics.signflips import add_flip
from neurodnn.numerics.tfce import prepare, tally_tfce, tfce_scores
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.graph_maps import (
    GraphMap,
    as_dataset,
    each_map,
    flip_tables,
    on_graph,
    reached,
    spread,
    sweep,
)
from neurodnn.stats.group_scores import attributes, warn_of_data


def tfce_test(
    scores: xr.DataArray | np.ndarray,
    adjacency: Any,
    *,
    exponents: tuple[float, float] = (0.5, 2.0),
    step: float | None = None,
    tail: str = "two-sided",
    n_permutations: int | str = 10_000,
    seed: int = 0,
    places: str | Sequence[str] | None = None,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return t enhanced by the extent of its surroundings, with corrected p per place.

    The enhanced value of a place of height t is the integral over thresholds h from 0 to t of
    extent(h)**E * h**H: broad and high effects count alike, without a cluster-defining
    threshold. The test generalises to subjects, not to stimuli.

    Parameters
    ----------
    scores : DataArray with a dimension ``subject``, or ndarray with subjects first
        One score per subject and place. Places that lack a score (NaN) in any subject become
        NaN, count for no extent and may part clusters.
    adjacency : sparse array (places x places)
        Nonzero where two places touch: `neurodnn.voxel_adjacency`, `neurodnn.vertex_adjacency`,
        `line_adjacency` and `combine_adjacency` of `neurodnn.numerics.adjacency`, or MNE's.
    exponents : (E, H)
        Of extent and height; (0.5, 2) as published for volumes, (1, 2) is usual on surfaces.
    step : float, optional
        By default the exact integral. A number gives the field's sum over thresholds step,
        2 step, ... (in t), as MNE's ``threshold=dict(start=0, step=step)`` does.
    tail : "two-sided" or "greater"
        Two-sided, positive and negative places are enhanced apart.
    n_permutations, seed, n_jobs, allow_small
        As in `neurodnn.sign_flip_test`.
    places : str or sequence of str, optional
        Dimensions that `adjacency` spans, in its order; by default all but ``subject`` and
        ``reference``. Along the others each map is enhanced on its own, and the largest value
        is taken over all of them together.

    Returns
    -------
    Dataset
        ``mean``, ``t``, ``skewness``, ``tfce`` (with the sign of t; 0 for negative t with
        ``"greater"``) and ``p_fwe``; no uncorrected p, which would double the time. attrs: as in
        `sign_flip_test`, with exponents, step (0: exact integral) and places.

    Raises
    ------
    InputError
        If there are too few subjects, the adjacency does not fit the scores, or an argument is
        not valid.

    References
    ----------
    Smith S. M. and Nichols T. E. (2009). Threshold-free cluster enhancement: addressing
    problems of smoothing, threshold dependence and localisation in cluster inference.
    NeuroImage 44, 83-98.

    Examples
    --------
    >>> import numpy as np
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> scores = np.random.default_rng(0).normal(size=(12, 40))
    >>> scores[:, 10:20] += 1.2
    >>> test = tfce_test(scores, line_adjacency(40))
    >>> bool(test.p_fwe[15] < 0.05), bool(test.p_fwe[30] < 0.05)
    (True, False)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    exponents, step = _checked(exponents, step)
    arranged = on_graph(scores, adjacency, places)
    flips = plan_flips(arranged.subjects, n_permutations, tail, seed)
    check_reach(flips, allow_small)
    largest, parts = np.zeros(flips.n_rows), []
    for part in each_map(arranged):
        parts.append(_test_map(part, flips, exponents, step, tail, n_jobs, largest))
    warn_of_data(parts, flips.n_subjects)
    for part in parts:
        p = reached(largest, np.abs(part["tfce"]))
        part["p_fwe"] = np.where(part.pop("fault") > 0, np.nan, p)
    attrs = attributes(flips, tail, arranged.family, seed)
    return as_dataset(
        arranged, parts, attrs | {"exponents": list(exponents), "step": float(step or 0.0)}
    )


def _checked(exponents: Any, step: Any) -> tuple[tuple[float, float], float | None]:
    if not isinstance(exponents, Sequence) or len(exponents) != 2:
        raise InputError(message("exponents", "must be a pair (E, H)", got=exponents))
    extent, height = (check_number("exponents", x, minimum=0, maximum=10) for x in exponents)
    if step is not None:
        step = check_number("step", step, minimum=1e-4, maximum=10)
    return (extent, height), step


def _test_map(
    part: GraphMap, flips: Flips, exponents: tuple[float, float], step: float | None, tail: str,
    n_jobs: int, largest: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Raise `largest` by one map's flips; return its own enhanced values."""
    freedom, two_sided = flips.n_subjects - 1.0, tail == "two-sided"
    tables, codes = flip_tables(part.units, flips)
    graph = (part.graph.indptr, part.graph.indices)
    enhancement = prepare(part.units.shape[1], exponents, step)

    def work(rows: slice) -> None:
        tally_tfce(tables, codes[rows], freedom, two_sided, graph, enhancement, largest[rows])

    sweep(flips.n_rows, work, n_jobs)
    c = np.empty(part.units.shape[1])
    add_flip(tables, codes[0], c)  # the data, added up as every flip is
    t = t_of(c, freedom) if two_sided else np.maximum(t_of(c, freedom), 0.0)
    observed = tfce_scores(t, part.graph, exponents=exponents, step=step)
    described = part.described
    return {name: described[name] for name in ("mean", "t", "skewness", "fault")} | {
        "tfce": spread(observed, part.keep, np.nan)
    }
