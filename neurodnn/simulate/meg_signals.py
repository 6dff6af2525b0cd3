"""What the sensors of the simulated MEG see: responses of planted patches, and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DURATION = 0.08  # s, of one layer's activity, which begins and ends at zero
REPEATS = 5  # of each picture in a run
APART = (0.80, 0.88)  # s, from one picture to the next
LEAD = 1.0  # s, before the first picture and after the last
EFFECT = 20e-15  # T, of magnetometers: spread of the responses over pictures
_KEPT = 0.1  # gain of a pattern of sources, as a share of the best one's


def activity(times: NDArray, latency: float) -> NDArray:
    """Return how active a layer is, 1 at its latency, as one smooth bump.

    Parameters
    ----------
    times : array of float
        Seconds after the picture came.
    latency : float
        s

    Examples
    --------
    >>> activity(np.array([0.03, 0.08, 0.10, 0.12]), 0.08).round(3).tolist()
    [0.0, 1.0, 0.5, 0.0]
    """
    phase = np.clip((np.asarray(times) - latency) / DURATION, -0.5, 0.5)
    return 0.5 + 0.5 * np.cos(2 * np.pi * phase)


def sensor_responses(
    correlation: NDArray, gain: NDArray, kinds: NDArray, generator: np.random.Generator
) -> NDArray:
    """Return what every sensor sees of one layer's patches, free of noise.

    Sources in a patch lie close together, so that the sensors tell only few of their patterns
    apart: some three a hemisphere within a tenth of the gain of the strongest, which would
    drown the others. The activations are therefore laid into just those patterns, each as
    strong at the sensors as the others: as many main axes of the layer's geometry as there are,
    turned at random. The moments of the sources that do this are the pseudo-inverse of the gain,
    cut off where it fades.

    Parameters
    ----------
    correlation : array (n_stimuli, n_stimuli)
        Of the layer's activations.
    gain : array (n_sensors, n_sources)
        What each sensor sees of a unit source of the patches.
    kinds : array of str (n_sensors,)
        ``"mag"`` or ``"grad"``. Each type is weighed by the size of its gain, so that either
        alone sees the geometry of the layer.
    generator : numpy.random.Generator
        Of this subject.

    Returns
    -------
    array (n_stimuli, n_sensors)
        In the units of the sensors, of a size such that the standard deviation over stimuli is
        1 on average in magnetometers.

    Examples
    --------
    >>> seen = sensor_responses(np.eye(3), np.eye(8), np.full(8, "mag"),
    ...                         np.random.default_rng(0))
    >>> bool(np.allclose(np.dot(seen, seen.T), np.eye(3) * np.dot(seen[0], seen[0])))
    True
    """
    sizes = {kind: np.sqrt((gain[kinds == kind] ** 2).sum()) for kind in np.unique(kinds)}
    units = np.array([sizes[kind] for kind in kinds])
    shapes, strengths, _ = np.linalg.svd(gain / units[:, None], full_matrices=False)
    kept = min(int((strengths >= _KEPT * strengths[0]).sum()), len(correlation))
    values, vectors = np.linalg.eigh(correlation)
    axes = vectors[:, ::-1][:, :kept] * np.sqrt(np.clip(values[::-1][:kept], 0, None))
    turn = np.linalg.qr(generator.standard_normal((kept, kept)))[0]
    seen = axes @ turn @ shapes[:, :kept].T * units
    spread = (seen - seen.mean(axis=0))[:, kinds == "mag"]
    return seen / np.sqrt(np.mean(spread**2))


def draw_meg_events(
    names: Sequence[str], generator: np.random.Generator, rate: float
) -> tuple[pd.DataFrame, int]:
    """Return the events of one run and its number of samples.

    Parameters
    ----------
    names : sequence of str
        Pictures; each comes five times, in five rounds of all, never twice in a row.
    generator : numpy.random.Generator
        Of this subject and run.
    rate : float
        Samples a second.

    Examples
    --------
    >>> events, n_samples = draw_meg_events(["a", "b"], np.random.default_rng(0), 200.0)
    >>> len(events), events["sample"].tolist()[0], bool(n_samples > events["sample"].max() + 200)
    (10, 200, True)
    """
    order: list[int] = []
    for _ in range(REPEATS):
        round_ = generator.permutation(len(names))
        if order and len(names) > 1 and round_[0] == order[-1]:
            round_ = np.roll(round_, 1)
        order.extend(round_.tolist())
    low, high = (int(round(rate * seconds)) for seconds in APART)
    steps = generator.integers(low, high, len(order) - 1, endpoint=True)
    lead = int(round(LEAD * rate))
    samples = lead + np.concatenate([[0], np.cumsum(steps)])
    table = pd.DataFrame({
        "onset": samples / rate, "duration": 0.5, "trial_type": [names[i] for i in order],
        "stim_file": [f"{names[i]}.png" for i in order], "sample": samples,
    })  # fmt: skip
    return table, int(samples[-1]) + lead + 1


def evoked_signal(
    responses: Mapping[str, NDArray], latencies: Mapping[str, float], shown: NDArray,
    samples: NDArray, n_samples: int, rate: float,
) -> NDArray:  # fmt: skip
    """Return the responses to all pictures of a run, sensors x samples.

    Parameters
    ----------
    responses : mapping of str to array (n_stimuli, n_sensors)
        Of each layer.
    latencies : mapping of str to float
        s, of each layer.
    shown, samples : array of int
        Index of each picture shown, and its sample.
    n_samples : int
    rate : float
        Hz

    Examples
    --------
    >>> signal = evoked_signal({"a": np.ones((1, 2))}, {"a": 0.08}, np.array([0]),
    ...                        np.array([10]), 50, 100.0)
    >>> signal.shape, int(signal[0].argmax())
    ((2, 50), 18)
    """
    times = np.arange(int(round(0.5 * rate))) / rate
    signal = np.zeros((next(iter(responses.values())).shape[1], n_samples), dtype=np.float32)
    for layer, seen in responses.items():
        course = activity(times, latencies[layer])
        window = np.flatnonzero(course > 1e-12)
        waves = seen[:, :, None] * course[window]
        for picture, sample in zip(shown, samples, strict=True):
            signal[:, sample + window] += waves[picture]
    return signal


def sensor_noise(
    modes: NDArray, alpha: NDArray, white: NDArray, n_samples: int, rate: float,
    generator: np.random.Generator,
) -> NDArray:  # fmt: skip
    """Return what sensors see without any picture, sensors x samples.

    Parameters
    ----------
    modes : array (n_sensors, n_modes)
        Fields of the brain's ongoing activity, each with a course of 1/f.
    alpha : array (n_sensors, n_rhythms)
        Fields of rhythms of 10 Hz that wax and wane.
    white : array (n_sensors,)
        Standard deviation of each sensor's own noise.
    n_samples : int
    rate : float
        Hz
    generator : numpy.random.Generator
        Of this subject and run.

    Examples
    --------
    >>> noise = sensor_noise(np.eye(2), np.zeros((2, 1)), np.ones(2), 500, 200.0,
    ...                      np.random.default_rng(0))
    >>> noise.shape, bool(0.5 < noise.std() < 3)
    ((2, 500), True)
    """
    noise = generator.standard_normal((len(white), n_samples), dtype=np.float32)
    noise *= white[:, None].astype(np.float32)
    noise += (modes @ pink_courses(modes.shape[1], n_samples, rate, generator)).astype(np.float32)
    rhythm = alpha_courses(alpha.shape[1], n_samples, rate, generator)
    noise += (alpha @ rhythm).astype(np.float32)
    return noise


def pink_courses(
    n_courses: int, n_samples: int, rate: float, generator: np.random.Generator
) -> NDArray:
    """Return courses whose power falls with frequency as 1/f above 1 Hz, standard deviation 1.

    Examples
    --------
    >>> courses = pink_courses(2, 1000, 200.0, np.random.default_rng(0))
    >>> courses.std(axis=1).round(3).tolist()
    [1.0, 1.0]
    """
    frequencies = np.fft.rfftfreq(n_samples, 1 / rate)
    shape = 1 / np.sqrt(np.maximum(frequencies, 1.0))
    shape[0] = 0
    white = generator.standard_normal((n_courses, n_samples), dtype=np.float32)
    courses = np.fft.irfft(np.fft.rfft(white, axis=1) * shape, n_samples, axis=1)
    return courses / courses.std(axis=1, keepdims=True)


def alpha_courses(
    n_courses: int, n_samples: int, rate: float, generator: np.random.Generator
) -> NDArray:
    """Return rhythms of 8 to 12 Hz that wax and wane, standard deviation 1.

    Examples
    --------
    >>> courses = alpha_courses(1, 2000, 200.0, np.random.default_rng(0))
    >>> power = abs(np.fft.rfft(courses[0]))
    >>> bool(8 <= np.fft.rfftfreq(2000, 1 / 200)[power.argmax()] <= 12)
    True
    """
    frequencies = np.fft.rfftfreq(n_samples, 1 / rate)
    shape = np.exp(-0.5 * ((frequencies - 10) / 1.0) ** 2)
    white = generator.standard_normal((n_courses, n_samples))
    courses = np.fft.irfft(np.fft.rfft(white, axis=1) * shape, n_samples, axis=1)
    return courses / courses.std(axis=1, keepdims=True)
