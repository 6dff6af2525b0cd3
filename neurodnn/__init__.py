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
    "align_recordings": "brain.meg",
    "assign_folds": "brain.meg_trials",
    "best_reference_test": "stats.multiplicity",
    "bootstrap_onset": "stats.onset",
    "bootstrap_peak_latency": "stats.latency",
    "cluster_table": "stats.cluster_table",
    "cluster_test": "stats.clusters",
    "combine_adjacency": "numerics.adjacency",
    "commonality": "rsa.partition",
    "compare_models": "workflows.compare_models",
    "compare_movie": "rsa.rdm_movies",
    "compare_rdms": "rsa.compare",
    "compute_rdms": "rsa.rdm",
    "correct_group": "workflows.group_inference",
    "decoding_rdms": "rsa.decoding",
    "default_layers": "dnn.networks",
    "disc_neighbors": "brain.surface",
    "double_dissociation_test": "stats.dissociation",
    "extract_activations": "dnn.activations",
    "fdr": "stats.multiplicity",
    "find_bids_files": "bids",
    "find_meg_files": "brain.meg_bids",
    "fisher_z": "rsa.fisher",
    "fit_glm": "brain.glm",
    "fit_whitener": "brain.meg_noise",
    "fmri_searchlight": "workflows.fmri_searchlight",
    "fsaverage_cortex": "brain.fsaverage",
    "fuse_regions": "rsa.fusion",
    "group_maps": "workflows.group_maps",
    "group_stimulus_test": "workflows.stimulus_test",
    "hierarchy_test": "stats.hierarchy",
    "join_hemispheres": "brain.surface",
    "label_events": "brain.meg",
    "label_permutation_test": "rsa.label_test",
    "layer_fusion": "workflows.layer_fusion",
    "layer_names": "dnn.networks",
    "layer_rdms": "workflows.layer_rdms",
    "line_adjacency": "numerics.adjacency",
    "load_fmri_patterns": "brain.fmri",
    "load_fsaverage": "brain.fsaverage",
    "load_meg_epochs": "brain.meg",
    "load_network": "dnn.networks",
    "load_surface_patterns": "brain.surface",
    "make_inverse": "brain.source",
    "mean_movie": "rsa.rdm_movies",
    "meg_fmri_fusion": "workflows.meg_fmri_fusion",
    "meg_fmri_fusion_surface": "workflows.meg_fmri_fusion",
    "meg_sensor_maps": "workflows.meg_sensor_maps",
    "meg_source_searchlight": "workflows.meg_source_searchlight",
    "meg_timecourse": "workflows.meg_timecourse",
    "morph_scores": "brain.source",
    "movie_ceiling": "rsa.rdm_movies",
    "movie_frame": "brain.movies",
    "noise_ceiling": "rsa.ceiling",
    "open_images": "dnn.images",
    "paired_differences": "stats.multiplicity",
    "plot_layer_maps": "plotting.maps",
    "plot_models": "plotting.models",
    "plot_peak_latency": "plotting.latency",
    "plot_rdms": "plotting.rdms",
    "plot_regions": "plotting.regions",
    "plot_surface_maps": "plotting.surfaces",
    "plot_time_generalisation": "plotting.time_matrices",
    "plot_timecourse": "plotting.timecourses",
    "presentation_rdm": "rsa.presentation",
    "project_patterns": "brain.projection",
    "rdm_movie": "rsa.movies",
    "rdms_at_times": "rsa.movie_stills",
    "read_bids_meg": "brain.meg_bids",
    "read_inverse": "brain.source",
    "read_meg": "brain.meg",
    "read_meg_events": "brain.meg",
    "read_rdms": "rsa.rdm_files",
    "read_stimuli": "stimuli",
    "reference_cluster_test": "stats.reference_study",
    "region_hierarchy": "workflows.region_hierarchy",
    "region_patterns": "brain.fmri",
    "regress_rdms": "rsa.regression",
    "scores_to_evokeds": "brain.sensors",
    "scores_to_image": "brain.fmri",
    "scores_to_movie": "brain.movies",
    "scores_to_stc": "brain.source",
    "scores_to_stcs": "brain.source",
    "scores_to_surface": "brain.surface",
    "scores_to_surface_movie": "brain.movies",
    "searchlight": "rsa.searchlight",
    "searchlight_label_test": "rsa.searchlight_label_test",
    "searchlight_null_maps": "rsa.searchlight_null_maps",
    "searchlight_partition": "rsa.searchlight_partition",
    "searchlight_regression": "rsa.searchlight_partition",
    "searchlight_reliability": "rsa.searchlight_reliability",
    "sensor_adjacency": "brain.sensors",
    "sensor_neighbors": "brain.sensors",
    "sign_flip_test": "stats.permutation",
    "simulate_dataset": "simulate.dataset",
    "source_adjacency": "brain.source",
    "source_meshes": "brain.source",
    "source_neighbors": "brain.source",
    "source_patterns": "brain.source",
    "sphere_neighbors": "brain.fmri",
    "split_half_map": "workflows.split_half",
    "split_half_reliability": "rsa.reliability",
    "stc_patterns": "brain.source",
    "stelzer_test": "stats.stelzer",
    "subject_stimulus_test": "workflows.stimulus_test",
    "surface_searchlight": "workflows.surface_searchlight",
    "tfce_test": "stats.tfce",
    "time_generalisation": "rsa.generalisation",
    "variance_partition": "rsa.partition",
    "vertex_adjacency": "brain.adjacency",
    "voxel_adjacency": "brain.adjacency",
    "whitened_folds": "brain.meg_noise",
    "window_patterns": "brain.meg",
    "window_residuals": "brain.meg",
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
