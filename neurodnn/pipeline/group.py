"""The group level: maps of all subjects -> mean, t, corrected p over subjects and over stimuli."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from neurodnn import __version__
from neurodnn._checks import InputError
from neurodnn.bids import (
    build_name,
    is_done,
    lock_output,
    read_json,
    sidecar_path,
    write_derivative,
    write_description,
)
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_entries import (
    summary_of_tests,
    write_ceilings,
    write_tables,
    write_targets,
)
from neurodnn.pipeline.group_files import (
    GroupFiles,
    Target,
    all_paths,
    contrast_targets,
    reference_targets,
)
from neurodnn.pipeline.group_plan import GroupJob, count_groups, key_of
from neurodnn.pipeline.group_scores import stack_scores
from neurodnn.pipeline.group_stimuli import pattern_paths, reason_against, stimulus_test
from neurodnn.pipeline.group_tests import differences, find_pairs, subjects_test
from neurodnn.pipeline.jobs import Plan
from neurodnn.pipeline.logs import (
    LOGGER,
    Scrubber,
    collected_warnings,
    open_run_log,
    software_versions,
)
from neurodnn.pipeline.meg_group import hashes_of, is_tested, run_meg
from neurodnn.pipeline.meg_group_plan import MegGroupJob
from neurodnn.pipeline.resume import hash_of, parameter_hash

#: Options of the group level: they shape its numbers and stand in its summary.
OPTIONS = (
    "tail", "n_permutations", "random_seed", "inference", "cluster_threshold", "connectivity",
    "tfce_step", "contrast", "label_permutations",
)  # fmt: skip


def run_group(plan: Plan) -> int:
    """Test each group of subjects and write maps, curves, results and index; return the exit code.

    Maps of fMRI first, then MEG in time and on the cortex.
    """
    from neurodnn.pipeline.pages import write_citations
    from neurodnn.report import write_index

    config = plan.config
    out = config.output_dir
    # refused before anything is written: results of other options that stand there
    todo = [*_fmri_todo(plan), *_meg_todo(plan)]
    with lock_output(out, None):
        open_run_log(config)
        for run in todo:
            run()
        if not todo:
            LOGGER.info("group: done before, skipped")
        if not (out / "dataset_description.json").exists():
            write_description(out, {"raw": config.bids_dir}, version=__version__)
        write_citations(out)
        LOGGER.info("pages: %s", write_index(out).name)
    return 0


def _fmri_todo(plan: Plan) -> list[Callable[[], None]]:
    """Return what is left to do of maps of fMRI, as functions that do it."""
    config, out = plan.config, plan.config.output_dir
    jobs = [job for job in plan.jobs if isinstance(job, GroupJob)]
    todo: list[Callable[[], None]] = []
    alone = bool(jobs) and count_groups(out) == 1
    for job in jobs:
        hashes, path = _hashes(job, config), out / "group" / _summary_name(job, alone)
        if not _is_done(job, path, *hashes, config):
            todo.append(partial(_run_fmri, job, config, hashes, path))
    return todo


def _meg_todo(plan: Plan) -> list[Callable[[], None]]:
    """Return what is left to do of MEG, as functions that do it."""
    todo: list[Callable[[], None]] = []
    for job in plan.jobs:
        if isinstance(job, MegGroupJob):
            hashes = hashes_of(job, plan.config)
            if not is_tested(job, plan.config, hashes):
                todo.append(partial(run_meg, job, plan.config, hashes))
    return todo


def _run_fmri(job: GroupJob, config: Config, hashes: tuple[str, str], path: Path) -> None:
    """Test the maps of one group and write its summary to `path`."""
    LOGGER.info("%s: %d subjects", job.name, len(job.subjects))
    with collected_warnings(Scrubber(config)) as warned:
        before = _earlier_summaries(job, config.output_dir)
        earlier = [str(name) for each in before.values() for name in each.get("Files", [])]
        summary = _run_one(job, config, hashes, earlier)
    # known only when the block has ended
    summary["Warnings"] = list(dict.fromkeys([*summary["Warnings"], *warned]))
    write_derivative(path, summary)
    for other in before.keys() - {path}:
        other.unlink()  # of the same group, from when the folder held fewer or more
    for note in summary["Warnings"]:
        LOGGER.warning("%s: %s", job.name, note)


def _summary_name(job: GroupJob, alone: bool) -> str:
    if alone:
        return "summary.json"
    session, task, space = job.key
    parts = {"ses": session, "task": task, "space": space}
    return build_name({**parts, "suffix": "summary", "extension": ".json"})


def _earlier_summaries(job: GroupJob, out: Path) -> dict[Path, dict[str, Any]]:
    """Return the summaries of earlier runs on this group, by path."""
    found = {}
    for path in (out / "group").glob("*summary.json"):
        try:
            content = read_json(path)
        except InputError:
            continue  # damaged: it is written anew
        if key_of(content) == job.key:
            found[path] = content
    return found


def _options(config: Config) -> dict[str, Any]:
    values = {name: getattr(config, name) for name in OPTIONS}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _hashes(job: GroupJob, config: Config) -> tuple[str, str]:
    out, maps = config.output_dir, []
    for each in job.summaries:
        for entry in each["Maps"]:
            sidecar = read_json(sidecar_path(out / entry["Path"]))
            maps.append([each["Subject"], entry["Reference"], sidecar.get("SHA256")])
    patterns = []
    for path in pattern_paths(job):
        if sidecar_path(out / path).is_file():
            stated = read_json(sidecar_path(out / path))
            # names are no part of the data's hash
            patterns.append([path, *(stated.get(key) for key in ("SHA256", "Stimuli", "Runs"))])
    first = job.summaries[0]
    compared = [first.get("References"), first.get("Nuisance")]
    content = {"maps": maps, "patterns": patterns, "compared": compared}
    return hash_of(content), parameter_hash(_options(config))


def _targets(job: GroupJob, config: Config) -> tuple[list[Target], list[Target]]:
    """Return references and differences; the plan has checked that these exist."""
    references = reference_targets(job)
    pairs, _ = find_pairs(config.contrast, [each.name for each in references])
    return references, contrast_targets(job, pairs)


def _is_done(
    job: GroupJob, summary: Path, inputs: str, parameters: str, config: Config
) -> bool:
    if len(job.subjects) < 2:
        return False  # costs nothing, and leaves no maps
    out, overwrite = config.output_dir, config.overwrite
    references, contrasts = _targets(job, config)
    standing = [path for path in all_paths(job, [*references, *contrasts])
                if (out / path).exists()]  # fmt: skip
    done = [is_done(out / path, inputs, parameters, overwrite=overwrite) for path in standing]
    content = _earlier_summaries(job, out).get(summary)
    if not standing or not all(done) or content is None:
        return False
    skipped = content.get("StimuliTest", {}).get("SkippedBecause")
    if skipped and not reason_against(job, config):
        return False  # there is more memory now, or a file was restored
    named = content.get("Files", [])
    if not named or not all((out / path).exists() for path in named):
        return False
    return (content.get("InputHash"), content.get("ParameterHash")) == (inputs, parameters)


def _run_one(
    job: GroupJob, config: Config, hashes: tuple[str, str], earlier: list[str]
) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "Subjects": job.subjects,
        **({"Session": job.key[0]} if job.key[0] else {}),
        "Task": job.key[1],
        "Space": job.key[2],
        "Parameters": {**job.summaries[0].get("Parameters", {}), **_options(config)},
        "SoftwareVersions": software_versions(),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }
    if len(job.subjects) < 2:
        reason = f"a group test needs subjects, and there is one (sub-{job.subjects[0]})"
        LOGGER.warning("%s: skipped, %s", job.name, reason)
        return {**summary, "Maps": [], "SkippedBecause": reason, "Methods": "",
                "Citations": [], "Warnings": []}  # fmt: skip
    return {**summary, **_tests(job, config, hashes, earlier)}


def _tests(
    job: GroupJob, config: Config, hashes: tuple[str, str], earlier: list[str]
) -> dict[str, Any]:
    """Compute and write everything about a group of two and more; return its summary."""
    scores, grid, notes = stack_scores(job, config.output_dir)
    references, contrasts = _targets(job, config)
    over_subjects = subjects_test(scores, grid, config, what=job.name)
    over_stimuli = stimulus_test(job, grid, config)
    for reason in (over_subjects.reason, over_stimuli.reason):
        if reason:
            LOGGER.warning("%s: %s", job.name, reason)
    files = GroupFiles(job, config, grid, hashes)
    entries = write_targets(files, references, over_subjects, over_stimuli)
    content = summary_of_tests(config, job, over_subjects, over_stimuli, scores.sizes["voxel"])
    content |= {"Maps": entries, "Ceilings": write_ceilings(files, over_stimuli)}
    content["ClusterTables"] = write_tables(files, over_subjects, references, contrasts=False)
    if contrasts:
        paired = differences(scores, [each.sources for each in contrasts])
        compared = subjects_test(paired, grid, config, what=f"{job.name}, differences")
        content["Contrasts"] = write_targets(files, contrasts, compared, None)
        content["ClusterTables"] += write_tables(files, compared, contrasts, contrasts=True)
    files.remove_stale([*references, *contrasts], earlier)
    content["Files"] = [path.as_posix() for path in files.written]
    content["Warnings"] = [*notes, *over_stimuli.notes]
    return content
