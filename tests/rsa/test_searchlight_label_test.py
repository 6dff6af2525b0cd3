"""Label permutation in the searchlight: oracle is the plain searchlight, run anew with permuted
rows and columns of the references."""

import math
import warnings

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from small_brain import N_PAIRS, NAMES, Brain, at, dataset, models

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.lane_ceilings import lane_ceilings
from neurodnn.numerics.lanes import COMPARISON_CODES
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.searchlight import Rule
from neurodnn.rsa import relabelled
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.rdm import compute_rdms
from neurodnn.rsa.relabelling import own_relabellings, plan_relabellings
from neurodnn.rsa.searchlight import searchlight
from neurodnn.rsa.searchlight_label_test import searchlight_label_test
from neurodnn.rsa.searchlight_null_maps import searchlight_null_maps
from neurodnn.rsa.spheres import SearchlightOptions

LINEAR = ["spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov"]
VARIABLES = ("score", "p", "p_fwe", "null_max", "ceiling_lower", "ceiling_upper")


@pytest.fixture(scope="module")
def brain():
    """The small brain, on a third of its places, so that maps can be made again many times."""
    brain = Brain()
    brain.neighbors = brain.neighbors[:280]
    rng = np.random.default_rng(11)
    brain.subjects = {
        name: dataset(rng.normal(size=(9, 630)) + 0.5 * brain.folds[0])
        for name in ("03", "01", "02")
    }
    return brain


@pytest.fixture(scope="module")
def nuisance():
    return models(np.random.default_rng(77).random((2, N_PAIRS)))


def permuted(references, order):
    square = references.get_matrices()[:, order][:, :, order]
    return models(square[:, *np.triu_indices(len(order), 1)], list(NAMES[: len(order)]))


def by_hand(brain, subjects, n_permutations, **options):
    """Mean maps over subjects under every order: permutations x places x references."""
    plan = plan_relabellings(9, n_permutations, 0)
    return np.array(
        [
            np.mean(
                [
                    searchlight(patterns, brain.neighbors, permuted(brain.references, order),
                                **options)
                    for patterns in subjects
                ],
                axis=0,
            )
            for order in plan.orders
        ]
    )  # fmt: skip


def check_against(nulls, test, two_sided=True, tolerance=1e-12):
    np.testing.assert_allclose(test.score, nulls[0], rtol=0, atol=tolerance)
    size = np.abs(nulls) if two_sided else nulls
    largest = np.nanmax(size, axis=(1, 2))
    np.testing.assert_allclose(test.null_max, largest, rtol=0, atol=tolerance)
    defined = np.isfinite(nulls[0])
    p = np.where(defined, (size >= size[0] - 1e-12).mean(axis=0), np.nan)
    np.testing.assert_array_equal(test.p, p)
    reached = (largest[:, None, None] >= size[0] - 1e-12).mean(axis=0)
    np.testing.assert_array_equal(test.p_fwe, np.where(defined, reached, np.nan))


# --- oracles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("comparison", LINEAR)
def test_equals_permuted_references_by_hand(brain, comparison):
    test = searchlight_label_test(brain.subjects, brain.neighbors, brain.references,
                                  comparison=comparison, n_permutations=20)  # fmt: skip
    check_against(by_hand(brain, brain.subjects.values(), 20, comparison=comparison), test)


def test_one_subject_one_sided(brain):
    test = searchlight_label_test(brain.patterns, brain.neighbors, brain.references,
                                  tail="greater", n_permutations=40)  # fmt: skip
    check_against(by_hand(brain, [brain.patterns], 40), test, two_sided=False)
    assert "ceiling_lower" not in test
    assert test.attrs["n_subjects"] == 1


@pytest.mark.parametrize("comparison, semi", [("spearman", False), ("pearson", True)])
def test_the_nuisance_stays_where_it_is(brain, nuisance, comparison, semi):
    """Only references are permuted; the nuisance is then taken out of the permuted ones."""
    options = {"comparison": comparison, "nuisance": nuisance, "semi": semi}
    test = searchlight_label_test(brain.subjects, brain.neighbors, brain.references,
                                  n_permutations=20, **options)  # fmt: skip
    check_against(by_hand(brain, brain.subjects.values(), 20, **options), test)
    assert "ceiling_lower" not in test  # that of the plain score would not bound a partial one
    assert test.attrs["nuisance"] == ["layer0", "layer1"]


def test_crossnobis_with_residuals_of_each_subject(brain):
    rng = np.random.default_rng(8)
    subjects, noise = {}, {}
    for name in ("a", "b"):
        subjects[name] = dataset(rng.normal(size=(18, 630)), runs=["1", "2"])
        noise[name] = Dataset(rng.normal(size=(40, 630)))
    options = SearchlightOptions(metric="crossnobis")
    test = searchlight_label_test(subjects, brain.neighbors, brain.references, residuals=noise,
                                  comparison="cosine", n_permutations=20,
                                  options=options)  # fmt: skip
    one = [
        searchlight(subjects[name], brain.neighbors, brain.references, metric="crossnobis",
                    comparison="cosine", residuals=noise[name])
        for name in subjects
    ]  # fmt: skip
    np.testing.assert_allclose(test.score, np.mean(one, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("comparison", LINEAR)
def test_ceilings_equal_those_of_single_rdms(brain, comparison):
    for options in (SearchlightOptions(), SearchlightOptions(metric="euclidean")):
        test = searchlight_label_test(brain.subjects, brain.neighbors, brain.references,
                                      comparison=comparison, n_permutations=20,
                                      options=options)  # fmt: skip
        for centre in np.flatnonzero(test.n_features)[::7]:
            members = brain.members(centre)
            rows = [
                compute_rdms(at(one, members), metric=options.metric).dissimilarities[0]
                for one in brain.subjects.values()
            ]
            names = {"stimulus": NAMES}
            expected = noise_ceiling(RDMs(np.array(rows), pattern_descriptors=names),
                                     comparison=comparison)  # fmt: skip
            found = test.ceiling_lower[centre], test.ceiling_upper[centre]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert (np.isnan(test.ceiling_upper) == (test.reason != 0)).all()
        assert not (test.ceiling_lower > test.ceiling_upper).any()


@pytest.mark.parametrize("comparison", ["spearman", "rho-a"])
def test_ceilings_with_ties(comparison):
    """Ranks are averaged over subjects as they are, and ranked again; both with ties."""
    rows = np.random.default_rng(12).integers(0, 7, size=(5, N_PAIRS)).astype(float)
    lanes = average_ranks(rows)[:, np.newaxis] - (N_PAIRS + 1) / 2
    norms = np.sqrt((lanes**2).sum(axis=2))
    if comparison == "rho-a":
        norms[:] = np.sqrt((N_PAIRS**3 - N_PAIRS) / 12)
    rule = Rule(0, COMPARISON_CODES[comparison], 1, 1, np.finfo(float).eps)
    found = lane_ceilings(lanes, 1 / norms, np.ones_like(norms), rule)
    expected = noise_ceiling(models(rows), comparison=comparison)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=0, atol=1e-12)


# --- ties and small numbers ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_orders_that_leave_a_model_as_it_was_count_as_ties(dtype):
    """Two categories of 3 and 2 stimuli: 3! 2! = 12 of 120 orders change nothing."""
    names = NAMES[:5]
    categories = models(pdist(np.array([0, 0, 0, 1, 1])[:, None])[None], names)
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(2, 40)), [3, 2], axis=0) + 0.01 * rng.normal(size=(5, 40))
    patterns = Dataset(values, obs_descriptors={"stimulus": names})
    sphere = csr_array(np.ones((1, 40), bool))
    with pytest.warns(DataWarning, match="120 ways"):
        test = searchlight_label_test(patterns, sphere, categories, comparison="rho-a",
                                      options=SearchlightOptions(dtype=dtype))  # fmt: skip
    assert test.p.item() == test.p_fwe.item() == 12 / 120
    assert (test.attrs["n_permutations"], test.attrs["exact"]) == (120, 1)
    assert test.attrs["minimum_p"] == 1 / 120


def test_all_orders_are_used_once_where_they_are_few():
    plan = plan_relabellings(6, 720, 5)
    assert plan.exact
    assert len(set(map(tuple, plan.orders))) == math.factorial(6)
    assert plan.orders[0].tolist() == list(range(6))
    assert not plan_relabellings(7, 720, 5).exact


def test_p_is_never_zero_and_corrected_p_never_smaller(brain):
    signal = brain.patterns.measurements[:, brain.members(100)]
    model = models(pdist(signal, "correlation")[None])
    test = searchlight_label_test(brain.patterns, brain.neighbors, model, n_permutations=100)
    assert test.p[100].item() == test.p_fwe[100].item() == 0.01
    assert test.attrs["minimum_p"] == 0.01
    assert float(test.p.min()) == 0.01
    assert bool((test.p_fwe >= test.p)[test.reason == 0].all())
    assert np.isnan(test.p[test.reason != 0]).all()


# --- the same bits ---------------------------------------------------------------------------


def same_bits(one, other, names=VARIABLES):
    for name in names:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_workers_subjects_and_memory_change_no_bit(brain, dtype, monkeypatch):
    def run(subjects=brain.subjects, n_jobs=1):
        options = SearchlightOptions(dtype=dtype, n_jobs=n_jobs)
        return searchlight_label_test(subjects, brain.neighbors, brain.references,
                                      n_permutations=200, options=options)  # fmt: skip

    expected = run()
    same_bits(run(n_jobs=3), expected)
    same_bits(run(subjects=dict(sorted(brain.subjects.items()))), expected)
    own = dict.fromkeys(brain.subjects, brain.neighbors)
    options = SearchlightOptions(dtype=dtype)
    same_bits(searchlight_label_test(brain.subjects, own, brain.references, n_permutations=200,
                                     options=options), expected)  # fmt: skip
    monkeypatch.setattr(relabelled, "_KEPT_BYTES", 0)  # orders made anew for each block of places
    same_bits(run(), expected)


def test_order_of_stimuli_changes_no_bit(brain):
    order = np.random.default_rng(2).permutation(9)
    turned = {
        name: dataset(one.measurements[order], names=[NAMES[i] for i in order])
        for name, one in brain.subjects.items()
    }
    square = brain.references.get_matrices()[:, order][:, :, order]
    references = models(square[:, *np.triu_indices(9, 1)], [NAMES[i] for i in order])
    ours = searchlight_label_test(turned, brain.neighbors, references, n_permutations=60)
    expected = searchlight_label_test(brain.subjects, brain.neighbors, brain.references,
                                      n_permutations=60)  # fmt: skip
    same_bits(ours, expected)


def test_the_first_orders_of_many_are_those_of_few(brain):
    """P42."""
    runs = [
        searchlight_label_test(brain.patterns, brain.neighbors, brain.references, n_permutations=n)
        for n in (100, 300)
    ]
    np.testing.assert_array_equal(runs[1].null_max[:100], runs[0].null_max)
    other = searchlight_label_test(brain.patterns, brain.neighbors, brain.references,
                                   n_permutations=100, seed=1)  # fmt: skip
    assert (other.null_max[1:] != runs[0].null_max[1:]).any()
    assert other.null_max[0] == runs[0].null_max[0]


def test_another_place_never_lowers_corrected_p(brain):
    """P41: the family grows, the orders stay."""
    few = searchlight_label_test(brain.patterns, brain.neighbors[:100], brain.references,
                                 n_permutations=100)  # fmt: skip
    more = searchlight_label_test(brain.patterns, brain.neighbors, brain.references,
                                  n_permutations=100)  # fmt: skip
    np.testing.assert_array_equal(few.p, more.p[:100])
    defined = few.reason == 0
    assert bool((more.p_fwe[:100] >= few.p_fwe)[defined].all())
    assert float((more.p_fwe[:100] - few.p_fwe).max()) > 0


def test_float32_is_close(brain):
    given = (brain.subjects, brain.neighbors, brain.references)
    exact = searchlight_label_test(*given, n_permutations=100)
    fast = searchlight_label_test(*given, n_permutations=100,
                                  options=SearchlightOptions(dtype="float32"))  # fmt: skip
    for name in ("score", "null_max", "ceiling_lower", "ceiling_upper"):
        # 36 pairs: one swap of neighbouring ranks is 1e-4, so the median is what tells.
        assert np.nanmedian(np.abs(fast[name] - exact[name])) <= 1e-6
    assert np.nanmedian(np.abs(fast.p - exact.p)) == 0


# --- what is undefined, and what it says -----------------------------------------------------


def test_a_place_undefined_in_one_subject_takes_no_part(brain):
    spoiled = dict(brain.subjects)
    values = spoiled["02"].measurements.copy()
    values[3, brain.members(100)] = 0.7
    spoiled["02"] = dataset(values)
    with pytest.warns(DataWarning, match="scores of 02 are undefined .* pattern constant"):
        test = searchlight_label_test(spoiled, brain.neighbors, brain.references,
                                      n_permutations=20)  # fmt: skip
    assert test.reason[100] == 2
    for name in ("score", "p", "p_fwe", "ceiling_lower", "ceiling_upper"):
        assert np.isnan(test[name][100]).all()
    untouched = ~brain.neighbors.toarray()[:, brain.members(100)].any(axis=1)
    clean = searchlight_label_test(brain.subjects, brain.neighbors, brain.references,
                                   n_permutations=20)  # fmt: skip
    np.testing.assert_array_equal(test.score[untouched], clean.score[untouched])
    kept = csr_array(brain.neighbors.toarray()[untouched])
    alone = searchlight_label_test(spoiled, kept, brain.references, n_permutations=20)
    assert bool((test.null_max >= alone.null_max - 1e-12).all())


def test_it_states_what_was_tested(brain):
    options = SearchlightOptions(metric="euclidean", place="vertex")
    test = searchlight_label_test(brain.subjects, brain.neighbors, brain.references, seed=7,
                                  n_permutations=20, tail="greater", options=options)  # fmt: skip
    assert test.score.dims == ("vertex", "reference")
    expected = {
        "generalises_to": "stimuli", "tail": "greater", "family": ["vertex", "reference"],
        "n_permutations": 20, "exact": 0, "seed": 7, "minimum_p": 0.05, "n_subjects": 3,
        "metric": "euclidean", "comparison": "spearman", "n_stimuli": 9,
    }  # fmt: skip
    assert expected.items() <= test.attrs.items()
    assert {type(value) for value in test.attrs.values()} <= {int, float, str, list}


def test_refusals_and_warnings(brain):
    given = (brain.subjects, brain.neighbors, brain.references)
    cases = [
        ({"comparison": "tau-a"}, "Take rho-a"),
        ({"comparison": "kendall"}, "comparison='kendall'"),
        ({"tail": "less"}, "tail='less'"),
        ({"n_permutations": 19}, "cannot reach"),
        ({"n_permutations": 100.5}, "no whole number"),
        ({"residuals": {"01": brain.residuals}}, "nothing for subject"),
        ({"residuals": brain.residuals}, "of one subject"),
        ({"seed": -1}, "seed: is not a valid number"),
    ]
    for options, text in cases:
        with pytest.raises(InputError, match=text):
            searchlight_label_test(*given, **options)
    with pytest.raises(InputError, match="other numbers of places"):
        uneven = {"01": brain.neighbors, "02": brain.neighbors, "03": brain.neighbors[:50]}
        searchlight_label_test(brain.subjects, uneven, brain.references)
    renamed = brain.subjects | {"02": dataset(brain.folds[0], names=["other", *NAMES[1:]])}
    with pytest.raises(InputError, match="Only in patterns of 02: other"):
        searchlight_label_test(renamed, *given[1:])
    with pytest.raises(InputError, match="no subjects"):
        searchlight_label_test({}, *given[1:])
    with pytest.warns(DataWarning, match="no whole number"):
        searchlight_label_test(*given, n_permutations=30)


# --- maps for Stelzer's test -----------------------------------------------------------------


def test_null_maps_are_those_of_the_subjects_own_orders(brain):
    maps = searchlight_null_maps(brain.patterns, brain.neighbors, brain.references, subject="01",
                                 n_permutations=6, seed=3)  # fmt: skip
    orders = own_relabellings("01", 9, 6, 3, observed=False)
    for own, order in zip(maps, orders, strict=True):
        expected = searchlight(brain.patterns, brain.neighbors, permuted(brain.references, order))
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-6)  # stored as float32
    assert maps.dims == ("permutation", "voxel", "reference")
    assert maps.dtype == np.float32
    assert maps.attrs["generalises_to"] == "subjects"


def test_null_maps_hang_on_subject_and_seed(brain):
    def maps(**options):
        options = {"subject": "01", "n_permutations": 4} | options
        return searchlight_null_maps(brain.patterns, brain.neighbors, brain.references,
                                     **options).values  # fmt: skip

    expected = maps()
    np.testing.assert_array_equal(maps(options=SearchlightOptions(n_jobs=2)), expected)
    np.testing.assert_array_equal(maps(n_permutations=7)[:4], expected)
    for options in ({"subject": "02"}, {"seed": 1}):
        assert np.nanmax(np.abs(maps(**options) - expected)) > 0.1


def test_one_order_drives_a_whole_null_map(brain):
    """Trap 35: neighbouring places stay as alike under permuted labels as they are without."""
    maps = searchlight_null_maps(brain.patterns, brain.neighbors, brain.references, subject="01",
                                 n_permutations=40)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        true = searchlight(brain.patterns, brain.neighbors, brain.references)
    full = np.flatnonzero(true.n_features == true.n_features.max())
    pairs = np.array([(a, b) for a, b in zip(full, full[1:], strict=False) if b == a + 1])

    def alikeness(scores):
        x, y = scores[..., pairs[:, 0], :].ravel(), scores[..., pairs[:, 1], :].ravel()
        return np.corrcoef(x, y)[0, 1]

    assert alikeness(true.values) > 0.3
    assert alikeness(maps.values) == pytest.approx(alikeness(true.values), abs=0.15)
    # One order per place, as naive code draws them, would leave nothing of that.
    rng = np.random.default_rng(0)
    naive = np.take_along_axis(maps.values, rng.integers(40, size=maps.shape[1:])[None], axis=0)
    assert abs(alikeness(naive)) < 0.2


def test_names_of_places_are_those_that_all_subjects_share():
    rng = np.random.default_rng(0)
    names = list("abcdefgh")
    neighbors = csr_array(np.eye(4, dtype=bool) | np.eye(4, k=1, dtype=bool))
    model = RDMs(rng.random((1, 28)), pattern_descriptors={"stimulus": names})

    def subject(voxels):
        return Dataset(rng.normal(size=(8, len(voxels))), obs_descriptors={"stimulus": names},
                       channel_descriptors={"voxel": voxels})  # fmt: skip

    def voxels_of(second, own):
        test = searchlight_label_test(
            {"a": subject([7, 8, 9, 10]), "b": subject(second)}, {"a": neighbors, "b": own}, model,
            n_permutations=20,
        )  # fmt: skip
        return list(test.voxel.values) if "voxel" in test.coords else None

    assert voxels_of([7, 8, 9, 10], neighbors) == [7, 8, 9, 10]
    assert voxels_of([1, 2, 3, 4], neighbors) is None  # not those of the first subject
    assert voxels_of([1, 2, 3, 4, 5], csr_array(np.ones((4, 5), bool))) is None


def test_subjects_with_one_name_are_refused():
    patterns = Dataset(np.random.default_rng(0).normal(size=(8, 3)),
                       obs_descriptors={"stimulus": list("abcdefgh")})  # fmt: skip
    model = RDMs(np.random.default_rng(1).random((1, 28)),
                 pattern_descriptors={"stimulus": list("abcdefgh")})  # fmt: skip
    with pytest.raises(InputError, match="more than once"):
        searchlight_label_test({1: patterns, "1": patterns}, csr_array(np.ones((1, 3), bool)),
                               model, n_permutations=20)  # fmt: skip
