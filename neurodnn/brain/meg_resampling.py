"""Epochs at another sampling rate, with 0 s and every response where they were."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import mne
import numpy as np
from scipy.signal import resample_poly

from neurodnn._checks import InputError, check_number, message

_LARGEST = 1000  # of the two whole numbers whose ratio stands for that of the rates
_REACH = 10  # half length of the filter, in samples of the slower rate


def resample_epochs(epochs: mne.BaseEpochs, rate: float) -> mne.EpochsArray:
    """Return the epochs at a lower sampling rate.

    A polyphase filter of linear phase whose delay is taken off exactly. (Resampling of epochs
    through Fourier transforms, as `mne.Epochs.resample` does by default, moves responses by up
    to half a new sample, 2.5 ms at 200 Hz, depending on the length of the epoch: MNE 1.13.2.)

    Parameters
    ----------
    epochs : mne.Epochs
    rate : float
        In Hz, at most that of the epochs. The ratio of rates is taken to 1e-5, as a fraction of
        whole numbers up to 1000; a rate that has none is refused.

    Returns
    -------
    mne.EpochsArray
        Its times are the multiples of ``1 / rate`` within those of the epochs (to half an old
        sample), 0 among them where it is among theirs; moved as theirs where those were shifted
        by less than a sample. Beyond the ends the first and last values
        are taken to go on.

    Raises
    ------
    InputError
        If the rate is not valid, or too low for the length of the epochs.

    Examples
    --------
    >>> info = mne.create_info(2, 1000.0, "mag")
    >>> epochs = mne.EpochsArray(np.ones((1, 2, 101)), info, tmin=-0.05, verbose="ERROR")
    >>> slow = resample_epochs(epochs, 100.0)
    >>> slow.times.round(2).tolist()[:6], slow.get_data().shape
    ([-0.05, -0.04, -0.03, -0.02, -0.01, 0.0], (1, 2, 11))
    """
    rate = check_number("resample", rate, minimum=0, strict=True, unit="Hz")
    old = epochs.info["sfreq"]
    if rate > old:
        fault = "is above the sampling rate of the recording"
        raise InputError(message("resample", fault, got=rate, allowed=f"<= {old:g} Hz"))
    ratio = Fraction(rate / old).limit_denominator(_LARGEST)
    up, down = ratio.numerator, ratio.denominator
    if up == 0 or abs(up / down * old / rate - 1) > 1e-5:
        fault = "the ratio to the sampling rate cannot be formed"
        raise InputError(message("resample", fault, got=rate, allowed=f"e.g. {old / 4:g} Hz"))
    zero = -int(np.round(epochs.times[0] * old))
    # Samples before the epoch, so many that 0 s falls on an output sample and the filter is fed.
    margin = down * ceil(_REACH / up)
    left = (-zero) % down + margin
    data = np.pad(epochs.get_data(), ((0, 0), (0, 0), (left, margin)), mode="edge")
    data = resample_poly(data, up, down, axis=2)
    first = -(zero + left) * up // down  # exact: a multiple of down by the choice of left
    times = np.arange(first, first + data.shape[2]) * down / (up * old)
    # Ends are rounded to samples of the old rate: half of one more, and -0.1 s stays -0.1 s.
    slack = 0.5 / old + 1e-9
    inside = (times >= epochs.times[0] - slack) & (times <= epochs.times[-1] + slack)
    if inside.sum() < 2:
        fault = f"leaves {int(inside.sum())} samples of an epoch"
        raise InputError(message("resample", fault, got=rate, allowed="a higher rate"))
    info = epochs.info.copy()
    with info._unlock():
        info["sfreq"] = rate
        info["lowpass"] = min(info["lowpass"], rate / 2)
    start = int(first + np.flatnonzero(inside)[0])
    slow = mne.EpochsArray(
        data[:, :, inside], info, epochs.events, tmin=start / rate, event_id=epochs.event_id,
        metadata=epochs.metadata, baseline=None, proj=False, verbose="ERROR",
    )  # fmt: skip
    shift = float(epochs.times[0]) + zero / old
    return slow.shift_time(shift) if abs(shift) > 1e-3 / old else slow
