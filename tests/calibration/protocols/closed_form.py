"""A12: threshold-free cluster enhancement where its integral is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from neurodnn.numerics.adjacency import combine_adjacency, grid_adjacency
from neurodnn.numerics.tfce import tfce_scores
from protocols.counting import TIERS, Arm, Check, Columns, Protocol

# extents of the box on each axis, and its height
CASES = [((5,), 3.0), ((1,), 3.0), ((7,), 0.7), ((3, 4), 3.0), ((2, 3, 4), 5.0), ((1, 1, 1), 2.0)]
_FRACTIONS = (10, 100, 150, 1000)  # steps in the height of the box
_MARGIN = 2


def boxes(indices: range, seed: int) -> Columns:
    """Boxes of height h and extent w in zeros: every place scores sqrt(w) * h**3 / 3."""
    columns: dict[str, list[float]] = {name: [] for name in ("exact", "outside", "graphs")}
    for i in indices:
        extent, height = CASES[i % len(CASES)]
        shape = tuple(size + 2 * _MARGIN for size in extent)
        box = np.zeros(shape)
        box[tuple(slice(_MARGIN, _MARGIN + size) for size in extent)] = height
        inside = box.ravel() > 0
        grid = grid_adjacency(np.ones(shape, bool), {1: 2, 2: 4, 3: 6}[len(shape)])
        truth = np.sqrt(inside.sum()) * height**3 / 3
        scores = tfce_scores(box.ravel(), grid)
        columns["exact"].append(float(np.abs(scores[inside] / truth - 1).max()))
        columns["outside"].append(float(np.abs(scores[~inside]).max()))
        product = tfce_scores(box.ravel(), combine_adjacency(*shape))
        mirror = tfce_scores(-box.ravel(), grid)
        columns["graphs"].append(
            float(np.array_equal(product, scores) and np.array_equal(mirror, -scores))
        )
        for fraction in _FRACTIONS:
            stepped = tfce_scores(box.ravel(), grid, step=height / fraction)
            error = float(np.abs(stepped[inside] / truth - 1).max())
            columns.setdefault(f"step {fraction}", []).append(error)
            # 3 (1 + 4 + ... + (n - 1)**2) / n**3: thresholds lie below the height
            known = (fraction - 1) * (2 * fraction - 1) / (2 * fraction**2)
            error = float(np.abs(stepped[inside] / (known * truth) - 1).max())
            columns.setdefault("sum", []).append(error)
    return columns


def _judge(columns: Columns) -> list[Check]:
    exact, outside = float(columns["exact"].max()), float(columns["outside"].max())
    errors = [columns[f"step {fraction}"] for fraction in _FRACTIONS]
    same, own = bool(columns["graphs"].all()), float(columns["sum"].max())
    seen = ", ".join(f"{error.max():.2%}" for error in errors)
    falls = all((a > b).all() for a, b in pairwise(errors))
    return [
        Check("exact integral (our default): largest relative error inside a box", "<= 1e-12",
              f"{exact:.1e}", exact <= 1e-12),
        Check("score outside the box", "0", f"{outside:g}", outside == 0),
        Check("stepped sum, 10, 100, 150 and 1,000 steps in the height: relative error",
              "falling", seen, falls),
        # The last half step is missing by definition: 1.5 / n of the score for n steps.
        Check("stepped sum against its own closed form, (n - 1)(2n - 1) / 2n^2 of the integral",
              "<= 1e-12", f"{own:.1e}", own <= 1e-12),
        Check("stepped sum from 150 steps on", "<= 1 %", f"{errors[2].max():.2%}",
              bool(max(errors[2].max(), errors[3].max()) <= 0.01)),
        Check("grid, product of lines and mirrored data", "equal bits",
              "equal" if same else "DIFFERENT", same),
    ]  # fmt: skip


A12 = Protocol(
    "A12",
    "TFCE where its value is known",
    "A box of height h and extent w has the score sqrt(w) h^3 / 3 (E = .5, H = 2). Do we give it, "
    "in one, two and three dimensions?",
    "Six boxes in zeros; tfce_scores on a grid and on the product of lines.",
    "The usual sum over thresholds approaches the integral from below as its step shrinks. Ours "
    "is the integral itself, unless a step is asked for.",
    [Arm("six boxes", boxes, dict.fromkeys(TIERS, len(CASES)), check=_judge)],
)
