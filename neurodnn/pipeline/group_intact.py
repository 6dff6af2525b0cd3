"""Whether the files that a group reads are still those that the participant level wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import State, derivative_state
from neurodnn.pipeline.resume import hash_of

_REMEDY = "Run the participant level again with --overwrite."
_FAULTS = {
    State.ABSENT: "is missing, or its JSON file is",
    State.DAMAGED: "does not hold what was written: the sha256 in its JSON file is another",
    State.FOREIGN: "was not written by neurodnn: its JSON file has no sha256",
    State.OTHER: "was made from other input or with other options than the summary says",
}


def check_intact(out: Path, relative: str, made: Mapping[str, Any]) -> None:
    """Raise unless a file holds the bytes of the run that `made` states.

    Parameters
    ----------
    out : path
        The output folder.
    relative : str
        Where the file stands in it.
    made : mapping
        ``InputHash`` and ``ParameterHash``: a subject's summary, or its entry of an RDM.

    Raises
    ------
    InputError
        The file is missing, was changed or replaced, or stems from another run.
    """
    state = derivative_state(out / relative, made.get("InputHash"), made.get("ParameterHash"))
    if state is not State.DONE:
        raise InputError(message(relative, _FAULTS[state], remedy=_REMEDY))


def label_hash(stimuli: Sequence[str], runs: Sequence[str] | None) -> str:
    """Return the hash of what the volumes of a file of patterns are called, in their order.

    The sha256 of the data does not cover names; a summary keeps this hash beside it.

    Examples
    --------
    >>> label_hash(["a", "b"], None) == label_hash(["b", "a"], None)
    False
    """
    return hash_of({"stimuli": [str(each) for each in stimuli],
                    "runs": None if runs is None else [str(each) for each in runs]})  # fmt: skip


def check_labels(relative: str, sidecar: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    """Raise unless a sidecar names the volumes as the subject's summary says.

    Parameters
    ----------
    relative : str
        The file of patterns, for the message.
    sidecar : mapping
        Its sidecar, with ``Stimuli`` and perhaps ``Runs``.
    entry : mapping
        ``Patterns`` of the summary, with ``LabelHash``.

    Raises
    ------
    InputError
        Stimuli or runs were renamed, reordered or removed.
    """
    stimuli = sidecar.get("Stimuli")
    known = isinstance(stimuli, list)
    if not known or label_hash(stimuli, sidecar.get("Runs")) != entry.get("LabelHash"):
        raise InputError(message(relative, "has a JSON file that names other stimuli or runs, or "
                                 "another order, than were written", remedy=_REMEDY))  # fmt: skip
