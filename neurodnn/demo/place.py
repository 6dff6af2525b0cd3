"""Where each planted layer was found: the verdict on the maps of fMRI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RADIUS = 9.0  # mm, of the searchlight
ALPHA = 0.05


def verdict(output: str | Path, places: pd.DataFrame, *, radius: float = RADIUS) -> pd.DataFrame:
    """Return whether each planted layer was found where it was planted.

    Parameters
    ----------
    output : path
        An output folder with group maps.
    places : pandas.DataFrame
        As `neurodnn.simulate_dataset` returns it.
    radius : float
        Of the searchlight, mm.

    Returns
    -------
    pandas.DataFrame
        One row a layer: ``layer, place, peak_x, peak_y, peak_z`` (mm, highest group mean),
        ``distance`` (mm, to the nearer of the two places), ``mean`` (at the peak), ``p_fwe``
        (there, over subjects), ``p_stimuli`` (there; NaN where there is none), ``best_layer``
        (highest group mean in the planted spheres), ``recovered`` (criteria:
        `neurodnn.demo.run`).

    Raises
    ------
    InputError
        If maps are missing.
    """
    import numpy as np
    import pandas as pd

    means, tests, world = _group_maps(Path(output))
    shuffled = _stimulus_tests(Path(output), means)
    rows = []
    for layer, spots in places.groupby("layer", sort=False):
        # groupby sorts nothing and the two rows of a layer are its hemispheres
        centres = spots[["x", "y", "z"]].to_numpy()
        reach = float(spots["radius"].iloc[0])
        gaps = np.linalg.norm(world[:, None] - centres, axis=-1).min(axis=1)
        peak = int(np.nanargmax(means[layer]))
        inside = {name: np.nanmean(values[gaps <= reach]) for name, values in means.items()}
        best = max(inside, key=inside.__getitem__)
        p, of_stimuli = float(tests[layer][peak]), float(shuffled[layer][peak])
        found = gaps[peak] <= reach + radius and best == layer
        found = found and p < ALPHA and not of_stimuli >= ALPHA
        rows.append((layer, spots["place"].iloc[0], *map(float, world[peak]), float(gaps[peak]),
                     float(means[layer][peak]), p, of_stimuli, best, bool(found)))  # fmt: skip
    return pd.DataFrame(rows, columns=[
        "layer", "place", "peak_x", "peak_y", "peak_z", "distance", "mean", "p_fwe",
        "p_stimuli", "best_layer", "recovered",
    ])  # fmt: skip


def _group_maps(output: Path):
    """Return mean and corrected p by layer, and the places of the voxels in mm."""
    import numpy as np

    from neurodnn.bids import read_json
    from neurodnn.brain.nifti import read_image

    means, tests = {}, {}
    affine, inside = np.eye(4), np.zeros(0, dtype=bool)
    for entry in read_json(output / "group" / "summary.json")["Maps"]:
        image = read_image(output / entry["Statistics"]["mean"], ndim=3)
        values = np.asarray(image.dataobj, dtype=float)
        if not means:
            affine, inside = image.affine, np.isfinite(values)
        means[entry["Reference"]] = values[inside]
        corrected = read_image(output / entry["Statistics"]["p"], ndim=3)
        tests[entry["Reference"]] = np.asarray(corrected.dataobj, dtype=float)[inside]
    world = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
    return means, tests, world


def _stimulus_tests(output: Path, means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return corrected p over stimuli by layer; NaN where that test was not made."""
    import numpy as np

    from neurodnn.bids import read_json
    from neurodnn.brain.nifti import read_image

    tests = {name: np.full(values.shape, np.nan) for name, values in means.items()}
    for entry in read_json(output / "group" / "summary.json")["Maps"]:
        path = entry["Statistics"].get("p_stimuli")
        if path is not None:
            values = np.asarray(read_image(output / path, ndim=3).dataobj, dtype=float)
            tests[entry["Reference"]] = values[np.isfinite(values)]
    return tests


#: What the columns mean, for the sidecar of the table.
COLUMNS = {
    "distance": {"Description": "From the peak to the nearer planted place", "Units": "mm"},
    "p_fwe": {"Description": "At the peak, over subjects, corrected over voxels and layers"},
    "p_stimuli": {"Description": "At the peak, over stimuli, corrected over voxels and layers"},
    "best_layer": {"Description": "Highest group mean in the planted spheres"},
}
