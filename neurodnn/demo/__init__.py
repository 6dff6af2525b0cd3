"""The demonstration: simulated brains in, maps and report out, and a verdict on every layer.

It runs the command line's own code on files, as a user would, and then holds the maps against
what was planted. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurodnn.demo import place, source, time
from neurodnn.demo.place import RADIUS, verdict
from neurodnn.demo.tables import as_text, write_verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run", "verdict"]

NETWORK = "neurodnn:scenes"
OUTPUT = Path("derivatives") / "neurodnn"
WORK = Path("derivatives") / "work"


def run(
    directory: str | Path,
    *,
    n_subjects: int = 8,
    n_stimuli: int = 24,
    layers: Sequence[str] | None = None,
    kind: str = "bold",
    modalities: Sequence[str] = ("fmri", "meg"),
    voxel_size: tuple[float, float, float] = (4.0, 4.0, 5.0),
    random_seed: int = 0,
    n_cpus: int | None = None,
    debug: bool = False,
) -> int:
    """Simulate, analyse, report, and say for every layer whether it was found; return 0 if all.

    A data set is simulated in `directory` (`neurodnn.simulate_dataset`) and analysed through the
    command line's code: ``check``, ``participant`` and ``group``; what is already there from
    the same call is used again. The verdicts are printed and written to
    ``derivatives/neurodnn/group/verdict*.tsv``. In the maps of fMRI a layer counts as recovered if

    1. the highest group mean of its map lies within the radius of the searchlight plus that of
       the planted sphere (9 + 10 mm) of its place in either hemisphere,
    2. there both p, over subjects and over stimuli, each corrected over all voxels and layers,
       are below .05 (with fewer than 7 stimuli there is p over subjects alone), and
    3. in its planted spheres its group mean is higher than that of any other layer.

    With MEG it must also be found in time (`neurodnn.demo.time.time_verdict`) and on the cortex
    of the sources (`neurodnn.demo.source.source_verdict`).

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
    modalities : sequence of {"fmri", "meg"}
        What is measured.
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
        voxel_size=voxel_size, seed=random_seed, kind=kind, modalities=modalities,
    )  # fmt: skip
    options = _options(root, list(dict.fromkeys(places["layer"])), n_cpus, debug)
    output = root / OUTPUT
    for step in (["check", str(root)], [str(root), str(output), "participant"],
                 [str(root), str(output), "group"]):  # fmt: skip
        cli.say("\nneurodnn " + " ".join(step) + " ...")
        code = cli.main([*step, *options])
        if code:
            return code
    recovered = _judge(output, places, modalities)
    cli.say(f"\nOpen {output / 'index.html'} in a browser.")
    return 0 if recovered else 1


def _judge(output: Path, places: pd.DataFrame, modalities: Sequence[str]) -> bool:
    """Hold every result against what was planted, say so, and return whether all was found."""
    from neurodnn import cli

    verdicts = []
    if "fmri" in modalities:
        verdicts.append(("", "in space (fMRI)", place.COLUMNS, verdict(output, places)))
    if "meg" in modalities:
        verdicts.append(("_time", "in time (MEG)", time.COLUMNS, time.time_verdict(output, places)))
        verdicts.append(("_source", "on the cortex (MEG sources)", source.COLUMNS,
                         source.source_verdict(output, places)))  # fmt: skip
    for name, what, columns, table in verdicts:
        description = f"Whether each planted layer was found {what}"
        write_verdict(output / "group" / f"verdict{name}.tsv", table, description, columns)
        cli.say("\n" + as_text(table, what))
    return all(table["recovered"].all() for *_, table in verdicts)


def _options(root: Path, layers: list[str], n_cpus: int | None, debug: bool) -> list[str]:
    options = ["--network", NETWORK, "--layers", *layers, "--radius", f"{RADIUS:g}",
               "--work-dir", str(root / WORK)]  # fmt: skip
    if (root / "derivatives" / "fmriprep").is_dir():
        options += ["--confounds", "motion6+tissue"]
    if (root / "derivatives" / "mne").is_dir():
        # two kinds of sensors, in T and T/m: whitened, they weigh alike
        options += ["--meg-noise", "mvnn"]
    if n_cpus is not None:
        options += ["--n-cpus", str(n_cpus)]
    return options + (["--debug"] if debug else [])


