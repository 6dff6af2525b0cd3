"""From a BIDS data set to files: `plan` finds and checks, `run` computes and writes.

`plan` reads names, headers and tables only and lists every fault; `run` skips what is done.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurodnn.pipeline.config import Config
    from neurodnn.pipeline.jobs import Plan


def plan(config: Config) -> Plan:
    """Return what a run would do, and everything that stands against it.

    Parameters
    ----------
    config : Config
        From `neurodnn.pipeline.config.make_config`.

    Returns
    -------
    Plan
        ``jobs``, ``faults`` (complete messages; none may be left for a run) and ``notes``;
        `neurodnn.pipeline.counts.plan_table` shows it.
    """
    if config.level == "group":
        from neurodnn.pipeline.group_plan import plan_group

        return plan_group(config)
    from neurodnn.pipeline.planning import make_plan

    return make_plan(config)


def run(plan: Plan, *, show: Callable[[str], None] | None = None) -> int:
    """Compute and write what the plan names; return the exit code.

    Parameters
    ----------
    plan : Plan
        As `plan` gave it.
    show : callable, optional
        Takes the count table; the command line prints it.

    Raises
    ------
    InputError
        A fault stands in the plan, or bad input comes to light before anything is written.
    """
    from neurodnn.pipeline.running import run_plan

    return run_plan(plan, show or (lambda text: None))


def logging_to_screen(config: Config | None) -> AbstractContextManager[None]:
    """Return a context in which the package's log goes to standard error."""
    from neurodnn.pipeline import logs

    return logs.logging_to_screen(config)


def rebuild_reports(output_dir: str | Path, subjects: tuple[str, ...] = ()) -> int:
    """Write the pages of an output folder anew from what is in it; return the exit code."""
    from neurodnn.pipeline.pages import rebuild

    return rebuild(Path(output_dir), subjects)


def boilerplate(config: Config) -> str:
    """Return the methods paragraphs and references of an output folder's summaries."""
    from neurodnn.pipeline.pages import methods_text

    return methods_text(config)
