"""A small BIDS data set with a planted answer: files as a laboratory would have them.

What is planted is known in every voxel, so that a whole analysis, from files to group maps, can
be held against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from .. import __version__
from ..bids import write_atomic
from .brain import (
    RADIUS,
    SPACE,
    in_template_space,
    planted_places,
    planted_responses,
    template_mask,
)
from .files import (
    README,
    README_MEG,
    README_MEG_ALONE,
    RESOLUTION,
    TASK,
    image_sidecar,
    link_or_copy,
    write_descriptions,
    write_image,
    write_json,
    write_shared,
    write_table,
)
from .latencies import with_latencies
from .plan import MARKER, Plan, checked_plan, is_finished, recorded
from .signals import (
    BASELINE,
    NOISE,
    draw_confounds,
    draw_events,
    expected_courses,
    nuisance,
    smooth_noise,
)
from .stimuli import draw_stimuli, layer_correlations

TR = 2.0  # s
EFFECT = 0.03  # planted response, standard deviation over stimuli, as a share of the baseline
BETA_NOISE = 0.3  # standard deviation of an estimate's noise where the planted one is 1
_PICTURES = 1_000  # added to the seed: never the pictures that the embedded network was trained on
_STAGES = ("responses", "events", "noise", "confounds", "nuisance")


class Brain(NamedTuple):
    """What all subjects share: the grid, the stimuli and the truth."""

    mask: nib.Nifti1Image
    names: list[str]
    correlations: dict[str, np.ndarray]
    places: pd.DataFrame


def simulate_dataset(
    directory: str | Path,
    *,
    n_subjects: int = 8,
    n_stimuli: int = 24,
    n_runs: int = 2,
    network: str = "neurodnn:scenes",
    layers: Sequence[str] | None = None,
    voxel_size: Sequence[float] = (4.0, 4.0, 5.0),
    seed: int = 0,
    kind: str = "bold",
    modalities: Sequence[str] = ("fmri",),
) -> pd.DataFrame:
    """Return where which layer was planted, after writing a BIDS data set that holds it.

    Layers of a network are planted in spheres of 10 mm along the ventral stream of both
    hemispheres (`neurodnn.simulate.brain.VENTRAL_STREAM`): there the RDM of the voxels is the
    RDM of the layer, up to noise.

    Parameters
    ----------
    directory : path
        Made if missing. A folder with an unfinished simulation of the same parameters is
        finished, a finished one is left as it is; any other that is not empty is refused.
    n_subjects : int
        1 to 99; weights of the voxels, order of events and noise differ between them. At least
        6 make a familywise p below .05 possible.
    n_stimuli : int
        Drawn pictures, 4 to 200; 24 keep a run short.
    n_runs : int
        Each shows every picture twice, 4 s apart, TR 2 s.
    network : str
        As for `neurodnn.load_network`.
    layers : sequence of str, optional
        At most six, early to late. Default: one per block, thinned evenly to six. An empty one
        plants nothing: a null data set.
    voxel_size : sequence of 3 float
        mm; anisotropic by default.
    seed : int
        Every random number comes from it, by subject, run and purpose.
    kind : {"bold", "betas"}
        ``"bold"``: raw BOLD, events, and derivatives/fmriprep with masks and confounds.
        ``"betas"``: derivatives/betas with one estimate per stimulus and run instead: quick,
        for tests.
    modalities : sequence of {"fmri", "meg"}
        What is measured of these subjects. MEG (`neurodnn.simulate.meg`): 306 sensors, every
        picture five times a run, the layers one after another in patches of cortex at the same
        places, and derivatives/mne with inverse operators. The files of fMRI are the same with
        and without it, but for the tables that say what was planted.

    Returns
    -------
    pandas.DataFrame
        ``layer, place, hemisphere, x, y, z, radius`` (mm), and with MEG ``latency`` (s, when
        the layer is most active); also written as code/planted.tsv.

    Raises
    ------
    InputError
        If a number is out of range, a layer unknown, or the folder holds something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = simulate_dataset(folder, n_subjects=1, n_stimuli=4, n_runs=1, kind="betas",
    ...                              voxel_size=(10, 10, 10))
    ...     sorted(path.name for path in Path(folder).iterdir())  # doctest: +ELLIPSIS
    ['README', 'code', 'dataset_description.json', 'derivatives', 'participants.json', ...]
    """
    plan = checked_plan(Plan(n_subjects, n_stimuli, n_runs, network, layers, voxel_size, seed,
                             kind, modalities))  # fmt: skip
    root = Path(directory).expanduser()
    if is_finished(root, plan):
        return _read_places(root)
    write_json(root / MARKER, {**recorded(plan), "Finished": False})
    names = draw_stimuli(root / "stimuli", n_stimuli, seed + _PICTURES)
    correlations = layer_correlations(network, plan.layers, root / "stimuli", names)
    places = planted_places(correlations)
    if "meg" in plan.modalities:
        places = with_latencies(places)
    brain = Brain(template_mask(voxel_size), names, correlations, places)
    _write_shared(root, plan, brain)
    if "fmri" in plan.modalities:
        _write_fmri(root, plan, brain)
    if "meg" in plan.modalities:
        # MNE stays out of this module's imports: fMRI alone needs none of it.
        from .meg import write_meg

        write_meg(root, names, correlations, places, n_subjects, n_runs, seed)
    write_json(root / MARKER, {**recorded(plan), "Finished": True})
    return brain.places


def _write_fmri(root: Path, plan: Plan, brain: Brain) -> None:
    write = _write_bold_run if plan.kind == "bold" else _write_beta_run
    for subject in range(1, plan.n_subjects + 1):
        responses = planted_responses(brain.correlations, brain.mask, brain.places,
                                      _generator(plan.seed, "responses", subject))  # fmt: skip
        for run in range(1, plan.n_runs + 1):
            write(root, brain, responses, subject, run, plan.seed)


def _read_places(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "code" / "planted.tsv", sep="\t")


def _generator(seed: int, stage: str, subject: int = 0, run: int = 0) -> np.random.Generator:
    """Return the generator of one purpose: the same whatever else is simulated."""
    key = (_STAGES.index(stage), subject, run)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _write_shared(root: Path, plan: Plan, brain: Brain) -> None:
    fmri, meg = ("fmri" in plan.modalities), ("meg" in plan.modalities)
    folders = {}
    if fmri and plan.kind == "bold":
        folders["fmriprep"] = "Simulated preprocessed images"
    elif fmri:
        folders["betas"] = "Simulated responses to single pictures"
    if meg:
        folders["mne"] = "Inverse operators of the simulated MEG"
    write_descriptions(root, folders)
    write_shared(root, plan.n_subjects, TR if fmri and plan.kind == "bold" else None, meg=meg)
    write_table(root / "code" / "planted.tsv", brain.places)
    text = (README if fmri else README_MEG_ALONE).format(
        version=__version__, n_stimuli=plan.n_stimuli, radius=RADIUS, network=plan.network)
    text += README_MEG if meg else ""
    write_atomic(root / "README", text.encode())


def _stem(subject: int, run: int | None) -> str:
    return f"sub-{subject:02d}_task-{TASK}" + (f"_run-{run}" if run else "")


def _in_space(stem: str) -> str:
    return f"{stem}_space-{SPACE}_res-{RESOLUTION}"


def _events(root: Path, names: list[str], subject: int, run: int, seed: int):
    """Write the events of one run; return them and the number of volumes."""
    events, n_volumes = draw_events(names, _generator(seed, "events", subject, run), tr=TR)
    table = events.rename(columns={"stimulus": "trial_type"})
    table["stim_file"] = table["trial_type"] + ".png"
    path = root / f"sub-{subject:02d}" / "func" / f"{_stem(subject, run)}_events.tsv"
    write_table(path, table)
    return events, n_volumes


def _write_mask(folder: Path, stem: str, mask: nib.Nifti1Image) -> None:
    path = folder / f"{_in_space(stem)}_desc-brain_mask"
    write_image(path.with_suffix(".nii.gz"), mask)
    sizes = tuple(float(edge) for edge in mask.header.get_zooms())
    write_json(path.with_suffix(".json"),
               image_sidecar("The template's brain mask on this grid", sizes, Type="Brain",
                             Sources=[]))  # fmt: skip


def _write_bold_run(
    root: Path, brain: Brain, responses: np.ndarray, subject: int, run: int, seed: int
) -> None:
    """Write raw and preprocessed BOLD of one run, its mask and its confounds."""
    events, n_volumes = _events(root, brain.names, subject, run, seed)
    confounds = draw_confounds(n_volumes, TR, _generator(seed, "confounds", subject, run))
    noise = smooth_noise(brain.mask, n_volumes, _generator(seed, "noise", subject, run))
    noise += nuisance(confounds, noise.shape[1], _generator(seed, "nuisance", subject, run))
    signal = 1 + NOISE * noise
    if len(responses):
        courses = expected_courses(events, brain.names, n_volumes, TR)
        signal += EFFECT * courses.astype(np.float32) @ responses
    folder = root / "derivatives" / "fmriprep" / f"sub-{subject:02d}" / "func"
    stem = _stem(subject, run)
    preproc = folder / f"{_in_space(stem)}_desc-preproc_bold.nii.gz"
    image = _volumes(np.rint(BASELINE * signal).astype(np.int16), brain.mask, TR)
    write_image(preproc, image)
    sizes = tuple(float(edge) for edge in brain.mask.header.get_zooms())
    sidecar = image_sidecar("Simulated BOLD", sizes, TaskName=TASK, RepetitionTime=TR,
                            SkullStripped=True)  # fmt: skip
    write_json(preproc.with_name(preproc.name.replace(".nii.gz", ".json")), sidecar)
    raw = root / f"sub-{subject:02d}" / "func" / f"{stem}_bold.nii.gz"
    link_or_copy(preproc, raw)
    _write_mask(folder, stem, brain.mask)
    write_table(folder / f"{stem}_desc-confounds_timeseries.tsv", confounds)
    write_json(folder / f"{stem}_desc-confounds_timeseries.json",
               {"cosine00": {"Description": "Drift, discrete cosine basis, 128 s"}})  # fmt: skip


def _write_beta_run(
    root: Path, brain: Brain, responses: np.ndarray, subject: int, run: int, seed: int
) -> None:
    """Write one estimate per stimulus of one run, the table of its volumes, and the mask."""
    generator = _generator(seed, "noise", subject, run)
    betas = BETA_NOISE * smooth_noise(brain.mask, len(brain.names), generator, autocorrelation=0)
    if len(responses):
        betas += responses
    _events(root, brain.names, subject, run, seed)
    folder = root / "derivatives" / "betas" / f"sub-{subject:02d}" / "func"
    path = folder / f"{_in_space(_stem(subject, run))}_stat-effect_statmap"
    write_image(path.with_suffix(".nii.gz"), _volumes(betas, brain.mask, 1.0))
    write_table(path.with_suffix(".tsv"), pd.DataFrame({"stimulus": brain.names}))
    if run == 1:
        _write_mask(folder, _stem(subject, None), brain.mask)


def _volumes(values: np.ndarray, mask: nib.Nifti1Image, tr: float) -> nib.Nifti1Image:
    """Return volumes x voxels as a 4-D image, zero outside the mask."""
    inside = np.asarray(mask.dataobj) > 0
    data = np.zeros((*inside.shape, len(values)), dtype=values.dtype)
    data[inside] = values.T
    return in_template_space(data, mask.affine, tr)
