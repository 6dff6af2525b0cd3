"""The searchlight over places and times: against plain loops, and what must not matter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

from neurodnn import DataWarning, InputError
from neurodnn.rsa.source_searchlight import source_searchlight
from neurodnn.rsa.spheres import SearchlightOptions

N, PLACES, TIMES = 12, 30, (-0.02, 0.0, 0.02, 0.04)
NAMES = [f"s{i:02d}" for i in range(N)]
WIDTH = 3  # samples of a window


def _values(seed=0):
    return np.random.default_rng(seed).normal(size=(N, PLACES, len(TIMES), WIDTH))


def _windows(values, names=NAMES, samples=False):
    described = {"vertex": np.arange(PLACES) % 15, "hemisphere": ["left"] * 15 + ["right"] * 15}
    made = {}
    for step, time in enumerate(TIMES):
        own = values[:, :, step]
        if samples:
            channels = {"vertex": np.repeat(described["vertex"], WIDTH),
                        "hemisphere": np.repeat(described["hemisphere"], WIDTH).tolist(),
                        "sample": np.tile(np.arange(WIDTH), PLACES)}  # fmt: skip
            rows = own.reshape(N, -1)
        else:
            channels, rows = described, own.mean(axis=2)
        made[time] = Dataset(rows, descriptors={"width": 0.02},
                             obs_descriptors={"stimulus": list(names)},
                             channel_descriptors=channels)  # fmt: skip
    return made


def _neighbors():
    table = np.zeros((PLACES, PLACES), bool)
    for i in range(PLACES):
        side = i // 15 * 15
        table[i, max(side, i - 3) : min(side + 15, i + 4)] = True
    return csr_array(table)


def _references(seed=5):
    rows = np.random.default_rng(seed).random((3, N * (N - 1) // 2))
    return RDMs(rows, rdm_descriptors={"reference": ["a", "b", "c"]},
                pattern_descriptors={"stimulus": NAMES})  # fmt: skip


LIKE = {"spearman": lambda a, b: spearmanr(a, b).statistic, "pearson": lambda a, b: pearsonr(a, b)[0]}


@pytest.mark.parametrize("metric, distance", [("correlation", "correlation"), ("cosine", "cosine"),
                                              ("euclidean", "sqeuclidean")])  # fmt: skip
@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
@pytest.mark.parametrize("samples", [False, True])
def test_scores_are_those_of_a_plain_loop(metric, distance, comparison, samples):
    values, references = _values(), _references()
    found = source_searchlight(_windows(values, samples=samples), _neighbors(), references,
                               comparison=comparison,
                               options=SearchlightOptions(metric=metric, place="vertex"))  # fmt: skip
    assert found.dims == ("vertex", "time", "reference")
    table = _neighbors().toarray()
    for place in range(PLACES):
        for step in range(len(TIMES)):
            own = values[:, table[place], step]
            rdm = pdist(own.reshape(N, -1) if samples else own.mean(axis=2), distance)
            expected = [LIKE[comparison](rdm, row) for row in references.dissimilarities]
            np.testing.assert_allclose(found.values[place, step], expected, rtol=0, atol=1e-12)
            assert found.n_features.values[place, step] == own[0].size // (1 if samples else WIDTH)


def test_scores_are_those_of_mne_rsa_on_the_same_patches():
    mne_rsa = pytest.importorskip("mne_rsa")
    values, references, table = _values(1), _references(), _neighbors()
    means = values.mean(axis=3)
    found = source_searchlight(_windows(values), table, references)
    spots = [(slice(None), table[[place]].indices, [step])
             for place in range(PLACES) for step in range(len(TIMES))]  # fmt: skip
    # Patches by hand: mne-rsa's own generator gives the same tuples, and needs distances.
    ours = found.values.reshape(-1, 3)
    for row, (_, members, step) in zip(ours, spots, strict=True):
        one = mne_rsa.rsa_array(means[:, members][:, :, step], list(references.dissimilarities),
                                data_rdm_metric="correlation", rsa_metric="spearman")  # fmt: skip
        np.testing.assert_allclose(row, np.ravel(one), rtol=0, atol=1e-12)


def test_labels_say_where_when_and_how():
    found = source_searchlight(_windows(_values()), _neighbors(), _references())
    assert found.time.values.tolist() == list(TIMES)
    assert found.vertex.values.tolist() == [*range(15), *range(15)]
    assert found.hemisphere.values.tolist() == ["left"] * 15 + ["right"] * 15
    assert found.attrs["width"] == 0.02 and found.attrs["n_stimuli"] == N


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bits_do_not_hang_on_workers_or_the_order_of_stimuli(dtype):
    values, turned = _values(2), np.random.default_rng(3).permutation(N)
    options = SearchlightOptions(dtype=dtype, place="vertex")
    one = source_searchlight(_windows(values), _neighbors(), _references(), options=options)
    two = source_searchlight(
        _windows(values[turned], [NAMES[i] for i in turned]), _neighbors(), _references(),
        options=options._replace(n_jobs=2),
    )  # fmt: skip
    assert np.array_equal(one.values, two.values)
    exact = source_searchlight(_windows(values), _neighbors(), _references())
    np.testing.assert_allclose(one, exact, atol=1e-12 if dtype == "float64" else 1e-5)  # float32


def test_a_layer_is_found_where_and_when_it_was_planted():
    values = _values(4)
    hidden = np.random.default_rng(9).normal(size=(N, 7))
    values[:, 4:11, 2] = 3 * hidden[:, :, np.newaxis] + values[:, 4:11, 2]
    planted = RDMs(pdist(hidden, "correlation")[np.newaxis],
                   pattern_descriptors={"stimulus": NAMES})  # fmt: skip
    found = source_searchlight(_windows(values), _neighbors(), planted)
    place, step, _ = np.unravel_index(found.values.argmax(), found.shape)
    assert (place, TIMES[step]) == (7, 0.02)
    assert found.values.max() > 0.9 > 0.6 > found.values[15:].max()


def test_a_broken_place_is_left_out_alone_and_told():
    values = _values()
    whole = source_searchlight(_windows(values), _neighbors(), _references())
    values[3, 8, 1] = np.nan
    with pytest.warns(DataWarning, match="up to 1 channels .* at 1 of 4 times"):
        found = source_searchlight(_windows(values), _neighbors(), _references())
    touched = np.zeros((PLACES, len(TIMES)), bool)
    touched[5:12, 1] = True
    assert np.array_equal((found.values != whole.values).any(axis=2), touched)
    assert found.n_features.values[8, 1] == 6 and np.isfinite(found.values).all()


def test_an_empty_disc_is_not_computed():
    table = _neighbors().toarray()
    table[6] = False
    found = source_searchlight(_windows(_values()), csr_array(table), _references())
    assert np.isnan(found.values[6]).all() and (found.reason.values[6] == 1).all()
    assert np.isfinite(np.delete(found.values, 6, axis=0)).all()


class _Counted(Mapping):
    """Counts how many windows are alive."""

    def __init__(self, windows):
        self.windows, self.asked = windows, []

    def __getitem__(self, time):
        self.asked.append(time)
        return self.windows[time]

    def __iter__(self):
        return iter(self.windows)

    def __len__(self):
        return len(self.windows)


def test_every_window_is_asked_for_once():
    windows = _Counted(_windows(_values()))
    source_searchlight(windows, _neighbors(), _references())
    assert windows.asked == list(TIMES)


def test_crossnobis_takes_runs_as_folds():
    rng = np.random.default_rng(6)
    runs = rng.normal(size=(2, N, PLACES))
    made = Dataset(runs.reshape(-1, PLACES),
                   obs_descriptors={"stimulus": NAMES * 2, "run": ["1"] * N + ["2"] * N})  # fmt: skip
    found = source_searchlight({0.1: made}, _neighbors(), _references(), comparison="cosine",
                               options=SearchlightOptions(metric="crossnobis", place="vertex"))  # fmt: skip
    own = runs[:, :, _neighbors()[[7]].indices]
    i, j = np.triu_indices(N, 1)
    rdm = ((own[0, i] - own[0, j]) * (own[1, i] - own[1, j])).sum(axis=1)
    row = _references().dissimilarities[0]
    expected = rdm @ row / np.linalg.norm(rdm) / np.linalg.norm(row)
    np.testing.assert_allclose(found.values[7, 0, 0], expected, rtol=0, atol=1e-12)


def test_faults_are_named():
    windows, table, references = _windows(_values()), _neighbors(), _references()
    with pytest.raises(InputError, match="s00"):
        source_searchlight(_windows(_values(), ["x", *NAMES[1:]]), table, references)
    with pytest.raises(InputError, match="no movie"):
        source_searchlight(windows[0.0], table, references)
    with pytest.raises(InputError, match="another number of channels"):
        source_searchlight(windows, table[:, :9], references)
    moved = dict(windows)
    moved[0.02] = Dataset(moved[0.02].measurements, obs_descriptors={"stimulus": NAMES},
                          channel_descriptors={"vertex": np.arange(PLACES)})  # fmt: skip
    with pytest.raises(InputError, match="0.02 s: are of other places"):
        source_searchlight(moved, table, references)
    with pytest.raises(InputError, match="mahalanobis needs residuals"):
        source_searchlight(windows, table, references,
                           options=SearchlightOptions(metric="mahalanobis"))  # fmt: skip
