"""What a job of MEG or EEG will cost: memory and time, told before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodnn.pipeline.config import Config
from neurodnn.pipeline.estimate import BASE_MB, TORCH_MB

if TYPE_CHECKING:
    from neurodnn.pipeline.meg_jobs import MegJob

# Seconds, one worker: per pair of stimuli and time of an RDM; per decoded pair, time and repeat;
# per place, time and pair of a map; to draw a page. Measured on one slow core.
_RDM = 2e-7
_DECODING = 6e-6
_PLACE = 3e-8
_READING = 1.5e-8  # per sample and sensor of the epochs: reading, filtering, averaging
_PAGE = 3.0
# Vertices where the solution has not been opened: ico-5 of two hemispheres.
_VERTICES = 20_484


def estimate_meg(job: MegJob, config: Config, n_references: int) -> tuple[float, float]:
    """Return (memory in MB, seconds) of one job.

    Parameters
    ----------
    job : MegJob
        Its runs, whole epochs, sensors, windows.
    config : Config
    n_references : int
        RDMs that the brain is compared with.
    """
    epochs = sum(sum(run.counts.values()) for run in job.runs)
    sensors = len(job.runs[0].sensors)
    rate = config.resample or job.runs[0].rate
    samples = (config.tmax - config.tmin) * rate + 1
    n = len(job.stimuli)
    pairs = n * (n - 1) / 2
    cells = n * (len(job.runs) if config.meg_metric == "crossnobis" else 1)
    # epochs as read, joined or filtered, and the means over them
    memory = 8 * sensors * samples * (3 * epochs + cells)
    if config.meg_metric in ("mahalanobis", "crossnobis") or config.meg_noise == "mvnn":
        memory += 8 * sensors * (samples * epochs + 3 * sensors)
    memory += 8 * job.n_times * pairs * 3
    if config.low_pass is not None:  # the filter needs the whole recording, and a copy
        memory += 8 * 2 * sensors * max(run.samples for run in job.runs)
    seconds = epochs * sensors * samples * _READING * len(job.runs)
    if job.workflow == "meg_source_searchlight":
        memory += 8 * _VERTICES * (n * 32 + job.n_times * n_references * 3 + 2 * sensors)
        seconds += _VERTICES * job.n_times * pairs * (_PLACE + 1e-9 * n_references)
    elif config.meg_metric == "decoding":
        seconds += pairs * job.n_times * config.decoding_repeats * _DECODING
    else:
        seconds += pairs * job.n_times * _RDM
        seconds += sensors * job.n_times * pairs * (_PLACE + 1e-9 * n_references)
        memory += 8 * sensors * job.n_times * n_references * 3
    base = BASE_MB + (TORCH_MB if config.network != "none" else 0.0)
    return base + memory / 1e6, _PAGE + seconds / max(1, config.n_cpus or 1)
