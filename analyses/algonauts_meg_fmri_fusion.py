"""When does which part of the visual brain see what a layer sees? 92 photographs, MEG with fMRI
==============================================================================================

Early visual cortex (EVC) and inferior temporal cortex (IT) from fMRI, an early (70-90 ms) and a
late (140-160 ms) window of MEG: RDMs of 15 people who looked at 92 photographs (Algonauts
challenge 2019; data of Cichy et al. 2014, 2016). A place and a time that treat the photographs
alike show the same thing, so fusing the two tells where something happens *and* when. What a layer
of a network shares with that agreement says *what* it is.

The steps, each a cell:

1. read the RDMs of the brain, by name;
2. fuse: every person's places with the mean MEG of all 15 (the files do not say who is who);
3. ask whether EVC goes with early and IT with late over people (double dissociation);
4. narrow the fusion to each layer of SqueezeNet: the variance that time, place and layer share;
5. write tables, a figure and the reading.

    python analyses/algonauts_meg_fmri_fusion.py --data FOLDER --out FOLDER

``--data`` holds ``rdm92`` (``datasets/algonauts2019_92/registry.txt``) and ``nets``; the
environment variable NEURODNN_DATA does as well. It takes about a minute on one core.

Cichy RM, Pantazis D, Oliva A (2014), Nature Neuroscience 17, 455-462; (2016), Cerebral Cortex 26,
3563-3579. Hebart MN et al. (2018), eLife 7, e32816. Iandola FN et al. (2016), arXiv:1602.07360.
"""

# %%
# Imports, and what was decided before looking at any result
# ----------------------------------------------------------
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

import neurodnn as nd

N_IMAGES = 92
REGIONS = {"EVC": "EVC_RDMs", "IT": "IT_RDMs"}
WINDOWS = {0.08: "MEG_RDMs_early", 0.15: "MEG_RDMs_late"}  # centre in s -> variable
EARLY, LATE = WINDOWS
STAGES = ["conv1", *(f"fire{i}" for i in range(2, 10)), "scores"]
MODULES = [f"features.{i}" for i in (1, 3, 4, 5, 7, 8, 9, 10, 12)] + ["classifier.3"]


# %%
# 1. The RDMs of the brain
# ------------------------
# The MEG file is sorted by category, the fMRI file by number; with names attached nobody has to
# remember that again.
def read_brain(folder: Path) -> tuple[dict[str, RDMs], dict[str, RDMs]]:
    """Return the movies of MEG by person, and the RDMs of fMRI by region."""
    names = np.array([f"image_{i + 1:02d}" for i in range(N_IMAGES)])
    with np.load(folder / "rdm92.npz", allow_pickle=False) as archive:
        by_category = list(names[archive["category8_order"]])
    people = [f"{i:02d}" for i in range(1, 16)]
    regions = {}
    for region, variable in REGIONS.items():
        rdms = nd.read_rdms(folder / "original" / "target_fmri_92.mat", label=variable,
                            names=list(names))  # fmt: skip
        rdms.rdm_descriptors["subject"] = people
        regions[region] = rdms
    windows = [
        nd.read_rdms(folder / "original" / "rearranged_meg_92.mat", label=variable,
                     names=by_category)
        for variable in WINDOWS.values()
    ]  # fmt: skip
    movies = {
        person: RDMs(
            np.stack([window.dissimilarities[i] for window in windows]),
            rdm_descriptors={"time": list(WINDOWS)},
            pattern_descriptors={"stimulus": by_category},
        )
        for i, person in enumerate(people)
    }
    return movies, regions


# %%
# 2. and 3. Fusion, and the double dissociation
# ---------------------------------------------
# ``paired`` would compare each person's places with that person's own MEG.
def fuse(
    movies: dict[str, RDMs], regions: dict[str, RDMs]
) -> tuple[xr.DataArray, xr.DataArray, xr.Dataset]:
    """Return the fusion of the mean RDMs, that of every person, and the test over people."""
    means = {region: mean_of(rdms) for region, rdms in regions.items()}
    scores = nd.fuse_regions(movies, regions)
    tested = nd.double_dissociation_test(
        scores, rows=("region", ("EVC", "IT")), columns=("time", (EARLY, LATE)),
        n_permutations="exact",
    )  # fmt: skip
    return nd.fuse_regions(movies, means).isel(subject=0), scores, tested


def mean_of(rdms: RDMs) -> RDMs:
    """Return the plain mean RDM, as that of one person."""
    return RDMs(
        rdms.dissimilarities.mean(axis=0, keepdims=True),
        rdm_descriptors={"subject": ["mean"]},
        pattern_descriptors={"stimulus": list(rdms.pattern_descriptors["stimulus"])},
    )


# %%
# 4. What the layers share with it
# --------------------------------
# Commonality of three RDMs, in ranks; it may be negative (suppression) and is never clipped. Its
# mean is above zero even where the brain's RDM is noise, because noise that looks like the MEG
# looks like the layer as well, as far as these two are alike. So the photographs of every place
# are shuffled against MEG and layers together, and what that gives on average is taken off before
# the signs of people are flipped. 10 stages x 2 places x 2 times are one family.
N_SHUFFLES = 100


def read_layers(data: Path) -> RDMs:
    """Return the RDMs of ten stages of the network, on the photographs as they were shown."""
    network, transform = nd.load_network(
        "torchvision:squeezenet1_0",
        weights=data / "nets" / "squeezenet1_0_imagenet.pth",
        image_transform="whole:227",
    )
    folder = data / "rdm92" / "images_grey"
    pictures = nd.open_images(nd.read_stimuli(folder), folder, transform=transform)
    rdms = nd.layer_rdms(network, pictures, MODULES)
    rdms.rdm_descriptors["reference"] = list(STAGES)
    return rdms


def share_of_layers(
    movies: dict[str, RDMs], regions: dict[str, RDMs], layers: RDMs
) -> tuple[xr.DataArray, xr.DataArray, xr.Dataset]:
    """Return shared variance (subject, region, time, reference), its chance level, and the test."""
    course = nd.compare_movie(nd.mean_movie(movies), layers)
    shares = shares_of(movies, regions, layers, course)
    rng = np.random.default_rng(0)
    chance = xr.zeros_like(shares)
    for _ in range(N_SHUFFLES):
        order = rng.permutation(N_IMAGES)
        shuffled = {name: shuffle(rdms, order) for name, rdms in regions.items()}
        chance = chance + shares_of(movies, shuffled, layers, course) / N_SHUFFLES
    excess = (shares - chance).assign_attrs(shares.attrs)
    return shares, chance, nd.sign_flip_test(excess, n_permutations="exact", tail="greater")


def shares_of(
    movies: dict[str, RDMs], regions: dict[str, RDMs], layers: RDMs, course: xr.DataArray
) -> xr.DataArray:
    """Return the variance that place, time and layer share (subject, region, time, reference)."""
    scores = nd.fuse_regions(movies, regions)
    places = xr.concat(
        [nd.compare_rdms(regions[name], layers) for name in scores["region"].values],
        dim=pd.Index(scores["region"].values, name="region"), combine_attrs="override",
    )  # fmt: skip
    shared = [nd.layer_fusion(scores, course, places, layer=stage)["shared"] for stage in STAGES]
    return xr.concat(shared, dim=pd.Index(STAGES, name="reference"), combine_attrs="override")


def shuffle(rdms: RDMs, order: np.ndarray) -> RDMs:
    """Return the RDMs with their photographs in another order under the same names."""
    moved = rdms.get_matrices()[:, order][:, :, order]
    upper = np.triu_indices(N_IMAGES, 1)
    return RDMs(
        moved[:, *upper],
        rdm_descriptors={"subject": list(rdms.rdm_descriptors["subject"])},
        pattern_descriptors={"stimulus": list(rdms.pattern_descriptors["stimulus"])},
    )


# %%
# 5. Table, figure and reading
# ----------------------------
def table_of(
    shares: xr.DataArray, chance: xr.DataArray, tested: xr.Dataset, total: xr.DataArray
) -> pd.DataFrame:
    """Return one row per stage, place and time."""
    rows = []
    for stage in STAGES:
        for region in REGIONS:
            for time in WINDOWS:
                cell = {"reference": stage, "region": region, "time": time}
                rows.append({
                    **cell,
                    "shared": float(shares.sel(cell).mean()),
                    "chance": float(chance.sel(cell).mean()),
                    "total": float(total.sel(region=region, time=time)),
                    "p_fwe": float(tested["p_fwe"].sel(cell)),
                })  # fmt: skip
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """Return the figure: a panel per place, a line per window, over the stages."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    looks = {EARLY: ("#0072B2", "o", "70-90 ms"), LATE: ("#D55E00", "s", "140-160 ms")}
    for panel, region in zip(axes, REGIONS, strict=True):
        for time, (colour, marker, words) in looks.items():
            rows = table[(table["region"] == region) & (table["time"] == time)]
            x, y = np.arange(len(rows)), 100 * rows["shared"].to_numpy()
            panel.plot(x, y, color=colour, linewidth=1.2)
            for sure in (True, False):
                at = (rows["p_fwe"].to_numpy() < 0.05) == sure
                panel.plot(x[at], y[at], linestyle="none", marker=marker, markersize=5,
                           color=colour, markerfacecolor=colour if sure else "white",
                           label=words if sure else None)  # fmt: skip
            panel.axhline(100 * rows["total"].iloc[0], color=colour, linewidth=0.8,
                          linestyle=(0, (4, 3)))  # fmt: skip
        panel.set_title(region, fontsize=10)
        panel.set_xticks(np.arange(len(STAGES)), STAGES, rotation=60, ha="right", fontsize=8)
        panel.axhline(0, color="0.6", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("Shared variance of MEG, place and layer (%)", fontsize=8)
    axes[1].legend(frameon=False, fontsize=8, title="MEG", title_fontsize=8)
    figure.suptitle("What a layer of SqueezeNet shares with the fusion of MEG and fMRI",
                    fontsize=10)  # fmt: skip
    figure.supxlabel("Dashed: all that place and time share. Filled: above chance, p < .05 over "
                     "people, largest of 40 cells.", fontsize=7)  # fmt: skip
    return figure


def reading_of(means: xr.DataArray, tested: xr.Dataset, table: pd.DataFrame) -> str:
    """Return what the numbers say; they decide the words."""
    lines = ["Spearman's rho of the mean RDMs:", means.to_pandas().round(3).to_string(), ""]
    for name, mean, p in zip(tested["reference"].values, tested["mean"].values,
                             tested["p_fwe"].values, strict=True):  # fmt: skip
        lines.append(f"{name} s: {mean:+.3f}, p = {p:.4f} (exact sign flips of 15 people, largest "
                     "of 3)")  # fmt: skip
    crossed = bool((tested["mean"] > 0).all() and (tested["p_fwe"] < 0.05).all())
    lines.append("EVC goes with the early and IT with the late window"
                 + (", for other people as well." if crossed else "? Not shown."))  # fmt: skip
    for region, time in (("EVC", EARLY), ("IT", LATE)):
        rows = table[(table["region"] == region) & (table["time"] == time)]
        best = rows.loc[rows["shared"].idxmax()]
        lines.append(f"{region} at {1000 * time:.0f} ms: {best['reference']} shares most, "
                     f"{100 * best['shared']:.1f} of {100 * best['total']:.1f} % "
                     f"(p = {best['p_fwe']:.4f})")  # fmt: skip
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Run all steps; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURODNN_DATA"),
                        help="folder with rdm92 and nets (default: NEURODNN_DATA)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        parser.error("give --data or set NEURODNN_DATA")
    data = Path(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)

    movies, regions = read_brain(data / "rdm92")
    means, scores, dissociation = fuse(movies, regions)
    shares, chance, tested = share_of_layers(movies, regions, read_layers(data))
    table = table_of(shares, chance, tested, (scores**2).mean("subject"))
    table.to_csv(arguments.out / "layer_fusion.tsv", sep="\t", index=False, float_format="%.5f")
    draw(table).savefig(arguments.out / "layer_fusion.png", dpi=200)
    text = reading_of(means, dissociation, table)
    (arguments.out / "results.txt").write_text(text)
    sys.stdout.write(text)
    return 0


# %%
if __name__ == "__main__":
    raise SystemExit(main())
