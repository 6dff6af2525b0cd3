"""The nouns of MEG and EEG: what one subject's job reads, and where its files stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neurodnn.bids import MODEL_ENTITY, build_name
from neurodnn.pipeline.jobs import Reference

if TYPE_CHECKING:
    from neurodnn.brain.meg_bids import MegFiles

RESULTS = {"meg_timecourse": "megresults", "meg_source_searchlight": "sourceresults"}
_WORDS = {"meg_timecourse": "", "meg_source_searchlight": " source"}


@dataclass(frozen=True)
class MegRun:
    """One recording with what belongs to it.

    `stimuli` holds one entry per row of the events: the stimulus as the references spell it, or
    None where the row shows none. `counts` are the whole epochs of each stimulus; `present` are
    all sensors of the file, `sensors` the good ones.
    """

    label: str
    files: MegFiles
    data: tuple[Path, ...]  # every file that holds samples, for the hash
    rate: float  # Hz
    samples: int  # of the whole recording
    sensors: tuple[str, ...]
    present: tuple[str, ...]
    stimuli: tuple[str | None, ...]
    counts: dict[str, int] = field(compare=False)

    @property
    def inputs(self) -> list[tuple[str, Path]]:
        """(kind, path) of all files of this run."""
        tables = [("events", self.files.events), ("channels", self.files.channels)]
        return [("recording", path) for path in self.data] + [
            (kind, path) for kind, path in tables if path is not None
        ]


class SourceFiles(NamedTuple):
    """An inverse operator, or a forward solution with a noise covariance."""

    inverse: Path | None
    forward: Path | None
    covariance: Path | None

    @property
    def inputs(self) -> list[tuple[str, Path]]:
        """(kind, path) of those that are used."""
        named = zip(self._fields, self, strict=True)
        return [(kind, path) for kind, path in named if path is not None]


@dataclass(frozen=True)
class MegJob:
    """One subject, task and workflow: the unit that is skipped, locked, made and reported."""

    workflow: str
    subject: str
    session: str | None
    task: str | None
    datatype: str  # "meg" or "eeg"
    runs: tuple[MegRun, ...]
    stimuli: tuple[str, ...]  # compared: known to brain and references, sorted
    match: dict[str, object] = field(compare=False)
    notes: tuple[str, ...] = ()  # what must reach log, report and sidecar, found beforehand
    n_times: int = 0  # windows
    source: SourceFiles | None = None
    memory_mb: float = 0.0
    seconds: float = 0.0
    disk_mb: float = 0.0

    @property
    def name(self) -> str:
        """How the job is called in log lines."""
        parts = [("sub", self.subject), ("ses", self.session), ("task", self.task)]
        words = " ".join(f"{key}-{label}" for key, label in parts if label)
        return f"{words} {self.datatype}{_WORDS[self.workflow]}"

    @property
    def folder(self) -> Path:
        """Return where the subject's files of this kind stand, relative to the output folder."""
        folder = Path(f"sub-{self.subject}")
        return (folder / f"ses-{self.session}" if self.session else folder) / self.datatype

    def path(self, **entities: str) -> Path:
        """Return where a file of this job stands, relative to the output folder."""
        known = {"sub": self.subject, "ses": self.session, "task": self.task}
        return self.folder / build_name({**known, **entities})

    @property
    def results_path(self) -> Path:
        """Return where the results of the job are told, relative to the output folder."""
        entities = {"sub": self.subject, "ses": self.session, "task": self.task}
        name = build_name({**entities, "suffix": RESULTS[self.workflow], "extension": ".json"})
        return Path(f"sub-{self.subject}") / "figures" / name

    @property
    def rdm_path(self) -> Path:
        """Return where the RDM of every window stands."""
        return self.path(desc="sensors", suffix="rdm", extension=".h5")

    def course_path(self, model: str, statistic: str) -> Path:
        """Return where the time courses of one model stand, a column per reference."""
        return self._of_model(model, statistic, "timeseries", ".tsv")

    def sensor_map_path(self, model: str, statistic: str) -> Path:
        """Return where the sensor maps of one model stand, one evoked per reference."""
        return self._of_model(model, statistic, "ave", ".fif")

    def _of_model(self, model: str, statistic: str, suffix: str, extension: str) -> Path:
        return self.path(**{MODEL_ENTITY: model}, stat=statistic, desc="sensors", suffix=suffix,
                         extension=extension)  # fmt: skip

    def source_map_path(
        self, reference: Reference, statistic: str, space: str | None = None
    ) -> Path:
        """Return the name of a pair of source maps; ``-lh`` and ``-rh`` come before the end."""
        entities = {**reference.entities, **({"space": space} if space else {})}
        return self.path(**entities, stat=statistic, desc="source", suffix="statmap",
                         extension=".stc")  # fmt: skip

    def mesh_path(self, hemisphere: str) -> Path:
        """Return where the surface stands on which the source maps lie; "L" or "R"."""
        return self.path(hemi=hemisphere, desc="source", suffix="mesh", extension=".surf.gii")
