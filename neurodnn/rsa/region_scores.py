"""RDMs of several regions x references -> scores, their draws and ceilings, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, message
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.matched import Matched
from neurodnn.rsa.names import labels_of
from neurodnn.rsa.resampling import resample_scores


def region_scores(
    drawings: Sequence[Mapping[str, Matched]], *, comparison: str, nan_policy: str = "raise"
) -> xr.DataArray:
    """Return each subject's score of each region with each reference.

    Parameters
    ----------
    drawings : sequence of mappings of region -> Matched
        As `match_regions` gives them, one for each drawing; scores are averaged over drawings.
    comparison, nan_policy
        As in `compare_rdms`.

    Returns
    -------
    DataArray (subject, region, reference)

    Examples
    --------
    >>> from neurodnn.rsa.matched import match_regions
    >>> names = {"stimulus": list("stuvwxyz")}
    >>> data = RDMs(np.random.default_rng(0).random((2, 28)), pattern_descriptors=names)
    >>> region_scores([match_regions({"V1": data}, data)], comparison="pearson").shape
    (2, 1, 2)
    """
    joined = []
    for matched in drawings:
        parts = [
            compare_rdms(m.data, m.references, comparison=comparison, nan_policy=nan_policy)
            for m in matched.values()
        ]
        parts = [part.rename({str(part.dims[0]): "subject"}) for part in parts]
        joined.append(xr.concat(parts, "region").transpose("subject", "region", "reference"))
    mean = np.mean([each.values for each in joined], axis=0)
    return joined[0].assign_coords(region=list(drawings[0])).copy(data=mean)


def region_score_draws(
    drawings: Sequence[Mapping[str, Matched]],
    counts: NDArray[np.int64],
    *,
    comparison: str,
    n_jobs: int = 1,
) -> NDArray[np.float64]:
    """Return the scores in each draw of stimuli, the same draws for all regions.

    Returns
    -------
    float64 array (draws x subjects x regions x references)
        See `resample_scores`.

    Examples
    --------
    >>> from neurodnn.rsa.matched import match_regions
    >>> names = {"stimulus": list("stuvwxyz")}
    >>> data = RDMs(np.random.default_rng(0).random((2, 28)), pattern_descriptors=names)
    >>> matched = match_regions({"V1": data, "IT": data}, data)
    >>> region_score_draws([matched], np.ones((5, 8), np.int64), comparison="pearson").shape
    (5, 2, 2, 2)
    """
    total = 0.0
    for matched in drawings:
        parts = [
            resample_scores(m, counts, comparison=comparison, n_jobs=n_jobs)
            for m in matched.values()
        ]
        total = total + np.stack(parts, axis=2)
    return total / len(drawings)


def region_ceilings(matched: Mapping[str, Matched], *, comparison: str) -> xr.DataArray:
    """Return lower and upper noise ceiling of each region.

    Returns
    -------
    DataArray (region, bound)

    Examples
    --------
    >>> from neurodnn.rsa.matched import match_regions
    >>> names = {"stimulus": list("stuvwxyz")}
    >>> data = RDMs(np.random.default_rng(0).random((2, 28)), pattern_descriptors=names)
    >>> region_ceilings(match_regions({"V1": data}, data), comparison="pearson").dims
    ('region', 'bound')
    """
    bounds = [tuple(noise_ceiling(m.data, comparison=comparison)) for m in matched.values()]
    coords = {"region": list(matched), "bound": ["lower", "upper"]}
    return xr.DataArray(np.array(bounds), dims=("region", "bound"), coords=coords)


def drawings_of(
    references: RDMs | Sequence[RDMs],
    *,
    beside: Sequence[str] | None = None,
    where: str = "references",
) -> list[RDMs]:
    """Return the drawings of a network, each with the same layers in the same order.

    Parameters
    ----------
    references : RDMs or sequence of RDMs
        One network, or several random drawings of one, whose scores are to be averaged.
    beside : sequence of str, optional
        Names of the layers that these are held against, layer by layer; by default those of the
        first drawing. Other names are welcome; the same name in another place is not.
    where : str
        The argument, for the message.

    Raises
    ------
    InputError
        If there is no drawing, one has another number of rows or other labels, or a layer stands
        beside another one.

    Examples
    --------
    >>> names = {"stimulus": list("wxyz")}
    >>> rdms = RDMs(np.ones((2, 6)), pattern_descriptors=names)
    >>> len(drawings_of(rdms)), len(drawings_of([rdms, rdms]))
    (1, 2)
    """
    drawings = [references] if isinstance(references, RDMs) else list(references)
    if not drawings or not all(isinstance(each, RDMs) for each in drawings):
        allowed = "an RDMs object, or a sequence of them"
        raise InputError(message(where, "are no RDMs", got=drawings[:1], allowed=allowed))
    layers = labels_of(drawings[0])[1]
    beside = layers if beside is None else list(beside)
    rows = len(beside)
    for each in drawings:
        if each.n_rdm != rows or labels_of(each)[1] != layers:
            got = f"{each.n_rdm} rows: {', '.join(labels_of(each)[1][:5])}"
            allowed = f"{rows} rows, one per layer, alike in all drawings"
            raise InputError(message(where, "do not fit layer by layer", got=got, allowed=allowed))
    astray = [name for i, name in enumerate(layers) if name in beside and beside[i] != name]
    if astray:
        what = f"hold {', '.join(astray[:5])} in another place"
        remedy = "Put the layers of both in the same order."
        raise InputError(message(where, what, got=layers[:5], allowed=beside[:5], remedy=remedy))
    return drawings
