"""A run: everything that can be refused is refused first, then one subject after the other."""

from __future__ import annotations

import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from neurodnn._checks import InputError, message
from neurodnn.bids import WriteError, lock_output, write_derivative
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.counts import plan_table
from neurodnn.pipeline.estimate import MEMORY_SHARE
from neurodnn.pipeline.jobs import Job, Plan
from neurodnn.pipeline.logs import LOGGER, Scrubber, open_run_log
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.meg_subject import is_meg_done, run_meg_job
from neurodnn.pipeline.provenance import Context, input_hash, job_inputs, job_parameter_hash
from neurodnn.pipeline.references import prepare_references
from neurodnn.pipeline.resume import FileHashes
from neurodnn.pipeline.shared import write_shared
from neurodnn.pipeline.subject import is_job_done, run_job


@dataclass
class Outcome:
    """What became of the jobs."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)  # job, kind, message

    def exit_code(self) -> int:
        """0 all done, 3 some failed, 2 nothing could be done with this input, 1 our fault."""
        if not self.failed:
            return 0
        if self.done or self.skipped:
            return 3
        return 2 if all(kind == "InputError" for _, kind, _ in self.failed) else 1


def run_plan(plan: Plan, show: Callable[[str], None]) -> int:
    """Run a plan and return the exit code; see `neurodnn.pipeline.run`."""
    config = plan.config
    show(plan_table(plan))
    _refuse_faults(plan)
    if config.validate:
        from neurodnn.pipeline.validation import validate

        validate(config.bids_dir)
    if config.dry_run:
        LOGGER.info("dry run: %d jobs, nothing was written", len(plan.jobs))
        return 0
    with _warnings_to_log(Scrubber(config)):
        if config.level == "group":
            from neurodnn.pipeline.group import run_group

            return run_group(plan)
        _check_memory(plan)
        return _run_participants(plan)


def _refuse_faults(plan: Plan) -> None:
    if not plan.faults:
        return
    head = "" if len(plan.faults) == 1 else f"{len(plan.faults)} faults were found.\n"
    raise InputError(head + "\n".join(plan.faults))


def _check_memory(plan: Plan) -> None:
    needed = max((job.memory_mb for job in plan.jobs), default=0.0)
    if needed <= MEMORY_SHARE * plan.available_mb or plan.config.force:
        return
    remedy = "Give --dtype float32, fewer layers or stimuli, more memory, or --force to try."
    raise InputError(
        message("--mem-mb", f"about {needed:,.0f} MB are needed by one subject",
                got=f"{plan.available_mb:,.0f} MB available",
                allowed=f"{MEMORY_SHARE:.0%} of what is available", remedy=remedy)
    )  # fmt: skip


def _run_participants(plan: Plan) -> int:
    config = plan.config
    hashes = FileHashes()
    context = Context(
        config, plan.roots, prepare_references(plan, hashes), hashes, Scrubber(config)
    )
    todo = _what_is_to_do(plan.jobs, context)
    for job in todo:  # refused before anything is written, not after the first subjects
        with lock_output(config.output_dir, job.subject):
            pass
    folder = open_run_log(config)
    LOGGER.debug("%s", plan_table(plan))
    if config.clean_workdir and config.work_dir.is_dir():
        shutil.rmtree(config.work_dir)
    outcome = Outcome(skipped=[job.name for job in plan.jobs if job not in todo])
    for name in outcome.skipped:
        LOGGER.info("%s: done before, skipped", name)
    for job in todo:
        _run_one(job, context, outcome)
        if outcome.failed and config.on_error == "abort":
            LOGGER.error("stopped after the first failure (--on-error abort)")
            break
    return _finish(outcome, context, folder)


def _what_is_to_do(
    jobs: Sequence[Job | MegJob], context: Context
) -> list[Job | MegJob]:
    """Return the jobs that are not done; all results that stand in the way are listed at once."""
    todo, faults = [], []
    for job in jobs:
        if not (context.config.output_dir / f"sub-{job.subject}").is_dir():
            todo.append(job)
            continue
        try:
            if not _is_done(job, context):
                todo.append(job)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join(faults))
    return todo


def _is_done(job: Job | MegJob, context: Context) -> bool:
    if isinstance(job, MegJob):
        return is_meg_done(job, context)
    inputs = input_hash(job, job_inputs(job, context), context)
    return is_job_done(job, inputs, job_parameter_hash(context), context)


def _run_one(job: Job | MegJob, context: Context, outcome: Outcome) -> None:
    """Run one job under its lock; what goes wrong is recorded, not raised."""
    config = context.config
    LOGGER.info("%s: %d stimuli, %d runs", job.name, len(job.stimuli), len(job.runs))
    start = time.perf_counter()
    try:
        with lock_output(config.output_dir, job.subject):
            made = run_meg_job if isinstance(job, MegJob) else run_job
            notes = made(job, context)
            for note in notes:
                LOGGER.warning("%s: %s", job.name, note)
            write_shared(context)
            from neurodnn.report import write_subject_report

            write_subject_report(config.output_dir, job.subject)
    except MemoryError as error:
        text = message(
            job.name, f"memory ran out; about {job.memory_mb:,.0f} MB are needed",
            remedy="Give --dtype float32, fewer layers or stimuli, or more memory.",
        )  # fmt: skip
        _record(job, InputError(text), error, context, outcome)
    except Exception as error:  # one subject's failure must not cost the others their night
        _record(job, error, error, context, outcome)
    else:
        outcome.done.append(job.name)
        LOGGER.info("%s: done in %.0f s", job.name, time.perf_counter() - start)


def _record(
    job: Job | MegJob, error: Exception, cause: BaseException, context: Context, outcome: Outcome
) -> None:
    kind = "InputError" if isinstance(error, InputError) else type(error).__name__
    text = " ".join(str(error).split()) or kind
    LOGGER.error("%s: failed, %s: %s", job.name, kind, text)
    level = LOGGER.error if context.config.debug else LOGGER.debug
    level("%s", "".join(traceback.format_exception(cause)).rstrip())
    outcome.failed.append((job.name, kind, context.scrub(text)))


def _finish(outcome: Outcome, context: Context, folder: Path) -> int:
    config = context.config
    try:
        if outcome.failed:
            _tell_failures(outcome, folder)
        if outcome.done or outcome.skipped:  # a run killed at this very place has skipped all
            from neurodnn.pipeline.pages import write_citations

            write_citations(config.output_dir)
    except WriteError as error:  # on a full disk the jobs' own failures matter more
        LOGGER.error("%s", error)
    if outcome.done:
        pages = dict.fromkeys(f"{name.split()[0]}.html" for name in outcome.done)
        LOGGER.info("pages: %s", ", ".join(pages))
    _tell_work_dir(config)
    LOGGER.info(
        "%d done, %d skipped, %d failed", len(outcome.done), len(outcome.skipped),
        len(outcome.failed),
    )  # fmt: skip
    return outcome.exit_code()


def _tell_failures(outcome: Outcome, folder: Path) -> None:
    import pandas as pd

    count = len(outcome.failed) + len(outcome.done) + len(outcome.skipped)
    LOGGER.error("%d of %d jobs failed:", len(outcome.failed), count)
    for name, kind, text in outcome.failed:
        LOGGER.error("  %s: %s: %s", name, kind, text)
    table = pd.DataFrame(outcome.failed, columns=["job", "kind", "message"])
    write_derivative(folder / "failures.tsv", table)


def _tell_work_dir(config: Config) -> None:
    """Say how much the work folder holds, and remove it where it is empty."""
    if not config.work_dir.is_dir():
        return
    files = [path for path in config.work_dir.rglob("*") if path.is_file()]
    if files:
        size = sum(path.stat().st_size for path in files) / 1e6
        LOGGER.info("work folder: %.1f MB in %d files", size, len(files))
    elif not any(config.work_dir.iterdir()):
        config.work_dir.rmdir()


@contextmanager
def _warnings_to_log(scrub: Scrubber) -> Iterator[None]:
    """Send warnings that no job collects to the log: our own as WARNING, others as DEBUG."""
    from neurodnn._checks import DataWarning

    def show(text, category, filename, lineno, file=None, line=None):  # noqa: ANN001, ANN202
        level = LOGGER.warning if issubclass(category, DataWarning) else LOGGER.debug
        level("%s", scrub(str(text)))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield
