"""Every p, cluster and ceiling that the command line writes, held against the numbers again."""

from __future__ import annotations

import itertools
import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
import tiny_bids
import xarray as xr
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.stats import t as student
from tiny_bids import OPTIONS, make_betas, tree

import neurodnn as nd
from neurodnn.brain.adjacency import voxel_adjacency
from neurodnn.cli import main
from neurodnn.rsa.relabelling import plan_relabellings
from neurodnn.stats.clusters import cluster_test
from neurodnn.stats.multiplicity import fdr
from neurodnn.stats.permutation import sign_flip_test
from neurodnn.stats.tfce import tfce_test

SUBJECTS = tuple(f"{number:02d}" for number in range(1, 8))
STIMULI = ("boat", "cat", "dog", "house", "key", "tree", "urn", "van")
MODELS = ("planted", "other")
SHUFFLES = 60
STEM = "task-look_space-T1w_"
EVERY = ("max", "cluster-size", "cluster-mass", "tfce", "fdr", "reference-study")
CHOSEN = ["--label-permutations", str(SHUFFLES), "--cluster-threshold", "0.01"]


def command(root, level, *more):
    rdms = ["--reference-rdms", str(root / "planted.csv"), str(root / "other.csv")]
    return [str(root / "bids"), str(root / "out"), level, *rdms, *OPTIONS,
            "-w", str(root / "work"), *CHOSEN, *more]  # fmt: skip


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """Seven subjects, eight stimuli, every inference and both differences."""
    root = tmp_path_factory.mktemp("inference")
    make_betas(root, subjects=SUBJECTS, stimuli=STIMULI)
    assert main(command(root, "participant")) == 0
    words = command(root, "group", "--inference", *EVERY, "--contrast", "planted - other",
                    "other - planted")  # fmt: skip
    assert main(words) == 0
    return root


@pytest.fixture
def again(seven, tmp_path):
    shutil.copytree(seven, tmp_path / "g")
    return tmp_path / "g"


def values(path):
    return nibabel.load(path).get_fdata()


def group_map(root, model, statistic, desc="searchlight"):
    model = model if "-" in model else f"model-{model}"
    name = f"{STEM}{model}_stat-{statistic}_desc-{desc}_statmap.nii.gz"
    return values(root / "out" / "group" / name)


def subject_file(root, subject, rest):
    return root / "out" / f"sub-{subject}" / "func" / f"sub-{subject}_{STEM}{rest}"


def sidecar(path):
    return json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())


def group_summary(root):
    return json.loads((root / "out" / "group" / "summary.json").read_text())


def subject_summary(root, subject="01"):
    path = root / "out" / f"sub-{subject}" / "figures" / f"sub-{subject}_task-look_summary.json"
    return json.loads(path.read_text())


def inside():
    mask = np.ones(tiny_bids.SHAPE, bool)
    mask[0, 0, 0] = False
    return mask


def scores_of(root):
    """Scores (subject, voxel, reference), from the subjects' own maps."""
    data = [[values(subject_file(root, subject, f"model-{model}_stat-rho_desc-searchlight"
                                 "_statmap.nii.gz"))[inside()] for model in MODELS]
            for subject in SUBJECTS]  # fmt: skip
    return xr.DataArray(
        np.array(data).transpose(0, 2, 1), dims=("subject", "voxel", "reference"),
        coords={"subject": list(SUBJECTS), "reference": list(MODELS)},
    )  # fmt: skip


def shuffled_scores(root, subject):
    """Scores (shuffle, voxel, reference): the plain searchlight, once per shuffled reference."""
    folder = root / "bids" / "derivatives" / "betas" / f"sub-{subject}" / "func"
    images = [folder / f"sub-{subject}_task-look_run-{run}_space-T1w_stat-effect_statmap.nii.gz"
              for run in "12"]  # fmt: skip
    mask = nibabel.Nifti1Image(inside().astype(np.uint8), tiny_bids.AFFINE)
    patterns = nd.load_fmri_patterns(images, list(STIMULI) * 2, mask,
                                     runs=["1"] * 8 + ["2"] * 8)  # fmt: skip
    rows = [nd.read_rdms(root / f"{model}.csv", axis="reference") for model in MODELS]
    found = []
    for order in plan_relabellings(len(STIMULI), SHUFFLES, 0).orders:
        of_models = []
        for rdms in rows:
            square = rdms.get_matrices()[0][np.ix_(order, order)]
            pairs = square[np.triu_indices(len(STIMULI), 1)]
            one = type(rdms)(pairs[None], rdm_descriptors={"reference": ["one"]},
                             pattern_descriptors={"stimulus": list(STIMULI)})  # fmt: skip
            scores = nd.fmri_searchlight(patterns, mask, one, radius=4.5, min_share=0.2)
            of_models.append(scores.values[:, 0])
        found.append(np.stack(of_models, axis=-1))
    return np.array(found)


@pytest.fixture(scope="module")
def shuffled(seven):
    return {subject: shuffled_scores(seven, subject) for subject in SUBJECTS[:2]}


def corrected(nulls):
    """p of the first row of (shuffle, voxel, reference) against the largest of each shuffle."""
    sizes = np.abs(nulls)
    largest = sizes.reshape(len(sizes), -1).max(axis=1)
    return (largest[:, None, None] >= sizes[0] - 1e-9).mean(axis=0)


def test_label_p_of_a_subject_is_that_of_shuffled_searchlights(seven, shuffled):
    for subject, nulls in shuffled.items():
        expected = corrected(nulls)
        for index, model in enumerate(MODELS):
            path = subject_file(seven, subject, f"model-{model}_stat-p_desc-searchlightLabelFWE"
                                "_statmap.nii.gz")  # fmt: skip
            found = values(path)
            assert np.allclose(found[inside()], expected[:, index], atol=1e-6)
            assert np.isnan(found[0, 0, 0])
    stated = sidecar(path)
    wanted = {"GeneralisesTo": "stimuli", "MultipleTestingFamily": "voxel x reference",
              "Tail": "two-sided", "NumberOfPermutations": SHUFFLES, "RandomSeed": 0,
              "MinimumP": 1 / SHUFFLES}  # fmt: skip
    assert {key: stated[key] for key in wanted} == wanted
    content = subject_summary(seven)
    assert {key: content["LabelTest"][key] for key in wanted} == wanted
    planted = content["Maps"][0]
    assert planted["Peak"]["PStimuli"] <= 0.05
    below = values(seven / "out" / planted["LabelP"]) < 0.05
    assert planted["VoxelsBelow05Stimuli"] == np.sum(below)
    assert "generalises to stimuli, not to subjects" in content["Methods"]


def test_group_p_over_stimuli_shuffles_all_subjects_alike(tmp_path, shuffled, seven):
    pair = SUBJECTS[:2]
    shutil.copytree(seven, tmp_path / "g", ignore=shutil.ignore_patterns("group"))
    root = tmp_path / "g"
    assert main(command(root, "group", "--participant-label", *pair)) == 0
    expected = corrected(np.mean([shuffled[subject] for subject in pair], axis=0))
    for index, model in enumerate(MODELS):
        found = group_map(root, model, "p", "searchlightStimuli")
        assert np.allclose(found[inside()], expected[:, index], atol=1e-6)
        assert np.isnan(found[0, 0, 0])
    content = group_summary(root)
    assert content["StimuliTest"]["GeneralisesTo"] == "stimuli"
    assert content["StimuliTest"]["Stimuli"] == 8
    assert "smallest p" in content["SubjectsTest"]["SkippedBecause"]
    assert set(content["Maps"][0]["Statistics"]) == {"mean", "t", "p_stimuli"}


def test_ceilings_enclose_the_scores_of_a_perfect_model(seven):
    lower = values(seven / "out" / "group" / f"{STEM}stat-rho_desc-ceilingLower_statmap.nii.gz")
    upper = values(seven / "out" / "group" / f"{STEM}stat-rho_desc-ceilingUpper_statmap.nii.gz")
    assert np.all(lower[inside()] <= upper[inside()])
    centre = (1, 3, 2)
    flat = int(np.flatnonzero(inside()).searchsorted(np.ravel_multi_index(centre, inside().shape)))
    rdms = []
    for subject in SUBJECTS:
        data = values(subject_file(seven, subject, "stat-effect_desc-patterns_statmap.nii.gz"))
        world = apply_affine(tiny_bids.AFFINE, np.argwhere(inside()))
        near = np.linalg.norm(world - world[flat], axis=1) <= 4.5 + 1e-9
        rdms.append((1 - np.corrcoef(data[inside()][near].T))[np.triu_indices(8, 1)])
    ranks = nd.noise_ceiling(type(nd.read_rdms(seven / "planted.csv"))(np.array(rdms)))
    assert lower[centre] == pytest.approx(ranks.lower, abs=1e-5)
    assert upper[centre] == pytest.approx(ranks.upper, abs=1e-5)
    peak = group_summary(seven)["Maps"][0]["Peak"]
    assert peak["Value"] <= peak["CeilingUpper"] + 1e-6


def test_each_correction_is_that_of_its_test(seven):
    scores = scores_of(seven)
    grid = nibabel.Nifti1Image(inside().astype(np.uint8), tiny_bids.AFFINE)
    adjacency = voxel_adjacency(grid, connectivity=18)
    height = student.isf(0.005, 6)
    flips = sign_flip_test(scores)
    expected = {"searchlightFWE": flips.p_fwe, "searchlightFDR": fdr(flips.p)}
    for statistic in ("size", "mass"):
        result = cluster_test(scores, adjacency, statistic=statistic, threshold=height,
                              places="voxel")  # fmt: skip
        expected[f"searchlight{statistic.title()}"] = result.p_fwe
    enhanced = tfce_test(scores, adjacency, places="voxel")
    expected["searchlightTFCE"] = enhanced.p_fwe
    for index, model in enumerate(MODELS):
        for desc, p in expected.items():
            found = group_map(seven, model, "p", desc)[inside()]
            assert np.allclose(found, p.values[:, index], rtol=1e-5), desc
        found = group_map(seven, model, "tfce")[inside()]
        assert np.allclose(found, enhanced.tfce.values[:, index], rtol=1e-4)  # from float32 scores


def test_clusters_are_those_of_the_t_map_and_lie_where_they_are_said_to(seven):
    height = student.isf(0.005, 6)
    faces_and_edges = ndimage.generate_binary_structure(3, 2)
    table = pd.read_csv(seven / "out" / "group" / f"{STEM}desc-searchlightMass_clusters.tsv",
                        sep="\t")  # fmt: skip
    for model in MODELS:
        t, mean = group_map(seven, model, "t"), group_map(seven, model, "mean")
        p = group_map(seven, model, "p", "searchlightMass")
        rows = table[table["reference"] == model]
        found = []
        for sign in (1, -1):
            labels, count = ndimage.label(sign * np.nan_to_num(t) > height, faces_and_edges)
            found += [(labels == number, sign) for number in range(1, count + 1)]
        assert len(found) == len(rows)
        for row in rows.to_dict("records"):
            index = np.linalg.inv(tiny_bids.AFFINE) @ [row["x"], row["y"], row["z"], 1]
            peak = tuple(np.rint(index[:3]).astype(int))
            cluster, sign = next(each for each in found if each[0][peak])
            assert row["sign"] == ("+" if sign > 0 else "-")
            assert row["size_voxels"] == cluster.sum()
            assert row["size_mm3"] == pytest.approx(cluster.sum() * 36)
            assert row["mass"] == pytest.approx(np.abs(t[cluster]).sum(), rel=1e-5)
            assert abs(row["peak_t"]) == pytest.approx(np.abs(t[cluster]).max(), rel=1e-5)
            assert row["peak_mean"] == pytest.approx(mean[peak], rel=1e-5)
            assert np.allclose(p[cluster], row["p"])
            assert row["side"] == {-1: "left", 0: "midline", 1: "right"}[int(np.sign(row["x"]))]
    assert table["p"].is_monotonic_increasing
    described = json.loads((seven / "out" / "group" / f"{STEM}desc-searchlightMass_clusters.json")
                           .read_text())  # fmt: skip
    assert set(table.columns) <= set(described)
    assert described["ClusterThresholdT"] == pytest.approx(height)


def test_sidecars_state_family_tail_thresholds_and_seed(seven):
    common = {"GeneralisesTo": "subjects", "Tail": "two-sided", "RandomSeed": 0, "Exact": True,
              "NumberOfPermutations": 128, "MinimumP": 1 / 64}  # fmt: skip
    more = {
        "searchlightFWE": {},
        "searchlightFDR": {"Correction": "false discovery rate (Benjamini-Hochberg)"},
        "searchlightSize": {"ClusterStatistic": "size", "Connectivity": 18,
                            "ClusterThresholdP": 0.01},
        "searchlightMass": {"ClusterStatistic": "mass"},
        "searchlightTFCE": {"Exponents": [0.5, 2.0], "Step": 0.0, "Connectivity": 18},
    }  # fmt: skip
    folder = seven / "out" / "group"
    for desc, fields in more.items():
        stated = sidecar(folder / f"{STEM}model-planted_stat-p_desc-{desc}_statmap.nii.gz")
        for key, value in {**common, **fields}.items():
            assert stated[key] == value, (desc, key)
        assert sorted(stated["MultipleTestingFamily"].split(" x ")) == ["reference", "voxel"]
    name = f"{STEM}model-planted_stat-p_desc-searchlightReference_statmap.nii.gz"
    stated = sidecar(folder / name)
    assert stated["Correction"] == "Bonferroni over 2 references"
    # 10000 draws of 64 mirrored patterns of signs, twice: less cannot come out
    assert stated["MinimumP"] == 2 / 64
    names = [each["Name"] for each in group_summary(seven)["Inferences"]]
    assert names == list(EVERY)


def test_warnings_of_the_tests_reach_log_summary_and_page(again, capsys):
    # 7 subjects have 64 different statistics: p <= .001 is out of reach of the original form
    shutil.rmtree(again / "out" / "group")
    words = command(again, "group", "--inference", "reference-study", "--label-permutations", "0")
    assert main([*words, "--cluster-threshold", "0.001"]) == 0
    warned = group_summary(again)["Warnings"]
    assert any("nothing can be found" in text for text in warned), warned
    for place in (capsys.readouterr().err, (again / "out" / "index.html").read_text()):
        assert "nothing can be found" in place
    p = group_map(again, "planted", "p", "searchlightReference")
    assert np.all(p[inside()] == 1)


def test_differences_mirror_and_are_tested_as_differences(seven):
    scores = scores_of(seven)
    difference = scores.isel(reference=[0]).values - scores.isel(reference=[1]).values
    both = np.concatenate([difference, -difference], axis=-1)
    tested = sign_flip_test(both)
    one, other = (f"contrast-{name}" for name in ("plantedMinusOther", "otherMinusPlanted"))
    for index, name in enumerate((one, other)):
        assert np.allclose(group_map(seven, name, "mean")[inside()], tested["mean"][:, index],
                           atol=1e-6)  # fmt: skip
        assert np.allclose(group_map(seven, name, "p", "searchlightFWE")[inside()],
                           tested["p_fwe"][:, index], rtol=1e-5)  # fmt: skip
    assert np.allclose(group_map(seven, one, "t"), -group_map(seven, other, "t"), equal_nan=True)
    entry = group_summary(seven)["Contrasts"][0]
    assert entry["Reference"] == "planted - other"
    assert "p_stimuli" not in entry["Statistics"]
    stated = sidecar(seven / "out" / entry["Statistics"]["mean"])
    assert stated["Contrast"] == "planted - other"
    assert len(stated["Sources"]) == 2 * len(SUBJECTS)


def test_patterns_are_the_means_over_runs_in_the_order_of_their_sidecar(seven):
    path = subject_file(seven, "03", "stat-effect_desc-patterns_statmap.nii.gz")
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.float32
    stated = sidecar(path)
    assert stated["Stimuli"] == sorted(STIMULI)
    assert "Runs" not in stated
    folder = seven / "bids" / "derivatives" / "betas" / "sub-03" / "func"
    runs = [values(folder / f"sub-03_task-look_run-{run}_space-T1w_stat-effect_statmap.nii.gz")
            for run in "12"]  # fmt: skip
    expected = np.mean(runs, axis=0)[inside()]
    assert np.allclose(image.get_fdata()[inside()], expected, rtol=1e-6)
    assert np.isnan(image.get_fdata()[0, 0, 0]).all()


def test_reliability_is_that_of_the_two_runs(seven):
    path = subject_file(seven, "02", "stat-rho_desc-reliability_statmap.nii.gz")
    centre = (1, 3, 2)
    folder = seven / "bids" / "derivatives" / "betas" / "sub-02" / "func"
    world = apply_affine(tiny_bids.AFFINE, np.argwhere(inside()))
    here = apply_affine(tiny_bids.AFFINE, centre)
    near = np.linalg.norm(world - here, axis=1) <= 4.5 + 1e-9
    rows = []
    for run in "12":
        name = f"sub-02_task-look_run-{run}_space-T1w_stat-effect_statmap.nii.gz"
        patterns = values(folder / name)[inside()][near]
        rows.append((1 - np.corrcoef(patterns.T))[np.triu_indices(8, 1)])
    r = pd.Series(rows[0]).corr(pd.Series(rows[1]), method="spearman")
    assert values(path)[centre] == pytest.approx(2 * r / (1 + abs(r)), abs=1e-5)
    entry = subject_summary(seven, "02")["Reliability"]
    assert (entry["Runs"], entry["Splits"]) == (2, 1)
    assert entry["Highest"] == pytest.approx(np.nanmax(values(path)), abs=1e-6)


def test_pages_show_both_p_and_the_ceiling(seven):
    page = (seven / "out" / "index.html").read_text()
    for text in ("p over stimuli", "p over subjects, cluster mass", "Noise ceiling",
                 "Clusters by cluster mass", "Differences between references",
                 "other subjects like these", "other stimuli like these"):  # fmt: skip
        assert text in page, text
    page = (seven / "out" / "sub-01.html").read_text()
    for text in ("p over stimuli", "Reliability of the patterns"):
        assert text in page, text
    assert "Not computed" not in page


def test_resume_skips_refuses_other_tests_and_overwrite_leaves_nothing_stale(
    again, seven, tmp_path, capsys
):
    words = command(again, "group", "--inference", *EVERY, "--contrast", "planted - other",
                    "other - planted")  # fmt: skip
    before = tree(again / "out")
    assert main([*words, "-v"]) == 0
    assert "done before, skipped" in capsys.readouterr().err
    for more in (["--connectivity", "26"], ["--inference", "max"], ["--label-permutations", "40"]):
        assert main([*words, *more]) == 2, more
        assert "Give --overwrite" in capsys.readouterr().err
    assert tree(again / "out") == before
    less = command(again, "group", "--inference", "max", "--label-permutations", "0")
    assert main([*less, "--overwrite"]) == 0
    fresh = tmp_path / "fresh"
    shutil.copytree(seven, fresh, ignore=shutil.ignore_patterns("group", "index.html"))
    assert main(command(fresh, "group", "--inference", "max", "--label-permutations", "0")) == 0
    assert tree(again / "out") == tree(fresh / "out")


def test_subjects_made_anew_without_shuffles_keep_no_map_of_them(again):
    words = command(again, "participant", "--participant-label", "01", "--overwrite")
    assert main([*words, "--label-permutations", "0"]) == 0
    assert not list((again / "out" / "sub-01").rglob("*LabelFWE*"))
    assert list((again / "out" / "sub-02").rglob("*LabelFWE*"))
    assert "--label-permutations is 0" in subject_summary(again)["LabelTest"]["SkippedBecause"]
    assert "--label-permutations is 0" in (again / "out" / "sub-01.html").read_text()


@pytest.mark.parametrize("how", ["absent", "damaged", "memory"])
def test_what_stands_against_the_test_over_stimuli_is_told_and_stops_nothing(
    again, capsys, how
):
    shutil.rmtree(again / "out" / "group")
    path = subject_file(again, "05", "stat-effect_desc-patterns_statmap.nii.gz")
    more = []
    if how == "absent":
        path.unlink()
        expected = "the patterns of sub-05 are not in the folder"
    elif how == "damaged":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        expected = path.name
    else:
        more, expected = ["--mem-mb", "20"], "20 MB are available"
    assert main(command(again, "group", *more)) == 0
    content = group_summary(again)
    assert expected in content["StimuliTest"]["SkippedBecause"]
    assert content["StimuliTest"]["SkippedBecause"].startswith("no p over stimuli: ")
    assert expected in capsys.readouterr().err
    assert "No p over stimuli" in (again / "out" / "index.html").read_text()
    assert str(again) not in json.dumps(content)
    assert set(content["Maps"][0]["Statistics"]) == {"mean", "t", "p", "p_cluster-mass"}


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--contrast", "planted - mine"], "got 'planted - mine'; allowed: planted, other"),
        (["--contrast", "planted"], "Write 'A - B'"),
        (["--inference", "max", "clusters"], "Did you mean cluster"),
        (["--connectivity", "8"], "Choose from: 18, 26, 6"),
        (["--cluster-threshold", "1.5"], "--cluster-threshold: is a p value"),
        (["--label-permutations", "5"], "0, or at least 20"),
        (["--semi-partial"], "Give --nuisance-rdms"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything(seven, capsys, more, match):
    before = tree(seven / "out")
    assert main(command(seven, "group", *more)) == 2
    text = capsys.readouterr().err
    assert match in text
    assert "Traceback" not in text
    assert tree(seven / "out") == before


def test_every_permutation_of_the_options_of_the_command_is_one_result(seven, again):
    words = command(again, "group", "--contrast", "other - planted", "planted - other")
    shutil.rmtree(again / "out" / "group")
    assert main([*words, "--inference", "cluster-mass", "max", "--n-cpus", "2"]) == 0
    for key, model in itertools.product(("FWE", "Mass"), MODELS):
        ours, theirs = (group_map(root, model, "p", f"searchlight{key}")
                        for root in (again, seven))  # fmt: skip
        assert np.array_equal(ours, theirs, equal_nan=True)
    ours, theirs = (group_map(root, "planted", "p", "searchlightStimuli")
                    for root in (again, seven))  # fmt: skip
    assert np.array_equal(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("what", ["map", "patterns", "names", "order", "no names", "rdm"])
def test_files_that_are_not_those_that_were_written_are_never_used(again, capsys, what):
    shutil.rmtree(again / "out" / "group")
    one, other = (subject_file(again, each, "model-planted_stat-rho_desc-searchlight_statmap"
                               ".nii.gz") for each in ("01", "03"))  # fmt: skip
    patterns = [subject_file(again, each, "stat-effect_desc-patterns_statmap.nii.gz")
                for each in ("01", "03")]  # fmt: skip
    names = patterns[1].with_name(patterns[1].name.replace(".nii.gz", ".json"))
    rdms = [again / "out" / "models" / f"model-{model}" / f"model-{model}_rdm.h5"
            for model in MODELS]  # fmt: skip
    if what == "map":
        shutil.copy(one, other)
    elif what == "patterns":
        shutil.copy(*patterns)
    elif what == "rdm":
        shutil.copy(rdms[1], rdms[0])
    else:
        old, new = {"names": ('"boat"', '"boot"'), "order": ('"boat"', '"cat"'),
                    "no names": ('"Stimuli"', '"Stimulus"')}[what]  # fmt: skip
        text = names.read_text().replace(new, '"?"').replace(old, new).replace('"?"', old)
        names.write_text(text)
    code = main(command(again, "group", "--inference", "max"))
    if what == "map":
        assert code == 2
        assert f"{other.name}: does not hold what was written" in capsys.readouterr().err
        assert not (again / "out" / "group").exists()
        return
    assert code == 0
    reason = group_summary(again)["StimuliTest"]["SkippedBecause"]
    expected = "does not hold what was written" if what in ("patterns", "rdm") else (
        "names other stimuli or runs, or another order")  # fmt: skip
    assert expected in reason
    assert {"rdm": rdms[0].name}.get(what, patterns[1].name) in reason
    assert not list((again / "out" / "group").glob("*Stimuli*"))


def test_maps_of_another_run_than_the_summary_states_are_refused(again, capsys):
    # as if a run with --overwrite had been killed before its summary
    path = subject_file(again, "02", "model-other_stat-rho_desc-searchlight_statmap.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"ParameterHash": "0" * 64}))
    shutil.rmtree(again / "out" / "group")
    assert main(command(again, "group")) == 2
    assert "made from other input or with other options" in capsys.readouterr().err


def test_names_that_change_after_the_group_ran_are_noticed(again, capsys):
    words = command(again, "group", "--inference", *EVERY, "--contrast", "planted - other",
                    "other - planted")  # fmt: skip
    path = subject_file(again, "04", "stat-effect_desc-patterns_statmap.json")
    path.write_text(path.read_text().replace('"boat"', '"boot"'))
    assert main(words) == 2
    assert "made from other input" in capsys.readouterr().err


def test_a_test_that_lacked_memory_is_made_up_for_without_overwrite(again):
    shutil.rmtree(again / "out" / "group")
    words = command(again, "group", "--inference", "max")
    assert main([*words, "--mem-mb", "20"]) == 0
    assert "20 MB are available" in group_summary(again)["StimuliTest"]["SkippedBecause"]
    assert main(words) == 0
    assert group_summary(again)["StimuliTest"]["Stimuli"] == 8
    before = tree(again / "out")
    assert main(words) == 0
    assert tree(again / "out") == before


def test_a_second_task_leaves_one_summary_of_each_group(tmp_path):
    root = make_betas(tmp_path).parent
    words = [*command(root, "group"), "--inference", "max", "--label-permutations", "0"]
    part = [*command(root, "participant"), "--label-permutations", "0"]
    assert main(part) == main(words) == 0
    for path in sorted((root / "bids" / "derivatives").rglob("*task-look*")):
        shutil.copy(path, path.with_name(path.name.replace("task-look", "task-see")))
    assert main(part) == 0

    def tasks():
        found = (root / "out" / "group").glob("*summary.json")
        return sorted(json.loads(path.read_text())["Task"] for path in found)

    assert main([*words, "--task-id", "see"]) == 0
    assert tasks() == ["look", "see"]
    assert main(words) == 0
    assert tasks() == ["look", "see"]
    page = (root / "out" / "index.html").read_text()
    assert [page.count(f"<h2>Group: task {task}") for task in ("look", "see")] == [1, 1]


def test_few_subjects_are_told_once(again, capsys):
    shutil.rmtree(again / "out" / "group")
    assert main(command(again, "group", "--participant-label", "01", "02", "03")) == 0
    assert capsys.readouterr().err.count("the smallest") == 1
    assert group_summary(again)["Warnings"] == []


def test_differences_are_a_family_of_their_own_in_sidecars_page_and_methods(seven):
    content = group_summary(seven)
    paths = content["Contrasts"][0]["Statistics"]
    for key in ("p", "p_cluster-mass"):
        assert sidecar(seven / "out" / paths[key])["MultipleTestingFamily"] == "voxel x contrast"
    assert "corrected for all voxels and 2 differences together" in content["Methods"]
    page = (seven / "out" / "index.html").read_text()
    assert "all voxels and all differences, apart from the references" in page
    assert "chosen because it is highest" in page


def test_a_difference_that_may_mean_two_things_is_none():
    from neurodnn.pipeline.group_tests import find_pairs

    assert find_pairs(["a - b - c"], ["a", "b - c", "a - b", "c"]) == ([], "a - b - c")
    assert find_pairs(["a - b - c"], ["a", "b - c", "c"]) == ([("a", "b - c")], "")


def test_damaged_files_of_the_group_are_made_anew(again, seven):
    words = command(again, "group", "--inference", *EVERY, "--contrast", "planted - other",
                    "other - planted")  # fmt: skip
    folder = again / "out" / "group"
    (folder / "summary.json").write_text("{")
    path = folder / f"{STEM}model-other_stat-t_desc-searchlight_statmap.nii.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert main(words) == 0
    assert "made anew" in group_summary(again)["Warnings"][0]
    ours, theirs = (tree(root / "out" / "group") for root in (again, seven))
    assert {name for name in theirs if ours[name] != theirs[name]} == {"summary.json"}
    assert ours.keys() == theirs.keys()


def test_subjects_over_other_stimuli_are_told_even_without_shuffles(tmp_path):
    root = make_betas(tmp_path, stimuli=STIMULI).parent
    for table in sorted((root / "bids" / "derivatives").rglob("sub-02*_statmap.tsv")):
        table.write_text(table.read_text().replace("van\n", ""))
        path = table.with_name(table.name.replace(".tsv", ".nii.gz"))
        tiny_bids.image(values(path)[..., :-1], path)
    assert main([*command(root, "participant"), "--label-permutations", "0"]) == 0
    assert main([*command(root, "group"), "--label-permutations", "0"]) == 0
    (note,) = group_summary(root)["Warnings"]
    assert "not compared over the same stimuli (7 to 8 each)" in note


def test_memory_that_is_told_is_that_of_these_shuffles(again, capsys):
    told = []
    for count in ("60", "1000000"):
        words = command(again, "group", "--dry-run", "--label-permutations", count)
        assert main(words) == 0
        text = "".join(capsys.readouterr())
        told.append(int(text.split("about ")[1].split(" MB")[0].replace(",", "")))
    assert told[0] < 600 < 800 < told[1]  # a process with its libraries takes 500
