"""Simulated responses on a cortical surface: layers planted in patches of vertices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .._checks import InputError, message
from .brain import _projections, _symmetric_root


def patch_responses(
    correlations: Mapping[str, NDArray],
    patches: Mapping[str, NDArray],
    n_vertices: int,
    generator: np.random.Generator,
) -> NDArray:
    """Return what every vertex answers to every stimulus, free of noise.

    As `planted_responses` in a volume: where a patch has more vertices than stimuli, the
    correlation of two stimuli over its vertices is exactly that of the layer's activations.

    Parameters
    ----------
    correlations : mapping of str to array (n_stimuli, n_stimuli)
        Layer name to the correlations of its activations.
    patches : mapping of str to array of int
        Layer name to the vertices where it is planted, such as a row of `disc_neighbors`.
    n_vertices : int
        Of the surface, or of both surfaces one after the other.
    generator : numpy.random.Generator
        Of this subject.

    Returns
    -------
    array (n_stimuli, n_vertices)
        Variance about the mean over stimuli 1 on average inside patches, 0 elsewhere. Where
        patches overlap, the later layer stands.

    Raises
    ------
    InputError
        If a patch belongs to no layer or holds no vertex of the surface.

    Examples
    --------
    >>> responses = patch_responses({"conv1": np.eye(3)}, {"conv1": np.arange(5)}, 8,
    ...                             np.random.default_rng(0))
    >>> responses.shape, bool(np.allclose(np.corrcoef(responses[:, :5]), np.eye(3)))
    ((3, 8), True)
    """
    responses = np.zeros((len(next(iter(correlations.values()))), n_vertices))
    for layer, vertices in patches.items():
        members = np.asarray(vertices, int)
        if layer not in correlations:
            known = ", ".join(correlations)
            raise InputError(message("patches", "name no layer", got=layer, allowed=known))
        if not members.size or members.min() < 0 or members.max() >= n_vertices:
            what = f"of {layer} holds vertices that are not among the {n_vertices}"
            raise InputError(message("patch", what if members.size else f"of {layer} is empty"))
        root = _symmetric_root(correlations[layer])
        responses[:, members] = root @ _projections(len(root), members.size, generator)
    return responses
