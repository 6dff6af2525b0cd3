"""Sensors in space: which are neighbours, and which touch."""

from __future__ import annotations

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from scipy.spatial import KDTree

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.meg_channels import sensor_names
from neurodnn.brain.sensor_maps import scores_to_evokeds
from neurodnn.stimuli.keys import some

__all__ = ["scores_to_evokeds", "sensor_adjacency", "sensor_names", "sensor_neighbors"]

TEMPLATE = "adjacency"
_SLACK = 1e-9  # m: rounding in sums of positions


def sensor_neighbors(
    info: mne.Info, *, channels: str = "meg", radius: float | str | None = None
) -> csr_array:
    """Return the sensors around each sensor.

    Parameters
    ----------
    info : mne.Info
        Of the epochs that made the patterns, bad channels left out.
    channels : {"meg", "mag", "grad", "eeg"}
        As in `window_patterns`.
    radius : float, "adjacency" or None
        In metres, along a straight line between the positions in space, the bound included;
        0.04 holds on average 5 places of a Neuromag helmet, 10 of a CTF one. ``"adjacency"``:
        the sensors that touch, by MNE's table for the system or its triangulation (one type of
        sensor at a time).
        None: each sensor alone.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Centres x sensors; both are `sensor_names` in its order, the centre included.

    Raises
    ------
    InputError
        If sensors have no position, the radius is not positive, or MNE knows no adjacency.

    Notes
    -----
    The two planar gradiometers of a place lie 0 mm apart: within any radius each has the other,
    and with ``channels="meg"`` the magnetometer there, so that both have the same neighbours.
    With None they stay apart.

    Examples
    --------
    >>> info = mne.create_info(["A", "B", "C"], 100.0, "mag")
    >>> for place, channel in enumerate(info["chs"]):
    ...     channel["loc"][:3] = 0.03 * place, 0, 0.1
    >>> sensor_neighbors(info, radius=0.03).toarray().astype(int).tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    names = sensor_names(info, channels)
    if radius is None:
        return csr_array(eye_array(len(names), dtype=bool, format="csr"))
    if radius == TEMPLATE:
        return _template_neighbors(info, names, channels)
    if isinstance(radius, str):
        allowed = f"metres, {TEMPLATE!r} or None"
        raise InputError(message("radius", "is not known", got=radius, allowed=allowed))
    radius = check_number("radius", radius, minimum=0, strict=True, unit="m")
    if radius > 1:
        remedy = "40 mm are 0.04."
        allowed = "metres, <= 1"
        raise InputError(
            message("radius", "is larger than a head", got=radius, allowed=allowed, remedy=remedy)
        )
    tree = KDTree(_positions(info, names))
    members = tree.query_ball_point(tree.data, radius + _SLACK, return_sorted=True)
    indptr = np.concatenate([[0], np.cumsum([len(each) for each in members])])
    indices = np.concatenate([np.asarray(each, dtype=np.int32) for each in members])
    return csr_array(
        (np.ones(indices.size, bool), indices, indptr), shape=(len(names), len(names))
    )


def sensor_adjacency(
    info: mne.Info, *, channels: str = "meg", radius: float | str = TEMPLATE
) -> csr_array:
    """Return which sensors count as touching in a cluster test.

    Parameters
    ----------
    info, channels, radius
        As in `sensor_neighbors`.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Sensors x sensors; symmetric, without a diagonal.

    Raises
    ------
    InputError
        As `sensor_neighbors`.

    Examples
    --------
    >>> info = mne.create_info(["A", "B", "C"], 100.0, "mag")
    >>> for place, channel in enumerate(info["chs"]):
    ...     channel["loc"][:3] = 0.03 * place, 0, 0.1
    >>> sensor_adjacency(info, radius=0.03).toarray().astype(int).tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    table = sensor_neighbors(info, channels=channels, radius=radius).toarray()
    np.fill_diagonal(table, False)
    return csr_array(table)


def _positions(info: mne.Info, names: list[str]) -> NDArray:
    place = {channel["ch_name"]: channel["loc"][:3] for channel in info["chs"]}
    positions = np.array([place[name] for name in names], dtype=float)
    lost = ~np.isfinite(positions).all(axis=1) | (positions == 0).all(axis=1)
    if lost.any():
        listed = some(name for name, out in zip(names, lost, strict=True) if out)
        fault = f"{int(lost.sum())} sensors have no position: {listed}"
        remedy = "For EEG give a montage: raw.set_montage(...)."
        raise InputError(message("info", fault, remedy=remedy))
    return positions


def _template_neighbors(info: mne.Info, names: list[str], channels: str) -> csr_array:
    types = dict(zip(info["ch_names"], info.get_channel_types(), strict=True))
    kinds = sorted({types[name] for name in names})
    if len(kinds) > 1:
        remedy = "Take one type at a time, or a radius in metres."
        fault = "adjacency is known within one type of sensor"
        raise InputError(message("channels", fault, got=kinds, remedy=remedy))
    _positions(info, names)  # without positions the triangulation fails obscurely
    own = mne.pick_info(info, [info["ch_names"].index(name) for name in names], verbose="ERROR")
    with mne.utils.use_log_level("ERROR"):
        table, known = _find_adjacency(own, kinds[0])
    place = {name: i for i, name in enumerate(known)}
    missing = [name for name in names if name not in place]
    if missing:
        fault = f"MNE's adjacency lacks {len(missing)} sensors: {some(missing)}"
        raise InputError(message("info", fault, remedy="Give a radius in metres."))
    order = [place[name] for name in names]
    dense = np.asarray(csr_array(table).toarray(), dtype=bool)[np.ix_(order, order)]
    dense |= dense.T
    np.fill_diagonal(dense, True)
    return csr_array(dense)


def _find_adjacency(own: mne.Info, kind: str) -> tuple[csr_array, list[str]]:
    """MNE's table for the system, or its triangulation; with the names that sensors have here.

    Only the sensors themselves may stand in `own`: MNE tells CTF systems apart by their number,
    and Neuromag's way of naming by the first channel.
    """
    try:
        table, known = mne.channels.find_ch_adjacency(own, kind)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        fault = f"MNE finds no adjacency of these sensors: {error}"
        raise InputError(message("info", fault, remedy="Give a radius in metres.")) from error
    if set(own["ch_names"]) <= set(known):
        return table, list(map(str, known))
    # Names of CTF carry the number of the device, "MLC11-2908", which the tables lack.
    here = {name.split("-")[0]: name for name in own["ch_names"]}
    return table, [here.get(str(name), str(name)) for name in known]
