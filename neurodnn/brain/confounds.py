"""Confound strategies by name, with the sentence that a report prints about them."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from neurodnn._checks import InputError, check_choice, closest, message
from neurodnn.bids import read_tsv

_AXES = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
_COMPONENTS = 5


def _expand(suffixes: tuple[str, ...]) -> list[str]:
    return [axis + suffix for suffix in suffixes for axis in _AXES]


_MOTION6 = _expand(("",))
_MOTION24 = _expand(("", "_derivative1", "_power2", "_derivative1_power2"))
_ACOMPCOR = [f"a_comp_cor_{i:02d}" for i in range(_COMPONENTS)]
_TISSUE = ["white_matter", "csf"]

_SIX = "6 motion parameters (3 translations, 3 rotations)"
_TWENTY_FOUR = (
    "24 motion parameters (3 translations, 3 rotations, their temporal derivatives, and the "
    "squares of both)"
)
_COMPCOR = (
    f"the first {_COMPONENTS} anatomical component-based (aCompCor) regressors of white matter "
    "and cerebrospinal fluid"
)
_MEANS = "the mean signals of white matter and cerebrospinal fluid"

# strategy -> (columns as fMRIPrep names them, what they are)
STRATEGIES: dict[str, tuple[list[str], str]] = {
    "none": ([], "no confound regressors"),
    "motion6": (_MOTION6, _SIX),
    "motion24": (_MOTION24, _TWENTY_FOUR),
    "motion6+acompcor": (_MOTION6 + _ACOMPCOR, f"{_SIX} and {_COMPCOR}"),
    "motion24+acompcor": (_MOTION24 + _ACOMPCOR, f"{_TWENTY_FOUR} and {_COMPCOR}"),
    "motion6+tissue": (_MOTION6 + _TISSUE, f"{_SIX} and {_MEANS}"),
    "motion24+tissue": (_MOTION24 + _TISSUE, f"{_TWENTY_FOUR} and {_MEANS}"),
}


def load_confounds(
    tsv: str | os.PathLike | pd.DataFrame | None, strategy: str = "motion6"
) -> tuple[pd.DataFrame, str]:
    """Return the confound regressors of a strategy and a sentence that describes them.

    Parameters
    ----------
    tsv : path or DataFrame
        An fMRIPrep ``desc-confounds_timeseries.tsv``, one row per volume. None only with
        ``strategy="none"``.
    strategy : str
        ``"none"``, ``"motion6"``, ``"motion24"``, and each of the latter two with
        ``"+acompcor"`` or ``"+tissue"``. Columns ``non_steady_state_outlier*`` are added to
        every strategy but ``"none"``. aCompCor components assume a high-pass filter of 128 s,
        which the default drift model of `fit_glm` holds; fMRIPrep's own cosine columns are
        therefore not read.

    Returns
    -------
    regressors : pandas.DataFrame, float64
        One row per volume, in the units of the file; without columns for ``"none"``.
    description : str
        For the methods paragraph.

    Raises
    ------
    InputError
        For an unknown strategy, missing columns (with the closest that are there), or values
        missing elsewhere than in the first row.

    Notes
    -----
    The first row of a temporal derivative does not exist (``n/a``). It is set to the mean of
    its column, which after centring says nothing.

    References
    ----------
    .. [1] Friston et al. (1996), Movement-related effects in fMRI time-series, Magnetic
       Resonance in Medicine 35:346 (24 parameters).
    .. [2] Behzadi et al. (2007), A component based noise correction method (CompCor) for BOLD
       and perfusion based fMRI, NeuroImage 37:90.

    Examples
    --------
    >>> import pandas
    >>> table = pandas.DataFrame(0.0, index=range(3), columns=_AXES)
    >>> load_confounds(table, "motion6")[1]
    'Confounds: 6 motion parameters (3 translations, 3 rotations).'
    """
    check_choice("confounds", strategy, STRATEGIES)
    columns, sentence = STRATEGIES[strategy]
    if tsv is None:
        if columns:
            remedy = "Give the table, or choose 'none'."
            what = f"strategy {strategy!r} needs a confounds table"
            raise InputError(message("confounds", what, remedy=remedy))
        return pd.DataFrame(), f"Confounds: {sentence}."
    where = "confounds" if isinstance(tsv, pd.DataFrame) else str(tsv)
    table = tsv if isinstance(tsv, pd.DataFrame) else read_tsv(tsv)
    _check_columns(table, columns, where)
    if columns:
        spikes = [name for name in table.columns if name.startswith("non_steady_state_outlier")]
        columns = columns + spikes
        if spikes:
            sentence += f", and {len(spikes)} regressors of non-steady-state volumes"
    return _numbers(table[columns], where), f"Confounds: {sentence}."


def _check_columns(table: pd.DataFrame, columns: list[str], where: str) -> None:
    missing = [name for name in columns if name not in table.columns]
    if not missing:
        return
    near = closest(missing[0], table.columns)
    remedy = f"Closest to {missing[0]}: {near}." if near else "Choose another strategy."
    what = f"{len(missing)} columns of the strategy are missing"
    there = ", ".join(str(name) for name in table.columns[:12])
    raise InputError(message(where, what, got=missing[:6], allowed=there, remedy=remedy))


def _numbers(table: pd.DataFrame, where: str) -> pd.DataFrame:
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(float)
    numbers = numbers.replace([np.inf, -np.inf], np.nan).reset_index(drop=True)
    first = numbers.iloc[:1].isna()
    numbers.iloc[:1] = numbers.iloc[:1].where(~first, numbers.mean().to_frame().T.to_numpy())
    holes = numbers.isna()
    if holes.to_numpy().any():
        name = numbers.columns[holes.any().to_numpy()][0]
        row = int(holes[name].to_numpy().argmax()) + 1
        what = f"column {name} has no number in row {row}"
        remedy = "Only the first row may be n/a. Repair the table or choose another strategy."
        raise InputError(message(where, what, remedy=remedy))
    return numbers
