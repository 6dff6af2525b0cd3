"""Names of trials: which stimulus, which run, which trial; and trials divided into folds."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd

from neurodnn._checks import InputError, check_number, message
from neurodnn.numerics.pseudo_trials import draw_groups
from neurodnn.stimuli.keys import some


def stimulus_labels(epochs: mne.BaseEpochs) -> list[str]:
    """Return the stimulus of each epoch: column ``stimulus`` of the metadata, else its event.

    Raises
    ------
    InputError
        If there are no epochs, or an epoch has no stimulus.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> events = np.array([[0, 0, 7], [9, 0, 8]])
    >>> epochs = mne.EpochsArray(np.ones((2, 2, 3)), info, events, event_id={"cat": 7, "dog": 8},
    ...                          verbose="ERROR")
    >>> stimulus_labels(epochs)
    ['cat', 'dog']
    """
    if not isinstance(epochs, mne.BaseEpochs):
        allowed = "Epochs of MNE"
        raise InputError(message("epochs", "are none", got=type(epochs).__name__, allowed=allowed))
    if not len(epochs.events):
        remedy = "Relax the rejection, or check the events."
        raise InputError(message("epochs", "no epochs are left", remedy=remedy))
    table = epochs.metadata
    if table is not None and "stimulus" in table.columns:
        missing = np.flatnonzero(table["stimulus"].isna())
        if missing.size:
            fault = f"{missing.size} epochs have no stimulus, the first is {missing[0]}"
            raise InputError(message("epochs", fault, remedy="Leave them out."))
        return [str(name) for name in table["stimulus"]]
    by_code = {code: name for name, code in epochs.event_id.items()}
    return [str(by_code.get(code, code)) for code in epochs.events[:, 2].tolist()]


def run_labels(epochs: mne.BaseEpochs) -> list[str] | None:
    """Return the run of each epoch, or None if the metadata have no column ``run``.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> run_labels(mne.EpochsArray(np.ones((2, 2, 3)), info, verbose="ERROR")) or []
    []
    """
    table = epochs.metadata
    if table is None or "run" not in table.columns:
        return None
    if table["run"].isna().any():
        raise InputError(message("epochs", "an epoch has no run", remedy="Leave it out."))
    return [str(run) for run in table["run"]]


def trial_labels(epochs: mne.BaseEpochs) -> list[str]:
    """Return a name of each trial that stays when epochs are selected or divided.

    The column ``trial`` of the metadata, as `load_meg_epochs` makes it; else run, sample of the
    event and stimulus. Only the column survives `mne.concatenate_epochs`, which moves samples:
    without it a trial is then taken for another one.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> epochs = mne.EpochsArray(np.ones((2, 2, 3)), info, verbose="ERROR")
    >>> trial_labels(epochs[1:])
    ['1:1']
    """
    table = epochs.metadata
    if table is not None and "trial" in table.columns:
        return [str(trial) for trial in table["trial"]]
    runs = run_labels(epochs)
    places = epochs.events[:, 0].tolist()
    names = stimulus_labels(epochs)
    parts = zip(places, names, strict=True) if runs is None else zip(runs, places, names,
                                                                     strict=True)  # fmt: skip
    return [":".join(map(str, each)) for each in parts]


def assign_folds(epochs: mne.BaseEpochs, n_folds: int, *, seed: int = 0) -> mne.BaseEpochs:
    """Return the epochs with trials divided at random into folds, as the column ``run``.

    The trials of every stimulus are spread as evenly as they can be. Distances that are
    cross-validated over runs are then cross-validated over these folds.

    Parameters
    ----------
    epochs : mne.Epochs
    n_folds : int
        At least 2.
    seed : int
        What a stimulus draws hangs on the seed, its name and the order of its own trials.

    Returns
    -------
    mne.Epochs
        A copy; the column ``run`` of its metadata holds the folds, ``1`` to `n_folds`.

    Raises
    ------
    InputError
        If a stimulus has fewer trials than folds; it is named.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> epochs = mne.EpochsArray(np.ones((5, 2, 3)), info, verbose="ERROR")
    >>> sorted(assign_folds(epochs, 2).metadata["run"])
    ['1', '1', '1', '2', '2']
    """
    number = check_number("n_folds", n_folds, minimum=2)
    if number != int(number):
        raise InputError(message("n_folds", "is no whole number", got=n_folds, allowed=">= 2"))
    labels = np.array(stimulus_labels(epochs))
    trials = trial_labels(epochs)
    names, counts = np.unique(labels, return_counts=True)
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True)
           if count < number]  # fmt: skip
    if few:
        fault = f"stimuli have fewer trials than {number:g} folds: {some(few)}"
        raise InputError(message("n_folds", fault, remedy="Take fewer, or leave them out."))
    folds = np.empty(len(labels), dtype=object)
    for name, count in zip(names, counts, strict=True):
        own = np.flatnonzero(labels == name)
        drawn = draw_groups([str(name)], [int(count)], int(count), 1, seed)[0, 0, 0]
        for fold, part in enumerate(np.array_split(drawn, int(number))):
            folds[own[part]] = str(fold + 1)
    divided = epochs.copy()
    table = pd.DataFrame(index=range(len(labels))) if epochs.metadata is None else epochs.metadata
    # The names of trials stay: a whitener must know them again.
    table = table.assign(stimulus=labels.tolist(), run=folds.tolist(), trial=trials)
    with mne.utils.use_log_level("ERROR"):
        divided.metadata = table
    return divided
