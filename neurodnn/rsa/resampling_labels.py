"""The label-permutation p of matched RDMs, beside the resampled scores."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, message
from neurodnn.numerics.similarity import normalise
from neurodnn.rsa.label_test import label_permutation_test
from neurodnn.rsa.matched import Matched
from neurodnn.rsa.names import labels_of, names_of


def permuted_labels_p(
    drawings: Sequence[Mapping[str, Matched]],
    *,
    comparison: str,
    tail: str,
    n_permutations: int,
    seed: int,
) -> xr.Dataset:
    """Return p of mean scores under common permutations of the stimuli: generalises to stimuli.

    Parameters
    ----------
    drawings : sequence of mappings of region -> Matched
        One for each drawing of the references. With several the mean of their scores is tested,
        which for all comparisons but the taus is a dot product with the mean of the normalised
        references; its maximum is taken on the scale of a cosine with that mean.
    comparison, tail, n_permutations, seed
        As in `label_permutation_test`.

    Returns
    -------
    Dataset
        ``p_labels`` and ``p_labels_fwe`` (region, reference). NaN, under a warning, where pairs
        are missing (permuted, other pairs would be), and for the taus with several drawings.

    Examples
    --------
    >>> from neurodnn.rsa.matched import match_subjects
    >>> names = {"stimulus": list("stuvwxyz")}
    >>> data = RDMs(np.random.default_rng(0).random((2, 28)), pattern_descriptors=names)
    >>> matched = {"V1": match_subjects(data, data)}
    >>> found = permuted_labels_p([matched], comparison="pearson", tail="greater",
    ...                           n_permutations=200, seed=0)
    >>> found.p_labels.attrs["generalises_to"]
    'stimuli'
    """
    regions = drawings[0]
    first = next(iter(regions.values()))
    coords = {"region": list(regions), "reference": labels_of(first.references)[1]}
    problem = _problem(drawings, comparison)
    if problem:
        remedy = "All other tests are there."
        warnings.warn(message("p_labels", f"is NaN: {problem}", remedy=remedy), DataWarning,
                      stacklevel=3)  # fmt: skip
        empty = np.full((len(regions), len(coords["reference"])), np.nan)
        tables, attributes = (empty, empty), {}
    else:
        data = {region: m.data for region, m in regions.items()}
        references = first.references
        if len(drawings) > 1:
            data = {region: _normalised(rdms, comparison) for region, rdms in data.items()}
            models = [next(iter(each.values())).references for each in drawings]
            references, comparison = _mean_normalised(models, comparison), "cosine"
        test = label_permutation_test(
            data, references, comparison=comparison, tail=tail, n_permutations=n_permutations,
            seed=seed,
        )  # fmt: skip
        tables = test["p"].values, test["p_fwe"].values
        attributes = {key: test.attrs[key] for key in ("exact", "n_permutations", "minimum_p")}
    attributes |= {"generalises_to": "stimuli", "tail": tail}
    dims = ("region", "reference")
    names = ("p_labels", "p_labels_fwe")
    found = {name: (dims, table, attributes) for name, table in zip(names, tables, strict=True)}
    return xr.Dataset(found, coords=coords)


def _problem(drawings: Sequence[Mapping[str, Matched]], comparison: str) -> str:
    sides = [
        side.dissimilarities
        for each in drawings
        for m in each.values()
        for side in (m.data, m.references)
    ]
    if not all(np.isfinite(side).all() for side in sides):
        return "pairs without a distance cannot be permuted"
    if len(drawings) > 1 and comparison.startswith("tau"):
        return f"{comparison} is no dot product, and several drawings are averaged"
    return ""


def _normalised(rdms: RDMs, comparison: str) -> RDMs:
    rows = np.stack([normalise(row, comparison) for row in rdms.dissimilarities])
    axis, labels = labels_of(rdms)
    return RDMs(rows, pattern_descriptors={"stimulus": names_of(rdms)},
                rdm_descriptors={axis: labels})  # fmt: skip


def _mean_normalised(models: Sequence[RDMs], comparison: str) -> RDMs:
    mean = _normalised(models[0], comparison)
    rows = np.mean([_normalised(each, comparison).dissimilarities for each in models], axis=0)
    return RDMs(rows, pattern_descriptors={"stimulus": names_of(mean)},
                rdm_descriptors={"reference": labels_of(mean)[1]})  # fmt: skip
