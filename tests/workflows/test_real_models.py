"""Real data: eight models of 2008 against human IT, anchors recomputed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

import neurodnn as nd

# mean Spearman over four people (two recordings each, averaged), to three decimals
ANCHORS = {"animacy": 0.386, "FaceBodyManmadeNatobj": 0.277, "monkeyIT": 0.296, "EVA": 0.245,
           "HMAX": 0.160, "V1": 0.027, "Silhouette": 0.097, "RADON": 0.038}  # fmt: skip
BOTH = "subjects and stimuli"


@pytest.fixture
def archive(real_data):
    with np.load(real_data("rdm92") / "rdm92.npz", allow_pickle=False) as found:
        return {name: found[name] for name in ("hit_2008", "models", "model_names", "fmri_it",
                                               "fmri_evc")}  # fmt: skip


def named(square, **labels):
    i, j = np.triu_indices(92, 1)
    names = [f"image_{k + 1:02d}" for k in range(92)]
    return RDMs(np.asarray(square, dtype=float)[:, i, j], rdm_descriptors=labels,
                pattern_descriptors={"stimulus": names})  # fmt: skip


@pytest.fixture
def models(archive):
    return named(archive["models"], reference=[str(name) for name in archive["model_names"]])


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_anchors_of_2008(archive, models):
    people = archive["hit_2008"].reshape(4, 2, 92, 92).mean(axis=1)
    data = named(people, subject=["BE", "KO", "SN", "TI"])
    found = nd.compare_models(data, models, allow_small=True, n_bootstrap=300, n_permutations=400)
    scores = dict(zip(found.reference.values.tolist(), found["mean"].values, strict=True))
    assert scores == pytest.approx(ANCHORS, abs=5e-4)  # anchors are rounded
    assert found.ceiling.values == pytest.approx([0.372, 0.666], abs=5e-4)
    # four people: sign flips cannot say anything, labels and both factors can
    assert found.p.sel(generalises_to="subjects").min() == 0.125
    assert found.p_labels_fwe.sel(reference="animacy") < 0.01
    assert found.p_labels.sel(reference="V1") > 0.05
    assert found.p.sel(reference="animacy", generalises_to=BOTH) < 0.05


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_categories_belong_to_it_rather_than_to_early_cortex(archive, models):
    ids = [f"{k:02d}" for k in range(15)]
    regions = {"EVC": named(archive["fmri_evc"], subject=ids),
               "IT": named(archive["fmri_it"], subject=ids)}  # fmt: skip
    found = nd.region_hierarchy(regions, models, n_bootstrap=300, n_permutations=400)
    both = found.sel(generalises_to=BOTH, reference="animacy")
    assert both.p_fwe.sel(region="IT") < 0.01
    assert both.p_fwe.sel(region="EVC") > 0.05
    assert found.ceiling.sel(region="IT").values == pytest.approx([0.4525, 0.5422], abs=5e-4)
