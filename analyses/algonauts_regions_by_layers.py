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
3. compare every layer with every person's RDM, bound what any model could reach (noise
   ceilings), and ask of every cell whether it would hold with other people (sign flips), with
   other photographs (labels permuted), and with both exchanged (two-factor bootstrap);
4. hold networks against one another, layer by layer: trained on objects against trained on
   scenes, and each against its own architecture without training;
5. ask whether later parts of the brain go with later layers;
6. write tables, two figures and the reading.

    python analyses/algonauts_regions_by_layers.py --data FOLDER --out FOLDER

``--data`` holds ``rdm92`` (``datasets/algonauts2019_92/registry.txt``) and ``nets``; the
environment variable NEURODNN_DATA does as well. It takes about five minutes on one core.

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
# 3. and 4. Scores, ceilings, tests and differences
# -------------------------------------------------
# One family per network: 4 measurements x 10 stages. Two-sided, because a layer may well be
# reliably *unlike* a region, as the early layers of the scene network are here. Differences are
# paired: the same people, the same draws of photographs. An untrained network is the mean score
# over several drawings of its weights: one drawing may differ from the next by a lot here.
N_PERMUTATIONS = 32_780  # all 2**15 sign flips of 15 people; as many orders of the labels
MEASURES = ("", "gain_")
KINDS = {"subjects": "people", "subjects and stimuli": "both"}  # in the package, in the table


def test_networks(
    brain: dict[str, RDMs], layers: dict[str, list[RDMs]], n_jobs: int
) -> dict[str, xr.Dataset]:
    """Return the tests of each network, and under "objects - scenes" those of the difference."""
    tests = {
        name: nd.region_hierarchy(
            brain, layers[name], control=layers.get(model.control),
            n_permutations=N_PERMUTATIONS, n_jobs=n_jobs,
        )  # fmt: skip
        for name, model in MODELS.items()
    }
    tests["objects - scenes"] = nd.region_hierarchy(
        brain, layers["objects"], control=layers["scenes"], n_permutations=N_PERMUTATIONS,
        n_jobs=n_jobs,
    )  # fmt: skip
    return tests


def columns_of(tests: xr.Dataset, cell: dict[str, str]) -> dict[str, float]:
    """Return the numbers of one cell: score and gain, each with errors, interval and p."""
    found = {"mean": tests["mean"].sel(cell).item()}
    if "gain" in tests:
        found["gain"] = tests["gain"].sel(cell).item()
    for measure in MEASURES:
        for name in ("standard_error", "low", "high", "p", "p_fwe"):
            if measure + name in tests:
                for kind, label in KINDS.items():
                    value = tests[measure + name].sel(cell | {"generalises_to": kind})
                    found[f"{measure}{name}_{label}"] = value.item()
    for name in ("p_labels", "p_labels_fwe"):
        found[name] = tests[name].sel(cell).item()
    return found


def table_of(
    tests: dict[str, xr.Dataset], layers: dict[str, list[RDMs]], means: dict[str, RDMs]
) -> pd.DataFrame:
    """Return one row per network, measurement and stage."""
    rows = []
    for name, model in MODELS.items():
        groups = {
            label: np.stack([nd.compare_rdms(mean, each).values[0] for each in layers[name]])
            for label, mean in means.items()
        }
        modules = module_names(model.architecture)
        for label in means:
            for i, stage in enumerate(STAGES):
                row = {"network": name, "measurement": label, "stage": stage, "module": modules[i],
                       "rho_of_mean_rdm": groups[label][:, i].mean(),
                       "range_over_drawings": np.ptp(groups[label][:, i])}  # fmt: skip
                cell = {"region": label, "reference": stage}
                if label in MEASUREMENTS:
                    row |= columns_of(tests[name], cell)
                    if name == "objects":
                        rival = columns_of(tests["objects - scenes"], cell)
                        row |= {
                            key.replace("gain", "over_scenes"): value
                            for key, value in rival.items()
                            if key.startswith("gain")
                        }
                rows.append(row)
    return pd.DataFrame(rows)


# %%
# 5. Do later parts of the brain go with later layers?
# ----------------------------------------------------
# In space from early visual to inferior temporal cortex, in time from the early to the late
# window: the slope of the score on the stage in each, the best stage, and how far it rises.
STREAMS = {"space": ("EVC", "IT"), "time": ("MEG early", "MEG late")}


def orders_of(
    brain: dict[str, RDMs], layers: dict[str, list[RDMs]], n_jobs: int
) -> dict[tuple[str, str], xr.Dataset]:
    """Return the hierarchy of each network along each stream."""
    return {
        (name, stream): nd.region_hierarchy(
            {label: brain[label] for label in labels}, layers[name],
            n_permutations=N_PERMUTATIONS, n_jobs=n_jobs,
        )  # fmt: skip
        for name in MODELS
        for stream, labels in STREAMS.items()
    }


def order_table(orders: dict[tuple[str, str], xr.Dataset]) -> pd.DataFrame:
    """Return slopes, best stages and their rise, one row per network and measurement."""
    rows = []
    for (name, stream), found in orders.items():
        for label in STREAMS[stream]:
            row = {"network": name, "stream": stream, "measurement": label}
            row["best_stage"] = STAGES[int(found["best_layer"].sel(region=label)) - 1]
            row["slope"] = found["slope"].sel(region=label).item()
            row["rise_of_best_stage"] = found["order_slope"].item()
            row["rise_p_people_own_best"] = found["order_p"].item()
            for kind, short in KINDS.items():
                at = found.sel(generalises_to=kind)
                row[f"slope_p_{short}"] = at["slope_p"].sel(region=label).item()
                row[f"best_low_{short}"] = at["best_layer_low"].sel(region=label).item()
                row[f"best_high_{short}"] = at["best_layer_high"].sel(region=label).item()
                row[f"rise_p_{short}"] = at["order_slope_p"].item()
            rows.append(row)
    return pd.DataFrame(rows)


# %%
# 6. Figures and reading
# ----------------------
FAMILY = (
    "people: exact sign flips, largest of 4 measurements x 10 stages; people and photographs: t "
    "on the two-factor bootstrap, Holm over the same 40; two-sided"
)


def draw_scores(tests: dict[str, xr.Dataset]):
    """Return the figure of scores: a panel per measurement, a line per network."""
    shown = {"objects": "trained on objects", "scenes": "trained on scenes",
             "untrained": "untrained object network (mean of drawings)"}  # fmt: skip
    parts = [frame_of(tests[name], "", label) for name, label in shown.items()]
    ceilings = {
        label: tuple(tests["objects"]["ceiling"].sel(region=label).values)
        for label in MEASUREMENTS
    }
    return nd.plot_regions(
        pd.concat(parts), ceilings=ceilings, ncols=2, p_meaning=FAMILY,
        interval_meaning="95 % interval for new people and new photographs",
        title="92 photographs: layers of SqueezeNet and the human brain",
    )  # fmt: skip


def draw_differences(tests: dict[str, xr.Dataset]):
    """Return the figure of differences between networks, layer by layer."""
    shown = {"objects": "objects less its untrained self",
             "objects - scenes": "objects less scenes",
             "scenes": "scenes less its untrained self"}  # fmt: skip
    parts = [frame_of(tests[name], "gain_", label) for name, label in shown.items()]
    return nd.plot_regions(
        pd.concat(parts), ncols=2, p_meaning=FAMILY, unit="difference of Spearman rho",
        interval_meaning="95 % interval for new people and new photographs",
        title="What training adds, and which training",
    )  # fmt: skip


def frame_of(tests: xr.Dataset, measure: str, label: str) -> pd.DataFrame:
    """Return the table that `plot_regions` draws from."""
    both, people = (tests.sel(generalises_to=kind) for kind in reversed(KINDS))
    columns = {
        "score": tests["gain" if measure else "mean"], "low": both[measure + "low"],
        "high": both[measure + "high"], "p": people[measure + "p_fwe"],
        "p_both": both[measure + "p_fwe"],
    }  # fmt: skip
    if not measure:
        columns["p_stimuli"] = tests["p_labels_fwe"]
    frames = [
        array.reset_coords(drop=True).to_series().rename(name) for name, array in columns.items()
    ]
    frame = pd.concat(frames, axis=1).reset_index().assign(group=label)
    place = {stage: i for i, stage in enumerate(STAGES)}
    return frame.sort_values("reference", key=lambda names: names.map(place), kind="stable")


def reading_of(table: pd.DataFrame, orders: pd.DataFrame, n_seeds: int) -> str:
    """Return two sentences; which words they hold, the numbers decide."""
    mine = orders[orders["network"] == "objects"].set_index("measurement")
    rises = [
        f"{mine.loc[early, 'best_stage']} ({early}) to {mine.loc[late, 'best_stage']} ({late}) in "
        f"{stream}, {verdict_on(mine.loc[early])}"
        for stream, (early, late) in STREAMS.items()
    ]
    tested = table[table["mean"].notna()]
    objects, scenes = (tested[tested["network"] == name] for name in ("objects", "scenes"))
    return (
        f"The stage of the object network that fits best goes from {' and from '.join(rises)}. "
        f"Of 40 cells that network is, for other people, {tally(objects, 'gain')} its untrained "
        f"self and {tally(objects, 'over_scenes')} the scene network, while the scene network is "
        f"{tally(scenes, 'gain')} its own untrained self (in brackets: for other people and other "
        "photographs; an untrained self is the mean of these "
        f"{n_seeds} drawings of weights, and nothing is said of others)."
    )


def verdict_on(row: pd.Series) -> str:
    """Return whether the best stage moves, and for whom that holds."""
    rise, people, both = (row[key] for key in ("rise_of_best_stage", "rise_p_people",
                                               "rise_p_both"))  # fmt: skip
    if rise == 0:
        return "no change"
    move = "a rise" if rise > 0 else "a fall"
    numbers = f"(p {p_text(people)}, p {p_text(both)})"
    if both < 0.05:
        return f"{move} that holds for other people and for other photographs as well {numbers}"
    if people < 0.05:
        return f"{move} that holds for other people but not for other photographs as well {numbers}"
    return f"{move} that does not hold for other people, whatever the photographs {numbers}"


def tally(rows: pd.DataFrame, measure: str) -> str:
    """Return in how many cells a network is reliably above and below another."""
    counts = {}
    for label in KINDS.values():
        reliable = rows[f"{measure}_p_fwe_{label}"] < 0.05
        counts[label] = [int((reliable & (sign * rows[measure] > 0)).sum()) for sign in (1, -1)]
    (above, below), (above_both, below_both) = counts.values()
    return f"in {above} [{above_both}] above and in {below} [{below_both}] below"


def p_text(p: float) -> str:
    """Return a p value for a sentence."""
    return f"= {p:.3f}" if p >= 0.001 else "< .001"


def report(
    brain: dict[str, RDMs], table: pd.DataFrame, orders: pd.DataFrame, n_seeds: int
) -> str:
    """Return the findings in words and numbers."""
    lines = ["Noise ceilings, Spearman (rank-pooled lower/upper; plain lower/upper; R2 of 2019):"]
    for label, rdms in brain.items():
        pooled, plain = nd.noise_ceiling(rdms), nd.noise_ceiling(rdms, rule="plain")
        squared = nd.noise_ceiling(rdms, rule="algonauts").upper
        lines.append(f"  {label:10s} {pooled.lower:.4f}/{pooled.upper:.4f}  "
                     f"{plain.lower:.4f}/{plain.upper:.4f}  {squared:.4f}")  # fmt: skip
    tested = table[table["mean"].notna()]
    marks = {"*": "p_fwe_people", "#": "p_fwe_both", "s": "p_labels_fwe"}
    legend = "* other people, # other people and photographs, s other photographs (labels)"
    lines += [f"\nMean rho over people; p < .05 corrected: {legend}:"]
    lines.append(marked_table(tested, "mean", marks))
    marks = {"*": "_p_fwe_people", "#": "_p_fwe_both"}
    for measure, heading in (("gain", "Less the untrained control"),
                             ("over_scenes", "Objects less scenes")):  # fmt: skip
        rows = tested[tested[measure].notna()]
        own = {mark: measure + column for mark, column in marks.items()}
        lines += [f"\n{heading}:", marked_table(rows, measure, own)]
    lines += ["\nSlope on the stage, best stage, and its rise:"]
    lines.append(orders.to_string(index=False, float_format="{:.4f}".format))
    lines += ["\nRho of the mean RDMs (untrained: mean over drawings):"]
    wide = table.pivot(index=["network", "measurement"], columns="stage", values="rho_of_mean_rdm")
    index = pd.MultiIndex.from_product([MODELS, [*MEASUREMENTS, "human IT 2008"]])
    lines.append(wide.reindex(columns=STAGES, index=index).to_string(float_format="{:.3f}".format))
    lines.append(
        f"\n{n_seeds} drawings of untrained weights; between them rho of the mean RDM differs by "
        f"up to {table['range_over_drawings'].max():.3f}. {FAMILY}."
    )
    lines += ["", "Reading:", reading_of(table, orders, n_seeds)]
    return "\n".join(lines) + "\n"


def marked_table(rows: pd.DataFrame, value: str, marks: dict[str, str]) -> str:
    """Return a table networks x measurements by stages, values followed by their marks."""
    text = rows[value].map("{:.3f}".format)
    for mark, column in marks.items():
        text = text + np.where(rows[column] < 0.05, mark, " ")
    wide = rows.assign(text=text)
    wide = wide.pivot(index=["network", "measurement"], columns="stage", values="text")
    kept = [name for name in MODELS if name in set(rows["network"])]
    index = pd.MultiIndex.from_product([kept, MEASUREMENTS])
    return wide.reindex(columns=STAGES, index=index).to_string()


def main(argv: list[str] | None = None) -> int:
    """Run all steps; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURODNN_DATA"),
                        help="folder with rdm92 and nets (default: NEURODNN_DATA)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=3, help="drawings of untrained weights")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the tests")
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
    with warnings.catch_warnings():
        # told once, in the log: a few cells are skewed over people
        warnings.simplefilter("default", nd.DataWarning)
        tests = test_networks(brain, layers, arguments.jobs)
        orders = order_table(orders_of(brain, layers, arguments.jobs))
    table = table_of(tests, layers, means)
    for name, frame in (("regions_by_layers", table), ("hierarchy", orders)):
        frame.to_csv(arguments.out / f"{name}.tsv", sep="\t", index=False, float_format="%.5f",
                     na_rep="n/a")  # fmt: skip
    draw_scores(tests).savefig(arguments.out / "regions_by_layers.png", dpi=200)
    draw_differences(tests).savefig(arguments.out / "differences.png", dpi=200)
    text = report(brain, table, orders, arguments.seeds)
    (arguments.out / "results.txt").write_text(text)
    sys.stdout.write(text)
    return 0


# %%
if __name__ == "__main__":
    raise SystemExit(main())
