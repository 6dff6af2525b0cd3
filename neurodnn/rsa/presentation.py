"""When stimuli were shown, as an RDM: what noise that outlasts a trial makes patterns resemble."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.label_test import label_permutation_test
from neurodnn.rsa.names import labels_of, shorten_list, stimulus_names

REFERENCE = "order of presentation"
_ALIKE = 0.9  # correlation of the distances in time of two runs that have one order up to jitter


def presentation_rdm(
    onsets: Mapping[str, Mapping[str, Sequence[object]] | pd.DataFrame],
    *,
    stimuli: Sequence[str] | None = None,
) -> RDMs:
    """Return how far apart in time stimuli were shown, in seconds, as one RDM.

    Responses that lie near each other in a run share slow noise and overlapping haemodynamic
    responses, so that their patterns resemble each other whatever the stimuli are. A reference
    that happens to follow the order of presentation then fits noise. This RDM says where that
    may be (`order_correlations`), and as ``nuisance=`` of `compare_rdms` or `searchlight` it is
    held constant.

    Parameters
    ----------
    onsets : mapping of run -> DataFrame or mapping
        Each with ``stimulus`` (text) and ``onset`` (s, from the beginning of the run) of every
        presentation, in any order. Rows without a stimulus (None, NaN, empty: catch trials,
        rest) are left out.
    stimuli : sequence of str, optional
        Which stimuli, in which order; default all of them, sorted by name.

    Returns
    -------
    RDMs
        One row, ``rdm_descriptors["reference"]`` "order of presentation": the absolute
        difference of the mean onsets of two stimuli in a run, averaged over the runs that show
        both, every run alike. NaN for a pair that no run shows: its patterns share no noise,
        which no number of seconds says.

    Raises
    ------
    InputError
        If there is no run, a column is missing, an onset is no finite number, or one of
        `stimuli` was never shown.

    Notes
    -----
    The mean onset is taken because the pattern of a stimulus is, up to weights, the mean over
    its presentations. It is a coarse summary where a stimulus is shown often in a run: two
    stimuli with the same mean onset need not have been neighbours.

    Held constant, it takes out a straight line (of ranks, for spearman); noise that has died away
    after a few trials is none. In nothing but AR(1) noise of .6 from trial to trial, in one
    order, a model that followed the order scored .39, and -.07 beside this nuisance (60
    simulations of 30 stimuli in two runs). An order of its own in each run, and distances
    between runs, are the better cure.

    References
    ----------
    Cai, M. B., Schuck, N. W., Pillow, J. W., & Niv, Y. (2019). Representational structure or
    task structure? Bias in neural representational similarity analysis and a Bayesian method
    for reducing bias. PLoS Computational Biology, 15, e1006299.

    Examples
    --------
    >>> runs = {"1": {"stimulus": ["a", "b", "c"], "onset": [0.0, 4, 8]},
    ...         "2": {"stimulus": ["c", "a", "b"], "onset": [0.0, 4, 8]}}
    >>> presentation_rdm(runs).dissimilarities.tolist()  # a-b, a-c, b-c
    [[4.0, 6.0, 6.0]]
    """
    names, rows = _rows(onsets, stimuli)
    shown = np.isfinite(rows)
    seconds = np.full(rows.shape[1], np.nan)
    counts = shown.sum(axis=0)
    np.divide(np.where(shown, rows, 0.0).sum(axis=0), counts, out=seconds, where=counts > 0)
    return RDMs(
        seconds[np.newaxis],
        dissimilarity_measure="difference of mean onsets (s)",
        rdm_descriptors={"reference": [REFERENCE]},
        pattern_descriptors={"stimulus": names},
    )


def is_one_order(
    onsets: Mapping[str, Mapping[str, Sequence[object]] | pd.DataFrame],
    *,
    stimuli: Sequence[str] | None = None,
) -> bool:
    """Return whether the stimuli lie alike in time in all runs.

    Distances between runs are right on average whatever the noise, but where all runs have one
    order their errors still follow it. A run backwards counts as the same order, and so does one
    with jittered onsets: the distances in time of any two runs correlate by .9 or more (Pearson).
    A single run is in one order.

    Parameters
    ----------
    onsets, stimuli
        As for `presentation_rdm`.

    Examples
    --------
    >>> runs = {"1": {"stimulus": list("abcd"), "onset": [0.0, 4, 8, 12]},
    ...         "2": {"stimulus": list("dcba"), "onset": [0.0, 4, 9, 12]}}
    >>> is_one_order(runs)
    True
    """
    _, rows = _rows(onsets, stimuli)
    for i, one in enumerate(rows):
        for other in rows[i + 1 :]:
            both = np.isfinite(one) & np.isfinite(other)
            if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
                return False  # nothing tells that the two are alike
            if np.corrcoef(one[both], other[both])[0, 1] < _ALIKE:
                return False
    return True


def order_correlations(
    references: RDMs, presentation: RDMs, *, n_permutations: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Return how much each reference follows the order of presentation.

    Parameters
    ----------
    references : RDMs
    presentation : RDMs
        Of the same stimuli, as `presentation_rdm` returns it. Pairs that either side lacks are
        left out.
    n_permutations : int
        Orders of the stimuli for p, the given one included; 0 leaves p out (500 stimuli and
        eight references take some seconds).
    seed : int
        Seed of these orders.

    Returns
    -------
    Dataset
        ``rho`` (reference), Spearman's; and ``p``, how often the reference that fits best fits
        as well (in absolute value) when stimuli are shown in another order; corrected for
        looking at all references. rho beyond .1 is common by chance with few stimuli (of 24, a
        fifth of all orders). NaN: rho where a side is constant, p where pairs are missing
        or there are no permutations.

    Examples
    --------
    >>> runs = {"1": {"stimulus": list("abcdef"), "onset": [0.0, 4, 8, 12, 16, 20]}}
    >>> order = presentation_rdm(runs)
    >>> order_correlations(order, order).rho.round(6).item()
    1.0
    """
    row = np.asarray(presentation.dissimilarities, dtype=np.float64)
    data = RDMs(row, pattern_descriptors={"stimulus": presentation.pattern_descriptors["stimulus"]})
    labels = labels_of(references)[1]
    complete = np.isfinite(row).all() and np.isfinite(references.dissimilarities).all()
    p = np.full(len(labels), np.nan)
    with warnings.catch_warnings():
        # few stimuli, ties: they are told where the references meet the data
        warnings.simplefilter("ignore", DataWarning)
        rho = compare_rdms(data, references, nan_policy="omit").values[0]
        if n_permutations and complete and np.isfinite(rho).any():
            p = label_permutation_test(
                data, references, n_permutations=n_permutations, seed=seed
            )["p_fwe"].values
    return xr.Dataset(
        {"rho": ("reference", rho), "p": ("reference", p)},
        coords={"reference": labels},
        attrs={"comparison": "spearman", "seed": int(seed), "family": ["reference"]},
    )


def _rows(onsets: Mapping, stimuli: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    """Return the stimuli and, run by run, the seconds between their mean onsets."""
    if not isinstance(onsets, Mapping) or not onsets:
        fault = "must be a mapping of run to the stimuli and onsets of that run"
        raise InputError(message("onsets", fault, got=type(onsets).__name__))
    means = {str(run): _mean_onsets(str(run), table) for run, table in onsets.items()}
    known = sorted({name for own in means.values() for name in own})
    names = known if stimuli is None else stimulus_names(stimuli)
    absent = sorted(set(names) - set(known))
    if absent:
        raise InputError(message("stimuli", f"{shorten_list(absent)} are in no run"))
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(message("stimuli", "must be two or more names, each once", got=names))
    first, second = np.triu_indices(len(names), 1)
    # in the order of the runs' names, so that their order changes no bit
    times = np.array([[means[run].get(name, np.nan) for name in names] for run in sorted(means)])
    return names, np.abs(times[:, first] - times[:, second])


def _mean_onsets(run: str, table: Mapping[str, Iterable[object]]) -> dict[str, float]:
    where = f"onsets of run {run}"
    missing = [key for key in ("stimulus", "onset") if key not in table]
    if missing:
        raise InputError(message(where, f"lack {' and '.join(missing)}", got=list(table)))
    cells, values = list(table["stimulus"]), list(table["onset"])
    if len(cells) != len(values):
        fault = f"{len(cells)} stimuli cannot have {len(values)} onsets"
        raise InputError(message(where, fault))
    kept = [i for i, cell in enumerate(cells) if not pd.isna(cell) and str(cell).strip()]
    times = pd.to_numeric(pd.Series([values[i] for i in kept], dtype=object), errors="coerce")
    bad = ~np.isfinite(times.to_numpy(dtype=float))
    if bad.any():
        fault = f"onset of presentation {kept[int(np.argmax(bad))] + 1} is no finite number"
        raise InputError(message(where, fault, allowed="seconds"))
    names = stimulus_names([cells[i] for i in kept], where)
    return {name: sum(own) / len(own) for name, own in _grouped(names, times).items()}


def _grouped(names: Sequence[str], times: Iterable[float]) -> dict[str, list[float]]:
    """Return name -> its times, ascending, so that the order of rows changes no bit."""
    found: dict[str, list[float]] = {}
    for name, time in zip(names, times, strict=True):
        found.setdefault(name, []).append(float(time))
    return {name: sorted(own) for name, own in found.items()}
