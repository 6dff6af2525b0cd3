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

    def attempt(self, step: Callable[[], Any], default: Any = None) -> Any:
        """Return what `step` gives; an `InputError` becomes a fault and gives `default`."""
        try:
            return step()
        except InputError as error:
            for text in str(error).split("\n"):
                if text not in self.faults:
                    self.faults.append(text)
            return default
