"""Inverse solutions of MNE: read, made, checked against the data, and laid out as one matrix.

An inverse solution is linear in the sensors up to the choice of orientation, so it is computed
once, as the response to each sensor alone, and then is a product with patterns.
"""

from __future__ import annotations

import os
import warnings
from typing import NamedTuple

import mne
import numpy as np
from mne.minimum_norm import InverseOperator, apply_inverse, make_inverse_operator
from numpy.typing import NDArray

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.brain._fif import fif_content
from neurodnn.brain._files import user_path
from neurodnn.brain.meg_reading import guarded_read
from neurodnn.brain.source_space import SourceLike, source_sides
from neurodnn.stimuli.keys import some

METHODS = ("MNE", "dSPM", "sLORETA", "eLORETA")
ORIENTATIONS = ("normal", "free")
_FIXED = 1  # FIFFV_MNE_FIXED_ORI
_MOVED = 0.01  # m
_RENEW = "Make a new inverse operator from the good channels of these data."


class Kernel(NamedTuple):
    """``matrix`` (vertices, parts, channels): what each sensor alone gives; 1 part or 3."""

    matrix: NDArray
    channels: list[str]
    vertices: NDArray
    hemispheres: list[str]


def read_inverse(path: str | os.PathLike) -> InverseOperator:
    """Return the inverse operator of a file.

    Parameters
    ----------
    path : path
        ``..._inv.fif`` or ``-inv.fif``, over a surface source space.

    Returns
    -------
    mne.minimum_norm.InverseOperator

    Raises
    ------
    InputError
        If the file is absent, damaged, holds no inverse operator, or one over a volume.

    Examples
    --------
    >>> read_inverse("nowhere_inv.fif")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: nowhere_inv.fif: no such file. Check the spelling and the folder.
    """
    path = user_path(path)
    kind = fif_content(path).kind
    if kind != "inverse":
        remedy = "A forward solution and a covariance make one: make_inverse."
        raise InputError(message(str(path), "holds no inverse operator", got=kind, remedy=remedy))
    inverse = guarded_read(
        lambda: mne.minimum_norm.read_inverse_operator(path, verbose="ERROR"), path
    )
    source_sides(inverse, str(path))
    _in_native_order(inverse["noise_cov"])
    return inverse


def make_inverse(
    info: mne.Info,
    forward: str | os.PathLike | mne.Forward,
    covariance: str | os.PathLike | mne.Covariance,
    *,
    loose: float = 0.2,
    depth: float = 0.8,
) -> InverseOperator:
    """Return the inverse operator of a forward solution and a noise covariance.

    Parameters
    ----------
    info : mne.Info
        Of the epochs that it is for, their bad channels marked or dropped.
    forward : path or mne.Forward
        ``..._fwd.fif``.
    covariance : path or mne.Covariance
        ``..._cov.fif``, of the noise.
    loose : float
        Weight of the two directions along the surface beside the normal one, from 0 (the normal
        alone) to 1. Default 0.2, as in MNE.
    depth : float
        Exponent of depth weighting; 0 for none. Default 0.8, as in MNE.

    Returns
    -------
    mne.minimum_norm.InverseOperator

    Raises
    ------
    InputError
        If a file is faulty, the source space is no surface, or a good channel of `info`, of a
        type that the forward solution has, is missing from one of the two.

    Examples
    --------
    >>> make_inverse(mne.create_info(2, 100.0, "mag"), "nowhere_fwd.fif", "nowhere_cov.fif")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: nowhere_fwd.fif: no such file. Check the spelling and the folder.
    """
    loose = check_number("loose", loose, minimum=0, maximum=1)
    depth = check_number("depth", depth, minimum=0, maximum=10)
    solution = _read(forward, mne.Forward, "forward", mne.read_forward_solution)
    noise = _read(covariance, mne.Covariance, "covariance", mne.read_cov).copy()
    _in_native_order(noise)
    source_sides(solution, "forward")
    types = dict(zip(solution.ch_names, solution["info"].get_channel_types(), strict=True))
    good = _good_channels(info, set(types.values()))
    if not good:
        fault = "has no good channel of the types of the forward solution"
        raise InputError(message("info", fault, allowed=", ".join(sorted(set(types.values())))))
    for name, own in (("forward", types), ("covariance", set(noise.ch_names) - set(noise["bads"]))):
        missing = [channel for channel in good if channel not in own]
        if missing:
            fault = f"lacks {len(missing)} of {len(good)} good channels: {some(missing)}"
            remedy = "Mark them bad in the data, or compute it again for these channels."
            raise InputError(message(name, fault, remedy=remedy))
    picked = mne.pick_info(info, [info["ch_names"].index(name) for name in good], verbose="ERROR")
    try:
        with mne.utils.use_log_level("ERROR"):
            return make_inverse_operator(picked, solution, noise, loose=loose, depth=depth)
    except (ValueError, RuntimeError) as error:
        fault = f"MNE makes no inverse operator of these: {_first_line(error)}"
        raise InputError(message("forward", fault)) from error


def inverse_kernel(
    info: mne.Info, inverse: InverseOperator, *, method: str, snr: float, orientation: str
) -> Kernel:
    """Return an inverse solution as a matrix, checked against the sensors of the data.

    Parameters
    ----------
    info : mne.Info
        Of the epochs.
    inverse : mne.minimum_norm.InverseOperator
    method, snr, orientation
        As in `source_patterns`.

    Raises
    ------
    InputError
        As `source_patterns`.
    """
    check_choice("method", method, METHODS)
    check_choice("orientation", orientation, ORIENTATIONS)
    snr = check_number("snr", snr, minimum=0, maximum=1e6, strict=True)
    if not isinstance(inverse, InverseOperator):
        remedy = "Read it with read_inverse, or make it with make_inverse."
        got = type(inverse).__name__
        raise InputError(message("inverse", "is no inverse operator", got=got, remedy=remedy))
    sides = source_sides(inverse, "inverse")
    if len(sides) < 2:
        fault = f"is over the {sides[0].name} hemisphere alone, which MNE cannot apply"
        remedy = "Make it over both, and take the sources of one from the patterns."
        raise InputError(message("inverse", fault, remedy=remedy))
    channels = list(inverse["info"]["ch_names"])
    channels = [name for name in inverse["eigen_fields"]["col_names"] if name in channels]
    check_sensors(info, inverse, channels)
    parts = _pick(inverse, orientation)
    unit = mne.EvokedArray(
        np.eye(len(channels)),
        mne.pick_info(info, [info["ch_names"].index(name) for name in channels], verbose="ERROR"),
        nave=1, verbose="ERROR",
    )  # fmt: skip
    try:
        found = apply_inverse(
            unit, inverse, 1.0 / snr**2, method, pick_ori=parts, verbose="ERROR"
        )
    except (ValueError, RuntimeError) as error:
        fault = f"MNE cannot apply it to these epochs: {_first_line(error)}"
        raise InputError(message("inverse", fault)) from error
    matrix = np.asarray(found.data, dtype=float)
    matrix = matrix if parts == "vector" else matrix[:, np.newaxis]
    names = [side.name for side in sides for _ in side.used]
    return Kernel(matrix, channels, np.concatenate([side.used for side in sides]), names)


def check_sensors(info: mne.Info, inverse: InverseOperator, channels: list[str]) -> None:
    """Refuse an inverse operator of other sensors; warn where data and operator disagree.

    Parameters
    ----------
    info : mne.Info
        Of the epochs.
    inverse : mne.minimum_norm.InverseOperator
    channels : list of str
        Those that the operator needs.
    """
    missing = [name for name in channels if name not in info["ch_names"]]
    if missing:
        fault = f"needs {len(missing)} of {len(channels)} channels that the epochs lack"
        raise InputError(message("inverse", f"{fault}: {some(missing)}", remedy=_RENEW))
    bad = [name for name in channels if name in info["bads"]]
    if bad:
        fault = f"needs {len(bad)} channels that are marked bad in the epochs: {some(bad)}"
        raise InputError(message("inverse", fault, remedy=_RENEW))
    kinds = dict(zip(info["ch_names"], info.get_channel_types(), strict=True))
    unused = [name for name in _good_channels(info, {kinds[name] for name in channels})
              if name not in set(channels)]  # fmt: skip
    if unused:
        fault = f"{len(unused)} good channels take no part, the inverse lacks them: {some(unused)}"
        warnings.warn(message("epochs", fault), DataWarning, stacklevel=4)
    _warn_of_head(info, inverse)
    _warn_of_person(info, inverse)


def _warn_of_head(info: mne.Info, inverse: InverseOperator) -> None:
    here, there = info["dev_head_t"], inverse["info"]["dev_head_t"]
    if here is None or there is None:
        return
    gap = float(np.linalg.norm(here["trans"][:3, 3] - there["trans"][:3, 3]))
    if gap > _MOVED:
        fault = f"the head lies {1000 * gap:.0f} mm from where it lay for the inverse operator"
        remedy = "Is it of this subject and session?"
        warnings.warn(message("epochs", fault, remedy=remedy), DataWarning, stacklevel=5)


def _warn_of_person(info: mne.Info, inverse: InverseOperator) -> None:
    own = _plain_id((info["subject_info"] or {}).get("his_id"))
    subject = _plain_id(inverse["src"][0].get("subject_his_id"))
    if own and subject and own != subject and not subject.startswith("fsaverage"):
        fault = f"are of subject {own!r}, the inverse operator is of {subject!r}"
        warnings.warn(message("epochs", fault), DataWarning, stacklevel=5)


def _plain_id(name: object) -> str:
    return str(name or "").strip().lower().removeprefix("sub-")


def _pick(inverse: InverseOperator, orientation: str) -> str | None:
    """What MNE calls it: a fixed operator has the signed normal current and nothing else."""
    if inverse["source_ori"] == _FIXED:
        if orientation == "free":
            remedy = "Take orientation='normal', or make the operator with loose > 0."
            fault = "'free' needs an inverse operator of free orientation, this one is fixed"
            raise InputError(message("orientation", fault, remedy=remedy))
        return None
    return "normal" if orientation == "normal" else "vector"


def _good_channels(info: mne.Info, kinds: set[str]) -> list[str]:
    types = info.get_channel_types()
    return [name for name, kind in zip(info["ch_names"], types, strict=True)
            if kind in kinds and name not in info["bads"]]  # fmt: skip


def _read(given: object, kind: type, name: str, read: object) -> object:
    if isinstance(given, kind):
        return given
    if not isinstance(given, (str, os.PathLike)):
        got = type(given).__name__
        raise InputError(message(name, "is none", got=got, allowed=f"a path or {kind.__name__}"))
    path = user_path(given)
    fif_content(path)
    return guarded_read(lambda: read(path, verbose="ERROR"), path)


def _in_native_order(noise: mne.Covariance) -> None:
    """Turn the bytes of variances that a file holds without covariances; MNE does not."""
    noise["data"] = np.asarray(noise["data"]).astype(float)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


__all__ = ["InverseOperator", "Kernel", "SourceLike", "inverse_kernel", "make_inverse",
           "read_inverse"]  # fmt: skip
