"""Simulated MEG: files as a laboratory has them, the same bytes again, layers in their order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import neurodnn as nd
from neurodnn.brain.meg_bids import find_meg_files, read_bids_meg
from neurodnn.simulate.dataset import simulate_dataset

SMALL = {"n_subjects": 1, "n_stimuli": 8, "n_runs": 1, "kind": "betas",
         "layers": ["block1", "fc7"], "voxel_size": (10, 10, 10)}  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("meg") / "both"
    return root, simulate_dataset(root, modalities=("fmri", "meg"), **SMALL)


def digests(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}  # fmt: skip


def test_the_same_seed_gives_the_same_bytes_of_every_file(both, tmp_path):
    simulate_dataset(tmp_path / "again", modalities=("fmri", "meg"), **SMALL)
    assert digests(tmp_path / "again") == digests(both[0])


def test_fmri_is_the_same_with_and_without_meg(both, tmp_path):
    simulate_dataset(tmp_path / "alone", modalities=("fmri",), **SMALL)
    alone, together = digests(tmp_path / "alone"), digests(both[0])
    images = [name for name in alone if name.endswith((".nii.gz", "_events.tsv", ".png"))]
    assert len(images) > 8
    assert {name: alone[name] for name in images} == {name: together[name] for name in images}


def test_latencies_rise_with_the_layers(both):
    latency = both[1].drop_duplicates("layer")["latency"].to_numpy()
    assert np.isfinite(latency).all() and (np.diff(latency) > 0).all()


def test_the_recording_is_one_of_306_sensors_with_units_and_a_first_sample(both):
    root, _ = both
    found = find_meg_files(root)
    assert len(found) == 1
    with pytest.warns(nd.DataWarning, match="bad"):
        raw = read_bids_meg(found[0], root)
    assert raw.first_samp != 0
    kinds = raw.get_channel_types()
    assert 280 < len([kind for kind in kinds if kind in ("mag", "grad")]) < 306  # bad ones left out
    data = {kind: raw.get_data(picks=kind).std() for kind in ("mag", "grad")}
    assert 1e-14 < data["mag"] < 1e-11 and 1e-13 < data["grad"] < 1e-10  # T, T/m
