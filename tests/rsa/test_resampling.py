"""From named RDMs to draws: matching, gaps, order, bits, small samples."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.matched import match_regions, match_subjects
from neurodnn.rsa.resampling import (
    ceiling_scores,
    resample_ceiling_kinds,
    resample_ceilings,
    resample_scores,
)
from neurodnn.rsa.resampling_labels import permuted_labels_p
from neurodnn.stats.bootstrap import STAGE_STIMULI, STAGE_SUBJECTS, count_draws, draw_indices

N = 10
NAMES = [f"image_{i:02d}" for i in range(N)]


def rdms(n_rows, seed=0, **labels):
    values = np.random.default_rng(seed).random((n_rows, N * (N - 1) // 2))
    return RDMs(values, pattern_descriptors={"stimulus": NAMES}, rdm_descriptors=labels)


def subjects(n=4, seed=0):
    return rdms(n, seed, subject=[f"{i:02d}" for i in range(n)])


MODELS = rdms(3, 9, reference=["a", "b", "c"])


def test_scores_equal_rsatoolbox_by_name():
    data = subjects()
    indices = draw_indices(N, 5, 0, STAGE_STIMULI)
    matched = match_subjects(data, MODELS)
    found = resample_scores(matched, count_draws(indices), comparison="spearman")
    for b, index in enumerate(indices):
        sample, model = (each.subsample_pattern("index", index) for each in (data, MODELS))
        assert np.abs(found[b] - compare(sample, model, method="spearman")).max() < 1e-12


def test_order_of_stimuli_and_subjects_changes_no_bit():
    data = subjects()
    counts = count_draws(draw_indices(N, 40, 0, STAGE_STIMULI))
    first = resample_scores(match_subjects(data, MODELS), counts, comparison="pearson")
    order = np.random.default_rng(2).permutation(N)
    square = data.get_matrices()[[2, 0, 3, 1]][:, order][:, :, order]
    turned = RDMs(square, pattern_descriptors={"stimulus": [NAMES[i] for i in order]},
                  rdm_descriptors={"subject": ["02", "00", "03", "01"]})  # fmt: skip
    again = resample_scores(match_subjects(turned, MODELS), counts, comparison="pearson")
    assert np.array_equal(first, again)


@pytest.mark.parametrize("comparison", ["spearman", "cosine_cov", "tau-a"])
def test_workers_change_no_bit(comparison):
    matched = match_subjects(subjects(), MODELS)
    counts = count_draws(draw_indices(N, 70, 0, STAGE_STIMULI))
    people = count_draws(draw_indices(4, 70, 0, STAGE_SUBJECTS))
    one, two = (
        resample_scores(matched, counts, comparison=comparison, n_jobs=n) for n in (1, 2)
    )
    assert np.array_equal(one, two, equal_nan=True)
    one, two = (
        resample_ceilings(matched, counts, people, comparison=comparison, n_jobs=n)
        for n in (1, 2)
    )
    assert np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize("comparison", ["spearman", "pearson", "cosine", "rho-a"])
def test_ceiling_scores_average_to_the_noise_ceiling(comparison):
    matched = match_subjects(subjects(), MODELS)
    found = ceiling_scores(matched, comparison=comparison).mean(axis=0)
    expected = noise_ceiling(matched.data, comparison=comparison)
    assert np.abs(found - expected).max() < 1e-12


def test_ceilings_of_a_draw_are_weighted_means_of_a_loop():
    matched = match_subjects(subjects(), MODELS)
    people = np.array([[2, 1, 0, 1]])
    once = np.ones((1, N), np.int64)
    found = resample_ceilings(matched, once, people, comparison="spearman")[0]
    rows = matched.data.dissimilarities.argsort(axis=1).argsort(axis=1) + 1.0
    scores = []
    for s, weight in ((0, 2), (1, 1), (3, 1)):
        others = sum(people[0, t] * rows[t] for t in range(4) if t != s)
        everybody = sum(people[0, t] * rows[t] for t in range(4))
        pair = RDMs(np.stack([others, everybody]))
        scores += [compare(RDMs(rows[s][None]), pair, method="spearman")[0]] * weight
    assert np.abs(found - np.mean(scores, axis=0)).max() < 1e-12


def test_kinds_of_ceilings_vary_what_they_say():
    matched = match_subjects(subjects(), MODELS)
    counts = count_draws(draw_indices(N, 6, 0, STAGE_STIMULI))
    people = count_draws(draw_indices(4, 6, 0, STAGE_SUBJECTS))
    own, stimuli, both = resample_ceiling_kinds(matched, counts, people, comparison="spearman")
    ones, everybody = np.ones_like(counts), np.ones_like(people)
    for kind, draws in ((own, (ones, people)), (stimuli, (counts, everybody)),
                        (both, (counts, people))):  # fmt: skip
        expected = resample_ceilings(matched, *draws, comparison="spearman")
        assert np.array_equal(kind, expected, equal_nan=True)


def test_subjects_without_information_are_left_out_by_name():
    data = subjects(5)
    data.dissimilarities[1] = np.nan
    data.dissimilarities[3] = 0.7
    with pytest.warns(DataWarning, match="subject 01, 03 has no distances"):
        matched = match_subjects(data, MODELS)
    assert matched.subjects == ["00", "02", "04"]
    assert matched.left_out == ["01", "03"]
    data.dissimilarities[:] = 1.0
    with pytest.raises(InputError, match="no subject"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        match_subjects(data, MODELS)


def test_missing_pairs_leave_all_comparisons_alike():
    data = subjects()
    data.dissimilarities[2, 5] = np.nan
    with pytest.warns(DataWarning, match="1 of 45 pairs"):
        matched = match_subjects(data, MODELS, nan_policy="omit")
    assert np.isnan(matched.references.dissimilarities[:, 5]).all()
    once = np.ones((1, N), np.int64)
    found = resample_scores(matched, once, comparison="spearman")[0]
    expected = compare_rdms(matched.data, matched.references, nan_policy="omit").values
    assert np.abs(found - expected).max() < 1e-12
    with pytest.warns(DataWarning, match="cannot be permuted"):
        labels = permuted_labels_p(
            [{"V1": matched}], comparison="spearman", tail="greater", n_permutations=99, seed=0
        )
    assert np.isnan(labels.p_labels).all()


def test_draws_of_two_stimuli_have_no_score():
    matched = match_subjects(subjects(), MODELS)
    counts = np.array([[5, 5, *[0] * 8], [5, 4, 1, *[0] * 7]])
    found = resample_scores(matched, counts, comparison="pearson")
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_few_stimuli_are_warned_of():
    few = {"stimulus": NAMES[:5]}
    values = np.random.default_rng(0).random((3, 10))
    with pytest.warns(DataWarning, match="5 stimuli are few"):
        match_subjects(RDMs(values, pattern_descriptors=few), RDMs(values, pattern_descriptors=few))


def test_regions_must_share_their_subjects():
    with pytest.raises(InputError, match="differ in subjects 04"):
        match_regions({"V1": subjects(4), "IT": subjects(5)}, MODELS)
    with pytest.raises(InputError, match="region V1.*several RDMs"):
        match_regions({"V1": rdms(2, subject=["01", "01"])}, MODELS)
    with pytest.raises(InputError, match="names no region"):
        match_regions({}, MODELS)


def test_two_references_of_one_name_are_refused():
    with pytest.raises(InputError, match="references: a name occurs more than once"):
        match_subjects(subjects(), rdms(2, reference=["a", "a"]))


def test_label_p_is_that_of_the_label_test_and_says_what_it_generalises_to():
    from neurodnn.rsa.label_test import label_permutation_test

    data = subjects()
    options = {"comparison": "spearman", "tail": "greater", "n_permutations": 200, "seed": 3}
    matched = {"V1": match_subjects(data, MODELS)}
    found = permuted_labels_p([matched], **options)
    expected = label_permutation_test(data, MODELS, **options)
    assert np.array_equal(found.p_labels[0], expected.p)
    assert np.array_equal(found.p_labels_fwe[0], expected.p_fwe)
    assert found.p_labels.attrs["generalises_to"] == "stimuli"


def test_label_p_of_several_drawings_is_that_of_their_mean_score():
    from neurodnn.rsa.relabelling import plan_relabellings

    data, second = subjects(), rdms(3, 11, reference=["a", "b", "c"])
    drawings = [{"V1": match_subjects(data, each)} for each in (MODELS, second)]
    options = {"comparison": "spearman", "tail": "two-sided", "n_permutations": 200, "seed": 3}
    found = permuted_labels_p(drawings, **options)
    square = [each.get_matrices() for each in (MODELS, second)]
    i, j = np.triu_indices(N, 1)
    null = []
    for order in plan_relabellings(N, 200, 3).orders:
        rows = [RDMs(s[:, order][:, :, order][:, i, j]) for s in square]
        null.append(np.mean([compare(data, r, method="spearman").mean(0) for r in rows], axis=0))
    expected = (np.abs(null) >= np.abs(null[0]) - 1e-12).mean(axis=0)
    assert np.array_equal(found.p_labels[0], expected)
    with pytest.warns(DataWarning, match="no dot product"):
        taus = permuted_labels_p(drawings, **options | {"comparison": "tau-a"})
    assert np.isnan(taus.p_labels).all()
