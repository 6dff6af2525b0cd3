"""RDM movies: their scores, means, ceilings, and the faults of movies that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata, spearmanr

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.generalisation import time_generalisation
from neurodnn.rsa.movie_stills import rdms_at_times
from neurodnn.rsa.movie_subjects import over_subjects
from neurodnn.rsa.rdm_movies import compare_movie, mean_movie, movie_ceiling, movie_times

NAMES = list("hbcdefga")
TIMES = [0.0, 0.02, 0.04, 0.06]


def rdm_movie(seed, times=TIMES, names=NAMES, rows=None):
    rows = np.random.default_rng(seed).random((len(times), 28)) if rows is None else rows
    return RDMs(rows, rdm_descriptors={"time": list(times)},
                pattern_descriptors={"stimulus": list(names)})  # fmt: skip


def turned(movie, order):
    names = [movie.pattern_descriptors["stimulus"][i] for i in order]
    square = movie.get_matrices()[np.ix_(range(movie.n_rdm), order, order)]
    return RDMs(square, rdm_descriptors={"time": list(movie.rdm_descriptors["time"])},
                pattern_descriptors={"stimulus": names})  # fmt: skip


def test_scores_of_a_movie():
    movie, layers = rdm_movie(0), rdm_movie(1, times=[1.0, 2.0])
    found = compare_movie(movie, turned(layers, [3, 1, 0, 2, 7, 5, 6, 4]))
    expected = [[spearmanr(a, b)[0] for b in layers.dissimilarities] for a in movie.dissimilarities]
    assert found.dims == ("time", "reference") and found.time.values.tolist() == TIMES
    assert np.abs(found.values - expected).max() <= 1e-12
    with pytest.raises(InputError, match="has no times"):
        compare_movie(RDMs(np.ones((1, 28))), layers)
    with pytest.raises(InputError, match="do not rise"):
        movie_times(rdm_movie(0, times=[0.1, 0.0]))


def test_mean_of_distances_and_of_ranks():
    movies = {"02": rdm_movie(0), "01": turned(rdm_movie(1), [7, 6, 5, 4, 3, 2, 1, 0])}
    plain, ranks = mean_movie(movies), mean_movie(movies, average="ranks")
    order = np.argsort(NAMES)
    rows = {name: movie.get_matrices()[np.ix_(range(4), order, order)]
            for name, movie in {"02": rdm_movie(0), "01": rdm_movie(1)}.items()}  # fmt: skip
    upper = np.triu_indices(8, 1)
    both = np.array([square[:, *upper] for square in rows.values()])
    assert np.abs(plain.dissimilarities - both.mean(axis=0)).max() <= 1e-15
    ranked = np.apply_along_axis(rankdata, -1, both).mean(axis=0)
    assert np.abs(ranks.dissimilarities - ranked).max() <= 1e-12
    assert plain.descriptors == {"meg": "mean of 2 subjects", "average": "rdms"}
    assert np.array_equal(mean_movie(dict(reversed(movies.items()))).dissimilarities,
                          plain.dissimilarities)  # fmt: skip
    assert mean_movie(plain) is plain


def test_movies_that_do_not_fit():
    with pytest.raises(InputError, match=r"01 and 02 differ in their times. Only in 01: 0.06 s"):
        mean_movie({"01": rdm_movie(0), "02": rdm_movie(0, times=[0.0, 0.02, 0.04])})
    with pytest.raises(InputError, match=r"movies of 01 and 02: .*z"):
        mean_movie({"01": rdm_movie(0), "02": rdm_movie(0, names=[*NAMES[:-1], "z"])})
    with pytest.raises(InputError, match="hold no subjects"):
        mean_movie({})
    with pytest.raises(InputError, match="average='median' is not known"):
        mean_movie({"01": rdm_movie(0)}, average="median")


@pytest.mark.parametrize("comparison", ["spearman", "cosine_cov"])
def test_ceiling_is_that_of_each_time(comparison):
    truth = np.random.default_rng(5).random((4, 28))
    movies = {f"{i}": rdm_movie(0, rows=truth + 0.3 * np.random.default_rng(i).random((4, 28)))
              for i in range(5)}  # fmt: skip
    found = movie_ceiling(movies, comparison=comparison)
    for place in range(4):
        rows = np.array([movies[f"{i}"].dissimilarities[place] for i in range(5)])
        lower, upper = noise_ceiling(RDMs(rows), comparison=comparison)
        # the sum over subjects and the order of pairs differ: rounding
        assert found.lower[place] == pytest.approx(lower, abs=1e-12)
        assert found.upper[place] == pytest.approx(upper, abs=1e-12)
    with pytest.warns(DataWarning) as caught:
        alone = movie_ceiling({"01": movies["0"]}, comparison=comparison)
    assert len(caught) == 1 and np.isnan(alone.upper).all()


def test_subjects_are_sorted_and_named_in_faults():
    layers = rdm_movie(9, times=[1.0])
    movies = {"02": rdm_movie(0), "01": rdm_movie(1)}
    found = over_subjects(movies, lambda own: compare_movie(own, layers))
    assert found.subject.values.tolist() == ["01", "02"]
    assert np.array_equal(found.values[1], compare_movie(movies["02"], layers).values)
    with pytest.raises(InputError, match="subject 02: "):
        over_subjects({**movies, "02": rdm_movie(0, names=[*NAMES[:-1], "z"])},
                      lambda own: compare_movie(own, layers))  # fmt: skip
    with pytest.raises(InputError, match="01 and 02 differ in their times"):
        over_subjects({**movies, "02": rdm_movie(0, times=[1, 2, 3, 4])},
                      lambda own: compare_movie(own, layers))  # fmt: skip


def test_stills_are_the_nearest_times():
    movie = rdm_movie(0)
    found = rdms_at_times(movie, [0.051, 0.0])
    assert found.rdm_descriptors["time"] == [0.06, 0.0]
    assert found.rdm_descriptors["reference"] == ["60 ms", "0 ms"]
    assert np.array_equal(found.dissimilarities, movie.dissimilarities[[3, 0]])
    with pytest.raises(InputError, match=r"not in the movie \(got 0.08; allowed: 0 to 0.06 s"):
        rdms_at_times(movie, [0.08])
    with pytest.raises(InputError, match="are empty"):
        rdms_at_times(movie, [])


def test_generalisation_is_every_pair_of_times():
    one, two = rdm_movie(0), rdm_movie(1, times=[0.1, 0.2, 0.3])
    found = time_generalisation(one, turned(two, [5, 1, 0, 2, 3, 4, 6, 7]))
    expected = [[spearmanr(a, b)[0] for b in two.dissimilarities] for a in one.dissimilarities]
    assert found.dims == ("time", "other_time") and np.abs(found - expected).max() <= 1e-12
    assert found.other_time.values.tolist() == [0.1, 0.2, 0.3]
    own = time_generalisation(one)
    assert np.array_equal(own, own.T) and np.abs(np.diag(own) - 1).max() <= 1e-15
    assert own.attrs["movies"] == "one"


@pytest.mark.parametrize("comparison", ["pearson", "cosine", "rho-a", "tau-a", "tau-b", "corr_cov"])
def test_generalisation_in_every_measure(comparison):
    one, two = rdm_movie(0), rdm_movie(1)
    expected = compare_movie(one, two, comparison=comparison).values
    found = time_generalisation(one, two, comparison=comparison)
    assert np.abs(found.values - expected).max() <= 1e-12


def test_generalisation_across_blocks_and_gaps():
    rng = np.random.default_rng(3)
    times = [i / 100 for i in range(131)]  # more than one block
    many = rdm_movie(0, times=times, rows=rng.random((131, 28)))
    found = time_generalisation(many)
    places = [(0, 130), (130, 0), (127, 128), (128, 127)]
    for i, j in places:
        expected = spearmanr(many.dissimilarities[i], many.dissimilarities[j])[0]
        assert abs(found.values[i, j] - expected) <= 1e-12
    rows = rng.random((4, 28))
    rows[1, 3], rows[2] = np.nan, 0.7
    with pytest.raises(InputError, match="time 0.02 s: distances are missing"):
        time_generalisation(rdm_movie(0, rows=rows))
    with pytest.warns(DataWarning, match="time 0.04 s are NaN"):
        found = time_generalisation(rdm_movie(0, rows=rows), nan_policy="omit")
    there = np.delete(np.arange(28), 3)
    assert found.values[0, 1] == pytest.approx(spearmanr(rows[0, there], rows[1, there])[0])
    assert np.isnan(found.values[2]).all() and np.isnan(found.values[:, 2]).all()
    assert np.isfinite(np.delete(np.delete(found.values, 2, 0), 2, 1)).all()
