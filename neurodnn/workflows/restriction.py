"""Brain and references that share only some stimuli -> both over the shared ones, in one order.

Which stimuli are shared is decided and counted by whoever calls; nothing is dropped here
without having been named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import InputError, message

if TYPE_CHECKING:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs


def restrict_patterns(patterns: Dataset, stimuli: Sequence[str]) -> Dataset:
    """Return the observations of some stimuli, in the order in which they stand.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        With ``obs_descriptors["stimulus"]``.
    stimuli : sequence of str
        All of them must be there.

    Raises
    ------
    InputError
        A stimulus has no observation.

    Examples
    --------
    >>> from rsatoolbox.data import Dataset
    >>> both = Dataset(np.eye(3), obs_descriptors={"stimulus": ["a", "b", "a"]})
    >>> restrict_patterns(both, ["a"]).obs_descriptors["stimulus"]
    ['a', 'a']
    """
    from rsatoolbox.data import Dataset

    names = [str(name) for name in patterns.obs_descriptors["stimulus"]]
    absent = sorted(set(stimuli) - set(names))
    if absent:
        raise InputError(
            message("patterns", f"{len(absent)} stimuli have no pattern", got=absent[:10],
                    remedy="They could not be estimated; leave them out.")
        )  # fmt: skip
    wanted = set(stimuli)
    rows = [row for row, name in enumerate(names) if name in wanted]
    if len(rows) == len(names):
        return patterns  # whole brains are large: no second copy of them
    return Dataset(
        patterns.measurements[rows],
        descriptors=dict(patterns.descriptors),
        obs_descriptors={
            key: [str(values[row]) for row in rows]
            for key, values in patterns.obs_descriptors.items()
            if key != "index"
        },
        channel_descriptors=dict(patterns.channel_descriptors),
    )


def restrict_rdms(
    rdms: RDMs, stimuli: Sequence[str], *, names: Sequence[str] | None = None
) -> RDMs:
    """Return RDMs over some stimuli, in the order of `stimuli`.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        With ``pattern_descriptors["stimulus"]``.
    stimuli : sequence of str
        All of them must be there.
    names : sequence of str, optional
        Another spelling of the RDMs' stimuli, in their order, under which they are looked up.

    Raises
    ------
    InputError
        A stimulus is missing.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> rdms = RDMs(np.array([[1.0, 2, 3]]), pattern_descriptors={"stimulus": ["a", "b", "c"]})
    >>> restrict_rdms(rdms, ["c", "a"]).dissimilarities
    array([[2.]])
    """
    from rsatoolbox.rdm import RDMs

    spelled = list(map(str, rdms.pattern_descriptors["stimulus"] if names is None else names))
    place = {name: index for index, name in enumerate(spelled)}
    absent = [name for name in stimuli if name not in place]
    if absent:
        raise InputError(message("references", f"{len(absent)} stimuli are missing",
                                 got=absent[:10]))  # fmt: skip
    index = np.array([place[name] for name in stimuli])
    first, second = np.triu_indices(len(index), 1)
    low = np.minimum(index[first], index[second])
    high = np.maximum(index[first], index[second])
    # place of the pair (low, high) in the condensed order of numpy.triu_indices
    condensed = low * (2 * len(spelled) - low - 1) // 2 + (high - low - 1)
    return RDMs(
        rdms.dissimilarities[:, condensed],
        dissimilarity_measure=rdms.dissimilarity_measure,
        rdm_descriptors=_without_index(rdms.rdm_descriptors),
        pattern_descriptors={"stimulus": list(map(str, stimuli))},
    )


def join_references(parts: Sequence[RDMs]) -> RDMs:
    """Return several RDMs over the same stimuli in the same order as one object.

    Parameters
    ----------
    parts : sequence of rsatoolbox.rdm.RDMs
        With ``rdm_descriptors["reference"]``; see `restrict_rdms` for a common order.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> part = RDMs(np.ones((1, 3)), rdm_descriptors={"reference": ["a"]},
    ...             pattern_descriptors={"stimulus": ["x", "y", "z"]})
    >>> other = RDMs(np.ones((1, 3)), rdm_descriptors={"reference": ["b"]},
    ...              pattern_descriptors={"stimulus": ["x", "y", "z"]})
    >>> join_references([part, other]).rdm_descriptors["reference"]
    ['a', 'b']
    """
    from rsatoolbox.rdm import RDMs

    stimuli = list(parts[0].pattern_descriptors["stimulus"])
    if any(list(part.pattern_descriptors["stimulus"]) != stimuli for part in parts[1:]):
        raise InputError(message("references", "do not share one order of stimuli",
                                 remedy="Bring them to one order with restrict_rdms."))
    names = [str(name) for part in parts for name in part.rdm_descriptors["reference"]]
    return RDMs(
        np.concatenate([part.dissimilarities for part in parts]),
        rdm_descriptors={"reference": names},
        pattern_descriptors={"stimulus": stimuli},
    )


def _without_index(descriptors: Mapping[str, object]) -> dict[str, list[str]]:
    return {
        key: [str(value) for value in values]
        for key, values in descriptors.items()
        if key != "index"
    }
