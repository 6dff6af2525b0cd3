"""Movies of patterns: scores of every time are those of RDMs that are kept, bit for bit at rest."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from rsatoolbox.data import Dataset, TemporalDataset
from rsatoolbox.rdm import RDMs, calc_rdm_movie
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.movie import score_frames
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.movie_frames import MovieOptions
from neurodnn.rsa.movies import rdm_movie, score_movie
from neurodnn.rsa.rdm import compute_rdms

NAMES = [f"s{i:02d}" for i in range(9)]
SHUFFLED = [NAMES[i] for i in (4, 2, 8, 0, 1, 7, 3, 6, 5)]
N_TIMES, N_SENSORS, N_PAIRS = 71, 11, 36  # more than two blocks, the last not full
TIMES = [round(-0.1 + 0.01 * i, 2) for i in range(N_TIMES)]
RUNS = ["1", "2", "10"]
COMPARISONS = ["spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"]


def values(seed=0, runs=1):
    return np.random.default_rng(seed).normal(size=(N_TIMES, runs * 9, N_SENSORS)) + 3.0


def movie(array, names=NAMES, runs=None, times=TIMES):
    labels = {"stimulus": list(names) * (1 if runs is None else len(runs))}
    if runs is not None:
        labels["run"] = list(np.repeat(runs, len(names)))
    return {time: Dataset(frame, obs_descriptors=dict(labels), descriptors={"width": 0.01})
            for time, frame in zip(times, array, strict=True)}  # fmt: skip


def layers(n=3, names=NAMES, seed=1):
    return RDMs(np.random.default_rng(seed).random((n, N_PAIRS)),
                rdm_descriptors={"reference": [f"layer{i}" for i in range(n)]},
                pattern_descriptors={"stimulus": list(names)})  # fmt: skip


def kept(patterns, references, comparison="spearman", residuals=None, noise="pooled", **options):
    """The long way: all RDMs, then their scores."""
    metric = options.pop("metric", "correlation")
    rdms = compute_rdms(patterns, metric=metric, residuals=residuals, noise=noise)
    return compare_rdms(rdms, references, comparison=comparison, **options).values


def test_equal_to_a_plain_loop_over_scipy():
    array, references = values(), layers()
    found = score_movie(movie(array), references)
    assert found.dims == ("time", "reference") and found.time.values.tolist() == TIMES
    loop = [[spearmanr(pdist(frame, "correlation"), row)[0] for row in references.dissimilarities]
            for frame in array]  # fmt: skip
    assert np.abs(found.values - loop).max() <= 1e-12


def test_equal_to_mne_rsa_and_rsatoolbox():
    mne_rsa = pytest.importorskip("mne_rsa")
    array, references = values(), layers()
    found = score_movie(movie(array), references).values
    models = list(references.dissimilarities)
    data = array.transpose(1, 2, 0)
    patches = mne_rsa.searchlight(data.shape, temporal_radius=0)
    theirs = mne_rsa.rsa_array(data, models, patches, data_rdm_metric="correlation",
                               rsa_metric="spearman")  # fmt: skip
    assert np.abs(found - np.transpose(theirs)).max() <= 1e-12
    temporal = TemporalDataset(data, obs_descriptors={"stimulus": NAMES},
                               time_descriptors={"time": TIMES})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rdms = calc_rdm_movie(temporal, method="correlation", descriptor="stimulus")
    assert np.abs(rdm_movie(movie(array)).dissimilarities - rdms.dissimilarities).max() <= 1e-12


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean", "crossnobis"])
def test_equal_to_kept_rdms(metric, comparison):
    runs = RUNS if metric == "crossnobis" else None
    patterns = movie(values(2, len(runs or [1])), SHUFFLED, runs)
    found = score_movie(patterns, layers(), comparison=comparison,
                        options=MovieOptions(metric=metric))  # fmt: skip
    expected = kept(patterns, layers(), comparison, metric=metric)
    assert np.abs(found.values - expected).max() <= 1e-12


@pytest.mark.parametrize("semi", [False, True])
@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
def test_partial_correlations_are_those_of_kept_rdms(comparison, semi):
    patterns, nuisance = movie(values()), layers(2, seed=5)
    options = {"comparison": comparison, "nuisance": nuisance, "semi": semi}
    found = score_movie(patterns, layers(), **options)
    assert np.abs(found.values - kept(patterns, layers(), **options)).max() <= 1e-12
    assert found.attrs["nuisance"] == ["layer0", "layer1"]


@pytest.mark.parametrize(
    ("metric", "noise"),
    [("mahalanobis", "pooled"), ("crossnobis", "pooled"), ("crossnobis", "per-fold")],
)
def test_noise_is_that_of_kept_rdms(metric, noise):
    rng = np.random.default_rng(7)
    few = TIMES[:3]
    patterns = movie(values(3, 3)[:3], NAMES, RUNS, few)
    residuals = {
        time: Dataset(rng.normal(size=(60, N_SENSORS)) * rng.uniform(0.5, 2, N_SENSORS),
                      obs_descriptors={"run": list(np.repeat(RUNS, 20))})
        for time in few
    }  # fmt: skip
    for own in (residuals, residuals[few[0]]):
        found = score_movie(patterns, layers(), residuals=own,
                            options=MovieOptions(metric=metric, noise=noise))  # fmt: skip
        expected = kept(patterns, layers(), residuals=own, metric=metric, noise=noise)
        assert np.abs(found.values - expected).max() <= 1e-10
    del residuals[few[1]]
    with pytest.raises(InputError, match="there are none for -0.09 s"):
        score_movie(patterns, layers(), residuals=residuals, options=MovieOptions(metric=metric))


@pytest.mark.parametrize("dtype", ["float32", "int16", ">f8"])
def test_patterns_of_other_types_are_those_of_kept_rdms(dtype):
    patterns = movie((100 * values()).astype(dtype))
    found = score_movie(patterns, layers()).values
    assert np.abs(found - kept(patterns, layers())).max() <= 1e-12


def test_times_with_other_orders_of_observations_are_brought_to_one():
    array = values()
    order = [NAMES.index(name) for name in SHUFFLED]
    mixed = movie(array)
    mixed[TIMES[9]] = Dataset(array[9][order], obs_descriptors={"stimulus": SHUFFLED})
    assert np.array_equal(score_movie(mixed, layers()), score_movie(movie(array), layers()))


def test_stimuli_that_repeat_are_averaged_over_runs():
    patterns = movie(values(4, 3), NAMES, RUNS)
    means = values(4, 3).reshape(N_TIMES, 3, 9, N_SENSORS).mean(axis=1)
    found = score_movie(patterns, layers()).values
    assert np.abs(found - score_movie(movie(means), layers()).values).max() <= 1e-12


def test_bits_do_not_feel_order_workers_or_other_times():
    array = values()
    alone = score_movie(movie(array), layers())
    assert score_movie(movie(array), layers(), options=MovieOptions(n_jobs=2)).identical(alone)
    order = [NAMES.index(name) for name in SHUFFLED]
    turned = movie(array[:, order], SHUFFLED)
    references = RDMs(layers().get_matrices()[np.ix_(range(3), order, order)],
                      rdm_descriptors={"reference": ["layer0", "layer1", "layer2"]},
                      pattern_descriptors={"stimulus": SHUFFLED})  # fmt: skip
    backwards = dict(reversed(turned.items()))
    assert np.array_equal(score_movie(backwards, references).values, alone.values)
    few = {time: movie(array)[time] for time in TIMES[16:48]}
    assert np.array_equal(score_movie(few, layers()).values, alone.values[16:48])


@pytest.mark.parametrize("unit", [1e-13, 1.0, 1e13])
@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_units_change_nothing(metric, unit):
    options = MovieOptions(metric=metric)
    ours = score_movie(movie(values() * unit), layers(), options=options).values
    assert np.abs(ours - score_movie(movie(values()), layers(), options=options)).max() <= 1e-10
    single = options._replace(dtype="float32")
    found = score_movie(movie(values() * unit), layers(), options=single)
    assert np.abs(found - ours).max() < 5e-4  # one swap of two ranks of 36 pairs


def test_a_gap_in_one_channel_and_time_stays_there():
    array = values()
    before = score_movie(movie(array), layers())
    array[3, 2, 4], array[5, 1, 0] = np.nan, np.inf
    array[6, :, 7] = 0.7
    with pytest.warns(DataWarning, match="up to 1 of 11 channels .* at 3 of 71 times"):
        found = score_movie(movie(array), layers())
    changed = np.flatnonzero((found.values != before.values).any(axis=1))
    assert changed.tolist() == [3, 5, 6]
    assert found.n_features.values[[2, 3, 5, 6]].tolist() == [11, 10, 10, 10]
    left = np.delete(array[3], 4, axis=1)
    assert found.values[3, 0] == pytest.approx(
        spearmanr(pdist(left, "correlation"), layers().dissimilarities[0])[0], abs=1e-12
    )


def test_what_is_undefined_is_nan_with_a_reason():
    array = values()
    array[3, 2] = 0.7  # one pattern without shape
    array[4] = np.nan
    with pytest.warns(DataWarning) as caught:
        found = score_movie(movie(array), layers())
    texts = " ".join(str(each.message) for each in caught)
    assert "1 of 71 time scores are undefined (NaN): pattern constant" in texts
    assert np.isnan(found.values).all(axis=1).nonzero()[0].tolist() == [3, 4]
    assert found.reason.values[[2, 3, 4]].tolist() == [0, 2, 1]
    for name in ("tau-a", "cosine_cov"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = score_movie(movie(array), layers(), comparison=name)
        assert np.isnan(again.values).all(axis=1).nonzero()[0].tolist() == [3, 4]


def test_a_planted_time_is_found():
    array = values(9)
    target = array[40]
    planted = RDMs(pdist(target, "correlation")[np.newaxis],
                   pattern_descriptors={"stimulus": NAMES})  # fmt: skip
    found = score_movie(movie(array), planted)
    assert float(found.idxmax("time").item()) == TIMES[40] and found.max() == pytest.approx(1.0)


def test_wrong_movies_are_refused():
    array, references = values(), layers()
    with pytest.raises(InputError, match="no movie"):
        score_movie(list(movie(array).values()), references)
    with pytest.raises(InputError, match="hold no times"):
        score_movie({}, references)
    with pytest.raises(InputError, match="a time is no number"):
        score_movie({"0.1": movie(array)[TIMES[0]]}, references)
    with pytest.raises(InputError, match="infinite"):
        score_movie({np.inf: movie(array)[TIMES[0]]}, references)
    other = movie(array)
    other[TIMES[5]] = Dataset(array[5, :, :9], obs_descriptors={"stimulus": NAMES})
    with pytest.raises(InputError, match=r"patterns at -0.05 s: has another number of channels"):
        score_movie(other, references)
    other[TIMES[5]] = Dataset(array[5], obs_descriptors={"stimulus": [*NAMES[:-1], "new"]})
    with pytest.raises(InputError, match=r"patterns at -0.05 s .*Only in .*new"):
        score_movie(other, references)
    other[TIMES[5]] = array[5]
    with pytest.raises(InputError, match=r"patterns at -0.05 s: is not a Dataset"):
        score_movie(other, references)
    with pytest.raises(InputError, match="metric='corelation' is not known"):
        score_movie(movie(array), references, options=MovieOptions(metric="corelation"))
    with pytest.raises(InputError, match="mahalanobis needs residuals"):
        score_movie(movie(array), references, options=MovieOptions(metric="mahalanobis"))
    with pytest.raises(InputError, match="Only in references: other"):
        score_movie(movie(array), layers(names=[*NAMES[:-1], "other"]))


def test_rdm_movie_says_when():
    patterns = movie(values(), SHUFFLED)
    found = rdm_movie(dict(reversed(patterns.items())))
    assert list(found.rdm_descriptors["time"]) == TIMES
    assert list(found.pattern_descriptors["stimulus"]) == SHUFFLED
    assert found.descriptors["width"] == 0.01
    assert np.array_equal(found.dissimilarities[3],
                          compute_rdms(patterns[TIMES[3]]).dissimilarities[0])  # fmt: skip


def test_the_kernel_runs_compiled():
    assert score_frames.signatures


def test_another_number_of_runs_at_a_time_is_refused():
    patterns = movie(values(runs=3), runs=RUNS)
    patterns |= {TIMES[-1]: movie(values(runs=2), runs=RUNS[:2])[TIMES[-1]]}
    with pytest.raises(InputError, match=r"another number of runs .*got 2; allowed: 3"):
        score_movie(patterns, layers(), options=MovieOptions(metric="crossnobis"))
