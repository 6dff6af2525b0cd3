"""Maps of all subjects as one array, and differences of references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json, sidecar_path
from neurodnn.pipeline.group_intact import check_intact
from neurodnn.pipeline.group_plan import GroupJob


def stack_scores(job: GroupJob, out: Path) -> tuple[Any, Any, list[str]]:
    """Return scores (subject, voxel, reference) where all have one, the grid, and notes."""
    import xarray as xr

    from neurodnn.brain.nifti import check_same_grid, fresh_image, read_image

    names = [entry["Reference"] for entry in job.summaries[0]["Maps"]]
    first, volumes = None, []
    for each in job.summaries:
        subject = []
        for entry in each["Maps"]:
            check_intact(out, entry["Path"], each)
            image = read_image(out / entry["Path"], ndim=3, allow_empty=True)
            first = image if first is None else first
            check_same_grid(image, first, names=(entry["Path"], "map of the first subject"))
            subject.append(np.asarray(image.dataobj, dtype=np.float64))
        volumes.append(np.stack(subject))
    data = np.stack(volumes)  # subject, reference, x, y, z
    finite = np.isfinite(data)
    everywhere = finite.all(axis=(0, 1))
    anywhere = finite.any(axis=(0, 1))
    if not everywhere.any():
        raise InputError(message(job.name, "no voxel has a score in all subjects",
                                 remedy="Leave out the subject whose mask is wrong."))  # fmt: skip
    lost = int(anywhere.sum() - everywhere.sum())
    notes = _other_stimuli(job, out)
    if lost:
        notes.append(
            f"{lost} of {int(anywhere.sum())} voxels lack a score in some subject or reference "
            f"and were left out; the group was tested in the other {int(everywhere.sum())}."
        )
    scores = xr.DataArray(
        data[:, :, everywhere].transpose(0, 2, 1),
        dims=("subject", "voxel", "reference"),
        coords={"subject": job.subjects, "reference": names,
                "voxel": np.flatnonzero(everywhere)},
    )  # fmt: skip
    return scores, fresh_image(everywhere.astype(np.uint8), first), notes


def _other_stimuli(job: GroupJob, out: Path) -> list[str]:
    """Return a note where the scores of subjects rest on different stimuli."""
    sets = {read_json(sidecar_path(out / each["Maps"][0]["Path"])).get("StimuliHash")
            for each in job.summaries}  # fmt: skip
    if len(sets) < 2:
        return []
    counts = sorted(int(each.get("Stimuli", {}).get("Compared", 0)) for each in job.summaries)
    return [
        f"The subjects were not compared over the same stimuli ({counts[0]} to {counts[-1]} each): "
        "means and t are over scores from different sets."
    ]
