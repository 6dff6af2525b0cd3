"""From noise patterns to group p: a familywise error as often as promised (calibration A4)."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

import neurodnn as nd
from neurodnn.simulate.brain import in_template_space
from neurodnn.simulate.signals import smooth_noise

NAMES = [f"s{i:02d}" for i in range(12)]
N_NULLS = 300
BAND = (4, 29)  # two-sided 99.9 % of a binomial of 300 and .05


@pytest.mark.slow
def test_noise_gives_a_familywise_error_in_one_of_twenty_groups():
    mask = in_template_space(np.ones((6, 6, 6), "uint8"), np.diag([4.0, 4, 4, 1]))
    rng = np.random.default_rng(20)
    layers = rng.normal(size=(3, 66))
    references = RDMs(layers, rdm_descriptors={"reference": ["a", "b", "c"]},
                      pattern_descriptors={"stimulus": NAMES})  # fmt: skip
    errors = 0
    for _ in range(N_NULLS):
        subjects = []
        for _ in range(8):
            noise = smooth_noise(mask, 12, rng, autocorrelation=0).astype(float)
            patterns = Dataset(noise, obs_descriptors={"stimulus": list(NAMES)})
            subjects.append(nd.fmri_searchlight(patterns, mask, references, radius=6.0))
        group = nd.group_maps(xr.concat(subjects, dim="subject"))
        errors += bool(np.nanmin(group["p_fwe"]) < 0.05)
    assert BAND[0] <= errors <= BAND[1], errors
