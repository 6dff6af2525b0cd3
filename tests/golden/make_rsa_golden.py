"""Make rsa_golden.npz: inputs and what rsatoolbox, mne-rsa, statsmodels and SciPy give for them.

Run once with the versions that the file records; NumPy does not promise its random streams for
ever, so tests read the inputs from the file. mne-rsa and statsmodels are needed here only, not
by the tests. ``python make_rsa_golden.py`` writes beside itself.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path

import mne_rsa
import numpy as np
import statsmodels.api as sm
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
METHODS = ("cosine", "corr", "spearman", "kendall", "tau-a", "rho-a", "corr_cov", "cosine_cov")
GEOMETRIES = ("neg_riem_dist", "bures", "bures_metric")


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
    parts = np.split(made["residuals"], 3)
    folds = [cov_from_residuals(part, method="shrinkage_diag") for part in parts]
    made["covariance_by_fold"] = np.array(folds)
    for name, options in {
        "correlation": {},
        "euclidean": {},
        "mahalanobis": {"noise": precision},
        "crossnobis": {"noise": precision, "cv_descriptor": "run"},
        "crossnobis_by_fold": {
            "noise": [np.linalg.inv(part) for part in folds], "cv_descriptor": "run",
        },
    }.items():
        rdm = calc_rdm(data, method=name.split("_")[0], descriptor="c", **options)
        made[name] = rdm.dissimilarities[0]
    white = calc_rdm(data, method="crossnobis", descriptor="c", cv_descriptor="run")
    made["crossnobis_white"] = white.dissimilarities[0]
    for method in METHODS:
        pair = RDMs(made["models"][:1]), RDMs(made["subjects"][:1])
        made[f"compare_{method}"] = compare(*pair, method=method).ravel()
        if method not in ("rho-a", "kendall"):
            bounds = boot_noise_ceiling(RDMs(made["subjects"]), method=method)
            made[f"ceiling_{method}"] = np.array(bounds, dtype=float).ravel()
    for method in GEOMETRIES:
        pair = RDMs(made["models"]), RDMs(made["subjects"])
        made[f"compare_{method}"] = compare(*pair, method=method)
    return made


def second_set() -> dict[str, np.ndarray]:
    """G2: a model of two values only."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 20))
    rng.normal(size=(100, 20))
    rng.normal(size=(4, 12, 20))
    data = pdist(x, "sqeuclidean")
    pdist_of_model = pdist(rng.normal(size=(12, 7)), "sqeuclidean")
    model = (pdist_of_model > np.median(pdist_of_model)).astype(float)
    made = {"tied_data": data, "tied_model": model}
    for method in ("spearman", "rho-a", "tau-a", "tau-b"):
        pair = RDMs(data[None]), RDMs(model[None])
        made[f"tied_{method}"] = compare(*pair, method=method).ravel()
    made["plain_model"] = pdist_of_model
    for method in ("cosine_cov", "corr_cov"):
        pair = RDMs(data[None]), RDMs(pdist_of_model[None])
        made[f"plain_{method}"] = compare(*pair, method=method).ravel()
    return made


def third_set() -> dict[str, np.ndarray]:
    """Partial correlation and regression of one RDM of data on three references."""
    rng = np.random.default_rng(20261124)
    references = rng.random((3, 45))
    data = references.T @ [0.7, 0.2, -0.3] + 0.5 * rng.random(45)
    data[3] = data[8]  # one tie
    made = {"partial_data": data, "partial_references": references}
    models = list(references)
    for name, metric in (("pearson", "partial"), ("spearman", "partial-spearman")):
        made[f"partial_{name}"] = np.ravel(mne_rsa.rsa(data, models, metric=metric))
    made["regression_mne_rsa"] = np.ravel(mne_rsa.rsa(data, models, metric="regression"))
    fit = sm.OLS(data, sm.add_constant(references.T)).fit()
    made["regression"], made["regression_r2"] = fit.params, np.array([fit.rsquared])
    origin = sm.OLS(data, references.T).fit()
    made["regression_origin"], made["regression_origin_r2"] = (
        origin.params, np.array([origin.rsquared]),
    )  # fmt: skip
    for chosen in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        part = sm.OLS(data, sm.add_constant(references[list(chosen)].T)).fit()
        made["r2_" + "".join(map(str, chosen))] = np.array([part.rsquared])
    return made


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = first_set() | second_set() | third_set()
    names = ("numpy", "scipy", "rsatoolbox", "mne-rsa", "statsmodels")
    versions = [f"{name} {version(name)}" for name in names]
    made["versions"] = np.array(versions)
    np.savez_compressed(Path(__file__).with_name("rsa_golden.npz"), **made)


if __name__ == "__main__":
    main()
