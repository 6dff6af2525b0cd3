"""Searchlight maps of one subject under permuted stimuli, for group tests that draw from them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array

from neurodnn._checks import check_number
from neurodnn.numerics.relabel import relabelled_rows
from neurodnn.rsa.names import names_of
from neurodnn.rsa.readouts import check_linear, make_readout, nuisance_attributes, without
from neurodnn.rsa.relabelling import own_relabellings
from neurodnn.rsa.searchlight import label_places, run_blocks
from neurodnn.rsa.spheres import DEFAULT_OPTIONS, SearchlightOptions
from neurodnn.rsa.subject_lanes import block_lanes, prepare_subjects


def searchlight_null_maps(
    patterns: Dataset,
    neighbors: csr_array,
    references: RDMs,
    *,
    subject: str,
    comparison: str = "spearman",
    nuisance: RDMs | None = None,
    semi: bool = False,
    residuals: Dataset | None = None,
    n_permutations: int = 100,
    seed: int = 0,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.DataArray:
    """Return one subject's searchlight scores under permuted stimuli, map by map.

    In each map the stimuli of all references are permuted by one order for all places, as
    Stelzer et al. (2013) permute labels. Every subject draws its own orders, so that a group
    test which averages one map of each subject generalises to subjects only: for stimuli take
    `searchlight_label_test`, whose order is common to all subjects.

    Parameters
    ----------
    patterns, neighbors, references, comparison, nuisance, semi, residuals, options
        As for `searchlight_label_test`, of a single subject.
    subject : str
        Name of the subject: together with `seed` it decides the orders.
    n_permutations : int
        Number of maps; none of them is the observed one. Stelzer et al. take 100.
    seed : int

    Returns
    -------
    DataArray (permutation x place x reference)
        float32: permutations x places x references x 4 bytes. NaN where undefined. attrs:
        subject, seed, generalises_to.

    Raises
    ------
    InputError
        As for `searchlight_label_test`.

    References
    ----------
    Stelzer, J., Chen, Y., & Turner, R. (2013). Statistical inference and multiple testing
    correction in classification-based multi-voxel pattern analysis. NeuroImage, 65, 69-82.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = list("abcdefgh")
    >>> patterns = Dataset(rng.normal(size=(8, 4)), obs_descriptors={"stimulus": names})
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> model = RDMs(rng.random((1, 28)), pattern_descriptors={"stimulus": names})
    >>> searchlight_null_maps(patterns, neighbors, model, subject="01", n_permutations=5).shape
    (5, 2, 1)
    """
    check_linear(comparison)
    n_permutations = int(check_number("n_permutations", n_permutations, minimum=1))
    group = prepare_subjects(
        patterns, neighbors, names_of(references, "references"), comparison=comparison,
        residuals=residuals, options=options,
    )  # fmt: skip
    ready = group.ready[0]
    readout = make_readout(references, ready.names, comparison, nuisance, semi)
    orders = own_relabellings(subject, len(ready.names), n_permutations, seed, observed=False)
    n = len(readout.units)
    maps = np.empty((n_permutations, group.n_places, n), np.float32)

    def map_block(start: int, stop: int) -> None:
        block = block_lanes(group, readout, group.make_works(), start, stop, False)
        usable = block.defined[:, np.newaxis] & ~readout.undefined
        for index, order in enumerate(orders):
            rows = without(relabelled_rows(readout.units, order[np.newaxis], np.float64),
                           readout.basis)[0]  # fmt: skip
            products = block.lanes @ rows.astype(block.lanes.dtype).T
            maps[index, start:stop] = np.where(usable, products[: stop - start], np.nan)

    for _ in run_blocks(map_block, group.n_places, group.block, options):
        pass
    group.warn_of_losses(options.place)
    labelled = label_places({"score": maps[0]}, group.n_features[0], group.reasons[0],
                            readout.labels, ready, options)["score"]  # fmt: skip
    return xr.DataArray(
        maps,
        dims=("permutation", *labelled.dims),
        coords=dict(labelled.coords),
        attrs=labelled.attrs | {
            "comparison": comparison, "subject": subject, "seed": int(seed),
            "generalises_to": "subjects", **nuisance_attributes(nuisance, semi),
        },
        name=comparison,
    )  # fmt: skip
