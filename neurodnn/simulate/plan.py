"""What was asked of a simulation: checked, recorded, and found again in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import __version__
from .._checks import InputError, check_choice, check_number, message
from ..bids import read_json

MARKER = Path("code") / "simulation.json"
MODALITIES = ("fmri", "meg")


class Plan(NamedTuple):
    """What was asked for; it stands in ``code/simulation.json``."""

    n_subjects: int
    n_stimuli: int
    n_runs: int
    network: str
    layers: tuple[str, ...] | None
    voxel_size: tuple[float, ...]
    seed: int
    kind: str
    modalities: tuple[str, ...] = ("fmri",)


def checked_plan(asked: Plan) -> Plan:
    """Return the plan with its numbers in their own types; refuse one that cannot be carried out.

    Raises
    ------
    InputError
        With the name of the argument of `neurodnn.simulate_dataset`.

    Examples
    --------
    >>> plan = Plan(1, 4, 1, "neurodnn:scenes", None, (4, 4, 5), 0, "betas", ["meg", "fmri"])
    >>> checked_plan(plan).modalities
    ('fmri', 'meg')
    """
    check_number("n_subjects", asked.n_subjects, minimum=1, maximum=99)
    check_number("n_stimuli", asked.n_stimuli, minimum=4, maximum=200)
    check_number("n_runs", asked.n_runs, minimum=1, maximum=20)
    check_number("seed", asked.seed, minimum=0)
    check_choice("kind", asked.kind, ("bold", "betas"))
    if len(asked.voxel_size) != 3:
        fault = "needs three edges in mm"
        raise InputError(message("voxel_size", fault, got=asked.voxel_size))
    wanted = [asked.modalities] if isinstance(asked.modalities, str) else list(asked.modalities)
    for each in wanted:
        check_choice("modalities", each, MODALITIES)
    if not wanted:
        raise InputError(message("modalities", "are empty", allowed=", ".join(MODALITIES)))
    return Plan(
        int(asked.n_subjects), int(asked.n_stimuli), int(asked.n_runs), str(asked.network),
        None if asked.layers is None else tuple(asked.layers),
        tuple(float(edge) for edge in asked.voxel_size), int(asked.seed), asked.kind,
        tuple(each for each in MODALITIES if each in wanted),
    )  # fmt: skip


def recorded(plan: Plan) -> dict:
    """Return the plan as ``code/simulation.json`` holds it.

    Examples
    --------
    >>> plan = Plan(1, 4, 1, "neurodnn:scenes", None, (4.0, 4.0, 5.0), 0, "bold")
    >>> sorted(recorded(plan))[:3]
    ['kind', 'layers', 'n_runs']
    """
    entries = {**plan._asdict(), "neurodnn": __version__}
    if plan.modalities == ("fmri",):
        del entries["modalities"]  # as it was recorded before there was MEG
    return entries


def is_finished(root: Path, plan: Plan) -> bool:
    """Return whether this very simulation is there whole; refuse a folder of anything else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    marker = root / MARKER
    found = read_json(marker) if marker.is_file() else {}
    finished = found.pop("Finished", False)
    wanted = recorded(plan)
    wanted = {key: list(value) if isinstance(value, tuple) else value
              for key, value in wanted.items()}  # fmt: skip
    if found != wanted:
        what = "holds a simulation of other parameters" if found else "is not empty"
        raise InputError(message(str(root), what, allowed="an empty or new folder",
                                 remedy="Choose another folder."))  # fmt: skip
    return bool(finished)
