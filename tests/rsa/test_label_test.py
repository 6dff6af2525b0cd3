"""Label permutation on RDMs of subjects and regions: oracle is compare_rdms, run anew with
permuted rows and columns of the references; and the null with shared geometry (A2)."""

import warnings

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import binom

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.relabel import relabelled_rows
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.label_test import label_permutation_test
from neurodnn.rsa.relabelling import own_relabellings, plan_relabellings
from neurodnn.rsa.searchlight_label_test import searchlight_label_test

NAMES = [f"s{i:02d}" for i in range(8)]
N_PAIRS = 28
VARIABLES = ("score", "p", "p_fwe", "null_max")


def rdms(rows, axis="subject", labels=None, names=NAMES):
    rows = np.atleast_2d(rows)
    labels = [f"{i:02d}" for i in range(len(rows))] if labels is None else labels
    return RDMs(rows, rdm_descriptors={axis: list(labels)},
                pattern_descriptors={"stimulus": list(names)})  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    return {
        "V1": rdms(rng.random((4, N_PAIRS))),
        "IT": rdms(rng.random((3, N_PAIRS)), labels=["03", "00", "07"]),
    }


@pytest.fixture(scope="module")
def references():
    return rdms(np.random.default_rng(2).random((3, N_PAIRS)), "reference", ["a", "b", "c"])


@pytest.fixture(scope="module")
def nuisance():
    return rdms(np.random.default_rng(3).random((2, N_PAIRS)), "reference")


def turned(given, order):
    square = given.get_matrices()[:, order][:, :, order]
    return rdms(square[:, *np.triu_indices(len(order), 1)], "reference",
                given.rdm_descriptors["reference"])  # fmt: skip


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return label_permutation_test(*args, **options)


def by_hand(data, references, orders_of, n, **options):
    """Permutations x regions x references: mean over subjects of scores under their orders."""
    nulls = np.empty((n, len(data), references.n_rdm))
    for region, own in enumerate(data.values()):
        for index in range(n):
            scores = [
                compare_rdms(own.subset("subject", subject),
                             turned(references, orders_of(subject)[index]), **options).values[0]
                for subject in own.rdm_descriptors["subject"]
            ]  # fmt: skip
            nulls[index, region] = np.mean(scores, axis=0)
    return nulls


def check_against(nulls, test, two_sided=True):
    np.testing.assert_allclose(test.score, nulls[0], rtol=0, atol=1e-12)
    size = np.abs(nulls) if two_sided else nulls
    largest = size.max(axis=(1, 2))
    np.testing.assert_allclose(test.null_max, largest, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(test.p, (size >= size[0] - 1e-12).mean(axis=0))
    reached = (largest[:, None, None] >= size[0] - 1e-12).mean(axis=0)
    np.testing.assert_array_equal(test.p_fwe, reached)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("drawing", ["common", "per-subject"])
def test_equals_permuted_references_by_hand(data, references, comparison, drawing):
    n = 20
    test = quietly(data, references, comparison=comparison, drawing=drawing, n_permutations=n)
    common = plan_relabellings(8, n, 0).orders

    def orders_of(subject):
        return common if drawing == "common" else own_relabellings(subject, 8, n, 0)

    check_against(by_hand(data, references, orders_of, n, comparison=comparison), test)


@pytest.mark.parametrize("drawing", ["common", "per-subject"])
@pytest.mark.parametrize("semi", [False, True])
def test_the_nuisance_stays_where_it_is(data, references, nuisance, drawing, semi):
    options = {"comparison": "spearman", "nuisance": nuisance, "semi": semi}
    test = quietly(data, references, n_permutations=20, drawing=drawing, tail="greater", **options)
    common = plan_relabellings(8, 20, 0).orders

    def orders_of(subject):
        return common if drawing == "common" else own_relabellings(subject, 8, 20, 0)

    check_against(by_hand(data, references, orders_of, 20, **options), test, two_sided=False)
    assert test.attrs["nuisance"] == ["00", "01"]


def test_one_sphere_is_one_region():
    """P34: the searchlight's test on a single place is the test of that region."""
    rng = np.random.default_rng(4)
    subjects = {f"{i}": Dataset(rng.normal(size=(8, 15)), obs_descriptors={"stimulus": NAMES})
                for i in range(3)}  # fmt: skip
    references = rdms(rng.random((2, N_PAIRS)), "reference")
    place = searchlight_label_test(subjects, csr_array(np.ones((1, 15), bool)), references,
                                   n_permutations=200)  # fmt: skip
    rows = [pdist(one.measurements, "correlation") for one in subjects.values()]
    region = label_permutation_test(rdms(rows, labels=list(subjects)), references,
                                    n_permutations=200)  # fmt: skip
    np.testing.assert_allclose(place.score[0], region.score, rtol=0, atol=1e-12)
    np.testing.assert_allclose(place.null_max, region.null_max, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(place.p[0], region.p)
    np.testing.assert_array_equal(place.p_fwe[0], region.p_fwe)


def test_labels_are_permuted_not_distances():
    """Every relabelled row is the condensed form of a permuted square matrix."""
    row = np.arange(6.0)
    orders = np.array([[0, 1, 2, 3], [3, 1, 0, 2]])
    square = np.zeros((4, 4))
    square[np.triu_indices(4, 1)] = row
    square += square.T
    expected = [square[np.ix_(o, o)][np.triu_indices(4, 1)] for o in orders]
    np.testing.assert_array_equal(relabelled_rows(row[None], orders, "float64"), expected)


# --- the same bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("drawing", ["common", "per-subject"])
def test_order_of_subjects_and_stimuli_changes_no_bit(data, references, drawing):
    expected = quietly(data, references, n_permutations=100, drawing=drawing)
    order = np.random.default_rng(5).permutation(8)
    places = np.triu_indices(8, 1)
    shuffled = {}
    for region, own in data.items():
        rows = np.random.default_rng(6).permutation(own.n_rdm)
        square = own.get_matrices()[rows][:, order][:, :, order]
        labels = [own.rdm_descriptors["subject"][i] for i in rows]
        shuffled[region] = rdms(square[:, *places], labels=labels,
                                names=[NAMES[i] for i in order])  # fmt: skip
    ours = quietly(shuffled, references, n_permutations=100, drawing=drawing)
    for name in VARIABLES:
        np.testing.assert_array_equal(ours[name], expected[name])


def test_what_a_subject_draws_hangs_on_its_name_alone(data, references):
    """Leaving a subject out changes no other subject's orders."""
    orders = own_relabellings("03", 8, 50, 0)
    np.testing.assert_array_equal(own_relabellings("03", 8, 200, 0)[:50], orders)
    assert (own_relabellings("04", 8, 50, 0)[1:] != orders[1:]).any()
    assert (own_relabellings("03", 8, 50, 1)[1:] != orders[1:]).any()


def test_the_first_orders_of_many_are_those_of_few(data, references):
    few, many = (label_permutation_test(data, references, n_permutations=n) for n in (100, 1000))
    np.testing.assert_array_equal(many.null_max[:100], few.null_max)


def test_another_region_never_lowers_corrected_p(data, references):
    alone = label_permutation_test({"V1": data["V1"]}, references, n_permutations=200)
    both = label_permutation_test(data, references, n_permutations=200)
    np.testing.assert_array_equal(alone.p[0], both.p[0])
    assert bool((both.p_fwe[0] >= alone.p_fwe[0]).all())


# --- small numbers, faults -------------------------------------------------------------------


def test_small_numbers_of_stimuli():
    for n_stimuli, n_orders in ((4, 24), (5, 120), (6, 720)):
        names, pairs = NAMES[:n_stimuli], n_stimuli * (n_stimuli - 1) // 2
        rng = np.random.default_rng(n_stimuli)
        model = rdms(rng.random((1, pairs)), "reference", names=names)
        own = rdms(model.dissimilarities + 0.01 * rng.random((3, pairs)), names=names)
        with pytest.warns(DataWarning, match=f"relabelled in {n_orders} ways"):
            test = label_permutation_test(own, model, tail="greater")
        assert (test.attrs["n_permutations"], test.attrs["exact"]) == (n_orders, 1)
        # Of 4 stimuli the 24 orders permute the 6 distances; that of the data is the best one.
        assert test.p.item() == 1 / n_orders
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seven = rdms(np.random.default_rng(0).random((2, 21)), "reference", names=NAMES[:7])
        label_permutation_test(rdms(seven.dissimilarities, names=NAMES[:7]), seven)


def test_it_states_what_was_tested(data, references):
    test = label_permutation_test(data, references, n_permutations=100, seed=4)
    expected = {
        "generalises_to": "stimuli", "tail": "two-sided", "family": ["region", "reference"],
        "n_permutations": 100, "exact": 0, "seed": 4, "minimum_p": 0.01, "drawing": "common",
        "n_subjects": 5, "n_stimuli": 8, "comparison": "spearman",
    }  # fmt: skip
    assert expected.items() <= test.attrs.items()
    assert test.region.values.tolist() == ["V1", "IT"]
    assert test.reference.values.tolist() == ["a", "b", "c"]
    assert bool(((test.p >= 0.01) & (test.p_fwe >= test.p)).all())
    alone = label_permutation_test(data["V1"], references, n_permutations=100)
    assert alone.score.dims == ("reference",)
    assert alone.attrs["family"] == ["reference"]
    with pytest.warns(DataWarning, match="generalises to subjects only"):
        own = label_permutation_test(data, references, n_permutations=100, drawing="per-subject")
    assert own.attrs["generalises_to"] == "subjects"


def test_a_region_undefined_in_a_subject_takes_no_part(data, references):
    rows = data["IT"].dissimilarities.copy()
    for fault, comparison in ((0.7, "spearman"), (np.nan, "tau-a"), (0.0, "cosine")):
        rows[1] = fault
        spoiled = {"V1": data["V1"], "IT": rdms(rows, labels=["03", "00", "07"])}
        with pytest.warns(DataWarning, match=r"IT \(subject 00\)"):
            test = label_permutation_test(spoiled, references, n_permutations=20,
                                          comparison=comparison)  # fmt: skip
        assert np.isnan(test.sel(region="IT")[["score", "p", "p_fwe"]].to_array()).all()
        alone = label_permutation_test({"V1": data["V1"]}, references, n_permutations=20,
                                       comparison=comparison)  # fmt: skip
        np.testing.assert_allclose(test.null_max, alone.null_max, rtol=0, atol=1e-12)


def test_refusals(data, references, nuisance):
    gap = data["V1"].dissimilarities.copy()
    gap[2, 5] = np.nan
    other = rdms(data["V1"].dissimilarities, names=["other", *NAMES[1:]])
    cases = [
        ((rdms(gap), references), {}, "subject 02 are missing"),
        ((rdms(gap[:2], labels=["01", "01"]), references), {}, "one row"),
        ((rdms(gap[:2], "region", ["V1", "IT"]), references), {}, "labelled by region"),
        (({"V1": other}, references), {}, "Only in data of V1: other"),
        (({}, references), {}, "no regions"),
        ((data, references), {"comparison": "kendall"}, "comparison='kendall'"),
        ((data, references), {"drawing": "own"}, "drawing='own'"),
        ((data, references), {"tail": "less"}, "tail='less'"),
        ((data, references), {"n_permutations": 10}, "cannot reach"),
        ((data, references), {"nuisance": nuisance, "comparison": "tau-a"}, "partial"),
        ((data, rdms(np.ones((1, N_PAIRS)), "reference")), {}, "equal"),
    ]
    for given, options, text in cases:
        with pytest.raises(InputError, match=text):
            label_permutation_test(*given, **options)


# --- the null with shared geometry -----------------------------------------------------------


def rejections(n_nulls, shared, drawing, n_permutations=100):
    """Subjects share a geometry that the reference knows nothing of: how often is p <= .05?"""
    rng = np.random.default_rng(20)
    names = [f"i{i:02d}" for i in range(20)]
    count = 0
    for null in range(n_nulls):
        common = rng.normal(size=(20, 40))
        patterns = shared * common + rng.normal(size=(16, 20, 40))
        own = rdms([pdist(one, "correlation") for one in patterns], names=names)
        model = rdms(pdist(rng.normal(size=(20, 10)), "correlation"), "reference", names=names)
        test = quietly(own, model, n_permutations=n_permutations, drawing=drawing, seed=null)
        count += test.p.item() <= 0.05
    return count


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_a_common_order_holds_under_shared_geometry(shared):
    low, high = binom.interval(0.999, 200, 0.05)
    assert low <= rejections(200, shared, "common") <= high


def test_orders_per_subject_say_nothing_about_stimuli():
    """Trap 35: with shared geometry they reject far too often, which is why they are labelled."""
    assert rejections(100, 2.0, "per-subject") > binom.interval(0.999, 100, 0.05)[1]


def test_one_subject_does_not_generalise_to_subjects():
    rdms = RDMs(np.random.default_rng(0).random((1, 28)),
                pattern_descriptors={"stimulus": list("abcdefgh")})  # fmt: skip
    with pytest.raises(InputError, match="one subject cannot stand for others"):
        label_permutation_test(rdms, rdms, drawing="per-subject", n_permutations=20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("comparison", "low", "high"), [("pearson", 0.0, 0.1), ("spearman", 0.1, 0.3)]
)
def test_a_nuisance_that_bends_leaves_a_rest_in_both_sides(comparison, low, high):
    """What the notes say of partial correlations: its null is a straight line, of ranks here."""
    rng = np.random.default_rng(0)
    names = {"stimulus": [f"{i:02d}" for i in range(20)]}

    def line():
        distances = pdist(rng.normal(size=(20, 1)), "sqeuclidean")
        return (distances - distances.mean()) / distances.std()

    rejected = 0
    for seed in range(400):
        shared = line()
        data, model = (0.8 * shared + 0.2 * line() for _ in range(2))
        sides = [RDMs(row[np.newaxis], pattern_descriptors=names) for row in (data, model, shared)]
        test = label_permutation_test(*sides[:2], nuisance=sides[2], comparison=comparison,
                                      n_permutations=200, seed=seed)  # fmt: skip
        rejected += test.p.item() <= 0.05
    assert low <= rejected / 400 <= high
