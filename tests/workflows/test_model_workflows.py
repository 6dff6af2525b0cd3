"""Models and regions from named RDMs to tests: planted effects, controls, small samples, bits."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.compare import compare_rdms
from neurodnn.workflows.compare_models import compare_models
from neurodnn.workflows.region_hierarchy import region_hierarchy

N = 20
PAIRS = N * (N - 1) // 2
NAMES = [f"image_{i:02d}" for i in range(N)]
BOTH = "subjects and stimuli"
FAST = {"n_bootstrap": 200, "n_permutations": 400}


def patterns(n, n_features, seed):
    return np.random.default_rng(seed).normal(size=(n, n_features))


def distances(x):
    i, j = np.triu_indices(len(x), 1)
    return ((x[i] - x[j]) ** 2).mean(axis=1)


def named(rows, **labels):
    return RDMs(np.atleast_2d(rows), pattern_descriptors={"stimulus": NAMES[: _size(rows)]},
                rdm_descriptors=labels)  # fmt: skip


def _size(rows):
    return round((1 + np.sqrt(1 + 8 * np.atleast_2d(rows).shape[1])) / 2)


MODELS = np.stack([distances(patterns(N, 10, 100 + k)) for k in range(4)])
LAYERS = named(MODELS, reference=["a", "b", "c", "d"])


def people(weights, n=10, noise=0.6, seed=0):
    """Subjects whose geometry holds models to the given weights, and noise of their own."""
    rng = np.random.default_rng(seed)
    rows = np.asarray(weights) @ MODELS + rng.normal(0, noise, (n, PAIRS))
    return named(rows, subject=[f"{i:02d}" for i in range(n)])


@pytest.fixture(scope="module")
def tests():
    return compare_models(people([1, 0.3, 0, 0]), LAYERS, **FAST)


def test_planted_models_are_found_and_ranked(tests):
    both = tests.sel(generalises_to=BOTH)
    assert both.p_fwe.sel(reference="a") < 0.01
    assert both.p_fwe.sel(reference="c") > 0.05
    assert tests.p_labels_fwe.sel(reference="a") < 0.01
    assert tests.p_labels_fwe.sel(reference="d") > 0.05
    assert tests.difference.sel(reference="a", other="c") > 0.2
    assert both.p_difference_fwe.sel(reference="a", other="c") < 0.05


def test_scores_and_ceilings_are_those_of_the_parts(tests):
    data = people([1, 0.3, 0, 0])
    xr.testing.assert_equal(tests.score, compare_rdms(data, LAYERS).rename(None))
    assert np.allclose(tests.ceiling, noise_ceiling(data), rtol=0, atol=1e-12)
    assert np.allclose(tests.to_ceiling, tests["mean"] - tests.ceiling[0], rtol=0, atol=1e-12)


def test_every_number_says_what_it_generalises_to(tests):
    assert tests.generalises_to.values.tolist() == ["subjects", "stimuli", BOTH]
    assert tests.p_labels.attrs["generalises_to"] == "stimuli"
    assert tests.dof.values.tolist() == [9, 19, 9]
    for key in ("tail", "seed", "n_bootstrap", "exact", "minimum_p", "comparison", "n_stimuli"):
        assert key in tests.attrs
    for value in tests.attrs.values():  # what a netCDF file can hold
        assert isinstance(value, (int, float, str, list))


def test_more_error_with_both_than_with_either(tests):
    errors = tests.standard_error
    assert (errors.sel(generalises_to=BOTH) >= errors.sel(generalises_to="subjects") - 1e-9).all()
    assert (errors.sel(generalises_to=BOTH) >= errors.sel(generalises_to="stimuli") - 1e-9).all()


def test_order_and_workers_change_no_bit(tests):
    data = people([1, 0.3, 0, 0])
    turn = np.random.default_rng(5).permutation(N)
    square = data.get_matrices()[::-1][:, turn][:, :, turn]
    turned = RDMs(square, pattern_descriptors={"stimulus": [NAMES[i] for i in turn]},
                  rdm_descriptors={"subject": data.rdm_descriptors["subject"][::-1]})  # fmt: skip
    xr.testing.assert_identical(tests, compare_models(turned, LAYERS, n_jobs=2, **FAST))


def test_shared_geometry_fools_the_subjects_test_alone():
    # all subjects share a geometry that has nothing to do with the models: sign flips call any
    # chance likeness an effect; labels and the two-factor bootstrap do not
    own, both, labels = 0, 0, 0
    for seed in range(20):
        shared = distances(patterns(N, 10, seed))
        rng = np.random.default_rng(1000 + seed)
        data = named(shared + rng.normal(0, 0.1, (8, PAIRS)))
        found = compare_models(data, named(MODELS[0]), n_bootstrap=100, n_permutations=200)
        own += bool(found.p.sel(generalises_to="subjects") <= 0.05)
        both += bool(found.p.sel(generalises_to=BOTH) <= 0.05)
        labels += bool(found.p_labels <= 0.05)
    assert own >= 12
    assert both <= 4  # 99.7 % of 20 true nulls
    assert labels <= 4


def test_one_subject_has_stimuli_only_and_a_note():
    with pytest.warns(DataWarning, match="one subject says nothing"):
        found = compare_models(people([1, 0, 0, 0], n=1), LAYERS, **FAST)
    assert np.isnan(found.p.sel(generalises_to=["subjects", BOTH])).all()
    assert found.p.sel(generalises_to="stimuli", reference="a") < 0.05
    assert np.isfinite(found.p_labels).all()
    assert np.isnan(found.ceiling).all()
    assert found.dof[1] == N - 1
    assert "One subject" in found.attrs["note"]


def test_four_subjects_are_refused_unless_allowed():
    data = people([1, 0, 0, 0], n=4)
    with pytest.raises(InputError, match="cannot reach p <= 0.05"):
        compare_models(data, LAYERS, **FAST)
    with pytest.warns(DataWarning, match="cannot reach"):
        found = compare_models(data, LAYERS, allow_small=True, **FAST)
    assert found.p.sel(generalises_to="subjects").min() == 0.125  # 2 of 16 flips
    assert found.p.sel(generalises_to=BOTH, reference="a") < 0.05


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_five_stimuli_are_warned_of_and_small_draws_are_counted():
    rng = np.random.default_rng(0)
    data, models = named(rng.random((8, 10))), named(rng.random((2, 10)), reference=["a", "b"])
    with pytest.warns(DataWarning, match="5 stimuli are few"):
        found = compare_models(data, models, **FAST)
    # one draw in ten of 5 out of 5 holds one or two distinct stimuli
    assert 150 < found.n_draws_scores.sel(generalises_to=BOTH) < 200
    assert np.isfinite(found.p.sel(generalises_to=BOTH)).all()


def test_constant_rdms_and_ties():
    data = people([1, 0, 0, 0])
    data.dissimilarities[3] = 0.7
    with pytest.warns(DataWarning, match="subject 03 has no distances"):
        found = compare_models(data, LAYERS, **FAST)
    assert found.attrs["n_subjects"] == 9
    assert found.attrs["left_out"] == ["03"]
    with pytest.raises(InputError, match="all distances are equal"):
        compare_models(people([1, 0, 0, 0]), named(np.ones((1, PAIRS))), **FAST)
    halves = named(distances(np.repeat([0.0, 1.0], N // 2)[:, None]))
    with pytest.warns(DataWarning, match="tied"):
        compare_models(people([1, 0, 0, 0]), halves, **FAST)
    compare_models(people([1, 0, 0, 0]), halves, comparison="rho-a", **FAST)


def test_comparisons_of_all_kinds_run_through():
    data = people([1, 0.3, 0, 0], n=6)
    for comparison in ("pearson", "cosine", "rho-a", "tau-a", "tau-b", "corr_cov", "cosine_cov"):
        found = compare_models(data, LAYERS, comparison=comparison, n_bootstrap=20,
                               n_permutations=100)  # fmt: skip
        assert found["mean"].values.argmax() == 0
        assert np.allclose(found.ceiling, noise_ceiling(data, comparison=comparison),
                           rtol=0, atol=1e-10)  # fmt: skip


@pytest.fixture(scope="module")
def regions():
    return {"V1": people([1, 0.3, 0, 0], seed=1), "IT": people([0, 0, 0.3, 1], seed=2)}


@pytest.fixture(scope="module")
def hierarchy(regions):
    return region_hierarchy(regions, LAYERS, control=_controls(), **FAST)


def _controls():
    return [named(np.stack([distances(patterns(N, 10, 500 + 10 * d + k)) for k in range(4)]),
                  reference=["a", "b", "c", "d"]) for d in range(2)]  # fmt: skip


def test_a_planted_hierarchy_is_found(hierarchy):
    assert hierarchy.best_layer.values.tolist() == [1, 4]
    assert hierarchy.order_slope == 3
    assert hierarchy.order_slope_p.sel(generalises_to=BOTH) < 0.05
    assert hierarchy.order_p < 0.01
    both = hierarchy.sel(generalises_to=BOTH)
    assert both.slope_high.sel(region="V1") < 0 < both.slope_low.sel(region="IT")
    assert both.p_fwe.sel(region="V1", reference="a") < 0.05
    assert both.p_fwe.sel(region="V1", reference="d") > 0.05
    assert hierarchy.p_labels_fwe.sel(region="IT", reference="d") < 0.05
    assert both.gain_p_fwe.sel(region="IT", reference="d") < 0.05


def test_cells_are_those_of_single_regions(hierarchy, regions):
    one = compare_models(regions["IT"], LAYERS, **FAST)
    cell = hierarchy.sel(region="IT")
    assert np.array_equal(cell["mean"], one["mean"])
    assert np.allclose(cell.standard_error, one.standard_error, rtol=1e-12, atol=0)
    assert np.array_equal(cell.p.sel(generalises_to=BOTH), one.p.sel(generalises_to=BOTH))
    assert np.array_equal(cell.p_labels, one.p_labels)
    assert (cell.p_fwe >= one.p_fwe - 1e-12).all()  # a larger family
    assert np.allclose(cell.ceiling, noise_ceiling(regions["IT"]), rtol=0, atol=1e-12)


def test_drawings_are_averaged(hierarchy, regions):
    own = np.mean([compare_rdms(regions["V1"], each).values for each in _controls()], axis=0)
    gain = compare_rdms(regions["V1"], LAYERS).values - own
    assert np.allclose(hierarchy.gain.sel(region="V1"), gain.mean(axis=0), rtol=0, atol=1e-12)
    drawn = region_hierarchy(regions, _controls(), **FAST)
    assert np.allclose(drawn.score.sel(region="V1"), own, rtol=0, atol=1e-12)
    assert np.isfinite(drawn.p_labels).all()
    assert drawn.attrs["n_drawings"] == 2


def test_a_network_gains_nothing_over_itself(regions):
    with pytest.warns(DataWarning):
        found = region_hierarchy(regions, LAYERS, control=LAYERS, **FAST)
    assert (found.gain == 0).all()
    assert np.isnan(found.gain_p).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": [1, 2]}, "layers: do not fit"),
        ({"control": named(MODELS[:2])}, "control: do not fit"),
        ({"comparison": "spearmen"}, "Did you mean spearman"),
        ({"n_bootstrap": 1}, "n_bootstrap"),
    ],
)
def test_wrong_options_are_named(regions, change, words):
    with pytest.raises(InputError, match=words):
        region_hierarchy(regions, LAYERS, **FAST | change)


def test_a_control_in_another_order_of_layers_is_refused(regions):
    turned = named(MODELS[::-1], reference=["d", "c", "b", "a"])
    with pytest.raises(InputError, match="control: hold d, c, b, a in another place"):
        region_hierarchy(regions, LAYERS, control=turned, **FAST)
    other = named(MODELS[::-1], reference=["k", "l", "m", "n"])
    gain = region_hierarchy(regions, LAYERS, control=other, **FAST).gain
    assert np.abs(gain).max() > 0.1


@pytest.mark.filterwarnings("ignore::neurodnn.DataWarning")
def test_a_control_that_lacks_pairs_is_held_against_the_same_pairs(regions):
    rows = MODELS.copy()
    rows[:, ::3] = np.nan
    gaps = named(rows, reference=list("abcd"))
    found = region_hierarchy(regions, LAYERS, control=gaps, nan_policy="omit", **FAST)
    assert np.array_equal(found.gain, np.zeros((len(regions), 4)))
    alone = region_hierarchy(regions, gaps, nan_policy="omit", **FAST)
    assert np.array_equal(found["mean"], alone["mean"])
    assert np.array_equal(found.ceiling, alone.ceiling)
