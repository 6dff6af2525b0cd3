"""The order of presentation: seconds by hand, one order or many, what noise makes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.signal import lfilter
from scipy.stats import spearmanr

import neurodnn as nd
from neurodnn._checks import InputError
from neurodnn.rsa.presentation import is_one_order, order_correlations, presentation_rdm

NAMES = [f"s{i:02d}" for i in range(30)]


def run_of(order, spacing=4.0):
    return {"stimulus": list(order), "onset": (spacing * np.arange(len(order))).tolist()}


def rdms_of(rows, names=NAMES, key="reference", labels=("model",)):
    return RDMs(np.atleast_2d(rows), rdm_descriptors={key: list(labels)},
                pattern_descriptors={"stimulus": list(names)})  # fmt: skip


def steps(n):
    first, second = np.triu_indices(n, 1)
    return (second - first).astype(float)


def test_seconds_by_hand():
    runs = {
        # mean onsets: a 5, b 4, c 20; a catch trial, a gap and text as read from a file
        "1": pd.DataFrame({"stimulus": ["a", "b", None, "a", "c", "n", " "],
                           "onset": ["2", "4", "n/a", "8", "20", "30", "1"]}),
        # a 0, b 10; c is not shown
        "2": {"stimulus": ["b", "a"], "onset": [10, 0]},
        # d and a: 7 s
        "3": {"stimulus": ["d", "a"], "onset": [7.0, 0.0]},
    }  # fmt: skip
    found = presentation_rdm(runs, stimuli=["a", "b", "c", "d"])
    assert found.rdm_descriptors["reference"] == ["order of presentation"]
    assert list(found.pattern_descriptors["stimulus"]) == ["a", "b", "c", "d"]
    # ab (1 + 10) / 2, ac 15, ad 7, bc 16, bd and cd never in one run
    expected = [5.5, 15, 7, 16, np.nan, np.nan]
    assert np.array_equal(found.dissimilarities[0], expected, equal_nan=True)
    assert presentation_rdm(runs).n_cond == 5  # "n" is a stimulus as well


def test_order_of_runs_rows_and_names_changes_no_bit():
    rng = np.random.default_rng(0)
    runs = {str(r): {"stimulus": NAMES * 3, "onset": rng.uniform(0, 300, 90)} for r in range(3)}
    first = presentation_rdm(runs).dissimilarities
    turned = {
        run: {key: list(np.asarray(table[key], dtype=object)[::-1]) for key in table}
        for run, table in reversed(runs.items())
    }
    assert np.array_equal(first, presentation_rdm(turned).dissimilarities)
    names = list(rng.permutation(NAMES))
    back = nd.rsa.rdm.align_to(NAMES, presentation_rdm(runs, stimuli=names))
    assert np.array_equal(first, back.dissimilarities)
    twice = {run: {**table, "onset": 2 * table["onset"]} for run, table in runs.items()}
    assert np.allclose(presentation_rdm(twice).dissimilarities, 2 * first, rtol=1e-14)


def test_one_order_backwards_and_jittered_is_one_order():
    rng = np.random.default_rng(1)
    jittered = {"stimulus": NAMES, "onset": 4.0 * np.arange(30) + rng.uniform(0, 2, 30)}
    assert is_one_order({"1": run_of(NAMES), "2": run_of(NAMES[::-1]), "3": jittered})
    assert is_one_order({"1": run_of(NAMES)})
    assert not is_one_order({"1": run_of(NAMES), "2": run_of(rng.permutation(NAMES))})
    # two runs alike do not make three
    assert not is_one_order({"1": run_of(NAMES), "2": run_of(NAMES),
                             "3": run_of(rng.permutation(NAMES))})  # fmt: skip
    # runs of different stimuli share no pair
    assert not is_one_order({"1": run_of(NAMES[:15]), "2": run_of(NAMES[15:])})


def test_correlations_are_scipys_and_p_finds_what_is_no_chance():
    rng = np.random.default_rng(2)
    order = presentation_rdm({r: run_of(rng.permutation(NAMES)) for r in "12"})
    other = rng.random(435)
    follows = order.dissimilarities[0] + 20 * rng.random(435)
    references = rdms_of(np.array([other, follows]), labels=("other", "follows"))
    found = order_correlations(references, order)
    expected = [spearmanr(row, order.dissimilarities[0])[0] for row in (other, follows)]
    assert np.allclose(found.rho, expected, atol=1e-12)
    assert found.p.values[1] == 0.001
    assert found.p.values[0] > 0.2
    without = order_correlations(references, order, n_permutations=0)
    assert without.rho.equals(found.rho)
    assert np.isnan(without.p).all()
    assert found.reference.values.tolist() == ["other", "follows"]


def test_pairs_that_share_no_run_are_left_out():
    order = presentation_rdm({"1": run_of(NAMES[:20]), "2": run_of(NAMES[10:])})
    there = np.isfinite(order.dissimilarities[0])
    assert 0 < (~there).sum() == 10 * 10
    model = np.random.default_rng(3).random(435)
    found = order_correlations(rdms_of(model), order)
    rho = spearmanr(model[there], order.dissimilarities[0][there])[0]
    assert found.rho.item() == pytest.approx(rho, abs=1e-12)
    assert np.isnan(found.p.item())


def test_noise_that_outlasts_a_trial_fits_the_order_until_it_is_held_constant():
    """AR(1) noise and nothing else; the model is the order with noise of its own."""
    rng = np.random.default_rng(4)
    order = presentation_rdm({r: run_of(NAMES) for r in "12"})
    model = rdms_of(steps(30) + rng.uniform(0, 15, 435))
    assert order_correlations(model, order).rho.item() > 0.5
    plain, held = [], []
    for _ in range(12):
        runs = [lfilter([1], [1, -0.6], rng.normal(size=(60, 50)), axis=0)[30:] for _ in "12"]
        patterns = Dataset(np.concatenate(runs), obs_descriptors={
            "stimulus": NAMES * 2, "run": ["1"] * 30 + ["2"] * 30})  # fmt: skip
        data = nd.compute_rdms(patterns)
        plain.append(nd.compare_rdms(data, model).item())
        held.append(nd.compare_rdms(data, model, nuisance=order).item())
    assert min(plain) > 0.2
    # the noise is no straight line of the ranks of time, so that a rest is left (of the other sign)
    assert abs(np.mean(held)) < 0.12


@pytest.mark.parametrize(
    ("onsets", "stimuli", "match"),
    [
        ({}, None, "mapping of run"),
        ({"1": {"stimulus": ["a", "b"]}}, None, "run 1: lack onset"),
        ({"1": {"stimulus": ["a", "b"], "onset": [1.0]}}, None, "2 stimuli cannot have 1"),
        ({"1": {"stimulus": [None, "b"], "onset": [1, "x"]}}, None, "presentation 2 is no finite"),
        ({"1": {"stimulus": ["a", "b"], "onset": [1, np.inf]}}, None, "presentation 2 is no fin"),
        ({"1": {"stimulus": ["a", "b"], "onset": [1, 2]}}, ["a", "z"], "z are in no run"),
        ({"1": {"stimulus": ["a", "b"], "onset": [1, 2]}}, ["a", "a"], "each once"),
        ({"1": {"stimulus": ["a"], "onset": [1]}}, None, "two or more"),
    ],
)
def test_what_cannot_be_timed_is_refused(onsets, stimuli, match):
    with pytest.raises(InputError, match=match):
        presentation_rdm(onsets, stimuli=stimuli)
