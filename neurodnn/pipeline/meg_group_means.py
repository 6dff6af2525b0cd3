"""The means of a group that are not tested: RDMs in time, maps on the sensors."""

from __future__ import annotations

from typing import Any

from neurodnn.bids import MODEL_ENTITY
from neurodnn.pipeline.meg_group_files import MegGroupFiles
from neurodnn.pipeline.meg_group_scores import mean_sensor_maps


def write_mean_movie(files: MegGroupFiles, movies: dict[str, Any]) -> str:
    """Write the mean RDM of every time; return its place."""
    from neurodnn.rsa.rdm_movies import mean_movie

    mean = mean_movie(movies)
    fields = {
        "Description": "Mean over subjects of the RDM of all sensors at each time",
        "Sources": [f"bids::{each['RDM']}" for each in files.job.results],
        "Times": [float(time) for time in mean.rdm_descriptors["time"]],
        "Average": str(mean.descriptors.get("average", "")),
    }
    return files.put(mean, fields, desc="sensors", suffix="rdm", extension=".h5")


def write_sensor_maps(files: MegGroupFiles) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the mean maps on the sensors; return their entries by model, and notes."""
    found, notes = mean_sensor_maps(files.job, files.config.output_dir)
    entries = []
    for model, evokeds in found.items():
        fields = {
            "Description": "Mean over subjects of the agreement round each sensor with each "
            "reference, one evoked response per reference; scores without a unit, not tested",
            "References": [evoked.comment for evoked in evokeds],
            "Sources": [f"bids::{entry['Path']}" for each in files.job.results
                        for entry in each.get("SensorMaps") or [] if entry["Model"] == model],
        }  # fmt: skip
        path = files.put(evokeds, fields, **{MODEL_ENTITY: model}, stat="mean", desc="sensors",
                         suffix="ave", extension=".fif")  # fmt: skip
        entries.append({"Model": model, "Path": path})
    return entries, notes
