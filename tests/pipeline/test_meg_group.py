"""The group level of MEG in time: oracles, planted latencies, few subjects, resume, faults."""

from __future__ import annotations

import itertools
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
    read_results,
    write_results,
    write_tree,
)
from scipy.stats import spearmanr, ttest_1samp

from neurodnn._checks import InputError
from neurodnn.pipeline.config import make_config
from neurodnn.pipeline.group_plan import plan_group
from neurodnn.pipeline.meg_group import hashes_of, is_tested, run_meg
from neurodnn.pipeline.meg_group_files import standing_files

EIGHT = tuple(f"{i:02d}" for i in range(1, 9))
QUICK = {"n_bootstrap": 400, "label_permutations": 200, "n_cpus": 1}


def run_level(out, **options):
    """Run the group level of MEG below `out`; return how many groups were tested."""
    config = make_config(out.parent / "bids", out, "group", given={
        "work_dir": out.parent / "work", **QUICK, **options})  # fmt: skip
    plan, ran = plan_group(config), 0
    if plan.faults:
        raise InputError("\n".join(plan.faults))
    for job in plan.jobs:
        hashes = hashes_of(job, config)
        if not is_tested(job, config, hashes):
            run_meg(job, config, hashes)
            ran += 1
    return ran


def results(out, kind="megresults"):
    return json.loads((out / "group" / f"task-look_{kind}.json").read_text())


def table(out, relative):
    return pd.read_csv(out / relative, sep="\t", keep_default_na=False, na_values=["n/a"])


def stacked(out, subjects):
    """Scores, subject x time x reference, read by pandas alone."""
    tables = [table(out, read_results(out, who, "megresults")["TimeSeries"][0]["Path"])
              for who in subjects]  # fmt: skip
    return np.stack([each[list(LAYERS)].to_numpy() for each in tables])


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    out = tmp_path_factory.mktemp("eight") / "out"
    write_tree(out, subjects=EIGHT, workflows=["meg_timecourse"])
    assert run_level(out, contrast=["fc - conv1"], inference=[
        "max", "cluster-size", "cluster-mass", "tfce", "fdr"]) == 1  # fmt: skip
    return out


@pytest.fixture
def again(eight, tmp_path):
    shutil.copytree(eight, tmp_path / "out")
    return tmp_path / "out"


def test_mean_and_t_are_those_of_scipy(eight):
    scores, files = stacked(eight, EIGHT), results(eight)["TimeSeries"][0]["Statistics"]
    mean, t = (table(eight, files[key]) for key in ("mean", "t"))
    assert np.allclose(mean["time"], TIMES)
    assert np.allclose(mean[list(LAYERS)], scores.mean(axis=0), rtol=0, atol=1e-12)
    assert np.allclose(t[list(LAYERS)], ttest_1samp(scores, 0).statistic, rtol=1e-10)


def test_p_of_the_maximum_is_that_of_all_flips(eight):
    scores = stacked(eight, EIGHT).reshape(8, -1)
    largest = np.array([
        np.abs(ttest_1samp(scores * np.array(signs)[:, None], 0).statistic).max()
        for signs in itertools.product([1, -1], repeat=8)
    ])  # fmt: skip
    observed = np.abs(ttest_1samp(scores, 0).statistic)
    expected = (largest[:, None] >= observed * (1 - 1e-9)).mean(axis=0)
    files = results(eight)["TimeSeries"][0]["Statistics"]
    found = table(eight, files["pmax"])[list(LAYERS)].to_numpy().ravel()
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_p_of_clusters_is_that_of_all_flips(eight):
    from scipy.stats import t as student

    scores, height = stacked(eight, EIGHT), student.isf(0.0005, 7)

    def masses(values):
        """Return, for every cell, the mass of its cluster, one run of times after the other."""
        t = ttest_1samp(values, 0).statistic
        found = np.zeros(t.shape)
        for column in range(t.shape[1]):
            sign = np.where(np.abs(t[:, column]) > height, np.sign(t[:, column]), 0)
            start = 0
            for _, run in itertools.groupby(sign):
                stop = start + len(list(run))
                if sign[start]:
                    found[start:stop, column] = np.abs(t[start:stop, column]).sum()
                start = stop
        return found

    largest = np.array([masses(scores * np.array(signs)[:, None, None]).max()
                        for signs in itertools.product([1, -1], repeat=8)])  # fmt: skip
    observed = masses(scores)
    expected = (largest[:, None, None] >= observed * (1 - 1e-9)).mean(axis=0)
    expected[observed == 0] = 1.0
    files = results(eight)["TimeSeries"][0]["Statistics"]
    assert np.allclose(table(eight, files["p"])[list(LAYERS)], expected, rtol=0, atol=1e-12)


def test_results_say_what_every_p_is_of(eight):
    content = results(eight)
    assert content["Subjects"] == list(EIGHT)
    assert (content["Flips"], content["Exact"], content["MinimumP"]) == (256, True, 1 / 128)
    assert (content["Family"], content["GeneralisesTo"]) == ("time x reference", "subjects")
    keys = {each["Name"]: each["Key"] for each in content["Inferences"]}
    assert keys == {"max": "pmax", "cluster-size": "p_cluster-size", "cluster-mass": "p",
                    "tfce": "p_tfce", "fdr": "p_fdr"}  # fmt: skip
    files = content["TimeSeries"][0]["Statistics"]
    assert set(files) == {"mean", "t", "tfce", "p_stimuli", *keys.values()}
    for key, relative in files.items():
        side = json.loads((eight / relative).with_suffix(".json").read_text())
        assert side["InputHash"] == content["InputHash"], key
        if key.startswith("p"):
            assert {"GeneralisesTo", "MultipleTestingFamily", "Tail", "MinimumP"} <= set(side)
    assert content["StimuliTest"]["GeneralisesTo"] == "stimuli"
    assert "generalise to subjects, not to stimuli" in content["Methods"]
    assert "generalises to stimuli, not to subjects" in content["Methods"]
    assert not {"voxel", "voxels"} & set(content["Methods"].replace(",", " ").split())


def test_differences_are_a_family_of_their_own(eight):
    (entry,) = results(eight)["Contrasts"]
    assert entry["Pair"] == "fc - conv1"
    scores = stacked(eight, EIGHT)
    paired = scores[..., 3] - scores[..., 0]
    found = table(eight, entry["Statistics"]["t"])
    assert np.allclose(found["fc - conv1"], ttest_1samp(paired, 0).statistic, rtol=1e-10)
    side = json.loads((eight / entry["Statistics"]["pmax"]).with_suffix(".json").read_text())
    assert side["MultipleTestingFamily"] == "time x contrast"
    assert "p_stimuli" not in entry["Statistics"]


def test_planted_latencies_and_their_order_are_found(eight):
    content = results(eight)
    peaks = table(eight, content["Peaks"])
    assert peaks["reference"].tolist() == list(LAYERS)
    assert np.abs(peaks["latency"] - np.array(LATENCIES)).max() <= 0.02 + 1e-9
    assert ((peaks["low"] <= peaks["latency"]) & (peaks["latency"] <= peaks["high"])).all()
    assert (peaks[["p", "pmax", "p_stimuli"]] < 0.05).all(axis=None)
    assert (peaks["ceiling_lower"] <= peaks["ceiling_upper"]).all()
    order = content["Hierarchy"]
    assert order["Layers"] == list(LAYERS) and order["P"] == 1 / 128
    assert order["Estimate"] > 0.9 and order["Low"] <= order["Estimate"] <= order["High"]
    differences = table(eight, content["PeakDifferences"])
    assert len(differences) == 6 and (differences["difference"] < 0).all()
    onsets = table(eight, content["Onsets"])
    assert content["OnsetInference"] == "max"
    assert ((onsets["onset"] > 0) & (onsets["onset"] <= peaks["latency"])).all()


def test_clusters_tell_from_when_to_when(eight):
    content = results(eight)
    rows = table(eight, content["Clusters"])
    p = table(eight, content["TimeSeries"][0]["Statistics"]["p"])
    for row in rows[rows["inference"] == "cluster-mass"].itertuples():
        inside = p["time"].between(row.start - 1e-9, row.end + 1e-9)
        assert np.allclose(p.loc[inside, row.reference], row.p)
        assert inside.sum() == row.size and row.start <= row.peak <= row.end
    assert set(rows["inference"]) == {"cluster-mass", "cluster-size"}


def test_p_over_stimuli_belongs_to_the_mean_of_spearmans_correlations(eight):
    """The scores that are shuffled are the curves themselves, computed anew from the RDMs."""
    from neurodnn.rsa.rdm_files import read_rdms

    found = read_rdms(eight / results(eight)["MeanRDM"], axis="time")
    movies = [read_rdms(eight / read_results(eight, who, "megresults")["RDM"], axis="time")
              for who in EIGHT]  # fmt: skip
    stack = np.stack([movie.dissimilarities for movie in movies])
    assert np.allclose(found.dissimilarities, stack.mean(axis=0), rtol=0, atol=1e-12)
    layer = read_rdms(eight / "models/model-tiny/model-tiny_layer-conv1_rdm.h5").dissimilarities[0]
    scores = np.array([[spearmanr(row, layer).statistic for row in movie] for movie in stack])
    mean = table(eight, results(eight)["TimeSeries"][0]["Statistics"]["mean"])["conv1"]
    assert np.allclose(scores.mean(axis=0), mean, rtol=0, atol=1e-12)


def test_ceiling_is_that_of_correlations_with_the_mean_of_ranks(eight):
    from scipy.stats import rankdata

    from neurodnn.rsa.rdm_files import read_rdms

    movies = np.stack([
        rankdata(read_rdms(eight / read_results(eight, who, "megresults")["RDM"],
                           axis="time").dissimilarities, axis=1) for who in EIGHT
    ])  # fmt: skip
    lower, upper = [], []
    for time in range(len(TIMES)):
        rows = movies[:, time]
        upper.append(np.mean([spearmanr(row, rows.mean(axis=0)).statistic for row in rows]))
        lower.append(np.mean([spearmanr(rows[i], np.delete(rows, i, 0).mean(axis=0)).statistic
                              for i in range(8)]))  # fmt: skip
    found = table(eight, results(eight)["Ceiling"])
    assert np.allclose(found["lower"], lower, atol=1e-12)
    assert np.allclose(found["upper"], upper, atol=1e-12)


def test_mean_sensor_maps_are_of_the_sensors_that_all_have(tmp_path):
    from neurodnn.bids import write_derivative
    from neurodnn.brain.score_files import read_sensor_maps
    from neurodnn.brain.sensor_maps import mean_evokeds

    out = write_tree(tmp_path / "out", subjects=EIGHT[:3], workflows=["meg_timecourse"])
    paths = [out / read_results(out, who, "megresults")["SensorMaps"][0]["Path"]
             for who in EIGHT[:3]]  # fmt: skip
    own = [read_sensor_maps(path) for path in paths]
    lacking = mean_evokeds([[each.copy().pick(["MEG0131", "MEG0111"]) for each in own[1]]])
    write_derivative(paths[1], lacking, {"InputHash": "in", "ParameterHash": "with"},
                     overwrite=True)  # fmt: skip
    run_level(out)
    content = results(out)
    mean = mne.read_evokeds(out / content["SensorMaps"][0]["Path"], verbose="ERROR")
    assert [each.comment for each in mean] == list(LAYERS)
    assert mean[2].ch_names == ["MEG0111", "MEG0131"]  # they meet by name
    expected = np.mean([[each[2].data[0], each[2].data[2]] for each in own], axis=0)
    assert np.allclose(mean[2].data, expected, atol=1e-6)  # files are float32
    assert np.allclose(mean[2].times, TIMES, atol=1e-6)
    assert any("1 more is missing" in note for note in content["Warnings"])
    with pytest.raises(InputError, match="subject 2 has other references or times"):
        mean_evokeds([own[0], own[1][:2]])


def test_again_is_skipped_and_other_options_are_refused(again):
    before = {path: path.stat().st_mtime_ns for path in again.rglob("*") if path.is_file()}
    same = {"contrast": ["fc - conv1"],
            "inference": ["max", "cluster-size", "cluster-mass", "tfce", "fdr"]}  # fmt: skip
    assert run_level(again, **same) == 0
    assert before == {p: p.stat().st_mtime_ns for p in again.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="Give --overwrite"):
        run_level(again, tail="greater")
    assert run_level(again, tail="greater", overwrite=True) == 1
    content = results(again)
    assert (content["Tail"], content["MinimumP"]) == ("greater", 1 / 256)
    # what is no longer asked for is gone: differences, TFCE, FDR
    left = {path.name for path in standing_files(*_job(again))}
    assert not any("contrast" in name or "TFCE" in name or "FDR" in name for name in left)
    assert left == {path.rpartition("/")[2] for path in content["Files"]}


def _job(out):
    config = make_config(out.parent / "bids", out, "group", given={"work_dir": out.parent / "w"})
    return plan_group(config).jobs[0], out


def test_a_changed_curve_is_refused_and_a_lost_file_is_made_again(again):
    same = {"contrast": ["fc - conv1"],
            "inference": ["max", "cluster-size", "cluster-mass", "tfce", "fdr"]}  # fmt: skip
    (again / results(again)["Peaks"]).unlink()
    assert run_level(again, **same) == 1
    assert (again / results(again)["Peaks"]).is_file()
    path = again / read_results(again, "03", "megresults")["TimeSeries"][0]["Path"]
    path.write_text(path.read_text().replace("-0.1\t", "-0.1\t0", 1))
    (again / results(again)["Peaks"]).unlink()
    with pytest.raises(InputError, match="sub-03.*does not hold what was written"):
        run_level(again, **same)


def test_order_of_subjects_changes_no_bit(eight, tmp_path):
    out = tmp_path / "out"
    write_tree(out, subjects=EIGHT[::-1], workflows=["meg_timecourse"])
    run_level(out, contrast=["fc - conv1"], inference=[
        "max", "cluster-size", "cluster-mass", "tfce", "fdr"])  # fmt: skip
    for path in results(eight)["Files"]:
        assert (out / path).read_bytes() == (eight / path).read_bytes(), path


@pytest.mark.parametrize("number", [2, 5])
def test_few_subjects_have_means_and_ceilings_and_no_p(tmp_path, number):
    out = write_tree(tmp_path / "out", subjects=EIGHT[:number], workflows=["meg_timecourse"])
    assert run_level(out) == 1
    content = results(out)
    assert "6 subjects are needed" in content["SubjectsTest"]["SkippedBecause"]
    assert set(content["TimeSeries"][0]["Statistics"]) == {"mean", "t", "p_stimuli"}
    assert content["Inferences"] == [] and "Clusters" not in content and "Onsets" not in content
    assert "Ceiling" in content and "SkippedBecause" in content["Hierarchy"]
    peaks = table(out, content["Peaks"])
    assert peaks[["low", "high"]].isna().all(axis=None) and peaks["latency"].notna().all()


def test_one_subject_is_skipped_with_a_reason(tmp_path):
    out = write_tree(tmp_path / "out", subjects=["01"])
    assert run_level(out) == 2
    for kind in ("megresults", "sourceresults"):
        content = results(out, kind)
        assert "there is one (sub-01)" in content["SkippedBecause"]
        assert content["Subjects"] == ["01"] and "TimeSeries" not in content


def test_null_has_no_cluster_and_no_onset(tmp_path):
    out = write_tree(tmp_path / "out", subjects=EIGHT, effect=0.0, seed=3,
                     workflows=["meg_timecourse"])  # fmt: skip
    run_level(out)
    content = results(out)
    clusters = table(out, content["Clusters"])
    assert not (clusters["p"].astype(float) < 0.05).any()
    assert table(out, content["Onsets"])["onset"].isna().all()
    for key in ("p", "pmax", "p_stimuli"):
        p = table(out, content["TimeSeries"][0]["Statistics"][key])[list(LAYERS)]
        assert (p >= 0.05).all(axis=None), key


@pytest.mark.parametrize("inference, key", [("max", "p"), ("reference-study", "p")])
def test_one_inference_alone_is_called_p(tmp_path, inference, key):
    out = write_tree(tmp_path / "out", subjects=EIGHT, workflows=["meg_timecourse"])
    # 128 different statistics cannot fall below .001
    run_level(out, inference=[inference], label_permutations=0, cluster_threshold=0.02,
              n_permutations=1000)  # fmt: skip
    content = results(out)
    assert [each["Key"] for each in content["Inferences"]] == [key]
    p = table(out, content["TimeSeries"][0]["Statistics"]["p"])
    for layer, latency in zip(LAYERS, LATENCIES, strict=True):
        assert p.loc[np.isclose(p["time"], latency), layer].item() < 0.05
    assert "--label-permutations is 0" in content["StimuliTest"]["SkippedBecause"]


def _edit(out, subject, change, kind="megresults"):
    content = read_results(out, subject, kind)
    change(content)
    write_results(out, subject, kind, content)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.update(ParameterHash="x", Parameters={"compare": "pearson"}),
         "sub-02: was analysed with other options than sub-01.*compare: pearson and spearman"),
        (lambda c: c["Times"].update(Start=-0.2, Count=31), "has other times than sub-01.*--resam"),
        (lambda c: c["References"].pop(), "was compared with other references"),
        (lambda c: c["References"][0].update(InputHash="y"), "was compared with other RDMs"),
        (lambda c: c.update(RDM="sub-02/meg/none_rdm.h5"), "none_rdm.h5: is missing"),
    ],
)  # fmt: skip
def test_unlike_subjects_are_refused(tmp_path, change, words):
    out = write_tree(tmp_path / "out", subjects=["01", "02"], workflows=["meg_timecourse"])
    _edit(out, "02", change)
    with pytest.raises(InputError, match=f"(?s){words}"):
        run_level(out)
    assert not (out / "group").exists()


def test_partial_correlations_have_no_ceiling_and_shuffles_hold_the_nuisance(tmp_path):
    from neurodnn.rsa.label_test import label_permutation_test
    from neurodnn.rsa.movie_subjects import rdms_by_time
    from neurodnn.rsa.rdm_files import read_rdms

    out = write_tree(tmp_path / "out", subjects=EIGHT[:6], workflows=["meg_timecourse"])
    for who in EIGHT[:6]:
        _edit(out, who, lambda c: (c["TimeSeries"][0]["References"].pop(),
                                   c.update(Nuisance=[c["References"].pop()])))  # fmt: skip
    run_level(out)
    content = results(out)
    assert "Ceiling" not in content
    assert "partial correlation has no noise ceiling" in content["CeilingSkippedBecause"]
    movies = {who: read_rdms(out / read_results(out, who, "megresults")["RDM"], axis="time")
              for who in EIGHT[:6]}  # fmt: skip
    for movie in movies.values():
        movie.rdm_descriptors["time"] = TIMES.tolist()
    layers = [read_rdms(out / f"models/model-tiny/model-tiny_layer-{name}_rdm.h5")
              for name in LAYERS]  # fmt: skip
    found = label_permutation_test(rdms_by_time(movies), layers[0], nuisance=layers[3],
                                   n_permutations=200)  # fmt: skip
    p = table(out, content["TimeSeries"][0]["Statistics"]["p_stimuli"])["conv1"]
    # over three references p can only be larger than over one
    assert (p.to_numpy() >= found["p_fwe"].values[:, 0] - 1e-12).all() and p.min() < 0.05


def test_times_without_a_score_take_no_part(tmp_path):
    from neurodnn.bids import write_derivative

    out = write_tree(tmp_path / "out", subjects=EIGHT, workflows=["meg_timecourse"])
    path = out / read_results(out, "03", "megresults")["TimeSeries"][0]["Path"]
    courses = table(out, path)
    courses.loc[4, "conv1"] = np.nan
    write_derivative(path, courses, {"InputHash": "in", "ParameterHash": "with"}, overwrite=True)
    run_level(out)
    content = results(out)
    for key, relative in content["TimeSeries"][0]["Statistics"].items():
        found = table(out, relative)
        # shuffles start from the RDMs, which have no gap
        assert found["conv1"].isna().tolist() == [
            key != "p_stimuli" and i == 4 for i in range(len(TIMES))
        ], key
        assert found["fc"].notna().all()
    assert any("lack a score" in note for note in content["Warnings"])


def test_wrong_contrast_workflow_and_subject_are_told(tmp_path):
    out = write_tree(tmp_path / "out", subjects=["01", "02"], workflows=["meg_timecourse"])
    with pytest.raises(InputError, match="--contrast: does not name one pair"):
        run_level(out, contrast=["fc - pool"])
    with pytest.raises(InputError, match="meg_source_searchlight.*allowed: meg_timecourse"):
        run_level(out, workflow=["meg_source_searchlight"])
    with pytest.raises(InputError, match="--participant-label: has no results"):
        run_level(out, participant_label=["09"])


def test_little_memory_leaves_out_p_over_stimuli_until_there_is_more(tmp_path):
    out = write_tree(tmp_path / "out", subjects=EIGHT[:6], workflows=["meg_timecourse"])
    run_level(out, mem_mb=10)
    assert "--mem-mb" in results(out)["StimuliTest"]["SkippedBecause"]
    assert run_level(out, mem_mb=10) == 0  # there is no more of it
    assert run_level(out) == 1 and run_level(out) == 0
    assert "MinimumP" in results(out)["StimuliTest"]


@pytest.mark.slow
def test_of_a_hundred_null_groups_few_find_anything(tmp_path):
    found = dict.fromkeys(("p", "pmax", "p_stimuli"), 0)
    for seed in range(100):
        out = write_tree(tmp_path / f"{seed}" / "out", subjects=EIGHT, effect=0.0,
                         seed=1000 + seed, workflows=["meg_timecourse"])  # fmt: skip
        run_level(out, n_bootstrap=20, label_permutations=100)
        files = results(out)["TimeSeries"][0]["Statistics"]
        for key in found:
            p = table(out, files[key])[list(LAYERS)]
            found[key] += bool((p <= 0.05).any(axis=None))
    # one-sided bound of 99.9 % around .05
    assert max(found.values()) <= 12, found
    assert min(found.values()) >= 1, found
