"""neurodnn: which layers of a deep network account for which part of the human brain.

The public face is flat and lazy: importing the package costs milliseconds, and each name below
loads its room on first use. An RSA script never waits for torch, and ``neurodnn --help`` waits
for nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# public name -> module that defines it, relative to the package; sorted, held by a test
_FACE = {
    "DataWarning": "_checks",
    "InferenceSettings": "workflows.group_inference",
    "InputError": "_checks",
    "SearchlightOptions": "rsa.spheres",
    "SearchlightSettings": "workflows.searchlight_settings",
    "align_rdms": "rsa.rdm",
    "best_reference_test": "stats.multiplicity",
    "bootstrap_onset": "stats.onset",
    "bootstrap_peak_latency": "stats.latency",
    "cluster_table": "stats.cluster_table",
    "cluster_test": "stats.clusters",
    "combine_adjacency": "numerics.adjacency",
    "commonality": "rsa.partition",
    "compare_models": "workflows.compare_models",
    "compare_rdms": "rsa.compare",
    "compute_rdms": "rsa.rdm",
    "correct_group": "workflows.group_inference",
    "decoding_rdms": "rsa.decoding",
    "default_layers": "dnn.networks",
    "disc_neighbors": "brain.surface",
    "extract_activations": "dnn.activations",
    "fdr": "stats.multiplicity",
    "find_bids_files": "bids",
    "fisher_z": "rsa.fisher",
    "fit_glm": "brain.glm",
    "fmri_searchlight": "workflows.fmri_searchlight",
    "fsaverage_cortex": "brain.fsaverage",
    "group_maps": "workflows.group_maps",
    "group_stimulus_test": "workflows.stimulus_test",
    "hierarchy_test": "stats.hierarchy",
    "join_hemispheres": "brain.surface",
    "label_permutation_test": "rsa.label_test",
    "layer_names": "dnn.networks",
    "layer_rdms": "workflows.layer_rdms",
    "line_adjacency": "numerics.adjacency",
    "load_fmri_patterns": "brain.fmri",
    "load_fsaverage": "brain.fsaverage",
    "load_network": "dnn.networks",
    "load_surface_patterns": "brain.surface",
    "noise_ceiling": "rsa.ceiling",
    "open_images": "dnn.images",
    "paired_differences": "stats.multiplicity",
    "plot_layer_maps": "plotting.maps",
    "plot_models": "plotting.models",
    "plot_peak_latency": "plotting.latency",
    "plot_rdms": "plotting.rdms",
    "plot_regions": "plotting.regions",
    "plot_surface_maps": "plotting.surfaces",
    "project_patterns": "brain.projection",
    "read_rdms": "rsa.rdm_files",
    "read_stimuli": "stimuli",
    "reference_cluster_test": "stats.reference_study",
    "region_hierarchy": "workflows.region_hierarchy",
    "region_patterns": "brain.fmri",
    "regress_rdms": "rsa.regression",
    "scores_to_image": "brain.fmri",
    "scores_to_surface": "brain.surface",
    "searchlight": "rsa.searchlight",
    "searchlight_label_test": "rsa.searchlight_label_test",
    "searchlight_null_maps": "rsa.searchlight_null_maps",
    "searchlight_partition": "rsa.searchlight_partition",
    "searchlight_regression": "rsa.searchlight_partition",
    "searchlight_reliability": "rsa.searchlight_reliability",
    "sign_flip_test": "stats.permutation",
    "simulate_dataset": "simulate.dataset",
    "sphere_neighbors": "brain.fmri",
    "split_half_map": "workflows.split_half",
    "split_half_reliability": "rsa.reliability",
    "stelzer_test": "stats.stelzer",
    "subject_stimulus_test": "workflows.stimulus_test",
    "surface_searchlight": "workflows.surface_searchlight",
    "tfce_test": "stats.tfce",
    "variance_partition": "rsa.partition",
    "vertex_adjacency": "brain.adjacency",
    "voxel_adjacency": "brain.adjacency",
    "write_derivative": "bids",
}

__all__ = sorted([*_FACE, "__version__"])


def __getattr__(name: str) -> Any:
    """Load the room that holds `name` on first use and keep the result."""
    if name not in _FACE:
        from neurodnn._checks import closest

        near = closest(name, _FACE)
        hint = f" Did you mean neurodnn.{near}?" if near else ""
        raise AttributeError(f"module 'neurodnn' has no attribute {name!r}.{hint}")
    value = getattr(importlib.import_module(f"neurodnn.{_FACE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
