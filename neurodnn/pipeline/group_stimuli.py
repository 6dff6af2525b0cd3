"""The test over stimuli of a group: patterns of all subjects, read back from their derivatives.

What stands against it is a reason in log, summary and page, never a traceback: the maps over
subjects do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurodnn._checks import InputError
from neurodnn.bids import read_json, sidecar_path
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_intact import check_intact, check_labels
from neurodnn.pipeline.group_plan import GroupJob
from neurodnn.pipeline.logs import LOGGER, Scrubber, available_mb, shows_progress


class StimulusTest(NamedTuple):
    """The result, or the reason why there is none."""

    tested: Any  # Dataset or None
    reason: str
    n_stimuli: int
    notes: list[str]


def stimulus_test(job: GroupJob, grid: Any, config: Config) -> StimulusTest:
    """Return p over stimuli and noise ceilings in the voxels of `grid`.

    Parameters
    ----------
    job : GroupJob
        Subjects with their summaries.
    grid : image
        1 in the voxels that all subjects have scores in.
    config : Config
        Options of the group level.
    """
    sidecars, stimuli, reason = _prepared(job, config)
    notes = _notes(sidecars)
    if reason:
        return StimulusTest(None, reason, len(stimuli), notes)
    LOGGER.info("%s: %d shuffles of %d stimuli", job.name, config.label_permutations, len(stimuli))
    try:
        tested = _test(job, grid, stimuli, sidecars, config)
    except InputError as error:
        reason = f"no p over stimuli: {Scrubber(config)(str(error))}"
        return StimulusTest(None, reason, len(stimuli), notes)
    return StimulusTest(tested, "", len(stimuli), notes)


def reason_against(job: GroupJob, config: Config) -> str:
    """Return what stands against the test over stimuli before data are read; "" for nothing."""
    return _prepared(job, config)[2]


def _prepared(job: GroupJob, config: Config) -> tuple[dict[str, Any], list[str], str]:
    """Return the sidecars of the patterns, the stimuli that all share, and a reason or ""."""
    from neurodnn.workflows.stimulus_test import MIN_STIMULI

    try:
        sidecars, reason = _sidecars(job, config)
    except InputError as error:
        sidecars, reason = {}, f"no p over stimuli: {Scrubber(config)(str(error))}"
    if reason:
        return {}, [], reason
    stimuli = sorted(set.intersection(*(set(each["Stimuli"]) for each in sidecars.values())))
    if len(stimuli) < MIN_STIMULI:
        reason = (
            f"no p over stimuli: the subjects share {len(stimuli)} stimuli, which can be shuffled "
            f"in too few ways (at least {MIN_STIMULI} are needed)"
        )
        return sidecars, stimuli, reason
    return sidecars, stimuli, _memory_reason(job, config)


def pattern_paths(job: GroupJob) -> list[str]:
    """Return the files of patterns and residuals that the summaries name."""
    found = [each.get("Patterns", {}) for each in job.summaries]
    paths = [path for entry in found for path in [entry.get("Path"), *entry.get("Residuals", [])]]
    return [path for path in paths if path]


def _sidecars(job: GroupJob, config: Config) -> tuple[dict[str, Any], str]:
    if config.label_permutations == 0:
        return {}, "no p over stimuli: --label-permutations is 0"
    if job.summaries[0].get("Parameters", {}).get("nuisance_order"):
        return {}, (
            "no p over stimuli: each subject's own order of presentation was held constant "
            "(--nuisance-order), and shuffles hold the same RDMs constant in all subjects"
        )
    found = {}
    for subject, each in zip(job.subjects, job.summaries, strict=True):
        relative = each.get("Patterns", {}).get("Path")
        path = config.output_dir / str(relative)
        if not relative or not path.is_file() or not sidecar_path(path).is_file():
            reason = f"no p over stimuli: the patterns of sub-{subject} are not in the folder"
            return {}, reason + "; run the participant level again"
        found[subject] = read_json(sidecar_path(path))
        check_labels(relative, found[subject], each["Patterns"])
    return found, ""


def _memory_reason(job: GroupJob, config: Config) -> str:
    from neurodnn.pipeline.estimate import MEMORY_SHARE, estimate_group

    needed = estimate_group(job.summaries, config.output_dir, config.label_permutations)
    available = float(config.mem_mb or available_mb())
    if config.force or needed <= MEMORY_SHARE * available:
        return ""
    return (
        f"no p over stimuli: it needs about {needed:,.0f} MB for the patterns of "
        f"{len(job.subjects)} subjects, and {available:,.0f} MB are available (see --mem-mb "
        "and --force)"
    )


def _notes(sidecars: Mapping[str, Any]) -> list[str]:
    sets = [set(each["Stimuli"]) for each in sidecars.values()]
    common = set.intersection(*sets) if sets else set()
    others = len(set().union(*sets)) - len(common)
    if not others:
        return []
    return [
        f"The test over stimuli used the {len(common)} stimuli that all subjects share; "
        f"{others} more {'was' if others == 1 else 'were'} compared in some subjects only."
    ]


def _test(
    job: GroupJob, grid: Any, stimuli: Sequence[str], sidecars: Mapping[str, Any], config: Config
) -> Any:
    from neurodnn.brain.masks import read_mask
    from neurodnn.pipeline.estimate import workers
    from neurodnn.workflows.searchlight_settings import SearchlightSettings
    from neurodnn.workflows.stimulus_test import group_stimulus_test

    out, first = config.output_dir, job.summaries[0]
    masks, patterns, residuals = {}, {}, {}
    for subject, each in zip(job.subjects, job.summaries, strict=True):
        masks[subject] = read_mask(out / each["MaskPath"])
        entry = each["Patterns"]
        for relative in (each["MaskPath"], entry["Path"], *entry.get("Residuals", [])):
            check_intact(out, relative, each)
        patterns[subject] = _patterns(out / entry["Path"], masks[subject], stimuli,
                                      sidecars[subject])  # fmt: skip
        if entry.get("Residuals"):
            paths = [out / path for path in entry["Residuals"]]
            residuals[subject] = _residuals(paths, masks[subject])
    return group_stimulus_test(
        patterns, masks, grid, rdms_over(first["References"], stimuli, out),
        SearchlightSettings.of(first["Parameters"]), residuals=residuals or None,
        nuisance=rdms_over(first.get("Nuisance", []), stimuli, out),
        n_permutations=config.label_permutations, tail=config.tail, seed=config.random_seed,
        n_jobs=workers(config), progress=shows_progress(config),
    )  # fmt: skip


def _patterns(path: Path, mask: Any, stimuli: Sequence[str], sidecar: Mapping[str, Any]) -> Any:
    from neurodnn.brain.fmri import load_fmri_patterns
    from neurodnn.workflows.restriction import restrict_patterns

    # stored as float32, so that nothing is lost
    read = load_fmri_patterns(path, sidecar["Stimuli"], mask, runs=sidecar.get("Runs"),
                              dtype="float32")  # fmt: skip
    return restrict_patterns(read, stimuli)


def _residuals(paths: Sequence[Path], mask: Any) -> Any:
    from neurodnn.workflows.analysed_patterns import residuals_of

    sidecars = [read_json(sidecar_path(path)) for path in paths]
    return residuals_of(paths, [each["Run"] for each in sidecars], mask,
                        sidecars[0].get("Descriptors", {}))  # fmt: skip


def rdms_over(entries: Sequence[Mapping[str, Any]], stimuli: Sequence[str], out: Path) -> Any:
    """Return the RDMs that a summary names over `stimuli`; None without any."""
    from neurodnn.rsa.rdm_files import read_rdms
    from neurodnn.workflows.restriction import join_references, restrict_rdms

    for each in entries:
        check_intact(out, each["RDM"], each)
    parts = [restrict_rdms(read_rdms(out / each["RDM"]), stimuli) for each in entries]
    return join_references(parts) if parts else None
