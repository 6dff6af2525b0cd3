"""Layers on the cortical surface: a searchlight on fsaverage5 with a planted answer
=================================================================================

Nothing is measured here, so that everything can be checked: eight simulated people look at forty
images, and the geometries of three layers are planted in the grey matter of both hemispheres,
"early" near the calcarine sulcus, "middle" in lateral occipital and "late" in fusiform cortex. The
steps, each a cell:

1. make layers, and volumes of responses in which they hide;
2. bring the volumes to the surface: white and pial of fsaverage5, which nilearn ships;
3. compare the patterns in geodesic discs of 9 mm with every layer, in both hemispheres at once;
4. test over people: all 256 sign flips, TFCE, one family of vertices of both hemispheres x layers;
5. do the same in the volume, in spheres of 9 mm, and ask whether the two agree with each other
   and with what was planted;
6. write maps (GIFTI), a table and figures.

    python analyses/surface_searchlight_fsaverage.py --out FOLDER

It needs no data and no network, and takes less than a minute on one core.

Oosterhof NN et al. (2011), NeuroImage 56, 593-600. Smith SM, Nichols TE (2009), NeuroImage 44,
83-98.
"""

# %%
# Imports, and what was decided before looking at any result
# ----------------------------------------------------------
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

import neurodnn as nd
from neurodnn.brain.projection import project_image
from neurodnn.simulate.brain import template_mask
from neurodnn.simulate.surfaces import patch_responses

N_PEOPLE, N_IMAGES = 8, 40
PLACES = {"early": (10, -88, 4), "middle": (44, -76, 2), "late": (38, -48, -18)}  # mm, right
LAYERS = list(PLACES)
IMAGES = [f"image{number:02d}" for number in range(N_IMAGES)]
PATCH, RADIUS, VOXEL = 14.0, 9.0, 4.0  # mm: planted, searched, measured
NOISE = 1.0  # standard deviation of a voxel's noise beside a signal of 1
# The peaks of volume and surface may each err by a radius; their maps, both of the mean person,
# shall share at least half of their variance.
FARTHEST, LEAST_R = 2 * RADIUS, 0.71


class Hemisphere(NamedTuple):
    """The surfaces of one side, the cortex on them, and where each layer is planted."""

    white: object
    pial: object
    middle: object
    cortex: np.ndarray
    centres: dict[str, int]
    far: dict[str, np.ndarray]  # mm along the surface from each centre


# %%
# 1. Layers, and the volumes in which they hide
# ---------------------------------------------
def make_layers(seed: int) -> tuple[dict[str, np.ndarray], RDMs]:
    """Return the correlations of the layers' activations, and their RDMs."""
    rng = np.random.default_rng([seed, 0])
    truth = {layer: np.corrcoef(rng.normal(size=(N_IMAGES, 60))) for layer in LAYERS}
    rows = np.array([1 - truth[layer][np.triu_indices(N_IMAGES, 1)] for layer in LAYERS])
    return truth, RDMs(rows, rdm_descriptors={"reference": LAYERS},
                       pattern_descriptors={"stimulus": IMAGES})  # fmt: skip


def load_hemisphere(side: str) -> Hemisphere:
    """Return one hemisphere of fsaverage5 with the vertices nearest to the planted places."""
    white, pial, middle = (
        nd.load_fsaverage(side, surface=name) for name in ("white", "pial", "midthickness")
    )
    cortex = nd.fsaverage_cortex(side)
    sign = np.array([-1 if side == "left" else 1, 1, 1])
    centres = {
        layer: int(np.argmin(np.linalg.norm(middle.coordinates - sign * place, axis=1)))
        for layer, place in PLACES.items()
    }
    paths = middle.paths()
    far = {layer: dijkstra(paths, indices=centre) for layer, centre in centres.items()}
    return Hemisphere(white, pial, middle, cortex, centres, far)


def ribbon_voxels(brain: dict[str, Hemisphere], world: np.ndarray, layer: str) -> np.ndarray:
    """Return the voxels between white and pial of a layer's patches."""
    depth = np.linspace(0, 1, 5)[:, None, None]
    lines = []
    for side in brain.values():
        patch = side.far[layer] <= PATCH
        line = side.white.coordinates[patch] * (1 - depth) + side.pial.coordinates[patch] * depth
        lines.append(line.reshape(-1, 3))
    away, _ = cKDTree(np.concatenate(lines)).query(world)
    return np.flatnonzero(away <= VOXEL / 2)


def measure_person(
    truth: dict[str, np.ndarray], ribbon: dict[str, np.ndarray], n_voxels: int, seed: list[int]
) -> Dataset:
    """Return one person's responses: every layer in its ribbon, noise in every voxel."""
    rng = np.random.default_rng(seed)
    values = patch_responses(truth, ribbon, n_voxels, rng)
    values += NOISE * rng.normal(size=values.shape)
    return Dataset(values, obs_descriptors={"stimulus": list(IMAGES)})


# %%
# 2. and 3. From the volume to the surface, and the searchlight there
# -------------------------------------------------------------------
# Both hemispheres go in together and come out as one table; no disc spans the two.
def search_surface(
    patterns: Dataset, mask: nib.Nifti1Image, brain: dict[str, Hemisphere], layers: RDMs
) -> xr.DataArray:
    """Return vertices of both hemispheres x layers."""
    projected = {
        name: nd.project_patterns(patterns, mask, side.pial, white=side.white, mask=side.cortex)
        for name, side in brain.items()
    }
    return nd.surface_searchlight(
        projected, {name: side.middle for name, side in brain.items()}, layers, radius=RADIUS,
        mask={name: side.cortex for name, side in brain.items()},
    )  # fmt: skip


# %%
# 4. The group
# ------------
def stack_people(maps: list[xr.DataArray]) -> xr.DataArray:
    """Return people x places x layers."""
    people = [f"sub-{number:02d}" for number in range(1, len(maps) + 1)]
    # "exact": were two people's places not the same, joining them by position would be wrong.
    return xr.concat(maps, dim="subject", join="exact").assign_coords(subject=people)


def infer_group(scores: xr.DataArray, brain: dict[str, Hemisphere], n_jobs: int) -> xr.Dataset:
    """Return TFCE over both hemispheres and all layers as one family."""
    adjacency = nd.vertex_adjacency(
        {name: side.middle for name, side in brain.items()},
        mask={name: side.cortex for name, side in brain.items()},
    )
    return nd.tfce_test(scores, adjacency, places="vertex", n_jobs=n_jobs)


# %%
# 5. Do volume and surface agree?
# -------------------------------
# Peaks in mm, and the correlation of the surface's map with what the volume's map holds between
# white and pial.
def compare(
    volume: xr.DataArray, test: xr.Dataset, mask: nib.Nifti1Image, brain: dict[str, Hemisphere]
) -> tuple[pd.DataFrame, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return a row per layer and hemisphere, and the two maps of each layer over vertices."""
    world = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    rows, pairs = [], {}
    for layer in LAYERS:
        map_volume = volume.sel(reference=layer)
        image = nd.scores_to_image(map_volume, mask)
        read = []
        for name, side in brain.items():
            own = test.sel(reference=layer).isel(vertex=np.flatnonzero(test.hemisphere == name))
            peak = int(own["vertex"][int(np.nanargmax(own["mean"]))])
            there = world[:, 0] < 0 if name == "left" else world[:, 0] > 0
            in_volume = world[int(np.nanargmax(np.where(there, map_volume, np.nan)))]
            on_surface = side.middle.coordinates[peak]
            found = np.asarray(own["p_fwe"] < 0.05)
            reach = side.far[layer][own["vertex"].values[found]]
            rows.append({
                "layer": layer, "hemisphere": name,
                **dict(zip(("x", "y", "z"), on_surface.round(1), strict=True)),
                "mean_rho": float(own["mean"].max()),
                "from_planted_mm": side.far[layer][peak],
                "volume_from_planted_mm": np.linalg.norm(
                    in_volume - side.middle.coordinates[side.centres[layer]]),
                "between_mm": np.linalg.norm(in_volume - on_surface),
                "significant": int(found.sum()),
                "farthest_significant_mm": float(reach.max()) if reach.size else np.nan,
            })  # fmt: skip
            read.append(project_image(image, side.pial, white=side.white)[side.cortex])
        pairs[layer] = np.concatenate(read), test["mean"].sel(reference=layer).values
    return pd.DataFrame(rows), pairs


def correlation(pair: tuple[np.ndarray, np.ndarray]) -> float:
    """Return Pearson's r of two maps where both are defined."""
    both = np.isfinite(pair[0]) & np.isfinite(pair[1])
    return float(np.corrcoef(pair[0][both], pair[1][both])[0, 1])


# %%
# 6. Maps, figures, words
# -----------------------
def on_meshes(values: xr.DataArray, brain: dict[str, Hemisphere]) -> dict[str, nib.GiftiImage]:
    """Return one GIFTI image per hemisphere."""
    return {name: nd.scores_to_surface(values, side.middle, mask=side.cortex, hemisphere=name)
            for name, side in brain.items()}  # fmt: skip


def draw_agreement(pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Return the map of the surface against that of the volume, a point per vertex."""
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    axes = figure.subplots(1, len(pairs), sharex=True, sharey=True)
    for axis, (layer, pair) in zip(axes, pairs.items(), strict=True):
        axis.plot(*pair, ".", markersize=1.5, color="#0072b2", alpha=0.4, markeredgewidth=0,
                  rasterized=True)  # fmt: skip
        axis.axhline(0, color="#7b8794", linewidth=0.6)
        axis.axvline(0, color="#7b8794", linewidth=0.6)
        axis.set_title(f"{layer}: r = {correlation(pair):.2f}", fontsize=9, loc="left",
                       fontweight="bold")  # fmt: skip
        axis.tick_params(labelsize=6.5)
        for edge in ("top", "right"):
            axis.spines[edge].set_visible(False)
    figure.supxlabel("volume searchlight read between white and pial, mean rho", fontsize=8)
    axes[0].set_ylabel("surface searchlight, mean rho", fontsize=8)
    return figure


def report(table: pd.DataFrame, pairs: dict, test: xr.Dataset) -> str:
    """Return the findings in words."""
    r = {layer: correlation(pair) for layer, pair in pairs.items()}
    close = bool((table["between_mm"] <= FARTHEST).all())
    alike = ", ".join(f"{layer} {value:.2f}" for layer, value in r.items())
    inside = bool((table["farthest_significant_mm"] <= PATCH + RADIUS).all())
    lines = [
        table.to_string(index=False, float_format=lambda value: f"{value:.2f}"),
        "",
        "x, y, z: the surface's peak in mm of fsaverage. from_planted: along the surface. "
        "significant: vertices with p_fwe < .05 (TFCE, "
        f"{test.attrs['n_flips']} sign flips, all of them; one family of "
        f"{test.sizes['vertex']} vertices of both hemispheres x {len(LAYERS)} layers).",
        f"Peaks of volume and surface within {FARTHEST:g} mm of each other: "
        f"{'yes' if close else 'NO'}, at most {table['between_mm'].max():.1f} mm.",
        f"Correlation of the maps: {alike}; at least {LEAST_R:g} asked for: "
        f"{'met' if min(r.values()) >= LEAST_R else 'NOT MET'}.",
        f"Nothing significant further than discs reach into the planted patch "
        f"({PATCH + RADIUS:g} mm): {'true' if inside else 'NOT TRUE'}.",
        f"The tests generalise to: {test.attrs['generalises_to']}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


# %%
# The whole story
# ---------------
def main(argv: list[str] | None = None) -> int:
    """Run all steps and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("surface"), help="folder of the results")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--n-cpus", type=int, default=1, help="threads")
    arguments = parser.parse_args(argv)
    out, seed, n_jobs = arguments.out, arguments.seed, arguments.n_cpus
    out.mkdir(parents=True, exist_ok=True)

    truth, layers = make_layers(seed)
    brain = {side: load_hemisphere(side) for side in ("left", "right")}
    mask = template_mask((VOXEL, VOXEL, VOXEL))
    world = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    ribbon = {layer: ribbon_voxels(brain, world, layer) for layer in LAYERS}

    surface, volume = [], []
    for number in range(N_PEOPLE):
        patterns = measure_person(truth, ribbon, len(world), [seed, 1, number])
        surface.append(search_surface(patterns, mask, brain, layers))
        volume.append(nd.fmri_searchlight(patterns, mask, layers, radius=RADIUS, n_jobs=n_jobs))
        sys.stderr.write(f"person {number + 1} of {N_PEOPLE} done\n")
    test = infer_group(stack_people(surface), brain, n_jobs)
    in_volume = stack_people(volume).mean("subject")

    table, pairs = compare(in_volume, test, mask, brain)
    table.to_csv(out / "peaks.tsv", sep="\t", index=False, float_format="%.3f")
    maps, found = {}, {}
    for layer in LAYERS:
        one = test.sel(reference=layer)
        maps[layer] = on_meshes(one["mean"], brain)
        found[layer] = on_meshes((one["p_fwe"] < 0.05).astype(float), brain)
        for side, image in maps[layer].items():
            stem = f"hemi-{side[0].upper()}_space-fsaverage5_layer-{layer}_stat-rho_statmap"
            image.to_filename(out / f"{stem}.func.gii")
    nd.plot_surface_maps(
        maps, outlines=found, unit="Spearman rho, mean over people; line: p < .05, corrected",
        title="Surface searchlight, 9 mm discs",
    ).savefig(out / "surface_maps.png", dpi=200)  # fmt: skip
    nd.plot_layer_maps(
        {layer: nd.scores_to_image(in_volume.sel(reference=layer), mask) for layer in LAYERS},
        unit="Spearman rho, mean over people", title="The same people in the volume, 9 mm spheres",
    ).savefig(out / "volume_maps.png", dpi=200)  # fmt: skip
    draw_agreement(pairs).savefig(out / "agreement.png", dpi=200)
    text = report(table, pairs, test)
    (out / "results.txt").write_text(text)
    sys.stdout.write(text)
    return 0


# %%
if __name__ == "__main__":
    raise SystemExit(main())
