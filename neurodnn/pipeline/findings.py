"""What the planning gathers on its way, and where its faults are kept until all are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError
from neurodnn.pipeline.config import Config


@dataclass
class Findings:
    """What the planning gathers on its way; faults are complete messages."""

    config: Config
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    roots: dict[str, Path] = field(default_factory=dict)
    filters: dict[str, Any] = field(default_factory=dict)
    stimuli: Any = None  # DataFrame of the stimulus table, or list of names
    user_rdms: list[tuple[Path, Any]] = field(default_factory=list)
    nuisance: list[tuple[Path, Any]] = field(default_factory=list)
    mne_root: Path | None = None  # inverse and forward solutions
    left_out: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # who, by reason

    def leave_out(self, workflow: str, who: str, reason: str) -> None:
        """Note that a workflow is not run; `who` is a subject, or empty for the data set."""
        named = self.left_out.setdefault((workflow, reason), [])
        if who and who not in named:
            named.append(who)

    def left_out_lines(self) -> list[str]:
        """Return one line per workflow and reason, for the count table."""
        lines = []
        for (workflow, reason), named in self.left_out.items():
            more = f" and {len(named) - 5} more" if len(named) > 5 else ""
            who = f" for {', '.join(named[:5])}{more}" if named else ""
            lines.append(f"left out: {workflow}{who}: {reason}")
        return lines

    def attempt(self, step: Callable[[], Any], default: Any = None) -> Any:
        """Return what `step` gives; an `InputError` becomes a fault and gives `default`."""
        try:
            return step()
        except InputError as error:
            for text in str(error).split("\n"):
                if text not in self.faults:
                    self.faults.append(text)
            return default
