"""The helmet of the simulated MEG: 306 sensors of a Neuromag, and how a head lies in it."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
from mne.io.constants import FIFF
from scipy.spatial.transform import Rotation

RATE = 200.0  # Hz
TRIGGERS = "STI101"
N_BAD = 2
# One step of the 16-bit numbers that are stored: a range of 65 pT, and of 1.3 nT/m.
QUANTUM = {"mag": 2e-15, "grad": 4e-14}


def helmet_info(trans: mne.transforms.Transform, centre: np.ndarray,
                generator: np.random.Generator) -> mne.Info:  # fmt: skip
    """Return what one subject's recordings say of sensors and head.

    Coil types, positions and orientations are MNE's canonical ones.

    Parameters
    ----------
    trans : mne.Transform
        Head to MRI, of `neurodnn.simulate.meg_cortex.head_model`.
    centre : array (3,)
        Of the head's sphere, m, head coordinates; it comes to lie near the helmet's.
    generator : numpy.random.Generator
        Of this subject: shift (about 3 mm) and turn (about 3 degrees) of the head, and which
        sensors are bad.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import head_model
    >>> trans, sphere = head_model()
    >>> info = helmet_info(trans, sphere["r0"], np.random.default_rng(0))
    >>> len(info["ch_names"]), len(info["bads"])
    (307, 2)
    """
    sensors = mne.channels.read_meg_canonical_info("neuromag", verbose="ERROR")
    names = list(sensors["ch_names"])
    types = ["mag" if ch["coil_type"] in _MAGNETOMETERS else "grad" for ch in sensors["chs"]]
    info = mne.create_info([*names, TRIGGERS], RATE, [*types, "stim"], verbose="ERROR")
    for channel, canonical, kind in zip(info["chs"], sensors["chs"], types, strict=False):
        channel["coil_type"] = canonical["coil_type"]
        channel["loc"][:] = canonical["loc"]
        channel["cal"] = QUANTUM[kind]
    with info._unlock():
        info["dev_head_t"] = _head_position(centre, generator)
        info["dig"] = _landmarks(trans)
        info["line_freq"] = 50.0
        info["lowpass"], info["highpass"] = RATE / 2, 0.0
    info["bads"] = sorted(generator.choice(names, N_BAD, replace=False).tolist())
    return info


_MAGNETOMETERS = {int(FIFF.FIFFV_COIL_VV_MAG_T1), int(FIFF.FIFFV_COIL_VV_MAG_T2),
                  int(FIFF.FIFFV_COIL_VV_MAG_T3)}  # fmt: skip


def _head_position(centre: np.ndarray, generator: np.random.Generator) -> mne.transforms.Transform:
    turn = Rotation.from_euler("xyz", generator.normal(0, 3, 3), degrees=True).as_matrix()
    shift = np.clip(generator.normal(0, 0.003, 3), -0.005, 0.005)
    moved = np.eye(4)
    moved[:3, :3] = turn
    moved[:3, 3] = centre - turn @ (HELMET_CENTRE + shift)
    return mne.transforms.Transform("meg", "head", moved)


# Where the centre of the head's sphere lies, device coordinates, m: a gap of about 2 cm remains
# between scalp and sensors all around.
HELMET_CENTRE = np.array([0.0, 0.012, -0.005])


def _landmarks(trans: mne.transforms.Transform) -> list:
    folder = Path(mne.__file__).parent / "data" / "fsaverage"
    points, _ = mne.io.read_fiducials(folder / "fsaverage-fiducials.fif", verbose="ERROR")
    to_head = mne.transforms.invert_transform(trans)
    places = {int(point["ident"]): mne.transforms.apply_trans(to_head, point["r"])
              for point in points}  # fmt: skip
    montage = mne.channels.make_dig_montage(
        lpa=places[int(FIFF.FIFFV_POINT_LPA)], nasion=places[int(FIFF.FIFFV_POINT_NASION)],
        rpa=places[int(FIFF.FIFFV_POINT_RPA)], coord_frame="head",
    )  # fmt: skip
    return montage.dig
