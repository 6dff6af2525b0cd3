"""Data in which nothing is there, or in which we know what is."""

from __future__ import annotations

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter

_STAGE = 20  # simulations; the tests themselves use smaller numbers


def generator(seed: int, protocol: int, index: int) -> np.random.Generator:
    """Return the generator of one data set: it hangs on nothing but these three numbers."""
    key = (_STAGE, protocol, int(index))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def smooth_maps(rng: np.random.Generator, n_subjects: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return Gaussian noise, subjects x grid, smoothed with a standard deviation of 1.2 voxels.

    Divided by its standard deviation, so that an added constant is an effect in such units.
    """
    noise = rng.standard_normal((n_subjects, *shape))
    smoothed = gaussian_filter(noise, sigma=(0, *[1.2] * len(shape)), mode="wrap")
    # White noise through a kernel keeps the sum of its squared weights as variance.
    point = np.zeros(shape)
    point[tuple(size // 2 for size in shape)] = 1
    weights = gaussian_filter(point, sigma=1.2, mode="wrap")
    return smoothed / np.sqrt((weights**2).sum())


def stimulus_names(n: int) -> list[str]:
    return [f"stimulus {i:02d}" for i in range(n)]


def correlation_distances(patterns: np.ndarray) -> np.ndarray:
    """Return 1 - r of all pairs of rows, the last axes of a stack being stimuli x channels."""
    centred = patterns - patterns.mean(axis=-1, keepdims=True)
    centred /= np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    products = centred @ np.swapaxes(centred, -1, -2)
    first, second = np.triu_indices(patterns.shape[-2], 1)
    return 1 - products[..., first, second]


def random_references(rng: np.random.Generator, n: int, n_stimuli: int) -> RDMs:
    """Return RDMs of random patterns: models that have nothing to do with any brain."""
    rows = correlation_distances(rng.standard_normal((n, n_stimuli, 40)))
    return as_rdms(rows, "reference", [f"layer{i:02d}" for i in range(n)])


def as_rdms(rows: np.ndarray, label: str, names: list[str]) -> RDMs:
    n_stimuli = round((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    return RDMs(np.asarray(rows, float), rdm_descriptors={label: names},
                pattern_descriptors={"stimulus": stimulus_names(n_stimuli)})  # fmt: skip


def subject_names(n: int) -> list[str]:
    return [f"sub-{i:02d}" for i in range(1, n + 1)]


def shared_geometry(
    rng: np.random.Generator, shared: float, n_subjects: int, n_stimuli: int, n_channels: int
) -> np.ndarray:
    """Return patterns, subjects x stimuli x channels: shared * common + noise of each subject.

    All subjects see the same stimuli, so that whatever these have in common by chance with a
    model is there again in every subject. That is what a test over subjects cannot know.
    """
    common = rng.standard_normal((n_stimuli, n_channels))
    noise = rng.standard_normal((n_subjects, n_stimuli, n_channels))
    return shared * common + noise


def as_dataset(patterns: np.ndarray) -> Dataset:
    return Dataset(patterns, obs_descriptors={"stimulus": stimulus_names(len(patterns))})


def autocorrelated(
    rng: np.random.Generator, rho: float, shape: tuple[int, int, int]
) -> np.ndarray:
    """Return AR(1) noise of unit variance, runs x positions in the run x channels."""
    white = rng.standard_normal(shape)
    white[:, 1:] *= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], white, axis=1)
