"""The cortex as MEG and EEG see it: inverse solutions, discs of sources, maps back to MNE."""

from __future__ import annotations

from neurodnn.brain.source_estimates import stc_patterns
from neurodnn.brain.source_inverse import make_inverse, read_inverse
from neurodnn.brain.source_patterns import source_patterns
from neurodnn.brain.source_scores import morph_scores, scores_to_stc, scores_to_stcs
from neurodnn.brain.source_space import source_adjacency, source_meshes, source_neighbors

__all__ = [
    "make_inverse",
    "morph_scores",
    "read_inverse",
    "scores_to_stc",
    "scores_to_stcs",
    "source_adjacency",
    "source_meshes",
    "source_neighbors",
    "source_patterns",
    "stc_patterns",
]
