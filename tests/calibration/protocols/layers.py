"""A9, A14: choosing the best of several layers, when none is right and when one is."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.signal import lfilter

import neurodnn as nd
from protocols.counting import Arm, Check, Columns, Measure, Protocol
from protocols.nulls import as_rdms, correlation_distances, generator, subject_names

_ALIKE = 0.5  # correlation of a layer's scores with those of the next
_LAYERS = 8


def choose_best(indices: range, seed: int, n_layers: int = 20) -> Columns:
    """A9: scores of 16 subjects for layers that are all unrelated to the brain."""
    columns: dict[str, list[bool]] = {"naive": [], "family": [], "best": []}
    for i in indices:
        white = generator(seed, 9, i).standard_normal((16, n_layers))
        white[:, 1:] *= np.sqrt(1 - _ALIKE**2)
        scores = xr.DataArray(
            lfilter([1.0], [1.0, -_ALIKE], white, axis=1), dims=("subject", "reference"),
            coords={"subject": subject_names(16),
                    "reference": [f"layer{k:02d}" for k in range(n_layers)]},
        )  # fmt: skip
        test = nd.sign_flip_test(scores, n_permutations=200, seed=i)
        columns["naive"].append(bool(test.p.min() <= 0.05))
        columns["family"].append(bool(test.p_fwe.min() <= 0.05))
        best = nd.best_reference_test(scores, n_permutations=200, seed=i)
        columns["best"].append(bool(np.min(best["p"]) <= 0.05))
    return columns


def recover(indices: range, seed: int, noise: float = 1.5) -> Columns:
    """A14: RDMs of 12 subjects made of one layer's RDM and noise; is it the best layer?"""
    columns: dict[str, list[float]] = {"right": [], "distance": [], "lower": []}
    names = [f"layer{k}" for k in range(_LAYERS)]
    for i in indices:
        rng = generator(seed, 14, i)
        # Every layer keeps a part of the one before: neighbours look alike, as in a network.
        steps = rng.standard_normal((_LAYERS, 20, 100))
        steps[1:] *= np.sqrt(1 - 0.8**2)
        rows = correlation_distances(lfilter([1.0], [1.0, -0.8], steps, axis=0))
        true = int(rng.integers(_LAYERS))
        pure = (rows[true] - rows[true].mean()) / rows[true].std()
        data = pure + noise * rng.standard_normal((12, pure.size))
        subjects = as_rdms(data, "subject", subject_names(12))
        found = nd.compare_rdms(subjects, as_rdms(rows, "reference", names)).mean("subject")
        columns["distance"].append(abs(int(found.values.argmax()) - true))
        columns["right"].append(columns["distance"][-1] == 0)
        columns["lower"].append(nd.noise_ceiling(subjects).lower)
    return columns


def _judge_recovery(columns: Columns) -> list[Check]:
    lower, far = float(np.mean(columns["lower"])), int(columns["distance"].max())
    return [
        Check("mean lower noise ceiling (Spearman)", ">= 0.5", f"{lower:.3f}", lower >= 0.5),
        Check("most layers between the true and the chosen one", "<= 1", str(far), far <= 1),
    ]


def _best_arm(n_layers: int, quick: bool) -> Arm:
    n = {"nightly": 2000, "release": 2000} | ({"quick": 500} if quick else {})
    return Arm(
        f"{n_layers} layers" if n_layers > 1 else "1 layer", choose_best, n,
        [
            Measure("best", "p of the best layer (best_reference_test)"),
            Measure("family", "any layer, corrected over layers (sign_flip_test)"),
            Measure("naive", "p of the best layer as if it had been chosen beforehand",
                    "caught" if n_layers > 1 else "shown", naive=True),
        ],
        {"n_layers": n_layers}, block=250,
    )  # fmt: skip


A9 = Protocol(
    "A9",
    "The best of several layers",
    "We look at all layers, report the best one and its p. How often is that p <= .05 when no "
    "layer has anything to do with the brain?",
    "Gaussian scores of 16 subjects; a layer's scores correlate .5 with those of its neighbour. "
    "200 sign flips.",
    "Twenty looks at the data with p <= .05 each are not one: the naive p of the best layer is "
    "'significant' in about half of all studies. The corrected p compares the best layer with "
    "the best layer of every flip.",
    [_best_arm(n, quick=n in (1, 20)) for n in (1, 5, 8, 20)],
)

A14 = Protocol(
    "A14",
    "The right layer is found",
    "If the brain is one layer of the network plus noise, is that layer the best one?",
    "Eight layers of 20 stimuli; each keeps .8 of the features of the one before. Subjects' RDMs "
    "(12) are one layer's RDM plus noise. compare_rdms (Spearman), mean over subjects, argmax; "
    "noise_ceiling.",
    "With a noise ceiling of .5 the layer is found, and errors are to the next layer. With much "
    "more noise the best layer is often another: report the ceiling with the layer.",
    [
        Arm("ceiling above .5", recover, {"quick": 40, "nightly": 200, "release": 2000},
            [Measure("right", "the true layer is the best", (0.95, 1.0), null=False)],
            {"noise": 1.4}, _judge_recovery),
        Arm("fifteen times the noise", recover, {"quick": 40, "nightly": 200, "release": 2000},
            [Measure("right", "the true layer is the best (must fail here)", (0.0, 0.8),
                     naive=True, null=False)],
            {"noise": 21.0}),
    ],
)  # fmt: skip
