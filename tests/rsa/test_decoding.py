"""Decoding RDMs against a loop over scikit-learn, and their own symmetries."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import load_rdm
from sklearn.svm import SVC

import neurodnn
from neurodnn import DataWarning, InputError
from neurodnn.rsa.decoding import decoding_rdms


def _trials(counts, n_channels=40, signal=0.4, seed=0, shuffle=True):
    """Trials of stimuli a, b, c, ... in mixed order; `counts` trials of each."""
    rng = np.random.default_rng(seed)
    places = np.repeat(np.arange(len(counts)), counts)
    values = signal * rng.normal(size=(len(counts), n_channels))[places]
    values += rng.normal(size=values.shape)
    order = rng.permutation(len(places)) if shuffle else np.arange(len(places))
    names = [f"image {'abcdefghijklmnop'[i]}" for i in places[order]]
    return Dataset(values[order], obs_descriptors={"stimulus": names})


def _ordered(dataset, order):
    names = np.array(dataset.obs_descriptors["stimulus"])[order].tolist()
    return Dataset(dataset.measurements[order], obs_descriptors={"stimulus": names})


def _table(rdms):
    """(name, name) -> value of the first row, whatever the order of stimuli."""
    names, square = rdms.pattern_descriptors["stimulus"], rdms.get_matrices()[0]
    return {(a, b): square[i, j] for i, a in enumerate(names) for j, b in enumerate(names)
            if a != b}  # fmt: skip


def _by_loop(dataset, size, n_repeats, seed):
    """Accuracy and mean signed decision value, with loops and scikit-learn alone."""
    labels = np.array(dataset.obs_descriptors["stimulus"])
    names = sorted(set(labels))
    n_groups = min(np.sum(labels == name) for name in names) // size
    right, value = np.zeros((len(names),) * 2), np.zeros((len(names),) * 2)
    for repeat in range(n_repeats):
        pseudo = []
        for name in names:
            own = dataset.measurements[labels == name]
            key = (6, repeat, zlib.crc32(name.encode()))
            drawn = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
            drawn = drawn.permutation(len(own))[: n_groups * size].reshape(n_groups, size)
            pseudo.append([own[group].mean(axis=0) for group in drawn])
        pseudo = np.array(pseudo)
        for i in range(len(names)):
            for j in range(i + 1, len(names)):
                for fold in range(n_groups):
                    kept = [k for k in range(n_groups) if k != fold]
                    training = np.vstack([pseudo[i, kept], pseudo[j, kept]])
                    machine = SVC(kernel="linear", C=1, tol=1e-10)
                    machine.fit(training, [names[i]] * len(kept) + [names[j]] * len(kept))
                    test = np.stack([pseudo[i, fold], pseudo[j, fold]])
                    right[i, j] += np.sum(machine.predict(test) == [names[i], names[j]])
                    value[i, j] += machine.decision_function(test) @ [-1, 1]
    upper = np.triu_indices(len(names), 1)
    n = 2 * n_groups * n_repeats
    return names, right[upper] / n, value[upper] / n


# trials that trials_per_pseudo divides; that it does not divide; unequal numbers of trials
@pytest.mark.parametrize("counts", [[12] * 4, [14] * 4, [9, 13, 17, 10]])
@pytest.mark.filterwarnings("ignore:patterns. stimuli have:neurodnn.DataWarning")
def test_equals_a_loop_over_scikit_learn(counts):
    dataset = _trials(counts, signal=0.15)
    names, accuracy, value = _by_loop(dataset, 3, 4, seed=7)
    found = decoding_rdms(dataset, trials_per_pseudo=3, n_repeats=4, seed=7)
    table = _table(found)
    upper = zip(*np.triu_indices(4, 1), strict=True)
    ours = [table[names[i], names[j]] for i, j in upper]
    np.testing.assert_array_equal(ours, accuracy)
    assert 0.5 < np.mean(accuracy) < 1.0  # neither all right nor all wrong
    graded = decoding_rdms(dataset, trials_per_pseudo=3, n_repeats=4, seed=7, score="decision")
    upper = zip(*np.triu_indices(4, 1), strict=True)
    ours = [_table(graded)[names[i], names[j]] for i, j in upper]
    np.testing.assert_allclose(ours, value, rtol=0, atol=1e-6)  # libsvm's kernel is float32


@pytest.mark.parametrize("classifier", ["svm", "lda"])
@pytest.mark.parametrize("score", ["accuracy", "decision"])
def test_number_of_jobs_changes_no_bit(classifier, score):
    patterns = {t: _trials([12] * 7, seed=3) for t in (0.0, 0.1)}
    options = {"classifier": classifier, "score": score, "trials_per_pseudo": 3, "n_repeats": 11}
    one = decoding_rdms(patterns, **options).dissimilarities
    for n_jobs in (2, 5):
        np.testing.assert_array_equal(
            decoding_rdms(patterns, n_jobs=n_jobs, **options).dissimilarities, one
        )


@pytest.mark.parametrize("score", ["accuracy", "decision"])
def test_order_of_stimuli_changes_no_bit(score):
    dataset = _trials([10] * 6, signal=0.2)
    names = np.array(dataset.obs_descriptors["stimulus"])
    # another order of stimuli, in blocks; within a stimulus the order of trials stays
    blocks = np.concatenate([np.flatnonzero(names == name) for name in sorted(set(names))[::-1]])
    options = {"trials_per_pseudo": 2, "n_repeats": 5, "score": score}
    one, two = (decoding_rdms(d, **options) for d in (dataset, _ordered(dataset, blocks)))
    assert _table(one) == _table(two)
    assert two.pattern_descriptors["stimulus"] == sorted(set(names))[::-1]
    assert one.pattern_descriptors["stimulus"] == list(dict.fromkeys(names))


def test_order_of_trials_of_a_stimulus_draws_other_groups():
    dataset = _trials([10] * 4, signal=0.1, shuffle=False)
    one = decoding_rdms(dataset, trials_per_pseudo=2, n_repeats=3)
    two = decoding_rdms(_ordered(dataset, np.arange(40)[::-1]), trials_per_pseudo=2, n_repeats=3)
    assert _table(one) != _table(two)


def test_a_stimulus_more_leaves_the_draws_of_the_others():
    dataset = _trials([12] * 5, signal=0.2, shuffle=False)
    # the mean over all trials differs, hence the rounding of decision values, but no accuracy
    few = _table(decoding_rdms(_ordered(dataset, np.arange(48)), trials_per_pseudo=3, n_repeats=6))
    all_ = _table(decoding_rdms(dataset, trials_per_pseudo=3, n_repeats=6))
    assert few == {pair: all_[pair] for pair in few}


def test_times_share_their_groups_and_may_be_loaded_one_by_one():
    sets = {round(0.1 * i, 1): _trials([12] * 4, seed=i + 1, shuffle=False)
            for i in range(-1, 3)}  # fmt: skip

    class Lazy(Mapping):
        asked = []

        def __getitem__(self, time):
            self.asked.append(time)
            return sets[time]

        def __iter__(self):
            return iter(sets)

        def __len__(self):
            return len(sets)

    movie = decoding_rdms(Lazy(), trials_per_pseudo=3, n_repeats=4)
    assert movie.rdm_descriptors["time"] == [-0.1, 0.0, 0.1, 0.2]
    assert movie.n_rdm == 4
    for row, dataset in zip(movie.dissimilarities, sets.values(), strict=True):
        alone = decoding_rdms(dataset, trials_per_pseudo=3, n_repeats=4)
        assert "time" not in alone.rdm_descriptors
        np.testing.assert_array_equal(row, alone.dissimilarities[0])
    assert set(Lazy.asked) == set(sets)


@pytest.mark.parametrize("classifier", ["svm", "lda"])
def test_noise_lies_at_chance_and_signal_above(classifier):
    options = {"classifier": classifier, "trials_per_pseudo": 3, "n_repeats": 5}
    means = []
    for seed in range(20):
        noise = decoding_rdms(_trials([12] * 5, signal=0.0, seed=seed), **options)
        means.append(noise.dissimilarities.mean())
    # leave-one-out is slightly pessimistic; 20 data sets give the mean a standard error of .01
    assert abs(np.mean(means) - 0.5) < 0.05
    planted = [decoding_rdms(_trials([12] * 5, signal=s), **options).dissimilarities.mean()
               for s in (0.2, 0.4, 0.8)]  # fmt: skip
    assert 0.55 < planted[0] < planted[1] <= planted[2]
    assert planted[2] > 0.97


def test_decision_values_grow_where_accuracy_is_full():
    scores = {}
    for signal in (1.0, 3.0):
        dataset = _trials([12] * 4, signal=signal)
        for score in ("accuracy", "decision"):
            rdms = decoding_rdms(dataset, trials_per_pseudo=3, n_repeats=3, score=score)
            scores[signal, score] = rdms.dissimilarities
    assert (scores[1.0, "accuracy"] == 1).all()
    assert (scores[3.0, "decision"] > scores[1.0, "decision"]).all()


@pytest.mark.parametrize("classifier", ["svm", "lda"])
def test_stimuli_with_the_same_trials_are_at_chance_exactly(classifier):
    one = _trials([8, 8, 8], shuffle=False)
    values = one.measurements.copy()
    values[:] = values[0]  # every trial the same pattern but for one stimulus
    values[16:] += 1.0 + np.arange(8)[:, np.newaxis] * np.random.default_rng(0).normal(size=40)
    same = Dataset(values, obs_descriptors=one.obs_descriptors)
    found = decoding_rdms(same, classifier=classifier, trials_per_pseudo=2, n_repeats=3)
    assert _table(found)["image a", "image b"] == 0.5


def test_common_offset_and_unit_of_lda_change_nothing():
    dataset = _trials([10] * 4, signal=0.2)
    shifted = Dataset(dataset.measurements + 1e4, obs_descriptors=dataset.obs_descriptors)
    options = {"trials_per_pseudo": 2, "n_repeats": 4}
    assert _table(decoding_rdms(dataset, **options)) == _table(decoding_rdms(shifted, **options))
    for unit in (1e-200, 1e-13, 1e13, 1e200):
        scaled = Dataset(dataset.measurements * unit, obs_descriptors=dataset.obs_descriptors)
        lda = {"classifier": "lda", **options}
        assert _table(decoding_rdms(dataset, **lda)) == _table(decoding_rdms(scaled, **lda))


@pytest.mark.parametrize("layout", ["fortran", "strided", "big-endian", "read-only"])
def test_layout_of_the_data_changes_no_bit(layout):
    dataset = _trials([8] * 4)
    values = dataset.measurements
    made = {
        "fortran": np.asfortranarray(values),
        "strided": np.repeat(values, 2, axis=1)[:, ::2],
        "big-endian": values.astype(">f8"),
        "read-only": values.copy(),
    }[layout]
    made.flags.writeable = layout != "read-only"
    other = Dataset(made, obs_descriptors=dataset.obs_descriptors)
    options = {"trials_per_pseudo": 2, "n_repeats": 2, "score": "decision"}
    assert _table(decoding_rdms(other, **options)) == _table(decoding_rdms(dataset, **options))
    np.testing.assert_array_equal(other.measurements, dataset.measurements)  # input untouched


def test_channels_without_a_value_or_variation_are_left_out():
    dataset = _trials([8] * 4, signal=0.2)
    more = np.column_stack([dataset.measurements, np.full(32, 0.7), np.ones(32)])
    more[5, -1] = np.nan
    other = Dataset(more, obs_descriptors=dataset.obs_descriptors)
    options = {"trials_per_pseudo": 2, "n_repeats": 3, "score": "decision"}
    with pytest.warns(DataWarning, match="up to 2 channels"):
        found = decoding_rdms(other, **options)
    assert _table(found) == _table(decoding_rdms(dataset, **options))


def test_a_time_without_a_usable_channel_is_undefined_and_leaves_the_others():
    dataset = _trials([8] * 4)
    flat = Dataset(np.ones((32, 40)), obs_descriptors=dataset.obs_descriptors)
    with (
        pytest.warns(DataWarning, match="at 1 times no channel is usable"),
        pytest.warns(DataWarning, match="up to 40 channels"),
    ):
        movie = decoding_rdms({0.0: flat, 0.1: dataset}, trials_per_pseudo=2, n_repeats=2)
    assert np.isnan(movie.dissimilarities[0]).all()
    expected = decoding_rdms(dataset, trials_per_pseudo=2, n_repeats=2).dissimilarities[0]
    np.testing.assert_array_equal(movie.dissimilarities[1], expected)


def test_values_too_large_to_be_squared_are_undefined_and_not_wrong():
    dataset = _trials([8] * 4)
    huge = Dataset(1e200 * dataset.measurements, obs_descriptors=dataset.obs_descriptors)
    with pytest.warns(DataWarning, match="too large to be squared"):
        rdms = decoding_rdms(huge, trials_per_pseudo=2, n_repeats=2)
    assert np.isnan(rdms.dissimilarities).all()


def test_values_in_tesla_are_warned_of():
    dataset = _trials([8] * 4)
    tesla = Dataset(1e-13 * dataset.measurements, obs_descriptors=dataset.obs_descriptors)
    with pytest.warns(DataWarning, match="so small beside C"):
        decoding_rdms(tesla, trials_per_pseudo=2, n_repeats=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoding_rdms(tesla, classifier="lda", trials_per_pseudo=2, n_repeats=2)
        decoding_rdms(dataset, trials_per_pseudo=2, n_repeats=2)


def test_folds_that_do_not_settle_are_warned_of():
    dataset = _trials([9] * 2, n_channels=2, signal=0.0, seed=1)
    scaled = Dataset(1e4 * dataset.measurements, obs_descriptors=dataset.obs_descriptors)
    with pytest.warns(DataWarning, match="were not settled"):
        decoding_rdms(scaled, trials_per_pseudo=1, n_repeats=1, C=1e6)


def test_unequal_numbers_of_trials_are_told():
    with pytest.warns(DataWarning, match=r"8 to 12 trials; each gives 2 .* image b allow"):
        rdms = decoding_rdms(_trials([12, 8, 12, 12]), trials_per_pseudo=4, n_repeats=2)
    assert rdms.descriptors["pseudo_trials"] == 2


def test_settings_stand_in_the_result_and_survive_a_file(tmp_path):
    rdms = decoding_rdms({0.05: _trials([10] * 4)}, n_repeats=100)
    expected = {
        "classifier": "svm", "score": "accuracy", "unit": "fraction correct (chance 0.5)",
        "chance": 0.5, "diagonal": "undefined", "trials_per_pseudo_trial": 5, "pseudo_trials": 2,
        "n_repeats": 100, "C": 1.0, "seed": 0, "preset": "cichy2016",
    }  # fmt: skip
    assert rdms.descriptors == expected
    rdms.save(str(tmp_path / "rdms.h5"), "hdf5")
    again = load_rdm(str(tmp_path / "rdms.h5"))
    np.testing.assert_array_equal(again.dissimilarities, rdms.dissimilarities)
    assert {key: again.descriptors[key] for key in expected} == expected
    other = decoding_rdms(_trials([10] * 4), n_repeats=2)
    assert other.descriptors["preset"] == "none"


FAULTS = [
    ({"classifier": "svc"}, "classifier='svc' is not known.*svm"),
    ({"score": "percent"}, "score='percent' is not known"),
    ({"trials_per_pseudo": 2.5}, "trials_per_pseudo: is no whole number"),
    ({"trials_per_pseudo": 0}, "trials_per_pseudo: is not a valid number"),
    ({"n_repeats": 0}, "n_repeats: is not a valid number"),
    ({"C": 0}, "C: is not a valid number"),
    ({"C": float("nan")}, "C: is not a valid number"),
    ({"seed": -1}, "seed: is not a valid number"),
    ({"trials_per_pseudo": 5}, r"too few trials for 2 pseudo-trials of 5: image c \(9 trials\)"),
    ({"trials_per_pseudo": 4, "classifier": "lda"}, r"too few trials for 3 .*image c \(9 trials\)"),
]


@pytest.mark.parametrize(("options", "text"), FAULTS)
def test_arguments_that_do_not_fit_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        decoding_rdms(_trials([12, 12, 9, 12]), **options)


def test_patterns_that_do_not_fit_are_refused():
    dataset, options = _trials([8] * 4), {"trials_per_pseudo": 2, "n_repeats": 1}
    with pytest.raises(InputError, match="is not a Dataset"):
        decoding_rdms(dataset.measurements, **options)
    with pytest.raises(InputError, match="no stimulus names"):
        decoding_rdms(Dataset(dataset.measurements), **options)
    with pytest.raises(InputError, match="patterns: are empty"):
        decoding_rdms({}, **options)
    with pytest.raises(InputError, match="must be keyed by time.*early"):
        decoding_rdms({"early": dataset}, **options)
    with pytest.raises(InputError, match="one stimulus alone"):
        decoding_rdms(_trials([8]), **options)
    turned = _ordered(dataset, np.arange(32)[::-1])
    with pytest.raises(InputError, match="patterns at 0.1 s: the stimuli of the trials are not"):
        decoding_rdms({0.0: dataset, 0.1: turned}, **options)
    values = dataset.measurements.copy()
    values[[3, 9]] = np.nan
    broken = Dataset(values, obs_descriptors=dataset.obs_descriptors)
    with pytest.raises(InputError, match="trials without a finite value: 4, 10"):
        decoding_rdms(broken, **options)


def test_is_public():
    assert neurodnn.decoding_rdms is decoding_rdms
