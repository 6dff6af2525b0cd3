"""Simulated brains: the grid, where layers are planted, and what voxels answer.

Everything is made on one grid in RAS order, and only the written file may be stored otherwise,
so that the same seed gives the same brain whatever the storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from .._checks import InputError, check_number, message

SPACE = "MNI152NLin2009aSym"
"""BIDS label of the template that nilearn ships (file ``..._nlin_sym_09a``).

Its two halves are equal to the last bit, so it is the symmetric version, whatever prose says.
"""

VENTRAL_STREAM = (
    ("V1", 12, -92, 4),
    ("V2V3", 18, -76, -10),
    ("V4", 34, -66, -18),
    ("LO", 44, -78, 0),
    ("fusiform", 38, -46, -20),
    ("anteriorIT", 48, -28, -24),
)
"""Places (name, then x, y, z in mm, right hemisphere; the left is its mirror image).

The coordinates are chosen, not taken from an atlas: points along the ventral stream at least
20 mm apart, so that spheres of 10 mm do not touch and a searchlight of 9 mm at a centre sees
one layer alone. The names say which area lies about there.
"""

RADIUS = 10.0  # mm


def template_mask(voxel_size: Sequence[float] = (4.0, 4.0, 5.0)) -> nib.Nifti1Image:
    """Return the brain mask of the MNI template on a grid of `voxel_size`, in RAS order.

    Parameters
    ----------
    voxel_size : sequence of 3 float
        Edges of a voxel in mm, along x, y and z. Anisotropic by default, since real data often
        are, and a program that mixes up axes should fail on its own demonstration.

    Returns
    -------
    nibabel.Nifti1Image
        uint8, 1 inside the brain; codes say MNI space.

    Raises
    ------
    InputError
        If `voxel_size` is not three numbers from 1 to 20 mm.

    Examples
    --------
    >>> mask = template_mask((8, 8, 10))
    >>> mask.shape, [float(edge) for edge in mask.header.get_zooms()]
    ((19, 24, 18), [8.0, 8.0, 10.0])
    """
    from nilearn.datasets import load_mni152_brain_mask

    if len(voxel_size) != 3:
        raise InputError(message("voxel_size", "needs three edges", got=voxel_size))
    sizes = np.array([check_number("voxel_size", s, minimum=1, maximum=20, unit="mm")
                      for s in voxel_size])  # fmt: skip
    fine = load_mni152_brain_mask(resolution=2)
    inside = np.asarray(fine.dataobj) > 0
    world = apply_affine(fine.affine, np.argwhere(inside))
    # Voxel centres lie on whole multiples of the edge, so one of them is the origin.
    low = np.floor(world.min(axis=0) / sizes)
    high = np.ceil(world.max(axis=0) / sizes)
    affine = nib.affines.from_matvec(np.diag(sizes), low * sizes)
    shape = tuple(int(n) for n in high - low + 1)
    grid = apply_affine(affine, np.stack(np.indices(shape), axis=-1))
    source = np.rint(apply_affine(np.linalg.inv(fine.affine), grid)).astype(int)
    valid = np.all((source >= 0) & (source < fine.shape), axis=-1)
    values = np.zeros(shape, dtype=np.uint8)
    values[valid] = inside[tuple(source[valid].T)]
    return in_template_space(values, affine)


def in_template_space(values: np.ndarray, affine: np.ndarray, tr: float = 0.0) -> nib.Nifti1Image:
    """Return an image with a fresh header whose codes say MNI space and whose units are set.

    Parameters
    ----------
    values : ndarray
        3-D, or 4-D with time last; kept in their own type.
    affine : ndarray (4, 4)
        Voxels to mm.
    tr : float
        Seconds between volumes; 0 (default) for an image without time.

    Examples
    --------
    >>> image = in_template_space(np.zeros((2, 2, 2, 3), "int16"), np.eye(4), tr=2.0)
    >>> float(image.header.get_zooms()[3]), int(image.header["sform_code"])
    (2.0, 4)
    """
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    image.header.set_xyzt_units("mm", "sec" if tr else "unknown")
    if tr:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr))
    return image


def as_stored(image: nib.Nifti1Image, storage: str) -> nib.Nifti1Image:
    """Return the same image with its axes stored in another order or direction.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        Any orientation.
    storage : str
        Where the three axes point, such as ``"RAS"``, ``"LAS"`` or ``"PSR"``.

    Raises
    ------
    InputError
        If `storage` does not name three different axes.

    Examples
    --------
    >>> image = in_template_space(np.zeros((2, 3, 4), "uint8"), np.eye(4))
    >>> as_stored(image, "PSR").shape
    (3, 4, 2)
    """
    pairs = {"L": "LR", "R": "LR", "A": "PA", "P": "PA", "S": "IS", "I": "IS"}
    if len(storage) != 3 or len({pairs.get(code) for code in storage} - {None}) != 3:
        raise InputError(message("storage", "is not an orientation", got=storage,
                                 allowed="one each of L/R, A/P, S/I, such as LAS"))  # fmt: skip
    now = nib.orientations.io_orientation(image.affine)
    wanted = nib.orientations.axcodes2ornt(tuple(storage))
    turned = image.as_reoriented(nib.orientations.ornt_transform(now, wanted))
    time = float(image.header.get_zooms()[3]) if image.ndim == 4 else 0.0
    return in_template_space(np.asarray(turned.dataobj), turned.affine, time)


def planted_places(layers: Sequence[str], radius: float = RADIUS) -> pd.DataFrame:
    """Return where each layer is planted: two mirrored places of the ventral stream each.

    Parameters
    ----------
    layers : sequence of str
        From early to late, at most six.
    radius : float
        Of the planted spheres, mm.

    Returns
    -------
    pandas.DataFrame
        ``layer, place, hemisphere, x, y, z, radius``, two rows (L, R) a layer, mm.

    Raises
    ------
    InputError
        If there are more layers than places.

    Examples
    --------
    >>> planted_places(["conv1"])[["layer", "hemisphere", "x"]].values.tolist()
    [['conv1', 'L', -12.0], ['conv1', 'R', 12.0]]
    """
    if len(layers) > len(VENTRAL_STREAM):
        raise InputError(message("layers", "are more than there are places to plant them",
                                 got=len(layers), allowed=f"at most {len(VENTRAL_STREAM)}"))
    rows = [
        (layer, place, side, float(sign * x), float(y), float(z), float(radius))
        for layer, (place, x, y, z) in zip(layers, VENTRAL_STREAM, strict=False)
        for side, sign in (("L", -1), ("R", 1))
    ]
    return pd.DataFrame(rows, columns=["layer", "place", "hemisphere", "x", "y", "z", "radius"])


def planted_responses(
    correlations: Mapping[str, np.ndarray],
    mask: nib.Nifti1Image,
    places: pd.DataFrame,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return what every voxel answers to every stimulus, free of noise.

    A voxel of a planted place is a random projection of its layer's standardised activations.
    Such a projection depends on the activations only through their correlation matrix C over
    stimuli, so that it is drawn as C^(1/2) g, with normal g, and needs no million of weights.
    Where a place has enough voxels (one more than stimuli), the projections are made orthogonal
    to each other and to the mean over voxels: the correlation of two stimuli over the voxels of
    the place is then exactly that of the activations, and the RDM of the place is the RDM of
    the layer. With fewer voxels it is so on average.

    Responses are scaled so that their variance about the mean over stimuli is 1 on average:
    layers whose activations differ little between images are then as easy, or hard, to find as
    others, and what the stimuli have in common comes on top.

    Parameters
    ----------
    correlations : mapping of str to ndarray (n_stimuli, n_stimuli)
        Layer name to the correlations of its activations.
    mask : nibabel.Nifti1Image
        The brain; voxels in C order of its non-zero values.
    places : pandas.DataFrame
        As made by `planted_places`.
    generator : numpy.random.Generator
        Of this subject.

    Returns
    -------
    ndarray (n_stimuli, n_voxels), float32
        Zero where nothing is planted. Where places overlap, the later layer stands.

    Examples
    --------
    >>> mask = in_template_space(np.ones((9, 9, 9), "uint8"), nib.affines.from_matvec(
    ...     4 * np.eye(3), [-20, -104, -10]))
    >>> truth = np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    >>> planted = planted_responses({"conv1": truth}, mask, planted_places(["conv1"]),
    ...                             np.random.default_rng(0))
    >>> planted.shape
    (3, 729)
    """
    voxels = apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    n_stimuli = len(next(iter(correlations.values()))) if correlations else 0
    responses = np.zeros((n_stimuli, len(voxels)), dtype=np.float32)
    for place in places.itertuples():
        distance = np.linalg.norm(voxels - (place.x, place.y, place.z), axis=1)
        members = np.flatnonzero(distance <= place.radius + 1e-9)
        root = _symmetric_root(correlations[place.layer])
        responses[:, members] = root @ _projections(n_stimuli, members.size, generator)
    return responses


def _projections(n_stimuli: int, n_voxels: int, generator: np.random.Generator) -> np.ndarray:
    """Return random weights (n_stimuli, n_voxels) of variance 1, orthogonal if there is room."""
    weights = generator.standard_normal((n_stimuli, n_voxels))
    if n_voxels <= n_stimuli:
        return weights
    weights -= weights.mean(axis=1, keepdims=True)
    return np.linalg.qr(weights.T)[0].T * np.sqrt(n_voxels)


def _symmetric_root(correlation: np.ndarray) -> np.ndarray:
    """Return C^(1/2), scaled to mean variance 1 about the mean over stimuli."""
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root / np.sqrt(np.mean((root - root.mean(axis=0)) ** 2) * len(root))
