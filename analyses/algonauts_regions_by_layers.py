"""Which layers of which network go with which part of the brain? 92 photographs, 15 people
=======================================================================================

The RDMs of early visual cortex (EVC) and inferior temporal cortex (IT), from fMRI, and of an early
(70-90 ms) and a late (140-160 ms) window of MEG, were published for 15 people who looked at 92
photographs (Algonauts challenge 2019; data of Cichy et al. 2014, 2016). Here they meet the layers
of two networks of one family: SqueezeNet trained on objects (ImageNet) and SqueezeNet trained on
scenes (Places365); and, because an untrained network is no straw man on this set, the same
architectures without any training.

The steps, each a cell:

1. read the RDMs of the brain, by name: the two files list the photographs in different orders;
2. make the RDM of every layer of every network from the photographs as they were shown (grey
   background, whole picture);
3. compare every layer with every person's RDM, and bound what any model could reach (noise
   ceilings);
4. test over people: all 32,768 sign flips, the maximum over the 4 measurements x 10 layers of a
   network; the same for trained less untrained;
5. write a table and a figure.

    python analyses/algonauts_regions_by_layers.py --data FOLDER --out FOLDER

``--data`` holds ``rdm92`` (``datasets/algonauts2019_92/registry.txt``) and ``nets``; the
environment variable NEURODNN_DATA does as well. It takes about three minutes on one core.

Cichy RM, Pantazis D, Oliva A (2014), Nature Neuroscience 17, 455-462; (2016), Cerebral Cortex 26,
3563-3579. Cichy RM et al. (2019), arXiv:1905.05675. Iandola FN et al. (2016), arXiv:1602.07360.
"""

# %%
# Imports, and what was decided before looking at any result
# ----------------------------------------------------------
from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

import neurodnn as nd

N_IMAGES = 92
MEASUREMENTS = {  # label -> file, variable
    "EVC": ("target_fmri_92.mat", "EVC_RDMs"),
    "IT": ("target_fmri_92.mat", "IT_RDMs"),
    "MEG early": ("rearranged_meg_92.mat", "MEG_RDMs_early"),
    "MEG late": ("rearranged_meg_92.mat", "MEG_RDMs_late"),
}
# The same ten stages in both versions of the architecture, whose modules are numbered otherwise
# because version 1.1 pools earlier.
STAGES = ["conv1", *(f"fire{i}" for i in range(2, 10)), "scores"]
MODULES = {
    "squeezenet1_0": [1, 3, 4, 5, 7, 8, 9, 10, 12],
    "squeezenet1_1": [1, 3, 4, 6, 7, 9, 10, 11, 12],
}


class Model(NamedTuple):
    """A network, or several drawings of one, and what it takes to build it."""

    architecture: str
    weights: str | None  # in the folder ``nets``; None is untrained
    size: int  # pixels, each side
    activation: str | None  # what stands in place of every ReLU
    control: str | None  # the untrained counterpart


# The scene network was trained with a leaky rectifier; without it its weights mean nothing.
LEAKY = "LeakyReLU(0.55)"
MODELS = {
    "objects": Model("squeezenet1_0", "squeezenet1_0_imagenet.pth", 227, None, "untrained"),
    "scenes": Model("squeezenet1_1", "squeezenet1_1_places365.pth", 224, LEAKY, "untrained leaky"),
    "untrained": Model("squeezenet1_0", None, 227, None, None),
    "untrained leaky": Model("squeezenet1_1", None, 224, LEAKY, None),
}


# %%
# 1. The RDMs of the brain
# ------------------------
# The MEG file is sorted by category, the fMRI file by number; ``rdm92.npz`` holds the order. With
# the names attached nobody has to remember that again: everything below matches by name.
def read_brain(folder: Path) -> dict[str, RDMs]:
    """Return 15 RDMs per measurement, named."""
    names = np.array([f"image_{i + 1:02d}" for i in range(N_IMAGES)])
    with np.load(folder / "rdm92.npz", allow_pickle=False) as archive:
        by_category = names[archive["category8_order"]]
    return {
        label: nd.read_rdms(
            folder / "original" / file,
            label=variable,
            names=list(by_category if file.startswith("rearranged") else names),
        )
        for label, (file, variable) in MEASUREMENTS.items()
    }


def read_human_it(folder: Path) -> RDMs:
    """Return the mean RDM of human IT of 2008: 4 people, two recordings each, another scanner."""
    names = [f"image_{i + 1:02d}" for i in range(N_IMAGES)]
    recordings = nd.read_rdms(folder / "original" / "92_brainRDMs.mat", names=names)
    return mean_rdm(recordings)


def mean_rdm(rdms: RDMs) -> RDMs:
    """Return the plain mean of RDMs."""
    return RDMs(
        rdms.dissimilarities.mean(axis=0, keepdims=True),
        pattern_descriptors={"stimulus": list(rdms.pattern_descriptors["stimulus"])},
    )


# %%
# 2. The RDMs of the layers
# -------------------------
# 1 - Pearson correlation over all activations of a layer. ``whole`` resizes the picture as it is:
# a central crop would throw away what people saw.
def module_names(architecture: str) -> list[str]:
    """Return the torch names of the ten stages."""
    return [f"features.{i}" for i in MODULES[architecture]] + ["classifier.3"]


def read_network(model: Model, folder: Path, images: Path, seed: int) -> RDMs:
    """Return the RDMs of the ten stages of one network."""
    weights = None if model.weights is None else folder / model.weights
    name = f"torchvision:{model.architecture}" + ("@none" if weights is None else "")
    network, transform = nd.load_network(
        name,
        weights=weights,
        seed=seed,
        image_transform=f"whole:{model.size}",
        activation=model.activation,
    )
    pictures = nd.open_images(nd.read_stimuli(images), images, transform=transform)
    rdms = nd.layer_rdms(network, pictures, module_names(model.architecture))
    rdms.rdm_descriptors["reference"] = list(STAGES)
    return rdms


# %%
# 3. Scores and ceilings
# ----------------------
# Spearman's rank correlation of a layer's RDM with each person's. The noise ceiling pools people
# by ranks, as the measure demands; the challenge's own figures pool plain RDMs and are printed
# beside it.
def scores_of(brain: dict[str, RDMs], layers: list[RDMs]) -> xr.DataArray:
    """Return measurement x subject x reference; the mean over drawings of an untrained network."""
    parts = [
        xr.concat([nd.compare_rdms(rdms, each) for rdms in brain.values()], dim="region")
        for each in layers
    ]
    return sum(parts[1:], parts[0]).assign_coords(region=list(brain)) / len(parts)


def ceilings_of(brain: dict[str, RDMs]) -> dict[str, tuple[float, float]]:
    """Return lower and upper noise ceiling per measurement."""
    return {label: tuple(nd.noise_ceiling(rdms)) for label, rdms in brain.items()}


# %%
# 4. Tests over people
# --------------------
# One family per network: 4 measurements x 10 stages. Two-sided, because a layer may well be
# reliably *unlike* a region, as the early layers of the scene network are here.
def test_of(scores: xr.DataArray) -> xr.Dataset:
    """Return the exact sign-flip test, corrected over measurements and stages."""
    return nd.sign_flip_test(scores, n_permutations="exact", family=("region", "reference"))


def table_of(
    scores: dict[str, xr.DataArray], layers: dict[str, list[RDMs]], means: dict[str, RDMs]
) -> pd.DataFrame:
    """Return one row per network, measurement and stage."""
    rows = []
    for name, score in scores.items():
        model, test = MODELS[name], test_of(score)
        gain = None if model.control is None else test_of(score - scores[model.control])
        groups = {
            label: sum(nd.compare_rdms(mean, each).values[0] for each in layers[name])
            / len(layers[name])
            for label, mean in means.items()
        }
        n_people = score.sizes["subject"]
        for label in means:
            for i, (stage, module) in enumerate(
                zip(STAGES, module_names(model.architecture), strict=True)
            ):
                row = {"network": name, "measurement": label, "stage": stage, "module": module,
                       "rho_of_mean_rdm": groups[label][i]}  # fmt: skip
                if label in MEASUREMENTS:
                    cell = {"region": label, "reference": stage}
                    row |= {key: test[key].sel(cell).item() for key in ("mean", "t", "p", "p_fwe")}
                    row["sem"] = score.sel(cell).std("subject", ddof=1).item() / n_people**0.5
                    if gain is not None:
                        row["gain"] = gain["mean"].sel(cell).item()
                        row["gain_p_fwe"] = gain["p_fwe"].sel(cell).item()
                rows.append(row)
    return pd.DataFrame(rows)


# %%
# 5. Figure and report
# --------------------
def draw(scores: dict[str, xr.DataArray], ceilings: dict, table: pd.DataFrame):
    """Return the figure: one panel per measurement, one line per network."""
    shown = {"objects": "trained on objects", "scenes": "trained on scenes",
             "untrained": "untrained (mean of all drawings)"}  # fmt: skip
    frames = []
    for name, label in shown.items():
        frame = scores[name].to_dataframe(name="score").reset_index()
        p = table[table["network"] == name].rename(
            columns={"measurement": "region", "stage": "reference"}
        )
        p = p.drop(columns="p").rename(columns={"p_fwe": "p"})
        frame = frame.merge(p[["region", "reference", "p"]], on=["region", "reference"])
        frames.append(frame.assign(group=label))
    long = pd.concat(frames)
    order = {stage: i for i, stage in enumerate(STAGES)}
    long = long.iloc[np.argsort(long["reference"].map(order).to_numpy(), kind="stable")]
    return nd.plot_regions(
        long,
        ceilings=ceilings,
        ncols=2,
        p_meaning="exact sign-flip test over 15 people, two-sided, corrected by the maximum over "
        "4 measurements x 10 stages of each network",
        title="92 photographs: layers of SqueezeNet and the human brain",
    )


def report(brain: dict[str, RDMs], table: pd.DataFrame, n_seeds: int) -> str:
    """Return the findings in words."""
    lines = ["Noise ceilings, Spearman (rank-pooled lower/upper; plain lower/upper; R2 of 2019):"]
    for label, rdms in brain.items():
        pooled, plain = nd.noise_ceiling(rdms), nd.noise_ceiling(rdms, rule="plain")
        squared = nd.noise_ceiling(rdms, rule="algonauts").upper
        lines.append(f"  {label:10s} {pooled.lower:.4f}/{pooled.upper:.4f}  "
                     f"{plain.lower:.4f}/{plain.upper:.4f}  {squared:.4f}")  # fmt: skip
    lines.append("\nMean rho over people; * p < .05 corrected; + above the untrained control:")
    tested = table[table["measurement"].isin(MEASUREMENTS)]
    marked = tested.assign(
        text=tested["mean"].map("{:.3f}".format)
        + np.where(tested["p_fwe"] < 0.05, "*", " ")
        + np.where((tested["gain_p_fwe"] < 0.05) & (tested["gain"] > 0), "+", " ")
    )
    wide = marked.pivot(index=["network", "measurement"], columns="stage", values="text")
    wide = wide.reindex(columns=STAGES, index=pd.MultiIndex.from_product([MODELS, MEASUREMENTS]))
    lines += [wide.to_string(), "", "Rho of the mean RDMs:"]
    wide = table.pivot(index=["network", "measurement"], columns="stage", values="rho_of_mean_rdm")
    index = pd.MultiIndex.from_product([MODELS, [*MEASUREMENTS, "human IT 2008"]])
    lines.append(wide.reindex(columns=STAGES, index=index).to_string(float_format="{:.3f}".format))
    lines.append(
        f"\nUntrained: mean over {n_seeds} drawings of the weights. Exact sign flips (2^15), "
        "two-sided, maximum over 4 measurements x 10 stages of a network. The tests generalise to "
        "other people, not to other photographs."
    )
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Run all steps; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURODNN_DATA"),
                        help="folder with rdm92 and nets (default: NEURODNN_DATA)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=3, help="drawings of untrained weights")
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        parser.error("give --data or set NEURODNN_DATA")
    data = Path(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)

    brain = read_brain(data / "rdm92")
    means = {label: mean_rdm(rdms) for label, rdms in brain.items()}
    means["human IT 2008"] = read_human_it(data / "rdm92")
    layers = {}
    for name, model in MODELS.items():
        seeds = range(arguments.seeds if model.weights is None else 1)
        images = data / "rdm92" / "images_grey"
        layers[name] = [read_network(model, data / "nets", images, seed) for seed in seeds]
    scores = {name: scores_of(brain, each) for name, each in layers.items()}
    with warnings.catch_warnings():
        # told once, in the report: a few cells are skewed over people
        warnings.simplefilter("default", nd.DataWarning)
        table = table_of(scores, layers, means)
    table.to_csv(arguments.out / "regions_by_layers.tsv", sep="\t", index=False,
                 float_format="%.5f", na_rep="n/a")  # fmt: skip
    figure = draw(scores, ceilings_of(brain), table)
    figure.savefig(arguments.out / "regions_by_layers.png", dpi=150)
    text = report(brain, table, arguments.seeds)
    (arguments.out / "results.txt").write_text(text)
    sys.stdout.write(text)
    return 0


# %%
if __name__ == "__main__":
    raise SystemExit(main())
