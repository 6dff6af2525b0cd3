"""A7: does the interval of a peak latency hold the true peak as often as it says?"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.stats import spearmanr

import neurodnn as nd
from neurodnn._checks import DataWarning
from protocols.counting import Arm, Check, Columns, Measure, Protocol
from protocols.nulls import generator, subject_names

_PEAK, _WIDTH, _JITTER = 0.170, 0.050, 0.015  # seconds
_STEP = 0.002
_TIMES = np.round(np.arange(-0.1, 0.8001, _STEP), 3)  # holds the peak itself
_DRAWS = 400


def courses(
    rng: np.random.Generator, n_subjects: int, signal_to_noise: float, smoothness: float = 0.050
) -> xr.DataArray:
    """Return time courses of subjects whose own peaks scatter about the true one.

    The noise is Gaussian, of variance 1 / signal_to_noise**2, smoothed with a Gaussian of
    standard deviation `smoothness` in seconds.
    """
    peaks = _PEAK + _JITTER * rng.standard_normal(n_subjects)
    signal = np.exp(-0.5 * ((_TIMES - peaks[:, None]) / _WIDTH) ** 2)
    noise = rng.standard_normal((n_subjects, _TIMES.size))
    if smoothness:
        width = smoothness / _STEP
        noise = gaussian_filter1d(noise, width, axis=1, mode="wrap")
        noise *= np.sqrt(2 * np.sqrt(np.pi) * width)  # what such a filter takes from the variance
    return xr.DataArray(
        signal + noise / signal_to_noise, dims=("subject", "time"),
        coords={"subject": subject_names(n_subjects), "time": _TIMES},
    )  # fmt: skip


def peak_intervals(
    indices: range,
    seed: int,
    n_subjects: int = 16,
    signal_to_noise: float = 1.0,
    smoothness: float = 0.050,
) -> Columns:
    """Count intervals that miss 170 ms; a peak at the edge (NaN) has no interval to miss it."""
    columns: dict[str, list[float]] = {name: [] for name in ("missed", "own_peaks", "warned")}
    for i in indices:
        rng = generator(seed, 7000 + 100 * n_subjects + round(10 * signal_to_noise), i)
        data = courses(rng, n_subjects, signal_to_noise, smoothness)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            found = nd.bootstrap_peak_latency(data, n_bootstrap=_DRAWS, seed=i)
        columns["warned"].append(any(f"{n_subjects} subjects" in str(w.message) for w in caught))
        low, high = found["low"].item(), found["high"].item()
        missed = np.nan if np.isnan(low) else not low - 1e-9 <= _PEAK <= high + 1e-9
        columns["missed"].append(float(missed))
        own = _TIMES[data.values.argmax(axis=1)]
        error = 1.96 * own.std(ddof=1) / np.sqrt(n_subjects)
        columns["own_peaks"].append(abs(own.mean() - _PEAK) > error)
    return columns


def edge(indices: range, seed: int) -> Columns:
    """Courses that still rise where the window ends have no peak in it."""
    columns: dict[str, list[bool]] = {"undefined": [], "explained": []}
    for i in indices:
        data = courses(generator(seed, 7, i), 16, 20.0)
        found = nd.bootstrap_peak_latency(data, window=(-0.1, 0.1), n_bootstrap=_DRAWS, seed=i)
        columns["undefined"].append(bool(np.isnan(found["latency"].item())))
        columns["explained"].append(bool(found["reason"].item()))
    return columns


def hierarchy(indices: range, seed: int) -> Columns:
    """Latencies of eight layers that rise in some subjects and fall in others, by chance."""
    columns: dict[str, list[bool]] = {name: [] for name in ("pooled", "own", "naive")}
    layers = np.arange(1.0, 9.0)
    for i in indices:
        rng = generator(seed, 77, i)
        slopes = rng.standard_normal((16, 1)) * (layers - layers.mean()) / layers.std()
        positions = _PEAK + _JITTER * (slopes + rng.standard_normal((16, 8)))
        array = xr.DataArray(positions, dims=("subject", "reference"),
                             coords={"subject": subject_names(16)})  # fmt: skip
        found = nd.hierarchy_test(array, n_permutations=200, n_bootstrap=100, seed=i)
        columns["pooled"].append(found["p"].item() <= 0.05)
        columns["own"].append(found["mean_p"].item() <= 0.05)
        columns["naive"].append(spearmanr(np.tile(layers, 16), positions.ravel()).pvalue <= 0.05)
    return columns


def _judge_few(columns: Columns) -> list[Check]:
    warned, n = int(columns["warned"].sum()), len(columns["warned"])
    return [Check("warning that so few subjects give too narrow intervals", f"{n} of {n}",
                  f"{warned} of {n}", warned == n)]  # fmt: skip


def _judge_many(columns: Columns) -> list[Check]:
    warned, n = int(columns["warned"].sum()), len(columns["warned"])
    return [Check("warning of too few subjects", f"0 of {n}", f"{warned} of {n}", not warned)]


def _arm(n_subjects: int, signal_to_noise: float, quick: bool) -> Arm:
    few = n_subjects < 10
    n = {"nightly": 400, "release": 2000} | ({"quick": 100} if quick else {})
    return Arm(
        f"{n_subjects} subjects, signal-to-noise {signal_to_noise:g}", peak_intervals, n,
        [
            Measure("missed", "95 % interval misses the true peak", "shown" if few else "band"),
            Measure("own_peaks", "mean of subjects' own peaks +- 1.96 se misses it",
                    "caught" if signal_to_noise == 0.5 else "shown", naive=True),
        ],
        {"n_subjects": n_subjects, "signal_to_noise": signal_to_noise},
        _judge_few if few else _judge_many, block=100,
    )  # fmt: skip


A7 = Protocol(
    "A7",
    "When a time course peaks",
    "A 95 % interval of peak latency should miss the true peak in one of twenty studies. Does it?",
    "Gaussian courses (standard deviation 50 ms) peaking at 170 ms, subjects' own peaks scattered "
    "by 15 ms, noise smoothed by 50 ms, samples of 2 ms. "
    "bootstrap_peak_latency with 400 draws of subjects. Hierarchy: latencies of eight layers that "
    "rise in some subjects and fall in others, by chance; hierarchy_test with 200 sign flips.",
    "The interval comes from the peak of the mean of resampled subjects. Averaging the peaks of "
    "single, noisy subjects instead pulls the answer towards the middle of the window. With fewer "
    "than ten subjects percentile intervals are too narrow, and the function warns. The rate also "
    "hangs on the noise and on the samples: with white noise, or samples that are coarse beside "
    "the interval, it is wider than need be and misses more rarely. Layers of one subject are not "
    "independent points: a plain p of the pooled correlation is far too small.",
    [
        _arm(s, ratio, quick=(s, ratio) in ((16, 1.0), (8, 3.0), (30, 0.5)))
        for s in (8, 16, 30)
        for ratio in (0.5, 1.0, 3.0)
    ]
    + [
        Arm(f"16 subjects, signal-to-noise 3, {text}", peak_intervals,
            {"nightly": 400, "release": 2000},
            [Measure("missed", "95 % interval misses the true peak", "shown")],
            {"n_subjects": 16, "signal_to_noise": 3.0, "smoothness": smoothness}, block=100)
        for smoothness, text in ((0.0, "white noise"), (0.020, "noise smoothed by 20 ms"))
    ]
    + [
        Arm("hierarchy: eight layers, 16 subjects", hierarchy,
            {"quick": 200, "nightly": 1000, "release": 2000},
            [Measure("pooled", "Spearman of layer and latency over all subjects, p <= .05"),
             Measure("own", "mean of subjects' own Spearman correlations, p <= .05"),
             Measure("naive", "layers x subjects taken as 128 independent points, p <= .05",
                     "caught", naive=True)],
            block=100),
        Arm("window that ends before the peak", edge, {"quick": 20, "nightly": 100, "release": 100},
            [Measure("undefined", "latency is NaN", (1.0, 1.0), null=False),
             Measure("explained", "and a reason is given", (1.0, 1.0), null=False)])
    ],
)  # fmt: skip
