"""Design matrices: events checked, one regressor per stimulus, confounds and drift beside them."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, closest, message

HRF_MODELS = tuple(
    base + suffix
    for base in ("glover", "spm")
    for suffix in ("", " + derivative", " + derivative + dispersion")
)
DRIFT_MODELS = ("cosine", "polynomial", "none")
_EARLIEST = -24.0  # s; the response to anything earlier is over when the run begins
_LATEST = 3.0  # s before the end of a run; what begins later shows nothing of its response
_MOST_INFLATION = 20.0
_FEW = 10


class Design(NamedTuple):
    """A design matrix and which of its first columns are stimuli.

    Attributes
    ----------
    table : pandas.DataFrame
        Volumes (index: s) x regressors; stimuli first, under their names.
    stimuli : list of str
        Stimuli that the run can estimate; their columns stand at `columns`.
    columns : numpy.ndarray of int
    degrees_of_freedom : int
        Volumes minus the rank of the matrix.
    """

    table: pd.DataFrame
    stimuli: list[str]
    columns: np.ndarray
    degrees_of_freedom: int


def check_events(
    events: pd.DataFrame, names_column: str, run_seconds: float, *, where: str = "events"
) -> pd.DataFrame:
    """Return the events of stimuli as numbers: columns onset, duration (s) and stimulus.

    Rows without a stimulus (NaN in `names_column`: fixation, responses) are left out.

    Parameters
    ----------
    events : pandas.DataFrame
        Columns ``onset`` and ``duration`` in seconds from the first volume, and `names_column`.
    names_column : str
        The column with the stimulus of each event.
    run_seconds : float
        Length of the run.
    where : str
        How messages call the table.

    Raises
    ------
    InputError
        For missing columns, no stimulus at all, values missing or not possible, and onsets
        outside the run.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame({"onset": ["2", "6"], "duration": 1, "stimulus": ["cat", None]})
    >>> check_events(table, "stimulus", 20.0)
       onset  duration stimulus
    0    2.0       1.0      cat
    """
    for column in ("onset", "duration", names_column):
        if column not in events.columns:
            near = closest(column, events.columns)
            there = ", ".join(str(name) for name in events.columns)
            remedy = f"Did you mean {near}?" if near else "Add the column or name another."
            what = f"has no column {column!r}"
            raise InputError(message(where, what, allowed=there, remedy=remedy))
    # The row of the file: its header is row 1.
    rows = np.arange(len(events)) + 2
    named = (events[names_column].notna() & (events[names_column].astype(str) != "")).to_numpy()
    if not named.any():
        what = f"none of {len(events)} events has a stimulus in column {names_column!r}"
        remedy = "Check the column and how its values match the stimulus table."
        raise InputError(message(where, what, remedy=remedy))
    rows, table = rows[named], events[named]
    onset, duration = (
        pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        for name in ("onset", "duration")
    )
    _refuse(~np.isfinite(onset), rows, table["onset"], where, "onset is not a number", "seconds")
    wrong = ~(np.isfinite(duration) & (duration >= 0))
    _refuse(wrong, rows, table["duration"], where, "duration is not possible", ">= 0 s")
    outside = (onset >= run_seconds) | (onset < _EARLIEST)
    what = "onset lies outside the run"
    allowed = f"{_EARLIEST:g} to {run_seconds:g} s"
    _refuse(outside, rows, onset, where, what, allowed)
    names = [str(name) for name in table[names_column]]
    return pd.DataFrame({"onset": onset, "duration": duration, "stimulus": names})


def _refuse(wrong, rows, values, where: str, what: str, allowed: str) -> None:
    if not wrong.any():
        return
    first = int(np.flatnonzero(wrong)[0])
    count = f", and {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
    got = np.asarray(values)[first]
    remedy = "Onsets and durations are seconds from the first volume of their own run."
    raise InputError(
        message(f"{where}, row {rows[first]}{count}", what, got=got, allowed=allowed,
                remedy=remedy)
    )  # fmt: skip


def make_design(
    events: pd.DataFrame,
    frame_times: np.ndarray,
    confounds: pd.DataFrame | None,
    *,
    hrf: str = "glover",
    drift: str = "cosine",
    high_pass: float = 1 / 128,
    where: str = "events",
) -> Design:
    """Return the design matrix of one run: a regressor per stimulus, confounds, drift, constant.

    Parameters
    ----------
    events : pandas.DataFrame
        From `check_events`. Events of one stimulus share a regressor.
    frame_times : ndarray of float, shape (n_volumes,)
        When each volume was acquired, s.
    confounds : pandas.DataFrame or None
        One row per volume; columns are centred and scaled to unit variance.
    hrf : str
        One of `HRF_MODELS`; derivatives enter as nuisance regressors.
    drift : {"cosine", "polynomial", "none"}
        Slow drift; the polynomial is linear.
    high_pass : float
        Cut-off of the cosine drift, Hz.
    where : str
        How messages call the run.

    Returns
    -------
    Design

    Raises
    ------
    InputError
        If confounds do not fit the volumes or hold NaN, if there are as many regressors as
        volumes, or if no stimulus can be estimated.

    Warns
    -----
    DataWarning
        For stimuli that cannot be told from others or begin within 3 s of the end (left out),
        variance inflation above 20, and fewer than 10 degrees of freedom.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    names = list(dict.fromkeys(events["stimulus"]))
    # Codes instead of names: nilearn sorts its columns, adds suffixes to them, and a stimulus
    # may be called "constant".
    codes = {name: f"s{i:06d}" for i, name in enumerate(names)}
    paradigm = events.assign(trial_type=events["stimulus"].map(codes)).drop(columns="stimulus")
    with warnings.catch_warnings():
        # Checked below with names a reader knows: impulses, collinear columns.
        warnings.simplefilter("ignore")
        table = make_first_level_design_matrix(
            frame_times,
            paradigm,
            hrf_model=hrf,
            drift_model=None if drift == "none" else drift,
            high_pass=high_pass,
        )
    stimuli = table[list(codes.values())].set_axis(names, axis=1)
    rest = table.drop(columns=list(codes.values())).add_prefix("nuisance: ")
    table = pd.concat([stimuli, _confounds(confounds, frame_times, where), rest], axis=1)
    late = events["onset"].groupby(events["stimulus"]).min()
    end = frame_times[-1] + (frame_times[1] - frame_times[0])
    late = {str(name) for name, onset in late.items() if end - onset < _LATEST}
    return _judge(table, names, late, where)


def _confounds(
    confounds: pd.DataFrame | None, frame_times: np.ndarray, where: str
) -> pd.DataFrame:
    if confounds is None or confounds.shape[1] == 0:
        return pd.DataFrame(index=frame_times)
    values = confounds.to_numpy(float)
    if len(values) != len(frame_times):
        what = f"{len(values)} rows of confounds but {len(frame_times)} volumes"
        raise InputError(message(where, what, remedy="Give the confounds of this run."))
    if not np.isfinite(values).all():
        what = "confounds hold values that are not numbers"
        remedy = "load_confounds fills the first row of derivatives."
        raise InputError(message(where, what, remedy=remedy))
    values = values - values.mean(axis=0)
    spread = values.std(axis=0)
    moving = spread > 64 * np.finfo(float).eps * np.abs(values).max(initial=1.0)
    columns = [f"confound: {name}" for name in confounds.columns[moving]]
    return pd.DataFrame(values[:, moving] / spread[moving], index=frame_times, columns=columns)


def _judge(table: pd.DataFrame, names: list[str], late: set[str], where: str) -> Design:
    """Keep the stimuli that the matrix can estimate, and warn about what is weak."""
    matrix = table.to_numpy(float)
    length = np.linalg.norm(matrix, axis=0)
    scaled = matrix / np.where(length > 0, length, 1)
    inverse = np.linalg.pinv(scaled, rcond=1e-8)
    # A column can be estimated if the pseudo-inverse gives it back unmixed with the others.
    resolution = (inverse @ scaled)[: len(names)]
    mixed = np.abs(resolution - np.eye(len(names), scaled.shape[1])).max(axis=1) > 1e-6
    freedom = len(matrix) - int(np.linalg.matrix_rank(scaled, tol=1e-8 * length.size))
    if freedom < 1:
        what = f"{matrix.shape[1]} regressors leave no degree of freedom in {len(matrix)} volumes"
        remedy = "Use fewer confounds, or one regressor per category."
        raise InputError(message(where, what, remedy=remedy))
    lost = [name for name, bad in zip(names, mixed, strict=True) if bad or name in late]
    kept = [i for i, name in enumerate(names) if name not in set(lost)]
    if not kept:
        what = "no stimulus can be estimated: their regressors cannot be told apart"
        raise InputError(message(where, what, got=names[:5], remedy="Check onsets and TR."))
    if lost:
        what = f"{len(lost)} stimuli cannot be estimated and are left out of this run"
        remedy = f"Their regressors are collinear, or begin within {_LATEST:g} s of the end."
        warnings.warn(message(where, what, got=lost[:5], remedy=remedy), DataWarning, stacklevel=4)
    centred = np.linalg.norm(scaled - scaled.mean(axis=0), axis=0)
    inflation = ((inverse**2).sum(axis=1) * centred**2)[kept]
    if inflation.max() > _MOST_INFLATION:
        worst = names[kept[int(inflation.argmax())]]
        what = f"stimulus regressors are nearly collinear (worst: {worst})"
        got = f"variance inflation {inflation.max():.3g}"
        remedy = "Estimates of neighbouring stimuli trade off against each other."
        text = message(where, what, got=got, allowed=f"<= {_MOST_INFLATION:g}", remedy=remedy)
        warnings.warn(text, DataWarning, stacklevel=4)
    if freedom < _FEW:
        what = "few degrees of freedom are left for the noise"
        text = message(where, what, got=freedom, allowed=f">= {_FEW}")
        warnings.warn(text, DataWarning, stacklevel=4)
    return Design(table, [names[i] for i in kept], np.array(kept), freedom)
