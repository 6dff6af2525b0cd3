"""The demonstration: simulated brains in, maps and report out, and a verdict on every layer.

It runs the command line's own code on files, as a user would, and then holds the maps against
what was planted. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NETWORK = "neurodnn:scenes"
RADIUS = 9.0  # mm, of the searchlight
ALPHA = 0.05
OUTPUT = Path("derivatives") / "neurodnn"
WORK = Path("derivatives") / "work"


def run(
    directory: str | Path,
    *,
    n_subjects: int = 8,
    n_stimuli: int = 24,
    layers: Sequence[str] | None = None,
    kind: str = "bold",
    voxel_size: tuple[float, float, float] = (4.0, 4.0, 5.0),
    random_seed: int = 0,
    n_cpus: int | None = None,
    debug: bool = False,
) -> int:
    """Simulate, analyse, report, and say for every layer whether it was found; return 0 if all.

    A data set is simulated in `directory` (`neurodnn.simulate_dataset`) and analysed through the
    command line's code: ``check``, ``participant`` and ``group``; what is already there from
    the same call is used again. The verdict is printed and written to
    ``derivatives/neurodnn/group/verdict.tsv``. A layer counts as recovered if

    1. the highest group mean of its map lies within the radius of the searchlight plus that of
       the planted sphere (9 + 10 mm) of its place in either hemisphere,
    2. there both p, over subjects and over stimuli, each corrected over all voxels and layers,
       are below .05 (with fewer than 7 stimuli there is p over subjects alone), and
    3. in its planted spheres its group mean is higher than that of any other layer.

    Parameters
    ----------
    directory : path
        New, empty, or that of an earlier demonstration.
    n_subjects : int
        At least 6, or p < .05 is out of reach.
    n_stimuli : int
        Drawn pictures.
    layers : sequence of str, optional
        Planted, of the embedded network; default one per block, thinned to six.
    kind : {"bold", "betas"}
        What is simulated; betas skip the model of the time courses.
    voxel_size : tuple of 3 float
        mm.
    random_seed : int
        Of the simulation.
    n_cpus : int, optional
        Workers; default as on the command line. The result does not depend on it.
    debug : bool
        Show tracebacks.

    Returns
    -------
    int
        0 all recovered; 1 some not; else the exit code of the step that failed.

    Raises
    ------
    InputError
        If `directory` holds something else.

    Examples
    --------
    >>> run("no-such-place", n_subjects=0)
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: n_subjects: is not a valid number ...
    """
    from neurodnn import cli
    from neurodnn.simulate.dataset import simulate_dataset

    # absolute: a folder called "demo" or "-x" must not be taken for a subcommand or an option
    root = Path(directory).expanduser().absolute()
    cli.say(f"Simulating {n_subjects} brains in {root} ...")
    places = simulate_dataset(
        root, n_subjects=n_subjects, n_stimuli=n_stimuli, network=NETWORK, layers=layers,
        voxel_size=voxel_size, seed=random_seed, kind=kind,
    )  # fmt: skip
    options = _options(root, list(dict.fromkeys(places["layer"])), n_cpus, debug)
    output = root / OUTPUT
    for step in (["check", str(root)], [str(root), str(output), "participant"],
                 [str(root), str(output), "group"]):  # fmt: skip
        cli.say("\nneurodnn " + " ".join(step) + " ...")
        code = cli.main([*step, *options])
        if code:
            return code
    table = verdict(output, places)
    _write_verdict(output, table)
    cli.say("\n" + _as_text(table))
    cli.say(f"\nOpen {output / 'index.html'} in a browser.")
    return 0 if table["recovered"].all() else 1


def _options(root: Path, layers: list[str], n_cpus: int | None, debug: bool) -> list[str]:
    options = ["--network", NETWORK, "--layers", *layers, "--radius", f"{RADIUS:g}",
               "--work-dir", str(root / WORK)]  # fmt: skip
    if (root / "derivatives" / "fmriprep").is_dir():
        options += ["--confounds", "motion6+tissue"]
    if n_cpus is not None:
        options += ["--n-cpus", str(n_cpus)]
    return options + (["--debug"] if debug else [])


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


def _write_verdict(output: Path, table: pd.DataFrame) -> None:
    from neurodnn.bids import write_atomic
    from neurodnn.bids.serialize import json_bytes, table_bytes

    path = output / "group" / "verdict.tsv"
    write_atomic(path, table_bytes(table))
    write_atomic(path.with_suffix(".json"), json_bytes({
        "Description": "Whether each planted layer was found where it was planted",
        "distance": {"Description": "From the peak to the nearer planted place", "Units": "mm"},
        "p_fwe": {"Description": "At the peak, over subjects, corrected over voxels and layers"},
        "p_stimuli": {"Description": "At the peak, over stimuli, corrected over voxels and layers"},
        "best_layer": {"Description": "Highest group mean in the planted spheres"},
    }))  # fmt: skip


def _as_text(table: pd.DataFrame) -> str:
    shown = table.copy()
    shown["peak"] = [f"{x:.0f} {y:.0f} {z:.0f}"
                     for x, y, z in table[["peak_x", "peak_y", "peak_z"]].to_numpy()]  # fmt: skip
    shown["recovered"] = table["recovered"].map({True: "yes", False: "NO"})
    shown = shown.rename(columns={"peak": "peak (mm)", "distance": "distance (mm)",
                                  "p_fwe": "p subjects", "p_stimuli": "p stimuli",
                                  "best_layer": "best layer there"})  # fmt: skip
    columns = ["layer", "place", "peak (mm)", "distance (mm)", "mean", "p subjects", "p stimuli",
               "best layer there", "recovered"]  # fmt: skip
    count = int(table["recovered"].sum())
    lines = shown[columns].to_string(index=False, float_format=lambda value: f"{value:.3g}")
    return f"{lines}\n{count} of {len(table)} planted layers were recovered."
