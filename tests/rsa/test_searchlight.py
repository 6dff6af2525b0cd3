import warnings
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import RDMs, calc_rdm
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation
from scipy.stats import pearsonr, spearmanr
from small_brain import AFFINE, N_PAIRS, NAMES, Brain, at, dataset, models

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.dissimilarity import METRICS
from neurodnn.numerics.neighbors import ball_neighbors
from neurodnn.numerics.searchlight import COMPARISON_CODES, METRIC_CODES, REASONS
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.rdm import compute_rdms
from neurodnn.rsa.searchlight import searchlight

GOLDEN = Path(__file__).parent.parent / "golden" / "mne_rsa.npz"


@pytest.fixture(scope="module")
def brain():
    return Brain()


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return searchlight(*args, **options)


# --- oracles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("comparison, oracle", [("spearman", spearmanr), ("pearson", pearsonr)])
def test_equals_a_loop_of_scipy(brain, comparison, oracle):
    scores = searchlight(brain.patterns, brain.neighbors, brain.references, comparison=comparison)
    for centre in range(0, 630, 35):
        values = brain.folds[0][:, brain.members(centre)]
        if values.shape[1] == 0:
            assert np.isnan(scores[centre]).all()
            continue
        rdm = pdist(values, "correlation")
        expected = [oracle(rdm, model)[0] for model in brain.references.dissimilarities]
        np.testing.assert_allclose(scores[centre], expected, rtol=0, atol=1e-12)


def test_equals_mne_rsa():
    """Frozen values of its NIfTI searchlight: strict radius, isotropic image."""
    with np.load(GOLDEN) as golden:
        names = [f"c{i}" for i in range(9)]
        patterns = dataset(golden["data"][golden["mask"]].T, names=names)
        references = models(golden["models"], names)
        keys = [key for key in golden.files if key.count("_") == 2]
        assert len(keys) == 6
        for key in keys:
            metric, comparison, radius = key.split("_")
            neighbors = ball_neighbors(
                golden["mask"], golden["affine"], float(radius), inclusive=False, min_share=0
            )
            metric = metric.replace("sqeuclidean", "euclidean")
            ours = searchlight(patterns, neighbors, references, metric=metric,
                               comparison=comparison)  # fmt: skip
            np.testing.assert_allclose(ours.values.T, golden[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize("with_residuals", [True, False])
def test_crossnobis_equals_rsatoolbox(brain, with_residuals):
    """Against calc_rdm with the precision that rsatoolbox itself finds for that sphere."""
    one_run = Dataset(brain.residuals.measurements)
    scores = searchlight(brain.in_runs, brain.neighbors, brain.references, metric="crossnobis",
                         residuals=one_run if with_residuals else None)  # fmt: skip
    for centre in np.flatnonzero(scores.n_features)[::90]:
        members = brain.members(centre)
        own = Dataset(
            brain.in_runs.measurements[:, members],
            obs_descriptors={"c": NAMES * 3, "run": np.repeat([0, 1, 2], 9)},
        )
        noise = prec_from_residuals(one_run.measurements[:, members])
        peer = calc_rdm(own, "crossnobis", descriptor="c", cv_descriptor="run",
                        noise=noise if with_residuals else None)  # fmt: skip
        expected = COMPARISONS["spearman"](peer.dissimilarities, brain.references.dissimilarities)
        np.testing.assert_allclose(scores[centre], expected[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", METRIC_CODES)
@pytest.mark.parametrize("comparison", COMPARISON_CODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_measure_equals_its_kernels(brain, metric, comparison, dtype):
    """The compiled engine against compute_rdms and the comparison kernels, sphere by sphere."""
    patterns, options = brain.options(metric)
    scores = quietly(patterns, brain.neighbors, brain.references, comparison=comparison,
                     dtype=dtype, **options)  # fmt: skip
    for centre in np.flatnonzero(scores.n_features)[::130]:
        members = brain.members(centre)
        own, noise = at(patterns, members), at(options["residuals"], members)
        rdm = compute_rdms(own, metric=metric, residuals=noise).dissimilarities
        expected = COMPARISONS[comparison](rdm, brain.references.dissimilarities)[0]
        tolerance = 1e-10 if dtype == "float64" else 4 * np.sqrt(np.finfo(np.float32).eps)
        np.testing.assert_allclose(scores[centre], expected, rtol=0, atol=tolerance)


def test_float32_is_close_on_the_whole(brain):
    exact = searchlight(brain.patterns, brain.neighbors, brain.references)
    fast = searchlight(brain.patterns, brain.neighbors, brain.references, dtype="float32")
    assert exact.attrs["dtype"] == "float64"
    assert fast.attrs["dtype"] == "float32"
    # 36 pairs: one swap of neighbouring ranks is 1e-4, so the median is what tells.
    assert np.nanmedian(np.abs(fast - exact)) <= 1e-6


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_offsets_and_units_do_not_matter(brain, dtype):
    expected = searchlight(brain.patterns, brain.neighbors, brain.references).values
    for scale, offset in ((1e-13, 0.0), (1e13, 0.0), (20.0, 1e4), (1e-30, 0.0), (1e30, 0.0)):
        patterns = dataset(brain.folds[0] * scale + offset)
        scores = searchlight(patterns, brain.neighbors, brain.references, dtype=dtype)
        if dtype == "float64":
            np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-10)
        else:
            assert np.nanmedian(np.abs(scores - expected)) <= 1e-6


def test_one_sphere_of_everything_is_the_region(brain):
    everything = csr_array(np.ones((1, brain.folds.shape[2]), bool))
    for metric in METRIC_CODES:
        patterns, options = brain.options(metric)
        if metric == "mahalanobis":
            continue  # 50 time points for 630 channels: covered by the spheres above
        options["residuals"] = None
        score = searchlight(patterns, everything, brain.references, place="region", **options)
        rdm = compute_rdms(patterns, metric=metric)
        expected = compare_rdms(rdm, brain.references)
        np.testing.assert_allclose(score.values, expected.values, rtol=0, atol=1e-12)
        assert score.dims == ("region", "reference")


# --- the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["correlation", "crossnobis"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_number_of_workers_gives_the_same_bits(brain, metric, dtype):
    patterns, options = brain.options(metric)
    results = [
        searchlight(patterns, brain.neighbors, brain.references, dtype=dtype, n_jobs=n_jobs,
                    **options)
        for n_jobs in (1, 2, 4)
    ]  # fmt: skip
    for other in results[1:]:
        np.testing.assert_array_equal(other.values, results[0].values)
        np.testing.assert_array_equal(other.reason, results[0].reason)


@pytest.mark.parametrize("metric", METRIC_CODES)
def test_reordered_stimuli_give_the_same_bits(brain, metric):
    patterns, options = brain.options(metric)
    expected = quietly(patterns, brain.neighbors, brain.references, **options)
    order = np.random.default_rng(0).permutation(patterns.n_obs)
    shuffled = Dataset(
        patterns.measurements[order],
        obs_descriptors={
            key: [values[i] for i in order] for key, values in patterns.obs_descriptors.items()
        },
    )
    turned = np.random.default_rng(1).permutation(9)
    square = brain.references.get_matrices()[:, turned][:, :, turned]
    references = models(square[:, *np.triu_indices(9, 1)], [NAMES[i] for i in turned])
    ours = quietly(shuffled, brain.neighbors, references, **options)
    np.testing.assert_array_equal(ours.values, expected.values)


@pytest.mark.parametrize("metric", ["correlation", "crossnobis"])
def test_reordered_presentations_within_a_run_give_the_same_bits(brain, metric):
    rng = np.random.default_rng(8)
    values = rng.normal(size=(2 * 9 * 5, 630))  # two runs, five presentations
    descriptors = {"stimulus": NAMES * 10, "run": list(np.repeat(["1", "2"], 45))}
    results = []
    for order in (np.arange(90), rng.permutation(90)):
        own = {key: [labels[i] for i in order] for key, labels in descriptors.items()}
        patterns = Dataset(values[order], obs_descriptors=own)
        results.append(searchlight(patterns, brain.neighbors, brain.references, metric=metric))
    np.testing.assert_array_equal(results[0].values, results[1].values)


@pytest.mark.parametrize("metric", METRIC_CODES)
@pytest.mark.parametrize("fault", [np.nan, np.inf, 0.7])
def test_a_bad_voxel_touches_its_own_spheres_only(brain, metric, fault):
    patterns, options = brain.options(metric)
    voxel = 311
    values = patterns.measurements.copy()
    if np.isfinite(fault):
        values[:, voxel] = fault
    else:
        values[4, voxel] = fault  # one stimulus (of one run) is enough to lose the voxel
    spoiled = Dataset(values, obs_descriptors=patterns.obs_descriptors)
    before = searchlight(patterns, brain.neighbors, brain.references, **options)
    with pytest.warns(DataWarning, match="1 of 630 channels"):
        after = searchlight(spoiled, brain.neighbors, brain.references, **options)
    touched = brain.neighbors.toarray()[:, voxel]
    assert 20 < touched.sum() < 30
    np.testing.assert_array_equal(after[~touched], before[~touched])
    np.testing.assert_array_equal(after.n_features, before.n_features - touched)
    assert np.isfinite(after[touched]).all()
    # ... and those are as if it had never been measured.
    without = brain.neighbors.toarray()
    without[:, voxel] = False
    removed = searchlight(patterns, csr_array(without), brain.references, **options)
    np.testing.assert_array_equal(after, removed)


def test_a_voxel_without_noise_is_left_out(brain):
    noise = brain.residuals.measurements.copy()
    noise[:, 311] = 0.0
    residuals = Dataset(noise, obs_descriptors=brain.residuals.obs_descriptors)
    with pytest.warns(DataWarning, match="1 of 630 channels"):
        scores = searchlight(brain.patterns, brain.neighbors, brain.references,
                             metric="mahalanobis", residuals=residuals)  # fmt: skip
    expected = np.diff(brain.neighbors.indptr) - brain.neighbors.toarray()[:, 311]
    np.testing.assert_array_equal(scores.n_features, expected)


# --- space -----------------------------------------------------------------------------------


def test_flips_and_permutations_of_storage_give_the_same_map():
    rng = np.random.default_rng(5)
    mask = rng.random((6, 5, 7)) < 0.85
    data = rng.normal(size=(*mask.shape, 9))
    oblique = Rotation.from_euler("xyz", [30, 20, 40], degrees=True).as_matrix()
    oblique = oblique @ np.diag([2, 2, 4])
    references = models(rng.random((2, N_PAIRS)))

    def map_of(data, mask, affine):
        neighbors = ball_neighbors(mask, affine, 6.1, min_share=0.2)
        full = np.full((*mask.shape, 2), np.nan)
        full[mask] = searchlight(dataset(data[mask].T), neighbors, references)
        return full

    expected = map_of(data, mask, oblique)
    for axes, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        move = tuple(slice(None, None, step) for step in flips)
        stored = map_of(
            data.transpose(*axes, 3)[move], mask.transpose(axes)[move], oblique[:, axes] * flips
        )
        back = stored[move].transpose(*np.argsort(axes), 3)
        np.testing.assert_allclose(back, expected, rtol=0, atol=1e-10)


def test_a_planted_effect_is_found_where_it_was_planted():
    rng = np.random.default_rng(6)
    mask = np.ones((12, 11, 8), bool)
    places = np.argwhere(mask) @ AFFINE[:3, :3]
    centre = np.array([14.0, 8.0, 15.0])
    inside = np.linalg.norm(places - centre, axis=1) <= 4.5
    model = pdist(signal := rng.normal(size=(9, int(inside.sum()))), "correlation")
    values = rng.normal(size=(9, len(places)))
    values[:, inside] += 2 * signal
    scores = searchlight(dataset(values), ball_neighbors(mask, AFFINE, 4.5), models(model[None]))
    peak = places[np.nanargmax(scores.values[:, 0])]
    assert np.linalg.norm(peak - centre) <= 3.0
    assert scores.max() > 0.8


# --- what is undefined -----------------------------------------------------------------------


def test_reasons(brain):
    values = brain.folds[0].copy()
    few = brain.members(100)[2:]
    values[:, few] = np.nan
    flat = brain.members(500)
    values[3, flat] = 0.7
    patterns = dataset(values)
    with pytest.warns(DataWarning) as told:
        scores = searchlight(patterns, brain.neighbors, brain.references, min_features=3)
    assert any("pattern constant" in str(one.message) for one in told)
    empty = np.diff(brain.neighbors.indptr) == 0
    assert empty.any()
    assert (scores.reason[empty] == 1).all()
    assert scores.reason[100] == 1
    assert scores.n_features[100] == 2
    assert scores.reason[500] == 2
    np.testing.assert_array_equal(np.isnan(scores).all("reference"), scores.reason != 0)
    np.testing.assert_array_equal(np.isnan(scores).any("reference"), scores.reason != 0)
    assert REASONS[2] in scores.attrs["reason_codes"]


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_distances_that_are_zero_up_to_rounding_are_not_ranked(metric, dtype):
    """Golden set G5 as a sphere: every pattern is the same up to what the metric ignores."""
    rng = np.random.default_rng(11)
    base = rng.standard_normal(95)
    values = np.outer(rng.uniform(0.5, 2, 30), base) + rng.standard_normal((30, 1))
    if metric == "euclidean":
        values = np.outer(np.arange(30) % 2 * 2 - 1, base)  # two clusters of equal patterns
    names = [f"n{i}" for i in range(30)]
    references = models(rng.random((1, 435)), names)
    sphere = csr_array(np.ones((1, 95), bool))
    scores = quietly(dataset(values, names=names), sphere, references, metric=metric, dtype=dtype)
    if metric == "correlation":
        assert scores.reason[0] == 3
        assert np.isnan(scores).all()
    else:
        two_values = pdist(np.arange(30)[:, None] % 2)
        expected = spearmanr(two_values, references.dissimilarities[0])[0]
        assert scores.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("comparison", COMPARISON_CODES)
@pytest.mark.parametrize("metric", ["euclidean", "crossnobis"])
def test_a_constant_rdm_is_undefined_and_its_neighbours_are_not(comparison, metric):
    """Conditions on the corners of a simplex are all equally far from each other."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(9, 27))
    values[:, 9:18] = np.eye(9)
    spheres = csr_array(np.kron(np.eye(3), np.ones((1, 9))).astype(bool))
    references = models(rng.random((2, N_PAIRS)))
    patterns = dataset(np.vstack([values, values]), runs=["1", "2"])
    scores = quietly(patterns, spheres, references, metric=metric, comparison=comparison)
    if comparison in ("cosine", "cosine_cov"):
        assert np.isfinite(scores).all()
    else:
        assert scores.reason.values.tolist() == [0, 3, 0]
        assert np.isnan(scores[1]).all()
    alone = quietly(patterns, csr_array(spheres.toarray()[[0, 2]]), references, metric=metric,
                    comparison=comparison)  # fmt: skip
    np.testing.assert_array_equal(scores[[0, 2]], alone)


def test_crossnobis_keeps_negative_distances(brain):
    """Without signal half of the distances are negative; clipped, their cosine with a positive
    reference would be far above zero."""
    references = models(np.ones((1, N_PAIRS)) + 0.01 * np.arange(N_PAIRS))
    scores = searchlight(brain.in_runs, brain.neighbors, references, metric="crossnobis",
                         comparison="cosine")  # fmt: skip
    assert abs(float(np.nanmean(scores))) < 0.1
    assert (scores < 0).sum() > 100


# --- runs, names, labels ---------------------------------------------------------------------


def test_runs_are_averaged_for_metrics_without_folds(brain):
    mean = dataset(brain.folds.mean(axis=0))
    for metric in ("correlation", "euclidean"):
        ours = searchlight(brain.in_runs, brain.neighbors, brain.references, metric=metric)
        expected = searchlight(mean, brain.neighbors, brain.references, metric=metric)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


def test_labels_travel_with_the_scores(brain):
    patterns = Dataset(
        brain.folds[0],
        obs_descriptors={"stimulus": NAMES},
        channel_descriptors={"voxel": np.flatnonzero(brain.mask)},
    )
    scores = searchlight(patterns, brain.neighbors, brain.references, comparison="rho-a")
    assert scores.dims == ("voxel", "reference")
    assert scores.reference.values.tolist() == ["layer0", "layer1", "layer2"]
    np.testing.assert_array_equal(scores.voxel, np.flatnonzero(brain.mask))
    np.testing.assert_array_equal(scores.n_features, np.diff(brain.neighbors.indptr))
    expected = {"metric": "correlation", "comparison": "rho-a", "n_stimuli": 9, "units": "1"}
    assert expected.items() <= scores.attrs.items()


def test_input_is_not_touched(brain):
    values = brain.folds[0].copy()
    patterns = dataset(values)
    indices = brain.neighbors.indices.copy()
    searchlight(patterns, brain.neighbors, brain.references, metric="euclidean")
    np.testing.assert_array_equal(patterns.measurements, brain.folds[0])
    np.testing.assert_array_equal(brain.neighbors.indices, indices)


def test_neighbours_in_any_sparse_form(brain):
    expected = searchlight(brain.patterns, brain.neighbors, brain.references)
    unsorted = brain.neighbors.copy()
    for row in range(unsorted.shape[0]):
        part = slice(*unsorted.indptr[row : row + 2])
        unsorted.indices[part] = unsorted.indices[part][::-1].copy()
    unsorted.has_sorted_indices = False
    weights = brain.neighbors.astype(float).tocoo()
    for other in (unsorted, weights, brain.neighbors.tocsc()):
        ours = searchlight(brain.patterns, other, brain.references)
        np.testing.assert_array_equal(ours.values, expected.values)


def test_ties_in_a_reference_are_told(brain):
    categories = models((np.arange(N_PAIRS)[None] % 2).astype(float))
    with pytest.warns(DataWarning, match="rho-a"):
        searchlight(brain.patterns, brain.neighbors, categories)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        searchlight(brain.patterns, brain.neighbors, categories, comparison="rho-a")


def test_the_progress_bar_stays_off_standard_output(brain, capsys):
    searchlight(brain.patterns, brain.neighbors, brain.references, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "630/630" in captured.err


def test_refusals(brain):
    patterns, neighbors, references = brain.patterns, brain.neighbors, brain.references
    renamed = dataset(brain.folds[0], names=["S00", *NAMES[1:]])
    incomplete = Dataset(
        brain.in_runs.measurements[1:],
        obs_descriptors={key: list(v[1:]) for key, v in brain.in_runs.obs_descriptors.items()},
    )
    constant = models(np.full((1, N_PAIRS), 0.7))
    gaps = models(np.r_[np.nan, np.arange(N_PAIRS - 1.0)][None])
    wide = Dataset(np.ones((20, 5)))
    cases = [
        ((renamed, neighbors, references), {}, "S00"),
        ((patterns, neighbors[:, :50], references), {}, "number of channels"),
        ((patterns, neighbors.toarray(), references), {}, "not sparse"),
        ((patterns, neighbors, constant), {}, "equal"),
        ((patterns, neighbors, gaps), {}, "missing"),
        ((patterns, neighbors, references), {"metric": "corelation"}, "Did you mean correlation"),
        ((patterns, neighbors, references), {"comparison": "kendall"}, "comparison='kendall'"),
        ((patterns, neighbors, references), {"dtype": "float16"}, "dtype='float16'"),
        ((patterns, neighbors, references), {"metric": "mahalanobis"}, "needs residuals"),
        ((patterns, neighbors, references), {"metric": "crossnobis"}, "run"),
        ((incomplete, neighbors, references), {"metric": "crossnobis"}, r"s00 \(run 1\)"),
        ((patterns, neighbors, references), {"min_features": 0}, "min_features"),
        (
            (patterns, neighbors, references),
            {"metric": "mahalanobis", "residuals": wide},
            "number of channels",
        ),
    ]
    for arguments, options, text in cases:
        with pytest.raises(InputError, match=text):
            searchlight(*arguments, **options)


def test_residuals_that_are_not_used_are_told(brain):
    with pytest.warns(DataWarning, match="not used by the correlation"):
        searchlight(brain.patterns, brain.neighbors, brain.references, residuals=brain.residuals)


def test_kernels_and_engine_offer_the_same_measures():
    assert set(METRIC_CODES) == set(METRICS)
    assert set(COMPARISON_CODES) < set(COMPARISONS)


def test_stated_degrees_of_freedom_reach_every_sphere():
    rng = np.random.default_rng(1)
    values, left = rng.normal(size=(6, 12)), rng.normal(size=(40, 12))
    names = list("abcdef")
    patterns = Dataset(values, obs_descriptors={"stimulus": names})
    noise = Dataset(left, descriptors={"degrees_of_freedom": 9})
    reference = RDMs(rng.random((1, 15)), pattern_descriptors={"stimulus": names})
    sphere = csr_array(np.ones((1, 12), dtype=bool))
    score = searchlight(patterns, sphere, reference, metric="mahalanobis", residuals=noise,
                        comparison="pearson").item()  # fmt: skip
    rdm = compute_rdms(patterns, metric="mahalanobis", residuals=noise)
    assert score == pytest.approx(compare_rdms(rdm, reference, comparison="pearson").item(),
                                  abs=1e-10)  # fmt: skip


def test_the_unit_of_two_voxels_does_not_decide_the_ranks():
    # With two voxels every distance is 0 or 2; what rounding leaves of 2 must not be ranked.
    rng = np.random.default_rng(4)
    neighbors = csr_array(np.ones((1, 2), bool))
    models = RDMs(rng.random((1, 28)), pattern_descriptors={"stimulus": list("abcdefgh")})
    for _ in range(30):
        values = rng.normal(size=(8, 2))
        for dtype in ("float64", "float32"):
            scores = [
                searchlight(Dataset(unit * values, obs_descriptors={"stimulus": list("abcdefgh")}),
                            neighbors, models, dtype=dtype).item()
                for unit in (1.0, 3.0, 0.7)
            ]  # fmt: skip
            assert np.ptp(scores) < 1e-6


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
@pytest.mark.parametrize("huge", [1e20, 1e30, 1e60])
def test_a_broken_channel_changes_no_other_sphere(metric, huge):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(6, 6))
    neighbors = csr_array(np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], bool))
    names = {"stimulus": list("abcdef")}
    models = RDMs(rng.random((1, 15)), pattern_descriptors=names)

    def first(broken):
        patterns = Dataset(values * [1, 1, 1, 1, 1, broken], obs_descriptors=names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            found = searchlight(patterns, neighbors, models, metric=metric, dtype="float32",
                                comparison="pearson")  # fmt: skip
        return found.values[0]

    np.testing.assert_array_equal(first(huge), first(1.0))
