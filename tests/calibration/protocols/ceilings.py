"""A5: do the bounds of the noise ceiling hold the score of the true model?"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import gammaln, hyp2f1

import neurodnn as nd
from protocols.counting import Arm, Check, Columns, Measure, Protocol
from protocols.nulls import as_rdms, generator, subject_names

_SUBJECTS, _STIMULI, _NOISE = 12, 20, 1.2
_PAIRS = _STIMULI * (_STIMULI - 1) // 2
_RHO = 1 / np.sqrt(1 + _NOISE**2)  # correlation of the truth with one subject, all pairs there are


def bounds(indices: range, seed: int, comparison: str = "pearson") -> Columns:
    """Gaussian truth plus noise of each subject, and where the truth lies between the bounds."""
    columns: dict[str, list[float]] = {
        name: [] for name in ("lower", "true", "upper", "violated", "overshot")
    }
    names = subject_names(_SUBJECTS)
    for i in indices:
        rng = generator(seed, 5, i)
        truth = rng.standard_normal((1, _PAIRS))
        data = truth + _NOISE * rng.standard_normal((_SUBJECTS, _PAIRS))
        subjects = as_rdms(data, "subject", names)
        score = nd.compare_rdms(subjects, as_rdms(truth, "reference", ["truth"]),
                             comparison=comparison).mean().item()  # fmt: skip
        lower, upper = nd.noise_ceiling(subjects, comparison=comparison)
        columns["lower"].append(lower)
        columns["true"].append(score)
        columns["upper"].append(upper)
        columns["violated"].append(not lower <= score <= upper + 1e-12)
        # With oneself in the mean the bound is no lower bound of anything.
        columns["overshot"].append(upper > score)
    return columns


def expected_score(comparison: str, rho: float = _RHO) -> float:
    """Return the exact mean of a sample correlation of Gaussian pairs that correlate `rho`."""
    if comparison == "spearman":
        n = _PAIRS
        halves = np.arcsin(rho) + (n - 2) * np.arcsin(rho / 2)
        return float(6 / (np.pi * (n + 1)) * halves)
    if comparison == "tau-a":
        return float(2 / np.pi * np.arcsin(rho))
    # Without the mean removed, one more degree of freedom.
    n = _PAIRS + (comparison == "cosine")
    factor = 2 / (n - 1) * np.exp(2 * (gammaln(n / 2) - gammaln((n - 1) / 2)))
    return float(factor * rho * hyp2f1(0.5, 0.5, (n + 1) / 2, rho**2))


def expected_bounds(comparison: str) -> tuple[float, float]:
    """Return the mean bounds, but for what scaling each subject first adds (some .001)."""
    noise, n = _NOISE**2, _SUBJECTS
    lower = 1 / np.sqrt((1 + noise) * (1 + noise / (n - 1)))
    upper = np.sqrt((1 + noise / n) / (1 + noise))
    return expected_score(comparison, lower), expected_score(comparison, upper)


def _judge(comparison: str, columns: Columns) -> list[Check]:
    lower, true, upper = (float(columns[name].mean()) for name in ("lower", "true", "upper"))
    expected = expected_score(comparison)
    error = float(columns["true"].std(ddof=1) / np.sqrt(len(columns["true"])))
    checks = []
    if comparison in ("pearson", "cosine"):  # pooled ranks have no closed form
        low, high = expected_bounds(comparison)
        holds = abs(lower - low) <= 0.005 and abs(upper - high) <= 0.005
        label = f"mean bounds against their closed forms ({low:.3f}, {high:.3f})"
        checks.append(Check(label, "within .005", f"{lower:.3f}, {upper:.3f}", holds))
    return [
        *checks,
        Check("mean lower bound, score of the truth, upper bound", "in this order",
              f"{lower:.3f}, {true:.3f}, {upper:.3f}", lower < true < upper),
        Check(f"score of the truth against its closed form ({expected:.4f})",
              "within 3 standard errors", f"{true:.4f} ({(true - expected) / error:+.1f} se)",
              abs(true - expected) <= 3 * error),
    ]  # fmt: skip


def _arm(comparison: str, quick: bool) -> Arm:
    n = {"nightly": 400, "release": 2000} | ({"quick": 400} if quick else {})
    measures = [
        Measure("violated", "truth outside the two bounds", (0.0, 0.01), null=False),
        Measure("overshot", "a 'lower bound' with oneself in the mean lies above the truth",
                "caught", naive=True, null=False),
    ]  # fmt: skip
    return Arm(comparison, bounds, n, measures, {"comparison": comparison},
               partial(_judge, comparison), block=100)  # fmt: skip


A5 = Protocol(
    "A5",
    "The noise ceiling",
    "Does the score of the true model lie between the lower and the upper bound, as a reader of "
    "a figure takes for granted?",
    f"RDMs of {_SUBJECTS} subjects over {_STIMULI} stimuli: a Gaussian truth of unit variance "
    f"plus {_NOISE} times noise. noise_ceiling and, for the truth, compare_rdms.",
    "The lower bound leaves each subject out of the mean that it is compared with. A bound that "
    "does not do so is always too high: noise explains itself.",
    [_arm("pearson", True), _arm("spearman", True), _arm("cosine", False), _arm("tau-a", False)],
)
