"""Simulated time: events, the responses that they evoke, noise and nuisance of one run.

Random numbers come from generators that the caller seeds, one a subject and run, so that no
run depends on how many others were made before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import nibabel as nib
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

BASELINE = 10_000.0  # scanner units, so that integers store noise of 1 % with 0.3 % rounding
NOISE = 0.01  # of the baseline: standard deviation over time of a voxel's noise
AUTOCORRELATION = 0.3  # of the noise from one volume to the next
SMOOTHNESS = 6.0  # mm, full width at half maximum of the noise in space
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def draw_events(
    names: Sequence[str],
    generator: np.random.Generator,
    *,
    repeats: int = 2,
    tr: float = 2.0,
    spacing: float = 4.0,
) -> tuple[pd.DataFrame, int]:
    """Return the events of one run and its number of volumes.

    Parameters
    ----------
    names : sequence of str
        Stimuli; each is shown `repeats` times, in one random order a repetition and never twice
        in a row.
    generator : numpy.random.Generator
        Of this subject and run.
    repeats : int
        Times that each stimulus is shown in the run.
    tr : float
        Seconds between volumes.
    spacing : float
        Seconds from onset to onset; a stimulus lasts half of it.

    Returns
    -------
    events : pandas.DataFrame
        ``onset, duration`` (s) and ``stimulus``; 8 s of rest before, 12 s after.
    n_volumes : int

    Examples
    --------
    >>> events, n_volumes = draw_events(["a", "b"], np.random.default_rng(0), repeats=1)
    >>> events["onset"].tolist(), n_volumes
    ([8.0, 12.0], 14)
    """
    order: list[str] = []
    for _ in range(repeats):
        block = [names[i] for i in generator.permutation(len(names))]
        if order and block[0] == order[-1]:
            block.append(block.pop(0))
        order += block
    onsets = 8.0 + spacing * np.arange(len(order))
    events = pd.DataFrame({"onset": onsets, "duration": spacing / 2, "stimulus": order})
    return events, math.ceil((onsets[-1] + spacing + 12.0) / tr)


def expected_courses(
    events: pd.DataFrame, names: Sequence[str], n_volumes: int, tr: float
) -> np.ndarray:
    """Return the time course that each stimulus evokes, by Glover's response function.

    Parameters
    ----------
    events : pandas.DataFrame
        As made by `draw_events`.
    names : sequence of str
        Stimuli, one column each.
    n_volumes, tr : int, float
        Length of the run, and seconds between volumes.

    Returns
    -------
    ndarray (n_volumes, n_stimuli)
        Scaled as nilearn scales its regressors.

    Examples
    --------
    >>> events, n_volumes = draw_events(["a", "b"], np.random.default_rng(0), repeats=1)
    >>> expected_courses(events, ["a", "b"], n_volumes, 2.0).shape
    (14, 2)
    """
    from nilearn.glm.first_level import compute_regressor

    times = tr * np.arange(n_volumes)
    columns = []
    for name in names:
        shown = events[events["stimulus"] == name]
        condition = np.vstack([shown["onset"], shown["duration"], np.ones(len(shown))])
        columns.append(compute_regressor(condition, "glover", times)[0][:, 0])
    return np.column_stack(columns)


def smooth_noise(
    mask: nib.Nifti1Image,
    n_volumes: int,
    generator: np.random.Generator,
    *,
    autocorrelation: float = AUTOCORRELATION,
    fwhm: float = SMOOTHNESS,
) -> np.ndarray:
    """Return noise of unit variance that is smooth in space and AR(1) in time.

    Parameters
    ----------
    mask : nibabel.Nifti1Image
        The brain and its grid.
    n_volumes : int
        Length.
    generator : numpy.random.Generator
        Of this subject and run.
    autocorrelation : float
        Correlation of neighbouring volumes.
    fwhm : float
        Full width at half maximum in mm of the Gaussian that smooths each volume; 0 for none.

    Returns
    -------
    ndarray (n_volumes, n_voxels), float32
        Voxels in C order of the mask.

    Examples
    --------
    >>> mask = nib.Nifti1Image(np.ones((6, 6, 6), "uint8"), np.diag([4, 4, 4, 1]))
    >>> noise = smooth_noise(mask, 200, np.random.default_rng(0))
    >>> noise.shape, bool(abs(noise.std() - 1) < 0.05)
    ((200, 216), True)
    """
    inside = np.asarray(mask.dataobj) > 0
    white = generator.standard_normal((n_volumes, *inside.shape), dtype=np.float32)
    if fwhm:
        sigma = fwhm / math.sqrt(8 * math.log(2)) / np.array(mask.header.get_zooms()[:3])
        white = gaussian_filter(white, sigma, axes=(1, 2, 3), mode="wrap")
    white = white[:, inside]
    # The filter lowers the variance by a factor that is the same everywhere ("wrap").
    white /= white.std()
    # The first volume keeps its variance: the course is stationary from the start.
    white[1:] *= np.float32(math.sqrt(1 - autocorrelation**2))
    return lfilter(np.float32([1]), np.float32([1, -autocorrelation]), white, axis=0)


def draw_confounds(n_volumes: int, tr: float, generator: np.random.Generator) -> pd.DataFrame:
    """Return the nuisance courses of one run under fMRIPrep's column names.

    Parameters
    ----------
    n_volumes, tr : int, float
        Length of the run, and seconds between volumes.
    generator : numpy.random.Generator
        Of this subject and run.

    Returns
    -------
    pandas.DataFrame
        Six motion parameters (mm, radians) that wander, with derivatives and squares;
        ``csf``, ``white_matter`` and ``global_signal`` (scanner units); ``cosineNN`` up to
        1/128 Hz; ``framewise_displacement`` (mm). The first derivative of anything is NaN.

    Examples
    --------
    >>> table = draw_confounds(100, 2.0, np.random.default_rng(0))
    >>> [name for name in table if name.startswith("cosine")]
    ['cosine00', 'cosine01', 'cosine02']
    """
    table = pd.DataFrame(index=range(n_volumes))
    steps = generator.standard_normal((n_volumes, len(MOTION)))
    for column, name in enumerate(MOTION):
        # About 0.2 mm of wandering in a run, and 0.2 degrees.
        scale = 0.02 if name.startswith("trans") else 0.0004
        course = scale * np.cumsum(steps[:, column])
        table[name] = course - course[0]
    for name in ("csf", "white_matter", "global_signal"):
        course = lfilter([1], [1, -0.8], generator.standard_normal(n_volumes))
        table[name] = BASELINE + NOISE * BASELINE * course / course.std()
    table = pd.concat([table, _expansions(table)], axis=1)
    rotation = [name for name in MOTION if name.startswith("rot")]
    moved = table[list(MOTION)].diff().abs()
    moved[rotation] *= 50.0  # mm: radius of the sphere on which rotation becomes displacement
    table["framewise_displacement"] = moved.sum(axis=1, skipna=False)
    phase = (np.arange(n_volumes) + 0.5) / n_volumes
    for order in range(int(2 * n_volumes * tr / 128)):
        table[f"cosine{order:02d}"] = math.sqrt(2 / n_volumes) * np.cos(
            math.pi * (order + 1) * phase)  # fmt: skip
    return table


def _expansions(table: pd.DataFrame) -> pd.DataFrame:
    """Return fMRIPrep's derivatives and squares of every column."""
    parts = {}
    for name in table:
        parts[f"{name}_derivative1"] = table[name].diff()
        parts[f"{name}_power2"] = table[name] ** 2
        parts[f"{name}_derivative1_power2"] = table[name].diff() ** 2
    return pd.DataFrame(parts)


def nuisance(confounds: pd.DataFrame, n_voxels: int, generator: np.random.Generator) -> np.ndarray:
    """Return what motion, slow drift and the tissue signals add to every voxel.

    Parameters
    ----------
    confounds : pandas.DataFrame
        As made by `draw_confounds`.
    n_voxels : int
        Voxels.
    generator : numpy.random.Generator
        Of this subject and run.

    Returns
    -------
    ndarray (n_volumes, n_voxels), float32
        In units of the noise; each of the three sources has variance 1/4 on average. It lies
        wholly in the span of the columns: whoever takes them as confounds removes it.

    Examples
    --------
    >>> table = draw_confounds(100, 2.0, np.random.default_rng(0))
    >>> nuisance(table, 5, np.random.default_rng(1)).shape
    (100, 5)
    """
    cosines = [name for name in confounds if name.startswith("cosine")]
    total = np.zeros((len(confounds), n_voxels), dtype=np.float32)
    for names in (list(MOTION), cosines, ["csf", "white_matter"]):
        courses = confounds[names].to_numpy()
        courses = (courses - courses.mean(axis=0)) / courses.std(axis=0)
        weights = generator.standard_normal((len(names), n_voxels))
        weights /= 2 * math.sqrt(max(len(names), 1))
        total += (courses @ weights).astype(np.float32)
    return total
