"""Patterns x neighbours x references -> scores: the loop over centres, compiled.

Axes: ``rows`` is channels x width, where width is the number of conditions, or folds x
conditions laid one fold after the other; neighbours are the ``indptr`` and ``indices`` of a
sparse row per centre; ``references`` is pairs x references, normalised by
`neurodnn.numerics.similarity.normalise`; scores are centres x references.

Per centre: copy the rows of its members, centre them (two passes, float64 sums), one Gram
product, distances of the upper triangle, ranks. `LANES` centres share one product with all
references. Nothing is allocated per centre and nothing of a centre is kept. What happens at one
centre depends on nothing but its own members, so neither a fault in another sphere nor the
number of workers can change a bit.

Whatever is linear in the lane of a centre is a product with other columns: references whose
nuisance has been taken out, a basis of them, or their relabellings (`fill_lanes`).

Compiled code is cached on disk and renewed when *this* file changes: after an edit of a module
that it calls (`lanes`, `spheres`, `sphere_noise`, `ranks`, `whitened`, `kendall`, `_blas`),
remove the ``__pycache__`` beside them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurodnn.numerics.kendall import concordance, make_concordance_work
from neurodnn.numerics.lanes import COMPARISON_CODES, fill_lane
from neurodnn.numerics.spheres import (
    LANES,
    METRIC_CODES,
    OK,
    REASONS,
    TOO_FEW,
    Rule,
    Spheres,
    Work,
    gather,
    make_work,
    sphere_distances,
)

__all__ = [
    "COMPARISON_CODES",
    "LANES",
    "METRIC_CODES",
    "OK",
    "REASONS",
    "Rule",
    "Spheres",
    "Work",
    "fill_lanes",
    "make_concordance_work",
    "make_work",
    "score_centres",
    "score_orders",
]


@njit(nogil=True, cache=True)
def fill_lanes(spheres, rule, work, first, last, n_features, reasons):
    """Fill `work.block`, its scales and norms with the lanes of at most `LANES` centres.

    Numbers of features and reason codes are those of all centres. A lane without a centre, or
    whose centre is undefined, is zero.
    """
    for centre in range(first, last):
        lane = centre - first
        n = gather(spheres, work, centre)
        n_features[centre] = n
        reason = TOO_FEW
        if n >= rule.min_features:
            reason = sphere_distances(spheres, rule, work, centre, n)
        if reason == OK:
            reason, scale, norm = fill_lane(
                rule, work.distances, work.block[lane], work.ranking, work.kernel
            )
            work.lane_scale[lane], work.lane_norm[lane] = scale, norm
        reasons[centre] = reason
        if reason != OK:
            work.block[lane, :] = 0
            work.lane_scale[lane] = work.lane_norm[lane] = 0.0
    # Always all lanes: the bits of a row must not depend on how many stand beside it.
    for lane in range(last - first, LANES):
        work.block[lane, :] = 0
        work.lane_scale[lane] = work.lane_norm[lane] = 0.0


@njit(nogil=True, cache=True)
def score_centres(spheres, rule, work, start, stop, scores, norms, n_features, reasons):
    """Write products with the references, norms, numbers of features and reason codes.

    Those of the centres start ... stop - 1; NaN where undefined.
    """
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        fill_lanes(spheres, rule, work, first, last, n_features, reasons)
        np.dot(work.block, spheres.references, work.product)
        for centre in range(first, last):
            lane = centre - first
            norms[centre] = work.lane_norm[lane] if reasons[centre] == OK else np.nan
            for reference in range(scores.shape[1]):
                score = work.product[lane, reference] * work.lane_scale[lane]
                scores[centre, reference] = score if reasons[centre] == OK else np.nan


@njit(nogil=True, cache=True)
def score_orders(spheres, rule, work, orders, buffers, start, stop, scores, n_features, reasons):
    """As `score_centres` for Kendall's tau-a, which is no product.

    `orders` are references x pairs, order and starts as of `concordance.in_order`.
    """
    n = work.distances.size
    pairs = n * (n - 1) / 2.0
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        fill_lanes(spheres, rule, work, first, last, n_features, reasons)
        for centre in range(first, last):
            for reference in range(scores.shape[1]):
                if reasons[centre] == OK:
                    count = concordance(
                        work.block[centre - first], orders.order[reference],
                        orders.starts[reference], buffers,
                    )  # fmt: skip
                    scores[centre, reference] = count / pairs
                else:
                    scores[centre, reference] = np.nan
