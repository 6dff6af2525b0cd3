"""Categories in one slice of a human brain: a crossnobis searchlight on Haxby et al. (2001)
==========================================================================================

Subject 1 looked at blocks of faces, cats, houses, scissors, bottles, shoes, chairs and scrambled
pictures, twelve runs with one block of each. Of the published data this script takes one axial
slice of the posterior brain, because it comes with events, motion and a mask in a small archive
(``datasets/haxby2001/registry.txt`` lists the files).

The question: where in the slice are the distances between the patterns of the eight categories
arranged as a model of the categories says? The steps, each a cell:

1. make a BIDS data set of the files;
2. write category models as RDMs, as tables that anybody can read;
3. run the BIDS App: one response per category and run, cross-validated Mahalanobis (crossnobis)
   distances over the twelve runs, one map per model;
4. test the maps exactly, against all relabellings of the categories and over all centres;
5. ask how reliable the distances are, with odd against even runs.

    python analyses/haxby_slice_searchlight.py --data FOLDER --out FOLDER

``--data`` holds ``fmri_haxby2001``; the environment variable NEURODNN_DATA does as well. It takes
about a minute on one core.

Haxby JV et al. (2001), Science 293, 2425-2430. Data: CC BY-SA 3.0.
"""

# %%
# Imports, and what was decided before looking at any result
# ----------------------------------------------------------
from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

import neurodnn as nd
from neurodnn import cli
from neurodnn.brain.confounds import load_confounds
from neurodnn.brain.glm import concatenate_runs

TASK, SUBJECT, TR = "objectviewing", "01", 2.5  # TR in seconds
# Two voxels and a bit around a centre; the slice is one voxel thick, so a "sphere" is a disc that
# holds a third of a full sphere at most, and the default share of one half would leave nothing.
RADIUS, MIN_SHARE = 9.0, 0.2
# A model of 0 and 1 has many ties: rho-a treats them fairly (Schuett et al. 2023).
COMPARISON = "rho-a"
GROUPS = {
    # the model of interest: four groups as people sort such pictures
    "category": {"face": "animate", "cat": "animate", "house": "place", "scrambledpix": "noise",
                 "bottle": "thing", "chair": "thing", "scissors": "thing", "shoe": "thing"},
    # parts of it, for description
    "animacy": {"face": 1, "cat": 1},
    "faces": {"face": 1},
    "houses": {"house": 1},
    "scrambled": {"scrambledpix": 1},
}  # fmt: skip
CATEGORIES = sorted(GROUPS["category"])


# %%
# 1. From the files to BIDS
# -------------------------
# The runs are used as they were published; nothing is resampled or corrected here. They go into
# ``derivatives/slices`` beside a confounds table made of the published motion estimates (rotations
# in radians, then translations in mm), and again into the raw part.
def make_bids(source: Path, root: Path) -> None:
    """Write the BIDS data set; refuse files that disagree about grid or length."""
    mask = nib.load(source / "slice" / "mask.nii.gz")
    derivative = root / "derivatives" / "slices"
    raw_folder = root / f"sub-{SUBJECT}" / "func"
    folder = derivative / f"sub-{SUBJECT}" / "func"
    for each in (raw_folder, folder):
        each.mkdir(parents=True, exist_ok=True)
    for run in range(1, 13):
        run_folder = source / "openfmri_layout" / "sub001" / "BOLD" / f"task001_run{run:03d}"
        stem = f"sub-{SUBJECT}_task-{TASK}_run-{run:02d}"
        bold = nib.load(run_folder / "bold_1slice.nii.gz")
        motion = np.loadtxt(run_folder / "bold_moest.txt")
        same = bold.shape[:3] == mask.shape and np.allclose(bold.affine, mask.affine, atol=1e-3)
        if not same or len(motion) != bold.shape[3] or bold.header.get_zooms()[3] != TR:
            raise SystemExit(f"run {run}: image, mask and motion do not belong together")
        shutil.copyfile(run_folder / "bold_1slice.nii.gz", raw_folder / f"{stem}_bold.nii.gz")
        shutil.copyfile(run_folder / "bold_1slice.nii.gz",
                        folder / f"{stem}_desc-preproc_bold.nii.gz")  # fmt: skip
        shutil.copyfile(source / "slice" / "mask.nii.gz",
                        folder / f"{stem}_desc-brain_mask.nii.gz")  # fmt: skip
        shutil.copyfile(run_folder / "bold_events.tsv", raw_folder / f"{stem}_events.tsv")
        names = ["rot_x", "rot_y", "rot_z", "trans_x", "trans_y", "trans_z"]
        pd.DataFrame(motion, columns=names).to_csv(
            folder / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False
        )
        write_json(folder / f"{stem}_desc-preproc_bold.json",
                   {"TaskName": TASK, "RepetitionTime": TR, "SliceTimingCorrected": False,
                    "SkullStripped": False})  # fmt: skip
        write_json(folder / f"{stem}_desc-brain_mask.json", {"Type": "Brain"})
    write_json(root / f"task-{TASK}_bold.json", {"TaskName": TASK, "RepetitionTime": TR})
    pd.DataFrame({"participant_id": [f"sub-{SUBJECT}"]}).to_csv(
        root / "participants.tsv", sep="\t", index=False
    )
    about = {"BIDSVersion": "1.10.0", "License": "CC-BY-SA-3.0"}
    write_json(root / "dataset_description.json",
               {"Name": "Haxby et al. 2001, one slice", "DatasetType": "raw", **about})
    write_json(derivative / "dataset_description.json",
               {"Name": "The runs as published", "DatasetType": "derivative", **about,
                "GeneratedBy": [{"Name": "haxby_slice_searchlight.py"}]})  # fmt: skip
    for folder in (root, derivative):
        (folder / "README").write_text("Made of the files in datasets/haxby2001/registry.txt.\n")
    # The standard does not know tables of confounds yet; everybody writes them.
    (derivative / ".bidsignore").write_text("*_timeseries.*\n")


def write_json(path: Path, content: dict) -> None:
    """Write a sidecar."""
    path.write_text(json.dumps(content, indent=2) + "\n")


# %%
# 2. Models of the categories
# ---------------------------
# A model RDM is 0 between categories of one group and 1 between groups.
def model_rdm(groups: dict) -> np.ndarray:
    """Return the square RDM of a grouping; categories that it does not name form one group."""
    labels = [groups.get(category, 0) for category in CATEGORIES]
    return np.array([[float(a != b) for b in labels] for a in labels])


def write_models(folder: Path) -> list[Path]:
    """Write each model as a table with the names of the categories, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, groups in GROUPS.items():
        table = pd.DataFrame(model_rdm(groups), index=CATEGORIES, columns=CATEGORIES)
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1])
    return paths


# %%
# 3. The BIDS App
# ---------------
# ``--network none``: the photographs are not part of the archive, so the comparison is with the
# category models alone.
def run_app(root: Path, out: Path, models: list[Path], work: Path) -> dict:
    """Run the participant level and return its summary."""
    code = cli.main([
        str(root), str(out), "participant",
        "--derivatives", f"fmriprep={root / 'derivatives' / 'slices'}",
        "--network", "none", "--reference-rdms", *map(str, models),
        "--stimulus-column", "trial_type", "--confounds", "motion6",
        "--metric", "crossnobis", "--compare", COMPARISON,
        "--radius", f"{RADIUS:g}", "--min-share", f"{MIN_SHARE:g}",
        "--work-dir", str(work), "--n-cpus", "1",
    ])  # fmt: skip
    if code:
        raise SystemExit(code)
    path = out / f"sub-{SUBJECT}" / "figures" / f"sub-{SUBJECT}_task-{TASK}_summary.json"
    return json.loads(path.read_text())


# %%
# 4. Exact tests of the models
# ----------------------------
# If the categories had nothing to do with the responses, any of them could bear any label. All
# different relabellings of a model are few: 420 for the four groups, 28 for animacy, 8 for one
# category against the rest. Each is compared with the brain at every centre, and the observed
# value is held against those of all, so that p is exact. Two questions are asked of the slice: is
# the fit above chance somewhere (its maximum over the centres, which corrects for their number),
# and is it above chance at large (its mean over the centres)? The maximum was planned; the mean
# was added when the maximum had missed .05, and its p should be read as that of a second try.
# With 8 relabellings p cannot be below .125: such models describe.
def relabelled(groups: dict) -> np.ndarray:
    """Return the condensed RDMs of all different relabellings, the true one first."""
    square = model_rdm(groups)
    found = {}
    for order in itertools.permutations(range(len(CATEGORIES))):
        row = squareform(square[np.ix_(order, order)], checks=False)
        found.setdefault(row.tobytes(), row)
    return np.array(list(found.values()))


def fit_runs(root: Path) -> tuple:
    """Return responses and residuals of the twelve runs, as the BIDS App estimates them."""
    folder = root / "derivatives" / "slices" / f"sub-{SUBJECT}" / "func"
    runs = []
    for run in range(1, 13):
        stem = f"sub-{SUBJECT}_task-{TASK}_run-{run:02d}"
        confounds, _ = load_confounds(folder / f"{stem}_desc-confounds_timeseries.tsv", "motion6")
        runs.append(nd.fit_glm(
            folder / f"{stem}_desc-preproc_bold.nii.gz",
            root / f"sub-{SUBJECT}" / "func" / f"{stem}_events.tsv",
            folder / f"{stem}_desc-brain_mask.nii.gz",
            confounds=confounds, names_column="trial_type", run=f"run-{run:02d}",
        ))  # fmt: skip
    return concatenate_runs(runs)


def scores_of(estimates, neighbors, rows: np.ndarray) -> np.ndarray:
    """Return centres x RDMs: each RDM compared with the crossnobis RDM at each centre."""
    references = RDMs(
        rows,
        rdm_descriptors={"reference": [str(number) for number in range(len(rows))]},
        pattern_descriptors={"stimulus": list(CATEGORIES)},
    )
    return nd.searchlight(
        estimates.patterns, neighbors, references, metric="crossnobis", comparison=COMPARISON,
        residuals=estimates.residuals,
    ).to_numpy()  # fmt: skip


def exact_test(scores: np.ndarray) -> dict[str, float]:
    """Return maximum and mean over centres of the true labels (column 0), and their p values."""
    result: dict[str, float] = {}
    for name, statistic in (("maximum", np.nanmax), ("mean", np.nanmean)):
        result[name] = float(statistic(scores[:, 0]))
        result[f"p_{name}"] = share_reached(statistic(scores, axis=0))
    return result


def share_reached(values: np.ndarray) -> float:
    """Return the share of values that reach the first; it is one of them, so that p > 0."""
    # Equal scores of equivalent labellings differ by rounding; they count as reached.
    return float(np.mean(values >= values[0] - 1e-9))


# %%
# 5. Split halves
# ---------------
# Odd and even runs share nothing but the brain: if the distances are real, both halves agree on
# them, whatever their arrangement. All 8! = 40,320 relabellings of one half say how well they
# would agree by chance. And a centre that one half chooses can be tested in the other without any
# correction for the search.
def half(estimates, odd: bool) -> tuple[Dataset, Dataset]:
    """Return responses and residuals of the odd or the even runs."""
    return tuple(
        pick_observations(part, [int(run[-2:]) % 2 == odd for run in part.obs_descriptors["run"]])
        for part in (estimates.patterns, estimates.residuals)
    )


def pick_observations(part: Dataset, keep: list[bool]) -> Dataset:
    """Return some rows of a Dataset."""
    chosen = np.flatnonzero(keep)
    return Dataset(
        part.measurements[chosen],
        obs_descriptors={key: [values[i] for i in chosen]
                         for key, values in part.obs_descriptors.items()},
    )  # fmt: skip


def rdms_at_centres(part: tuple[Dataset, Dataset], neighbors, centres: np.ndarray) -> np.ndarray:
    """Return the crossnobis RDM at each centre, categories in alphabetical order."""
    spheres = [{}, {}]
    for centre in centres:
        members = neighbors.indices[neighbors.indptr[centre]:neighbors.indptr[centre + 1]]
        for sphere, dataset in zip(spheres, part, strict=True):
            sphere[str(centre)] = Dataset(dataset.measurements[:, members],
                                          obs_descriptors=dict(dataset.obs_descriptors))
    rdms = nd.compute_rdms(spheres[0], metric="crossnobis", residuals=spheres[1])
    order = np.argsort(rdms.pattern_descriptors["stimulus"])
    square = [squareform(row, checks=False)[np.ix_(order, order)] for row in rdms.dissimilarities]
    return np.array([squareform(each, checks=False) for each in square])


def as_rdms(rows: np.ndarray) -> RDMs:
    """Return condensed rows as RDMs over the categories."""
    return RDMs(np.atleast_2d(rows), pattern_descriptors={"stimulus": list(CATEGORIES)})


def agreement(odd: np.ndarray, even: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return Spearman's rho of both halves at each centre, and its exact test over 8! labels."""
    halves = []
    for rows in (odd, even):
        ranks = rankdata(rows, axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        halves.append(ranks / np.linalg.norm(ranks, axis=1, keepdims=True))
    number = squareform(np.arange(odd.shape[1]))  # which distance belongs to which pair
    statistics = []
    for order in itertools.permutations(range(len(CATEGORIES))):
        pairs = squareform(number[np.ix_(order, order)], checks=False)
        chance = np.einsum("cd,cd->c", halves[0], halves[1][:, pairs])
        statistics.append((chance.max(), chance.mean()))
    maxima, means = np.array(statistics).T
    rho = np.einsum("cd,cd->c", *halves)
    return rho, {"maximum": maxima[0], "p_maximum": share_reached(maxima),
                 "mean": means[0], "p_mean": share_reached(means)}  # fmt: skip


def split_half(estimates, neighbors, relabellings: np.ndarray) -> dict:
    """Return the reliability of the RDMs, and the test of a centre that the other half chose."""
    centres = np.flatnonzero(np.diff(neighbors.indptr) > 0)
    odd, even = (rdms_at_centres(half(estimates, which), neighbors, centres) for which in (1, 0))
    rho, test = agreement(odd, even)
    found = {"centres": centres, "rho": rho, "test": test}
    fits = [nd.compare_rdms(as_rdms(rows), as_rdms(relabellings), comparison=COMPARISON).to_numpy()
            for rows in (odd, even)]  # fmt: skip
    for name, chooser, tester in (("even", 0, 1), ("odd", 1, 0)):
        held_out = fits[tester][int(np.argmax(fits[chooser][:, 0]))]
        found[f"tested in {name} runs"] = float(held_out[0]), share_reached(held_out)
    return found


# %%
# Figures and tables
# ------------------
def draw(maps: dict[str, np.ndarray], mask: nib.Nifti1Image, reliability: np.ndarray,
         rdm: np.ndarray) -> Figure:  # fmt: skip
    """Return the maps of the models, that of the reliability, and the RDM of the best centre."""
    figure = Figure(figsize=(14, 6.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[3, 1.1])
    limit = max(np.nanmax(np.abs(values)) for values in maps.values())
    shown = {**maps, "split halves agree": reliability}
    for axis, (name, values) in zip(left.subplots(2, 3).ravel(), shown.items(), strict=True):
        own = limit if name in maps else 1
        picture = axis.imshow(slice_picture(values, mask), cmap="RdBu_r", vmin=-own, vmax=own,
                              origin="lower", aspect=3.75 / 3.1)  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[], facecolor="0.85")
        axis.text(0.02, 0.02, "L", transform=axis.transAxes)
        axis.text(0.94, 0.02, "R", transform=axis.transAxes)
        label = "rho-a with the model" if name in maps else "Spearman's rho, odd v. even runs"
        left.colorbar(picture, ax=axis, location="bottom", shrink=0.8, label=label)
    top, bottom = right.subplots(2, 1)
    picture = top.imshow(squareform(rdm), cmap="viridis")
    right.colorbar(picture, ax=top, label="squared distance per voxel")
    top.set_title("crossnobis RDM where\n'category' fits best (all runs)")
    bottom.imshow(model_rdm(GROUPS["category"]), cmap="Greys")
    bottom.set_title("the model 'category' (white 0, black 1)")
    for axis in (top, bottom):
        axis.set_xticks(range(8), CATEGORIES, rotation=60, ha="right")
        axis.set_yticks(range(8), CATEGORIES)
    return figure


def slice_picture(values: np.ndarray, mask: nib.Nifti1Image) -> np.ndarray:
    """Return the slice as rows from posterior to anterior, columns from left to right."""
    inside = np.asarray(mask.dataobj) > 0
    volume = np.full(inside.shape, np.nan)
    volume[inside] = values
    turned = nib.as_closest_canonical(nib.Nifti1Image(volume, mask.affine))
    return np.asarray(turned.dataobj)[:, :, 0].T


# %%
# The whole story
# ---------------
def main(argv: list[str] | None = None) -> int:
    """Run all steps and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURODNN_DATA"),
                        help="folder that holds fmri_haxby2001 (default: $NEURODNN_DATA)")
    parser.add_argument("--out", type=Path, default=Path("haxby"), help="folder of the results")
    arguments = parser.parse_args(argv)
    if arguments.data is None or not (Path(arguments.data) / "fmri_haxby2001").is_dir():
        parser.error("--data: no folder fmri_haxby2001 there; see datasets/haxby2001")
    root, out = arguments.out / "bids", arguments.out / "neurodnn"
    make_bids(Path(arguments.data) / "fmri_haxby2001", root)
    models = write_models(arguments.out / "models")
    summary = run_app(root, out, models, arguments.out / "work")

    mask_file = root / "derivatives" / "slices" / f"sub-{SUBJECT}" / "func" / (
        f"sub-{SUBJECT}_task-{TASK}_run-01_desc-brain_mask.nii.gz")  # fmt: skip
    mask = nib.load(mask_file)
    inside = np.asarray(mask.dataobj) > 0
    maps = {entry["Reference"]: nib.load(out / entry["Path"]).get_fdata()[inside]
            for entry in summary["Maps"]}  # fmt: skip
    estimates = fit_runs(root)
    neighbors = nd.sphere_neighbors(mask_file, RADIUS, min_share=MIN_SHARE)
    world = nib.affines.apply_affine(mask.affine, np.argwhere(inside))

    rows, relabellings = [], {}
    for name, groups in GROUPS.items():
        relabellings[name] = relabelled(groups)
        scores = scores_of(estimates, neighbors, relabellings[name])
        # The test must be about the map that the App wrote, not about another one.
        if not np.allclose(scores[:, 0], maps[name], atol=1e-5, equal_nan=True):
            raise SystemExit(f"{name}: the map of the BIDS App could not be reproduced")
        centre = world[int(np.nanargmax(scores[:, 0]))]
        rows.append({"model": name, "relabellings": len(relabellings[name]),
                     **exact_test(scores), **dict(zip("xyz", centre, strict=True))})  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out / "models.tsv", sep="\t", index=False, float_format="%.4f")

    halves = split_half(estimates, neighbors, relabellings["category"])
    reliability = np.full(len(world), np.nan)
    reliability[halves["centres"]] = halves["rho"]
    peak = int(np.nanargmax(maps["category"]))
    everything = (estimates.patterns, estimates.residuals)
    rdm = rdms_at_centres(everything, neighbors, np.array([peak]))[0]
    figure = draw(maps, mask, reliability, rdm)
    figure.savefig(arguments.out / "haxby_slice_searchlight.png", dpi=120)
    text = report(table, halves, reliability, peak)
    (arguments.out / "results.txt").write_text(text)
    sys.stdout.write(text)
    return 0


def report(table: pd.DataFrame, halves: dict, reliability: np.ndarray, peak: int) -> str:
    """Return the findings in words."""
    test = halves["test"]
    lines = [
        table.to_string(index=False, float_format=lambda value: f"{value:.3f}"),
        "",
        "Scores: rho-a of model and crossnobis RDM. p: exact, all relabellings of the categories; "
        "p_maximum is corrected over all centres. x, y, z: mm, of the maximum.",
        "'category' and the maximum were chosen before anything was computed; the mean is a "
        "second try; the other models describe.",
        f"Split halves (odd v. even runs), Spearman's rho of the 28 distances: mean over centres "
        f"{test['mean']:.3f} (p {test['p_mean']:.5f}), highest {test['maximum']:.3f} (p "
        f"{test['p_maximum']:.4f}, corrected over centres), median "
        f"{np.nanmedian(reliability):.3f}, at the peak of 'category' "
        f"{reliability[peak]:.3f}; p exact over 8! relabellings.",
    ]
    for name in ("even", "odd"):
        score, p = halves[f"tested in {name} runs"]
        lines.append(
            f"'category' in {name} runs at the centre chosen by the other half: rho-a {score:.3f} "
            f"(p {p:.4f})."
        )
    lines.append(
        "One person, one slice, eight categories: the tests generalise to other labels of these "
        "categories, neither to other people nor to other categories."
    )
    return "\n".join(lines) + "\n"


# %%
if __name__ == "__main__":
    raise SystemExit(main())
