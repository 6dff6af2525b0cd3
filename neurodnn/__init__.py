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
    "InputError": "_checks",
    "DataWarning": "_checks",
    "align_rdms": "rsa.rdm",
    "compare_rdms": "rsa.compare",
    "compute_rdms": "rsa.rdm",
    "default_layers": "dnn.networks",
    "disc_neighbors": "brain.surface",
    "extract_activations": "dnn.activations",
    "find_bids_files": "bids",
    "fit_glm": "brain.glm",
    "fmri_searchlight": "workflows.fmri_searchlight",
    "group_maps": "workflows.group_maps",
    "layer_names": "dnn.networks",
    "layer_rdms": "workflows.layer_rdms",
    "load_fmri_patterns": "brain.fmri",
    "load_network": "dnn.networks",
    "load_surface_patterns": "brain.surface",
    "noise_ceiling": "rsa.ceiling",
    "open_images": "dnn.images",
    "plot_layer_maps": "plotting.maps",
    "plot_rdms": "plotting.rdms",
    "plot_regions": "plotting.regions",
    "read_rdms": "rsa.rdm_files",
    "read_stimuli": "stimuli",
    "region_patterns": "brain.fmri",
    "scores_to_image": "brain.fmri",
    "scores_to_surface": "brain.surface",
    "searchlight": "rsa.searchlight",
    "sign_flip_test": "stats.permutation",
    "simulate_dataset": "simulate.dataset",
    "sphere_neighbors": "brain.fmri",
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
