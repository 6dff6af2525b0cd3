"""Make rsa_golden.npz: inputs and what rsatoolbox, SciPy and hand calculation give for them.

Run once with the versions that the file records; NumPy does not promise its random streams for
ever, so tests read the inputs from the file. ``python make_rsa_golden.py`` writes beside itself.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import cov_from_residuals, prec_from_residuals
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare
from scipy.spatial.distance import pdist

STREAM = {  # (array, index) -> value: the stream is checked before anything is frozen
    ("folds", (0, 0, 0)): 1.57786943448994,
    ("folds", (2, 5, 7)): 0.7019533027568167,
    ("residuals", (0, 0)): -1.03691570798536,
    ("residuals", (59, 7)): -1.5905681984364857,
    ("subjects", (0, 0)): 17.67263302503757,
    ("models", (0, 0)): 12.03503843444436,
}
METHODS = ("cosine", "corr", "spearman", "tau-a", "rho-a")


def first_set() -> dict[str, np.ndarray]:
    """G1: distances with noise, comparisons, ceilings."""
    rng = np.random.default_rng(20260101)
    made = {"folds": rng.normal(size=(3, 6, 8)), "residuals": rng.normal(size=(60, 8))}
    made["subjects"] = np.array([pdist(rng.normal(size=(6, 9)), "sqeuclidean") for _ in range(5)])
    made["models"] = np.array([pdist(rng.normal(size=(6, 9)), "sqeuclidean") for _ in range(2)])
    for (name, index), value in STREAM.items():
        if not np.isclose(made[name][index], value, rtol=1e-12, atol=0):
            raise SystemExit(f"{name}{index} is {made[name][index]}, not {value}")
    runs = np.repeat([0, 1, 2], 6)
    labels = [f"c{i}" for i in range(6)] * 3
    data = Dataset(made["folds"].reshape(-1, 8), obs_descriptors={"c": labels, "run": runs})
    precision = prec_from_residuals(made["residuals"], method="shrinkage_diag")
    made["covariance"] = cov_from_residuals(made["residuals"], method="shrinkage_diag")
    for name, options in {
        "correlation": {},
        "euclidean": {},
        "mahalanobis": {"noise": precision},
        "crossnobis": {"noise": precision, "cv_descriptor": "run"},
    }.items():
        rdm = calc_rdm(data, method=name, descriptor="c", **options)
        made[name] = rdm.dissimilarities[0]
    white = calc_rdm(data, method="crossnobis", descriptor="c", cv_descriptor="run")
    made["crossnobis_white"] = white.dissimilarities[0]
    for method in METHODS:
        pair = RDMs(made["models"][:1]), RDMs(made["subjects"][:1])
        made[f"compare_{method}"] = compare(*pair, method=method).ravel()
        if method != "rho-a":
            bounds = boot_noise_ceiling(RDMs(made["subjects"]), method=method)
            made[f"ceiling_{method}"] = np.array(bounds, dtype=float).ravel()
    return made


def second_set() -> dict[str, np.ndarray]:
    """G2: a model of two values only."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 20))
    rng.normal(size=(100, 20))
    rng.normal(size=(4, 12, 20))
    data = pdist(x, "sqeuclidean")
    model = pdist(rng.normal(size=(12, 7)), "sqeuclidean")
    model = (model > np.median(model)).astype(float)
    made = {"tied_data": data, "tied_model": model}
    for method in ("spearman", "rho-a", "tau-a"):
        pair = RDMs(data[None]), RDMs(model[None])
        made[f"tied_{method}"] = compare(*pair, method=method).ravel()
    return made


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = first_set() | second_set()
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "rsatoolbox")]
    made["versions"] = np.array(versions)
    np.savez_compressed(Path(__file__).with_name("rsa_golden.npz"), **made)


if __name__ == "__main__":
    main()
