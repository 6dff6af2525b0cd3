"""Read-outs of the searchlight beyond plain similarity: noise per fold, partial correlation,
regression, variance partitioning, reliability. Oracles are rsatoolbox, and the functions for
single RDMs, sphere by sphere."""

import warnings

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm
from scipy.sparse import csr_array
from small_brain import N_PAIRS, NAMES, Brain, at, dataset, models

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.covariance import centred_by_run, precision_of, shrunk_covariance
from neurodnn.numerics.searchlight import METRIC_CODES, REASONS
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.partition import variance_partition
from neurodnn.rsa.rdm import compute_rdms
from neurodnn.rsa.regression import regress_rdms
from neurodnn.rsa.reliability import split_half_reliability
from neurodnn.rsa.searchlight import searchlight
from neurodnn.rsa.searchlight_partition import searchlight_partition, searchlight_regression
from neurodnn.rsa.searchlight_reliability import searchlight_reliability
from neurodnn.rsa.spheres import SearchlightOptions

CENTRES = slice(None, None, 97)


@pytest.fixture(scope="module")
def brain():
    return Brain()


@pytest.fixture(scope="module")
def nuisance():
    return models(np.random.default_rng(77).random((2, N_PAIRS)))


@pytest.fixture(scope="module")
def run_noise(brain):
    """Residuals of the three runs, of unequal length and with noise of their own."""
    rng = np.random.default_rng(3)
    runs = np.repeat(["1", "2", "10"], [40, 25, 30])
    values = rng.normal(size=(95, 630)) * rng.uniform(0.5, 3, 630)
    values[40:65] = values[40:65] @ (np.eye(630) + 0.3 * np.eye(630, k=1))
    order = rng.permutation(95)  # time points of runs interleaved
    return Dataset(values[order], obs_descriptors={"run": list(runs[order])})


def computed(scores):
    return np.flatnonzero(scores.n_features)[CENTRES]


def region(brain, patterns, centre, **options):
    members = brain.members(centre)
    noise = at(options.pop("residuals", None), members)
    return compute_rdms(at(patterns, members), residuals=noise, **options)


# --- crossnobis with a covariance per fold ---------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_noise_per_fold_equals_rsatoolbox(brain, run_noise, dtype):
    """Against calc_rdm with a list of precisions: mean of the covariances of each pair of runs."""
    scores = searchlight(brain.in_runs, brain.neighbors, brain.references, metric="crossnobis",
                         residuals=run_noise, noise="per-fold", dtype=dtype)  # fmt: skip
    runs = np.array(run_noise.obs_descriptors["run"])
    freedom = 95 - 3
    for centre in computed(scores):
        members = brain.members(centre)
        precisions = []
        for run in ("1", "2", "10"):
            own = centred_by_run(run_noise.measurements[runs == run][:, members], None)
            nu = (len(own) - 1) * freedom / (95 - 3)
            covariance = shrunk_covariance(own, degrees_of_freedom=nu).covariance
            precisions.append(precision_of(covariance))
        data = Dataset(
            brain.in_runs.measurements[:, members],
            obs_descriptors={"c": NAMES * 3, "run": np.repeat([0, 1, 2], 9)},
        )
        peer = calc_rdm(data, "crossnobis", descriptor="c", cv_descriptor="run", noise=precisions)
        expected = COMPARISONS["spearman"](peer.dissimilarities, brain.references.dissimilarities)
        tolerance = 1e-12 if dtype == "float64" else 4 * np.sqrt(np.finfo(np.float32).eps)
        np.testing.assert_allclose(scores[centre], expected[0], rtol=0, atol=tolerance)


def test_noise_per_fold_equals_single_rdms_and_states_itself(brain, run_noise):
    stated = Dataset(run_noise.measurements, descriptors={"degrees_of_freedom": 50},
                     obs_descriptors=dict(run_noise.obs_descriptors))  # fmt: skip
    for residuals in (run_noise, stated):
        scores = searchlight(
            brain.in_runs, brain.neighbors, brain.references, metric="crossnobis",
            comparison="cosine", residuals=residuals, noise="per-fold",
        )  # fmt: skip
        for centre in computed(scores)[::2]:
            rdm = region(brain, brain.in_runs, centre, metric="crossnobis", noise="per-fold",
                         residuals=residuals)  # fmt: skip
            expected = compare_rdms(rdm, brain.references, comparison="cosine")
            np.testing.assert_allclose(scores[centre], expected[0], rtol=0, atol=1e-12)
    assert scores.attrs["noise"] == "per-fold"


def test_noise_per_fold_is_another_measure_than_pooled_noise(brain, run_noise):
    options = {"metric": "crossnobis", "residuals": run_noise, "comparison": "pearson"}
    pooled = searchlight(brain.in_runs, brain.neighbors, brain.references, **options)
    own = searchlight(brain.in_runs, brain.neighbors, brain.references, noise="per-fold",
                      **options)  # fmt: skip
    assert 1e-4 < float(np.nanmax(np.abs(pooled - own))) < 0.5


def test_the_runs_of_the_noise_are_found_by_name(brain, run_noise):
    names = ["one" if run == "1" else run for run in run_noise.obs_descriptors["run"]]
    renamed = Dataset(run_noise.measurements, obs_descriptors={"run": names})
    without_runs = Dataset(run_noise.measurements)
    for residuals, text in ((renamed, "one"), (without_runs, "runs"), (None, "residuals")):
        with pytest.raises(InputError, match=text):
            searchlight(brain.in_runs, brain.neighbors, brain.references, metric="crossnobis",
                        residuals=residuals, noise="per-fold")  # fmt: skip
    with pytest.raises(InputError, match="crossnobis"):
        searchlight(brain.patterns, brain.neighbors, brain.references, metric="mahalanobis",
                    residuals=run_noise, noise="per-fold")  # fmt: skip


def test_a_zero_pattern_has_no_cosine(brain):
    values = brain.folds[0].copy()
    values[3, brain.members(500)] = 0.0
    with pytest.warns(DataWarning, match="pattern zero"):
        scores = searchlight(dataset(values), brain.neighbors, brain.references, metric="cosine")
    assert scores.reason[500] == next(c for c, text in REASONS.items() if "pattern zero" in text)
    assert np.isnan(scores[500]).all()
    assert np.isfinite(scores[100]).all()


# --- partial correlation ---------------------------------------------------------------------


@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
@pytest.mark.parametrize("semi", [False, True])
def test_partial_correlation_equals_single_rdms(brain, nuisance, comparison, semi):
    scores = searchlight(brain.patterns, brain.neighbors, brain.references, nuisance=nuisance,
                         comparison=comparison, semi=semi)  # fmt: skip
    for centre in computed(scores):
        expected = compare_rdms(region(brain, brain.patterns, centre), brain.references,
                                comparison=comparison, nuisance=nuisance, semi=semi)  # fmt: skip
        np.testing.assert_allclose(scores[centre], expected[0], rtol=0, atol=1e-12)
    assert scores.attrs["nuisance"] == ["layer0", "layer1"]
    assert scores.attrs["semi"] == int(semi)


def test_partial_correlation_does_not_ask_for_the_order_of_stimuli(brain, nuisance):
    expected = searchlight(brain.patterns, brain.neighbors, brain.references, nuisance=nuisance)
    order = np.random.default_rng(4).permutation(9)
    square = nuisance.get_matrices()[:, order][:, :, order]
    turned = models(square[:, *np.triu_indices(9, 1)], [NAMES[i] for i in order])
    ours = searchlight(brain.patterns, brain.neighbors, brain.references, nuisance=turned)
    np.testing.assert_array_equal(ours, expected)


def test_what_the_nuisance_explains_wholly_is_undefined(brain, nuisance):
    """P24: a reference that is its own nuisance; a place whose RDM is nothing but nuisance."""
    twice = models(np.vstack([brain.references.dissimilarities[0], nuisance.dissimilarities[1]]))
    with pytest.warns(DataWarning, match="layer1"):
        scores = searchlight(brain.patterns, brain.neighbors, twice, nuisance=nuisance)
    assert np.isnan(scores.sel(reference="layer1")).all()
    assert np.isfinite(scores.sel(reference="layer0")[scores.reason == 0]).all()
    own = region(brain, brain.patterns, 300)
    with pytest.warns(DataWarning, match="without rest"):
        scores = searchlight(brain.patterns, brain.neighbors, brain.references, nuisance=own)
    assert scores.reason[300] == next(c for c, text in REASONS.items() if "nuisance" in text)
    assert np.isnan(scores[300]).all()
    assert np.isfinite(scores[100]).all()


def test_refusals_of_nuisance(brain, nuisance):
    wrong = models(nuisance.dissimilarities, ["other", *NAMES[1:]])
    flat = models(np.ones((1, N_PAIRS)))
    cases = [
        ({"nuisance": nuisance, "comparison": "rho-a"}, "partial"),
        ({"nuisance": nuisance, "comparison": "tau-a"}, "partial"),
        ({"nuisance": wrong}, "Only in nuisance: other"),
        ({"nuisance": flat}, "nuisance layer0: all distances are equal"),
        ({"semi": True}, "semi: needs nuisance"),
        ({"noise": "each"}, "noise='each'"),
    ]
    for options, text in cases:
        with pytest.raises(InputError, match=text):
            searchlight(brain.patterns, brain.neighbors, brain.references, **options)


# --- regression and partitioning -------------------------------------------------------------


@pytest.mark.parametrize("metric", METRIC_CODES)
@pytest.mark.parametrize("method", ["ols", "nnls"])
@pytest.mark.parametrize("ranks, intercept", [(True, True), (False, True), (False, False)])
def test_regression_equals_single_rdms(brain, metric, method, ranks, intercept):
    patterns, options = brain.options(metric)
    options["metric"] = metric
    scores = searchlight_regression(
        patterns, brain.neighbors, brain.references, method=method, ranks=ranks,
        intercept=intercept, residuals=options["residuals"],
        options=SearchlightOptions(metric=metric),
    )  # fmt: skip
    for centre in computed(scores)[::2]:
        rdm = region(brain, patterns, centre, **options)
        expected = regress_rdms(rdm, brain.references, method=method, ranks=ranks,
                                intercept=intercept)  # fmt: skip
        size = max(float(np.abs(expected.coefficient).max()), 1.0)
        np.testing.assert_allclose(scores.coefficient[centre], expected.coefficient[0], rtol=0,
                                   atol=1e-12 * size)  # fmt: skip
        np.testing.assert_allclose(scores.r2[centre], expected.r2[0], rtol=0, atol=1e-12)


def test_coefficients_have_the_unit_of_the_patterns(brain):
    def fit(scale):
        options = SearchlightOptions(metric="euclidean")
        return searchlight_regression(dataset(brain.folds[0] * scale), brain.neighbors,
                                      brain.references, options=options)  # fmt: skip

    small, large = fit(1.0), fit(1e13)
    np.testing.assert_allclose(large.coefficient, small.coefficient * 1e26, rtol=1e-9)
    np.testing.assert_allclose(large.r2, small.r2, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ranks", [True, False])
def test_partitioning_equals_single_rdms(brain, ranks):
    references = models(np.random.default_rng(9).random((5, N_PAIRS)))
    three = {"A": ["layer0", "layer3"], "B": ["layer1"], "C": ["layer2", "layer4"]}
    for sets in (three, {name: three[name] for name in "AB"}):
        shares = searchlight_partition(brain.patterns, brain.neighbors, references, sets,
                                       ranks=ranks)  # fmt: skip
        for centre in computed(shares):
            rdm = region(brain, brain.patterns, centre)
            expected = variance_partition(rdm, references, sets, ranks=ranks)
            assert shares.component.values.tolist() == expected.component.values.tolist()
            np.testing.assert_allclose(shares[centre], expected[0], rtol=0, atol=1e-12)
        total = shares.sel(component="total")
        parts = shares.drop_sel(component="total").sum("component", skipna=False)
        np.testing.assert_allclose(parts, total, rtol=0, atol=1e-12)
        assert (np.isnan(shares).all("component") == (shares.reason != 0)).all()


def test_references_that_make_up_one_another_have_no_weights(brain):
    rows = brain.references.dissimilarities
    dependent = models(np.vstack([rows[:2], rows[0] + rows[1]]))
    with pytest.warns(DataWarning, match="made up by the others"):
        fit = searchlight_regression(brain.patterns, brain.neighbors, dependent)
    assert np.isnan(fit.coefficient).all()
    two = searchlight_regression(brain.patterns, brain.neighbors, models(rows[:2]))
    np.testing.assert_allclose(fit.r2, two.r2, rtol=0, atol=1e-12)


def test_refusals_of_regression_and_partitioning(brain):
    given = (brain.patterns, brain.neighbors, brain.references)
    for sets, text in (
        ({"A": ["layer0"]}, "two or three"),
        ({"A": ["layer0"], "B": ["layer9"]}, "layer9"),
        ({"A": ["layer0"], "B": []}, "B holds no references"),
        ({"A": ["layer0"], "B": ["layer0"]}, "more than once"),
    ):
        with pytest.raises(InputError, match=text):
            searchlight_partition(*given, sets)
    with pytest.raises(InputError, match="method='ridge'"):
        searchlight_regression(*given, method="ridge")
    with pytest.raises(InputError, match="ranks need an intercept"):
        searchlight_regression(*given, ranks=True, intercept=False)


def region_mean(brain, runs, members):
    return compute_rdms(dataset(brain.folds[runs][:, :, members].mean(axis=0))).dissimilarities


# --- reliability -----------------------------------------------------------------------------


@pytest.mark.parametrize("comparison", ["spearman", "corr_cov"])
def test_reliability_equals_single_rdms(brain, comparison):
    """Three runs: three splits into one run and two, averaged before they are stepped up."""
    found = searchlight_reliability(brain.in_runs, brain.neighbors, comparison=comparison)
    assert found.attrs["n_splits"] == 3
    for centre in computed(found):
        members = brain.members(centre)
        r = []
        for one in range(3):
            others = [run for run in range(3) if run != one]
            halves = [
                RDMs(
                    region_mean(brain, runs, members),
                    pattern_descriptors={"stimulus": NAMES},
                )
                for runs in ([one], others)
            ]
            r.append(float(split_half_reliability(*halves, comparison=comparison).correlation[0]))
        mean = np.mean(r)
        np.testing.assert_allclose(found.correlation[centre], mean, rtol=0, atol=1e-12)
        expected = 2 * mean / (1 + abs(mean))
        np.testing.assert_allclose(found.reliability[centre], expected, rtol=0, atol=1e-12)


def test_reliability_takes_the_noise_of_each_half(brain):
    """Four runs of crossnobis: what happens in one half must not touch the other's RDM."""
    rng = np.random.default_rng(5)
    names = ["a", "b", "c", "d"]
    values = rng.normal(size=(36, 20))
    patterns = dataset(values, runs=names)
    noise = Dataset(rng.normal(size=(80, 20)), obs_descriptors={"run": list(np.repeat(names, 20))})
    sphere = csr_array(np.ones((1, 20), bool))
    for how in ("pooled", "per-fold"):
        options = SearchlightOptions(metric="crossnobis", noise=how)
        found = searchlight_reliability(patterns, sphere, residuals=noise, options=options,
                                        comparison="pearson")  # fmt: skip
        r = []
        for half in (["a", "b"], ["a", "c"], ["a", "d"]):
            rows = []
            for runs in (half, [run for run in names if run not in half]):
                own = np.isin(patterns.obs_descriptors["run"], runs)
                own_noise = np.isin(noise.obs_descriptors["run"], runs)
                part = Dataset(
                    values[own],
                    obs_descriptors={k: list(np.array(v)[own])
                                     for k, v in patterns.obs_descriptors.items()},
                )  # fmt: skip
                left = Dataset(noise.measurements[own_noise], obs_descriptors={
                    "run": list(np.array(noise.obs_descriptors["run"])[own_noise])})  # fmt: skip
                rdm = compute_rdms(part, metric="crossnobis", residuals=left, noise=how)
                rows.append(rdm.dissimilarities)
            r.append(COMPARISONS["pearson"](*rows).item())
        np.testing.assert_allclose(found.correlation.item(), np.mean(r), rtol=0, atol=1e-12)


def test_random_splits_hang_on_the_seed_alone(brain):
    rng = np.random.default_rng(6)
    runs = [str(i) for i in range(8)]
    patterns = dataset(rng.normal(size=(72, 630)), runs=runs)

    def found(**options):
        return searchlight_reliability(patterns, brain.neighbors, n_splits=2, **options)

    first = found()
    assert (first.attrs["n_splits"], first.attrs["n_runs"]) == (2, 8)
    np.testing.assert_array_equal(found(options=SearchlightOptions(n_jobs=2)).correlation,
                                  first.correlation)  # fmt: skip
    assert float(np.abs(found(seed=1).correlation - first.correlation).max()) > 0.01


def test_refusals_of_reliability(brain):
    two = dataset(np.vstack(brain.folds[:2]), runs=["1", "2"])
    missing = Dataset(
        two.measurements[1:],
        obs_descriptors={key: list(v[1:]) for key, v in two.obs_descriptors.items()},
    )
    crossnobis = SearchlightOptions(metric="crossnobis")
    for patterns, options, text in (
        (brain.patterns, {}, "need runs"),
        (two, {"options": crossnobis}, "need 4 runs"),
        (two, {"comparison": "tau-a"}, "rho-a"),
        (missing, {}, "not in every half of the runs: s00"),
    ):
        with pytest.raises(InputError, match=text):
            searchlight_reliability(patterns, brain.neighbors, **options)


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_number_of_workers_gives_the_same_bits(brain, nuisance, run_noise, dtype):
    def everything(n_jobs):
        options = SearchlightOptions(dtype=dtype, n_jobs=n_jobs)
        given = (brain.patterns, brain.neighbors, brain.references)
        sets = {"A": ["layer0"], "B": ["layer1", "layer2"]}
        return [
            searchlight(*given, nuisance=nuisance, dtype=dtype, n_jobs=n_jobs),
            searchlight(*given, comparison="tau-a", dtype=dtype, n_jobs=n_jobs),
            searchlight(brain.in_runs, *given[1:], metric="crossnobis", noise="per-fold",
                        residuals=run_noise, dtype=dtype, n_jobs=n_jobs),
            searchlight_partition(*given, sets, options=options),
            searchlight_regression(*given, method="nnls", options=options).coefficient,
            searchlight_reliability(brain.in_runs, brain.neighbors, options=options).reliability,
        ]  # fmt: skip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for one, other in zip(everything(1), everything(3), strict=True):
            np.testing.assert_array_equal(other, one)
