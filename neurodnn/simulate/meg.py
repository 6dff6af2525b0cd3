"""MEG of the simulated subjects: the same pictures, the same layers, each at its own time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .files import TASK
from .meg_cortex import SIDES, head_model, planted_patches, source_space
from .meg_files import write_coordinates, write_inverse, write_recording, write_run_tables
from .meg_sensors import RATE, helmet_info
from .meg_signals import (
    EFFECT,
    draw_meg_events,
    evoked_signal,
    sensor_noise,
    sensor_responses,
)

INVERSE = "mne"  # folder of derivatives
_STAGES = {"head": 20, "responses": 21, "events": 22, "noise": 23, "garbage": 24, "start": 25}
_ICO = 3
_MODES = 80  # of the brain's ongoing activity
BRAIN = 120e-15  # T, of magnetometers
ALPHA = 80e-15  # T
WHITE = {"mag": 30e-15, "grad": 3e-12}  # T, T/m: noise of the sensors themselves
_RHYTHMS = ((-16, -86, 14), (16, -86, 14), (-26, -70, 34), (26, -70, 34))  # mm


class Cortex(NamedTuple):
    """What all subjects share: the head, its sources, and where layers live."""

    trans: mne.transforms.Transform
    sphere: mne.bem.ConductorModel
    sources: mne.SourceSpaces
    planted: mne.SourceSpaces
    patches: dict[tuple[str, str], NDArray]


class Head(NamedTuple):
    """One subject in the helmet: sensors, gains and fields of the noise."""

    info: mne.Info
    forward: mne.Forward
    gains: dict[str, NDArray]
    modes: NDArray
    alpha: NDArray
    white: NDArray


def write_meg(
    root: Path, names: Sequence[str], correlations: Mapping[str, NDArray], places: pd.DataFrame,
    n_subjects: int, n_runs: int, seed: int,
) -> None:  # fmt: skip
    """Write the MEG of all subjects into a data set, and an inverse operator for each.

    Parameters
    ----------
    root : Path
        The data set.
    names : sequence of str
        Of the pictures.
    correlations : mapping of str to array (n_stimuli, n_stimuli)
        Of the activations of each layer.
    places : pandas.DataFrame
        With ``latency``, s; empty where nothing is planted.
    n_subjects, n_runs, seed : int
        As in `neurodnn.simulate_dataset`.
    """
    cortex = make_cortex(places)
    for subject in range(1, n_subjects + 1):
        write_meg_subject(root, names, correlations, places, cortex, subject, n_runs, seed)


def make_cortex(places: pd.DataFrame) -> Cortex:
    """Return the cortex that all simulated subjects share.

    Parameters
    ----------
    places : pandas.DataFrame
        As `neurodnn.simulate.brain.planted_places` makes it; it may be empty.
    """
    patches = planted_patches(places)
    planted = source_space(5)
    for number, side in enumerate(SIDES):
        own = [vertices for (_, where), vertices in patches.items() if where == side]
        used = np.zeros(planted[number]["np"], dtype=np.int32)
        used[np.concatenate(own) if own else slice(0, 1)] = 1
        planted[number].update(inuse=used, nuse=int(used.sum()), vertno=np.flatnonzero(used),
                               nuse_tri=0, use_tris=None)  # fmt: skip
    trans, sphere = head_model()
    return Cortex(trans, sphere, source_space(_ICO), planted, patches)


def write_meg_subject(
    root: Path, names: Sequence[str], correlations: Mapping[str, NDArray],
    places: pd.DataFrame, cortex: Cortex, subject: int, n_runs: int, seed: int,
) -> None:  # fmt: skip
    """Write all recordings of a subject and what stands beside them.

    Parameters
    ----------
    root : Path
        The data set.
    names : sequence of str
        Of the pictures.
    correlations : mapping of str to array (n_stimuli, n_stimuli)
        Of the activations of each layer.
    places : pandas.DataFrame
        With ``latency``.
    cortex : Cortex
    subject, n_runs, seed : int
    """
    head = _head(cortex, _generator(seed, "head", subject))
    latencies = dict(zip(places["layer"], places.get("latency", []), strict=True))
    kinds = np.array(head.info.get_channel_types()[: len(head.white)])
    responses = {
        layer: EFFECT * sensor_responses(
            correlations[layer], gain, kinds, _generator(seed, "responses", subject, number))
        for number, (layer, gain) in enumerate(head.gains.items())
    }  # fmt: skip
    folder = root / f"sub-{subject:02d}" / "meg"
    before = []
    for run in range(1, n_runs + 1):
        events, n_samples = draw_meg_events(names, _generator(seed, "events", subject, run), RATE)
        data = sensor_noise(head.modes, head.alpha, head.white, n_samples, RATE,
                            _generator(seed, "noise", subject, run))  # fmt: skip
        if responses:
            shown = np.array([names.index(name) for name in events["trial_type"]])
            data += evoked_signal(responses, latencies, shown, events["sample"].to_numpy(),
                                  n_samples, RATE)  # fmt: skip
        before.append(_before(data, events["sample"].to_numpy()))
        _write_run(folder, head.info, data, events, names, subject, run, seed)
    write_coordinates(folder / f"sub-{subject:02d}_coordsystem.json", head.info)
    path = root / "derivatives" / INVERSE / f"sub-{subject:02d}" / "meg"
    covariance = _covariance(np.concatenate(before), head.info)
    write_inverse(path / f"sub-{subject:02d}_task-{TASK}_inv.fif", head.info, head.forward,
                  covariance)  # fmt: skip


def _generator(seed: int, stage: str, subject: int, run: int = 0) -> np.random.Generator:
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(_STAGES[stage], subject, run))
    )


def _units(info: mne.Info) -> NDArray:
    types = info.get_channel_types()
    return np.array([WHITE[kind] for kind in types if kind in WHITE])


def _head(cortex: Cortex, generator: np.random.Generator) -> Head:
    info = helmet_info(cortex.trans, cortex.sphere["r0"], generator)
    forward = _forward(info, cortex, cortex.sources)
    planted = _fixed(_forward(info, cortex, cortex.planted))
    gain = planted["sol"]["data"]
    gains: dict[str, list] = {}
    first = 0
    for number, side in enumerate(SIDES):
        used = planted["src"][number]["vertno"]
        for (layer, where), vertices in cortex.patches.items():
            if where == side:
                gains.setdefault(layer, []).append(
                    gain[:, first + np.searchsorted(used, vertices)])
        first += used.size
    units, everywhere = _units(info), _fixed(forward)
    modes, alpha = _noise_fields(everywhere, units, info.get_channel_types())
    return Head(info, forward, {layer: np.hstack(parts) for layer, parts in gains.items()},
                modes, alpha, units)  # fmt: skip


def _forward(info: mne.Info, cortex: Cortex, sources: mne.SourceSpaces) -> mne.Forward:
    return mne.make_forward_solution(info, cortex.trans, sources, cortex.sphere, meg=True,
                                     eeg=False, mindist=0.0, verbose="ERROR")  # fmt: skip


def _fixed(forward: mne.Forward) -> mne.Forward:
    return mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, use_cps=False,
                                        verbose="ERROR")  # fmt: skip


def _noise_fields(everywhere: mne.Forward, units: NDArray, types: list) -> tuple:
    """Return fields of ongoing activity all over the cortex, and of the alpha rhythm."""
    gain = everywhere["sol"]["data"]
    magnetic = np.array([kind == "mag" for kind in types[: len(units)]])
    values, vectors = np.linalg.eigh((gain / units[:, None]) @ (gain / units[:, None]).T)
    strongest = slice(None, -_MODES - 1, -1)
    modes = vectors[:, strongest] * np.sqrt(values[strongest]) * units[:, None]
    modes *= BRAIN / np.sqrt((modes[magnetic] ** 2).sum(axis=1).mean())
    points = np.concatenate([side["rr"][side["vertno"]] for side in everywhere["src"]])
    # Source spaces of a forward solution are in head coordinates.
    to_head = mne.transforms.invert_transform(everywhere["mri_head_t"])
    if to_head["to"] != 4:
        to_head = everywhere["mri_head_t"]
    fields = []
    for centre in _RHYTHMS:
        place = mne.transforms.apply_trans(to_head, np.array(centre) / 1000)
        near = np.linalg.norm(points - place, axis=1) < 0.015
        fields.append(gain[:, near].sum(axis=1))
    alpha = np.stack(fields, axis=1)
    alpha *= ALPHA / np.sqrt((alpha[magnetic] ** 2).mean(axis=0))
    return modes, alpha


def _before(data: NDArray, samples: NDArray) -> NDArray:
    """Return the tenth of a second before each picture, less its mean, trials x sensors x time."""
    span = np.arange(-int(round(0.1 * RATE)), 0)
    cut = data[:, samples[:, None] + span].transpose(1, 0, 2).astype(float)
    return cut - cut.mean(axis=2, keepdims=True)


def _covariance(before: NDArray, info: mne.Info) -> mne.Covariance:
    n_trials, n_sensors, n_times = before.shape
    flat = before.transpose(1, 0, 2).reshape(n_sensors, -1)
    free = n_trials * (n_times - 1)
    names = info["ch_names"][:n_sensors]
    covariance = mne.Covariance(flat @ flat.T / free, names, list(info["bads"]), [], free,
                                verbose="ERROR")  # fmt: skip
    return mne.cov.regularize(covariance, info, mag=0.05, grad=0.05, eeg=0, verbose="ERROR")


def _write_run(
    folder: Path, info: mne.Info, data: NDArray, events: pd.DataFrame, names: Sequence[str],
    subject: int, run: int, seed: int,
) -> None:  # fmt: skip
    garbage = _generator(seed, "garbage", subject, run)
    units = _units(info)
    for name in info["bads"]:
        row = info["ch_names"].index(name)
        steps = garbage.standard_normal(data.shape[1]) * 300 * units[row]
        data[row] = steps * (garbage.random(data.shape[1]) < 0.1) + steps[::-1]
    triggers = np.zeros((1, data.shape[1]), dtype=np.float32)
    codes = [1 + names.index(name) for name in events["trial_type"]]
    for width in range(2):
        triggers[0, events["sample"].to_numpy() + width] = codes
    path = folder / f"sub-{subject:02d}_task-{TASK}_run-{run}_meg.fif"
    first = int(_generator(seed, "start", subject, run).integers(2_000, 20_000))
    stored = info.copy()
    stored["bads"] = []  # the table of channels says which they are
    write_recording(path, stored, np.concatenate([data, triggers]), first)
    write_run_tables(path, info, events, data.shape[1])
