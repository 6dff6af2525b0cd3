"""The nouns of a run: what one subject's job reads, what the plan found, what is compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from neurodnn.bids import LAYER_ENTITY, MODEL_ENTITY, build_name, parse_name
from neurodnn.pipeline.config import Config

DESC = "searchlight"
STATISTIC = {
    "spearman": "rho", "pearson": "r", "cosine": "cosine", "rho-a": "rhoa", "tau-a": "taua",
    "corr_cov": "corrcov", "cosine_cov": "cosinecov",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of images with what belongs to it.

    `stimuli` holds one entry per row of the events or per volume of the betas: the stimulus as
    the references spell it, or None where the row shows none.
    """

    label: str
    images: tuple[Path, ...]
    labels: Path | None
    stimuli: tuple[str | None, ...]
    volume_runs: tuple[str, ...] | None = None
    confounds: Path | None = None
    mask: Path | None = None
    tr: float | None = None  # s
    slice_time_ref: float = 0.0  # the moment of a volume that its values stand for, of the TR

    @property
    def files(self) -> list[tuple[str, Path]]:
        """(kind, path) of all files of this run; the kind of the images is the job's."""
        pairs = [("images", path) for path in self.images]
        pairs += [("labels", self.labels), ("confounds", self.confounds), ("mask", self.mask)]
        return [(kind, path) for kind, path in pairs if path is not None]


@dataclass(frozen=True)
class Job:
    """One subject, task and space: the unit that is skipped, locked, made and reported."""

    subject: str
    session: str | None
    task: str | None
    space: str | None
    resolution: str | None
    kind: str  # "bold" or "betas"
    runs: tuple[Run, ...]
    stimuli: tuple[str, ...]  # compared: known to brain and references, sorted
    match: dict[str, object] = field(compare=False)
    notes: tuple[str, ...] = ()  # what must reach log, report and sidecar, found beforehand
    memory_mb: float = 0.0
    seconds: float = 0.0
    voxels: int = 0
    disk_mb: float = 0.0  # of patterns and residuals, which are kept for the group level

    @property
    def name(self) -> str:
        """How the job is called in log lines."""
        parts = [("sub", self.subject), ("ses", self.session), ("task", self.task)]
        return " ".join(f"{key}-{label}" for key, label in parts if label)

    def run_stimuli(self) -> dict[str, set[str]]:
        """Return which of the compared stimuli each run shows; runs of a table count as such."""
        seen: dict[str, set[str]] = {}
        several = len(self.runs) > 1
        for run in self.runs:
            labels = run.volume_runs or (run.label,) * len(run.stimuli)
            for label, name in zip(labels, run.stimuli, strict=True):
                own = f"{run.label} {label}" if several and run.volume_runs else label
                if name in self.stimuli:
                    seen.setdefault(own, set()).add(name)
        return seen

    def path(self, **entities: str) -> Path:
        """Return where a file of this job stands, relative to the output folder."""
        folder = Path(f"sub-{self.subject}")
        if self.session:
            folder /= f"ses-{self.session}"
        known = {
            "sub": self.subject, "ses": self.session, "task": self.task, "space": self.space,
            "res": self.resolution,
        }  # fmt: skip
        return folder / "func" / build_name({**known, **entities})

    @property
    def summary_path(self) -> Path:
        """Return where the job's summary stands, relative to the output folder."""
        entities = {"sub": self.subject, "ses": self.session, "task": self.task}
        name = build_name({**entities, "suffix": "summary", "extension": ".json"})
        return Path(f"sub-{self.subject}") / "figures" / name

    def map_path(self, reference: Reference, statistic: str) -> Path:
        """Return where the map of one reference stands, relative to the output folder."""
        return self.path(
            **reference.entities, stat=statistic, desc=DESC, suffix="statmap", extension=".nii.gz"
        )

    def label_path(self, reference: Reference) -> Path:
        """Return where the corrected p over shuffled stimuli of one reference stands."""
        return self.path(
            **reference.entities, stat="p", desc="searchlightLabelFWE", suffix="statmap",
            extension=".nii.gz",
        )  # fmt: skip

    def reliability_path(self, statistic: str) -> Path:
        """Return where the map of split-half reliability stands."""
        return self.path(
            stat=statistic, desc="reliability", suffix="statmap", extension=".nii.gz"
        )

    def patterns_path(self, estimate: str) -> Path:
        """Return where the patterns stand that were analysed, a volume per stimulus (and run)."""
        return self.path(
            stat=self.pattern_statistic(estimate), desc="patterns", suffix="statmap",
            extension=".nii.gz",
        )  # fmt: skip

    def residuals_path(self, number: int) -> Path:
        """Return where the residuals of one run stand, from which the noise was estimated."""
        return self.path(
            run=str(number), desc="residuals", suffix="timeseries", extension=".nii.gz"
        )

    def pattern_statistic(self, estimate: str) -> str:
        """Return the BIDS word for what the patterns hold: that of the input, or of the model."""
        if self.kind == "betas":
            return parse_name(self.runs[0].images[0]).get("stat", "effect")
        return "t" if estimate == "t" else "effect"

    @property
    def mask_path(self) -> Path:
        """Return where the mask that was used stands, relative to the output folder."""
        return self.path(desc="brain", suffix="mask", extension=".nii.gz")


@dataclass(frozen=True)
class Reference:
    """What brains are compared with: a layer, or an RDM that the user brought."""

    name: str
    model: str  # BIDS label of network or file
    layer: str | None  # BIDS label of the layer
    source: str  # "network" or the file's name

    @property
    def entities(self) -> dict[str, str]:
        """Entities that stand in every file name about this reference."""
        labels = {MODEL_ENTITY: self.model}
        if self.layer:
            labels[LAYER_ENTITY] = self.layer
        return labels

    @property
    def label(self) -> str:
        """Short BIDS label for pages and pictures."""
        return self.layer or self.model

    @property
    def rdm_path(self) -> Path:
        """Return where the RDM stands, relative to the output folder."""
        name = build_name({**self.entities, "suffix": "rdm", "extension": ".h5"})
        return Path("models") / f"{MODEL_ENTITY}-{self.model}" / name


@dataclass(frozen=True)
class Plan:
    """All that headers and tables tell before anything is computed.

    `faults` are complete messages; while there is one, nothing runs. `skipped` names subjects
    without images and says why.
    """

    config: Config
    jobs: tuple[Job, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    roots: dict[str, Path] = field(default_factory=dict)
    user_rdms: tuple[object, ...] = ()  # (path, RDMs) pairs, read once
    nuisance: tuple[object, ...] = ()  # the same
    left_out: tuple[str, ...] = ()  # lines on workflows that are not run, with the reason
    n_images: int = 0
    available_mb: float = 0.0


class Loaded(NamedTuple):
    """What the images of one job came to."""

    patterns: Any
    residuals: Any
    mask: Any
    how_mask: str
    confounds: str | None
    glm: str | None
