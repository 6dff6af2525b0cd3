"""A1, A1b, A8: corrections over the places of a map, when nothing is there and when a blob is."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import t as student
from scipy.stats import ttest_1samp

import neurodnn as nd
from neurodnn.numerics.adjacency import grid_adjacency
from protocols.counting import ALPHA, Arm, Check, Columns, Measure, Protocol
from protocols.nulls import generator, smooth_maps, subject_names

_SUBJECTS = 16
_CUBE, _SQUARE = (10, 10, 10), (12, 12)
_EFFECTS = (0.3, 0.6, 0.9, 1.2)
_BLOB = 3.0  # voxels, radius of the planted disc


def cluster_forming_t(p: float) -> float:
    """Return the t of a two-sided p with the degrees of freedom of the simulated group."""
    return float(student(_SUBJECTS - 1).isf(p / 2))


def _scores(values: np.ndarray) -> xr.DataArray:
    flat = values.reshape(len(values), -1)
    names = {"subject": subject_names(len(flat))}
    return xr.DataArray(flat, dims=("subject", "voxel"), coords=names)


def _found(p: xr.DataArray) -> bool:
    return bool(np.nanmin(p.values) <= ALPHA)


def maximum(indices: range, seed: int) -> Columns:
    """A1: the largest |t| of a smooth null volume, and what no correction would give."""
    columns: dict[str, list[bool]] = {"max_t": [], "naive": [], "bonferroni": []}
    for i in indices:
        scores = _scores(smooth_maps(generator(seed, 1, i), _SUBJECTS, _CUBE))
        test = nd.sign_flip_test(scores, n_permutations=200, seed=i)
        columns["max_t"].append(_found(test.p_fwe))
        columns["naive"].append(_found(test.p))
        p = ttest_1samp(scores.values, 0).pvalue
        columns["bonferroni"].append(bool(p.min() <= ALPHA / p.size))
    return columns


def clusters(indices: range, seed: int) -> Columns:
    """A1: clusters at two cluster-forming thresholds, the original test, and FDR."""
    adjacency = grid_adjacency(np.ones(_CUBE, bool), 18)
    columns: dict[str, list[bool]] = {}
    for i in indices:
        scores = _scores(smooth_maps(generator(seed, 1, i), _SUBJECTS, _CUBE))
        found = {}
        for p in (0.001, 0.01):
            for statistic in ("size", "mass"):
                test = nd.cluster_test(
                    scores, adjacency, statistic=statistic, threshold=cluster_forming_t(p),
                    n_permutations=200, seed=i,
                )  # fmt: skip
                found[f"{statistic} {p}"] = _found(test.p_fwe)
        # Fixed size: whoever calls ten voxels at p < .01 a finding corrects for nothing.
        ten = np.asarray(test["cluster"].values)
        found["ten voxels"] = bool(np.bincount(ten[ten > 0], minlength=1).max() >= 10)
        original = nd.reference_cluster_test(
            scores, adjacency, cluster_alpha=0.01, n_permutations=1000, seed=i
        )
        found["original"] = bool(np.any(original["significant"].values))
        test = nd.sign_flip_test(scores, n_permutations=10_000, seed=i)
        found["fdr"] = _found(nd.fdr(test.p))
        for name, value in found.items():
            columns.setdefault(name, []).append(value)
    return columns


def enhanced(indices: range, seed: int) -> Columns:
    """A1b: TFCE, exact and stepped, beside the maximum statistic and clusters, on a plane."""
    adjacency = grid_adjacency(np.ones(_SQUARE, bool), 4)
    columns: dict[str, list[bool]] = {}
    for i in indices:
        scores = _scores(smooth_maps(generator(seed, 101, i), _SUBJECTS, _SQUARE))
        common = {"n_permutations": 100, "seed": i}
        flips = nd.sign_flip_test(scores, **common)
        found = {
            "exact": _found(nd.tfce_test(scores, adjacency, **common).p_fwe),
            "uncorrected": _found(flips.p),
            "stepped": _found(nd.tfce_test(scores, adjacency, step=0.2, **common).p_fwe),
            "max_t": _found(flips.p_fwe),
            "mass": _found(
                nd.cluster_test(
                    scores, adjacency, threshold=cluster_forming_t(0.01), **common
                ).p_fwe
            ),
        }
        for name, value in found.items():
            columns.setdefault(name, []).append(value)
    return columns


def power(indices: range, seed: int) -> Columns:
    """A8: a disc of known effect in the same noise, for four sizes of the effect."""
    adjacency = grid_adjacency(np.ones(_SQUARE, bool), 4)
    axes = np.indices(_SQUARE) - np.array([5, 6])[:, None, None]
    blob = (np.hypot(*axes) <= _BLOB).ravel()
    columns: dict[str, list[float]] = {}
    for i in indices:
        noise = smooth_maps(generator(seed, 8, i), _SUBJECTS, _SQUARE).reshape(_SUBJECTS, -1)
        for effect in _EFFECTS:
            scores = _scores(noise + effect * blob)
            common = {"n_permutations": 100, "seed": i}
            maps = {
                "TFCE": nd.tfce_test(scores, adjacency, **common).p_fwe,
                "max t": nd.sign_flip_test(scores, **common).p_fwe,
                "cluster mass": nd.cluster_test(
                    scores, adjacency, threshold=cluster_forming_t(0.01), **common
                ).p_fwe,
            }
            for name, p in maps.items():
                chosen = p.values <= ALPHA
                columns.setdefault(f"{name} {effect}", []).append(bool(chosen[blob].any()))
                share = 2 * (chosen & blob).sum() / (chosen.sum() + blob.sum())
                columns.setdefault(f"dice {name} {effect}", []).append(float(share))
    return columns


def _judge_power(columns: Columns) -> list[Check]:
    checks = []
    for name in ("TFCE", "max t", "cluster mass"):
        rates = np.array([np.mean(columns[f"{name} {effect}"]) for effect in _EFFECTS])
        n = len(columns[f"{name} {_EFFECTS[0]}"])
        errors = np.sqrt((rates * (1 - rates) / n)[1:] + (rates * (1 - rates) / n)[:-1])
        holds = bool((np.diff(rates) >= -2 * errors).all())
        seen = ", ".join(f"{rate:.2f}" for rate in rates)
        label = f"power of {name} grows with the effect (d = .3, .6, .9, 1.2)"
        checks.append(Check(label, "never falls by more than 2 standard errors", seen, holds))
    dice = float(np.mean(columns["dice TFCE 0.9"]))
    checks.append(Check("overlap (Dice) of TFCE's places with the planted ones at d = .9",
                        ">= 0.5", f"{dice:.2f}", dice >= 0.5))  # fmt: skip
    return checks


_VOLUME = (
    "16 subjects, Gaussian noise on a grid of 10 x 10 x 10 voxels, smoothed with a standard "
    "deviation of 1.2 voxels; 200 sign flips, the data included."
)

A1 = Protocol(
    "A1",
    "False findings anywhere in a map",
    "Nothing is there. How often does a whole-brain map show at least one 'significant' place or "
    "cluster?",
    _VOLUME + " sign_flip_test (maximum of |t|); cluster_test with cluster-forming p of .001 and "
    ".01; reference_cluster_test with 1,000 flips; fdr (Benjamini-Hochberg) on sign-flip "
    "p of 10,000 flips.",
    "Without correction practically every map has a finding, and a habit such as 'ten touching "
    "voxels at p < .01' does not keep its promise either. Bonferroni is safe and wastes power, as "
    "neighbours are alike. Sizes of clusters are whole numbers, so that these tests may lie below "
    ".05; they must not lie above it.",
    [
        Arm(
            "maximum statistic", maximum, {"quick": 300, "nightly": 1000, "release": 2000},
            [
                Measure("max_t", "any place, corrected by the maximum statistic"),
                Measure("naive", "any place, uncorrected", "caught", naive=True),
                Measure("bonferroni", "any place, t-test with Bonferroni", "shown", naive=True),
            ],
        ),
        Arm(
            "clusters and false discovery rate", clusters, {"nightly": 1000, "release": 2000},
            [
                Measure("size 0.001", "any cluster, by size, forming p < .001", "clusters"),
                Measure("size 0.01", "any cluster, by size, forming p < .01", "clusters"),
                Measure("mass 0.001", "any cluster, by mass, forming p < .001", "clusters"),
                Measure("mass 0.01", "any cluster, by mass, forming p < .01", "clusters"),
                Measure("original", "any cluster, original test of the reference study, p < .01",
                        "clusters"),
                Measure("fdr", "any place at a false discovery rate of .05", "at most"),
                Measure("ten voxels", "any ten touching voxels at p < .01, as a rule of thumb",
                        "shown", naive=True),
            ],
        ),
    ],
)  # fmt: skip

A1B = Protocol(
    "A1b",
    "Threshold-free cluster enhancement",
    "Nothing is there. How often does TFCE show at least one place?",
    "16 subjects, Gaussian noise on 12 x 12 places, smoothed with a standard deviation of 1.2 "
    "places; 100 sign flips, the data included. tfce_test with E = .5 and H = 2, as exact "
    "integral and in steps of .2; sign_flip_test and cluster_test on the same data.",
    "Enhancement changes what is compared, not how often chance wins, as long as the maximum over "
    "all places is compared with the maximum over all places of every flip.",
    [
        Arm(
            "a plane of 12 x 12", enhanced, {"nightly": 500, "release": 2000},
            [
                Measure("exact", "TFCE, exact integral"),
                Measure("stepped", "TFCE, steps of .2"),
                Measure("max_t", "maximum of |t|"),
                Measure("mass", "cluster mass, forming p < .01", "clusters"),
                Measure("uncorrected", "no correction over places", "caught", naive=True),
            ],
        ),
    ],
)  # fmt: skip

A8 = Protocol(
    "A8",
    "Power",
    "Something is there: how often do we find it, and is what we show where it is?",
    "As A1b, with a disc of 29 places in which the mean differs from zero by d standard "
    "deviations over subjects. Found: any place of the disc with corrected p <= .05.",
    "TFCE and cluster mass gain where an effect is extended. At d = .3, a usual size in "
    "neuroimaging, 16 subjects find little by any method.",
    [
        Arm(
            "disc of 29 places", power, {"nightly": 200, "release": 600},
            [
                Measure(f"{name} {effect}", f"{name}, d = {effect}",
                        (0.85, 1.0) if (name, effect) == ("TFCE", 0.9) else "shown", null=False)
                for name in ("TFCE", "cluster mass", "max t")
                for effect in _EFFECTS
            ],
            check=_judge_power, block=15,
        )
    ],
)  # fmt: skip
