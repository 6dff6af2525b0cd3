"""The group level on the cortex: oracles, planted patches in time, spaces, memory, few subjects."""

from __future__ import annotations

import json
import shutil

import mne
import numpy as np
import pandas as pd
import pytest
from meg_results import (
    LATENCIES,
    LAYERS,
    TIMES,
    patch,
    read_results,
    write_cortex,
    write_results,
    write_tree,
)
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from neurodnn._checks import InputError
from neurodnn.brain.source_graph import mesh_source_adjacency
from neurodnn.brain.source_space import source_adjacency, source_meshes
from neurodnn.numerics.adjacency import combine_adjacency, line_adjacency
from neurodnn.pipeline.config import make_config
from neurodnn.pipeline.group_plan import plan_group
from neurodnn.pipeline.meg_group import hashes_of, is_tested, run_meg
from neurodnn.simulate.meg_cortex import source_space

SEVEN = tuple(f"{i:02d}" for i in range(1, 8))
SOURCE = ["meg_source_searchlight"]


def run_level(out, **options):
    """Run the group level of MEG below `out`; return how many groups were tested."""
    config = make_config(out.parent / "bids", out, "group", given={
        "work_dir": out.parent / "work", "n_cpus": 1, **options})  # fmt: skip
    plan, ran = plan_group(config), 0
    if plan.faults:
        raise InputError("\n".join(plan.faults))
    for job in plan.jobs:
        hashes = hashes_of(job, config)
        if not is_tested(job, config, hashes):
            run_meg(job, config, hashes)
            ran += 1
    return ran


def results(out):
    return json.loads((out / "group" / "task-look_sourceresults.json").read_text())


def data(out, relative):
    return mne.read_source_estimate(out / relative).data


def stacked(out, subjects, layer):
    return np.stack([
        data(out, read_results(out, who, "sourceresults")["Maps"][layer]["Path"])
        for who in subjects
    ])  # fmt: skip


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    out = tmp_path_factory.mktemp("seven") / "out"
    write_tree(out, subjects=SEVEN, workflows=SOURCE)
    assert run_level(out, contrast=["fc - conv1"]) == 1
    return out


def test_mean_and_t_are_those_of_scipy(seven):
    for k, entry in enumerate(results(seven)["Maps"]):
        scores = stacked(seven, SEVEN, k)
        mean, t = (data(seven, entry["Statistics"][key]) for key in ("mean", "t"))
        assert np.allclose(mean, scores.mean(axis=0), atol=1e-6)  # files are float32
        assert np.allclose(t, ttest_1samp(scores, 0).statistic, rtol=1e-5, atol=1e-5)


def test_clusters_and_p_are_those_of_mne(seven):
    """One layer at a time, MNE labels and sums; the largest over layers is taken here."""
    src = source_space(3)
    graph = combine_adjacency(
        line_adjacency(len(TIMES)),
        mesh_source_adjacency(source_meshes(src), [each["vertno"] for each in src]),
    )
    height = student.isf(0.0005, 6)
    layers = [stacked(seven, SEVEN, k).transpose(0, 2, 1).reshape(7, -1).astype(float)
              for k in range(len(LAYERS))]  # fmt: skip
    signs = np.array(np.meshgrid(*[[1, -1]] * 7)).reshape(7, -1).T[:64]  # the others mirror them

    def masses(scores):
        found, sums = mne.stats.cluster_level._find_clusters(
            ttest_1samp(scores, 0).statistic, height, tail=0, adjacency=graph.tocoo()
        )
        return found, np.abs(sums)

    largest = np.array([
        max(masses(scores * flip[:, None])[1].max(initial=0) for scores in layers)
        for flip in signs
    ])  # fmt: skip
    for scores, entry in zip(layers, results(seven)["Maps"], strict=True):
        expected = np.ones(scores.shape[1])
        for members, mass in zip(*masses(scores), strict=True):
            expected[members] = (largest >= mass * (1 - 1e-9)).mean()
        found = data(seven, entry["Statistics"]["p"]).T.ravel()
        assert np.allclose(found, expected, atol=1e-6)


def test_p_of_the_maximum_is_over_sources_times_and_layers(seven):
    every = np.concatenate([stacked(seven, SEVEN, k).reshape(7, -1) for k in range(4)], axis=1)
    signs = np.array(np.meshgrid(*[[1, -1]] * 7)).reshape(7, -1).T[:64]
    largest = np.array([np.abs(ttest_1samp(every * flip[:, None], 0).statistic).max()
                        for flip in signs])  # fmt: skip
    observed = np.abs(ttest_1samp(every, 0).statistic)
    expected = (largest[:, None] >= observed * (1 - 1e-6)).mean(axis=0)
    found = np.concatenate([data(seven, entry["Statistics"]["pmax"]).ravel()
                            for entry in results(seven)["Maps"]])  # fmt: skip
    assert np.allclose(found, expected, atol=1e-6)


def test_planted_patches_are_found_where_and_when_they_are(seven):
    content, src = results(seven), source_space(3)
    for k, entry in enumerate(content["Maps"]):
        peak = entry["Peak"]
        assert peak["Hemisphere"] == "left"
        assert peak["Vertex"] in src[0]["vertno"][patch(k)]
        assert peak["Time"] == pytest.approx(LATENCIES[k], abs=0.021)
        assert peak["P"] < 0.05 and peak["PInference"] == "cluster-mass"
        # the one surface on which subjects' maps lie gives the millimetres
        point = 1000 * src[0]["rr"][peak["Vertex"]]
        assert np.allclose([peak["X"], peak["Y"], peak["Z"]], point, atol=0.01)
    rows = pd.read_csv(seven / content["Clusters"], sep="\t")
    assert set(rows["reference"]) == set(LAYERS) and (rows["p"] <= 0.05).all()
    assert (rows["hemisphere"] == "left").all()
    for side in ("Left", "Right"):
        assert (seven / content["Surface"][side]).is_file()


def test_differences_are_tested_in_each_subject(seven):
    (entry,) = results(seven)["Contrasts"]
    assert entry["Pair"] == "fc - conv1"
    scores = stacked(seven, SEVEN, 3) - stacked(seven, SEVEN, 0)
    found = data(seven, entry["Statistics"]["t"])
    assert np.allclose(found, ttest_1samp(scores, 0).statistic, rtol=1e-4, atol=1e-4)
    path = seven / entry["Statistics"]["p"].replace("-lh.stc", ".json")
    assert json.loads(path.read_text())["MultipleTestingFamily"] == "vertex x time x contrast"


def test_results_say_what_p_is_of_and_why_there_is_none_over_stimuli(seven):
    content = results(seven)
    assert content["Family"] == "vertex x time x reference" and content["Exact"]
    assert (content["GeneralisesTo"], content["MinimumP"]) == ("subjects", 1 / 64)
    assert "searchlight anew" in content["StimuliTest"]["SkippedBecause"]
    assert "1210 sources, 26 times and 4 references" in content["Methods"]
    assert run_level(seven, contrast=["fc - conv1"]) == 0


def test_graph_of_files_is_that_of_the_source_space():
    src = source_space(3)
    own = source_adjacency(src).astype(int)
    found = mesh_source_adjacency(source_meshes(src), [each["vertno"] for each in src]).astype(int)
    assert (found != found.T).nnz == 0 and found.diagonal().sum() == 0
    shared = own.multiply(found).nnz
    # regions may also meet in a point, where triangles do not share an edge
    assert shared >= 0.999 * own.nnz and found.nnz <= 1.01 * own.nnz
    meshes = source_meshes(src)
    left = len(src[0]["vertno"])
    assert found[:left, left:].nnz == 0
    with pytest.raises(InputError, match="do not rise, or are not on its surface"):
        mesh_source_adjacency(meshes, {"left": [3, 2]})
    with pytest.raises(InputError, match="lack the right hemisphere"):
        mesh_source_adjacency({"left": meshes["left"]}, {"right": [0]})


def test_null_has_no_cluster(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, effect=0.0, workflows=SOURCE, seed=5)
    run_level(out)
    content = results(out)
    assert len(pd.read_csv(out / content["Clusters"], sep="\t")) == 0
    for entry in content["Maps"]:
        assert (data(out, entry["Statistics"]["pmax"]) > 0.05).all()


def test_few_subjects_have_means_and_no_p(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN[:3], workflows=SOURCE)
    assert run_level(out) == 1
    content = results(out)
    assert "6 subjects are needed" in content["SubjectsTest"]["SkippedBecause"]
    entry = content["Maps"][0]
    assert set(entry["Statistics"]) == {"mean", "t"} and "P" not in entry["Peak"]
    scores = stacked(out, SEVEN[:3], 0)
    assert np.allclose(data(out, entry["Statistics"]["mean"]), scores.mean(axis=0), atol=1e-6)
    found = data(out, entry["Statistics"]["t"])
    assert np.allclose(found, ttest_1samp(scores, 0).statistic, rtol=1e-4, atol=1e-4)


def test_little_memory_leaves_out_p_until_there_is_more(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, workflows=SOURCE)
    assert run_level(out, mem_mb=10) == 1
    assert "--mem-mb" in results(out)["SubjectsTest"]["SkippedBecause"]
    assert run_level(out, mem_mb=10) == 0
    assert run_level(out) == 1 and run_level(out) == 0
    assert set(results(out)["Maps"][0]["Statistics"]) == {"mean", "t", "p", "pmax"}


def _move(out, subject, *, morphed):
    """Give a subject a cortex of its own, with or without maps brought to fsaverage."""
    shutil.rmtree(out / f"sub-{subject}" / "meg")
    content = read_results(out, subject, "sourceresults")
    write_cortex(out, subject, content["References"], np.random.default_rng(int(subject)), 1.0,
                 space=f"sub-{subject}", morphed=morphed)  # fmt: skip


def test_unlike_cortices_are_refused_and_the_remedy_is_named(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, workflows=SOURCE)
    _move(out, "02", morphed=False)
    with pytest.raises(InputError, match="(?s)different cortices.*sub-02.*fsaverage.*morphing"):
        run_level(out, workflow=["meg_source_searchlight"])
    assert not (out / "group").exists()
    # not asked for by name: told in the results, and no obstacle to other workflows
    run_level(out)
    assert "morphing" in results(out)["SkippedBecause"]


def test_maps_that_were_brought_to_fsaverage_are_tested_there(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, workflows=SOURCE)
    for subject in SEVEN:
        _move(out, subject, morphed=True)
    run_level(out)
    content = results(out)
    assert content["Space"] == "fsaverage" and "those of 7 were brought" in content["Methods"]
    assert content["Surface"]["Left"].startswith("group/task-look_hemi-L_space-fsaverage")
    assert content["Maps"][0]["Peak"]["Vertex"] in source_space(3)[0]["vertno"][patch(0)]


def test_sources_missing_in_one_subject_are_left_out_with_a_note(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, workflows=SOURCE)
    from neurodnn.bids import write_derivative

    content = read_results(out, "04", "sourceresults")
    for entry in content["Maps"]:
        stc = mne.read_source_estimate(out / entry["Path"])
        cut = mne.SourceEstimate(stc.data[1:], [stc.vertices[0][1:], stc.vertices[1]], stc.tmin,
                                 stc.tstep)  # fmt: skip
        path = out / entry["Path"].replace("-lh.stc", ".stc")
        write_derivative(path, cut, {"InputHash": "in", "ParameterHash": "with"}, overwrite=True)
    run_level(out)
    found = results(out)
    assert found["Vertices"] == {"Left": 604, "Right": 605}
    assert any("1 of 1210 sources are missing" in note for note in found["Warnings"])


def test_another_surface_of_the_same_name_is_refused(tmp_path):
    from neurodnn.bids import write_derivative
    from neurodnn.brain.mesh import Mesh
    from neurodnn.brain.mesh_files import mesh_to_gifti

    out = write_tree(tmp_path / "out", subjects=SEVEN[:2], workflows=SOURCE)
    mesh = source_meshes(source_space(3))["left"]
    other = Mesh(mesh.coordinates * 1.1, mesh.faces, "other", hemisphere="left")
    path = out / read_results(out, "02", "sourceresults")["Surface"]["Left"]
    write_derivative(path, mesh_to_gifti(other), {"InputHash": "in", "ParameterHash": "with"},
                     overwrite=True)  # fmt: skip
    with pytest.raises(InputError, match="lie on another surface"):
        run_level(out)


def test_unlike_options_and_corrections_that_are_not_offered(tmp_path):
    out = write_tree(tmp_path / "out", subjects=SEVEN, workflows=SOURCE)
    run_level(out, inference=["tfce"])
    assert "max and cluster-mass are offered" in results(out)["SubjectsTest"]["SkippedBecause"]
    run_level(out, inference=["tfce", "max"], overwrite=True)
    content = results(out)
    assert content["InferencesLeftOut"] == ["tfce"]
    assert set(content["Maps"][0]["Statistics"]) == {"mean", "t", "p"}
    assert content["Maps"][0]["Peak"]["PInference"] == "max"
    changed = read_results(out, "02", "sourceresults")
    changed["Times"]["Count"] = 5
    write_results(out, "02", "sourceresults", changed)
    with pytest.raises(InputError, match="has other times than sub-01"):
        run_level(out)
