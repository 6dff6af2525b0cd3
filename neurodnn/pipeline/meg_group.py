"""The group level of MEG: curves and maps of the cortex of all subjects -> tests and results."""

from __future__ import annotations

from typing import Any

from neurodnn.bids import write_derivative
from neurodnn.pipeline import meg_group_source, meg_group_stimuli
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_tests import SubjectsTest, find_pairs
from neurodnn.pipeline.logs import LOGGER, Scrubber, collected_warnings, software_versions
from neurodnn.pipeline.meg_group_files import (
    MegGroupFiles,
    described,
    earlier_results,
    is_done_before,
    p_keys,
)
from neurodnn.pipeline.meg_group_plan import MegGroupJob, unlike_spaces
from neurodnn.pipeline.meg_group_scores import file_hashes
from neurodnn.pipeline.resume import hash_of, parameter_hash

#: Options of the group level of MEG: they shape its numbers and stand in its results.
OPTIONS = {
    "meg_timecourse": (
        "tail", "n_permutations", "random_seed", "inference", "cluster_threshold", "tfce_step",
        "contrast", "label_permutations", "n_bootstrap",
    ),
    "meg_source_searchlight": (
        "tail", "n_permutations", "random_seed", "inference", "cluster_threshold", "contrast",
    ),
}  # fmt: skip
_NO_STIMULI = (
    "no p over stimuli: on the cortex every shuffle would need the searchlight anew in every "
    "subject; see the p over stimuli of the time courses"
)


def hashes_of(job: MegGroupJob, config: Config) -> tuple[str, str]:
    """Return the hash of the subjects' files and references, and that of the options."""
    first = job.results[0]
    content = {"files": file_hashes(job, config.output_dir),
               "compared": [first.get("References"), first.get("Nuisance")]}  # fmt: skip
    return hash_of(content), parameter_hash(_options(job, config))


def _options(job: MegGroupJob, config: Config) -> dict[str, Any]:
    values = {name: getattr(config, name) for name in OPTIONS[job.workflow]}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def is_tested(job: MegGroupJob, config: Config, hashes: tuple[str, str]) -> bool:
    """Whether a group was tested before in the same way, and nothing more can be tested now.

    Raises
    ------
    InputError
        Results of other options stand there and ``--overwrite`` was not given.
    """
    if not is_done_before(job, config, hashes):
        return False
    content = earlier_results(job, config.output_dir) or {}
    skipped = [content.get(key, {}).get("SkippedBecause") or ""
               for key in ("SubjectsTest", "StimuliTest")]  # fmt: skip
    if not any("--mem-mb" in reason for reason in skipped):
        return True
    if job.workflow == "meg_timecourse":
        return bool(meg_group_stimuli.memory_reason(job, config))
    cells = sum(content["Vertices"].values()) * int(content["Times"]["Count"])
    return bool(meg_group_source.memory_reason(len(job.subjects), cells, len(job.references),
                                               config))  # fmt: skip


def run_meg(job: MegGroupJob, config: Config, hashes: tuple[str, str]) -> None:
    """Test one group and write its files and results."""
    LOGGER.info("%s: %d subjects", job.name, len(job.subjects))
    files = MegGroupFiles(job, config, hashes)
    with collected_warnings(Scrubber(config)) as warned:
        content = _content(job, config, files)
        files.remove_stale()
    content["Files"] = [path.as_posix() for path in files.written]
    content["Warnings"] = list(dict.fromkeys([*content.get("Warnings", []), *warned]))
    for note in content["Warnings"]:
        LOGGER.warning("%s: %s", job.name, note)
    write_derivative(config.output_dir / job.results_path, content)


def _content(job: MegGroupJob, config: Config, files: MegGroupFiles) -> dict[str, Any]:
    from neurodnn.pipeline.meg_group_courses import course_group

    common = _common(job, config, files.hashes)
    reason = ""
    if len(job.subjects) < 2:
        reason = f"a group test needs subjects, and there is one (sub-{job.subjects[0]})"
    elif job.workflow == "meg_source_searchlight":
        reason = unlike_spaces(job)
    if reason:
        LOGGER.warning("%s: skipped, %s", job.name, reason)
        return {**common, "SkippedBecause": reason, "Methods": "", "Citations": [],
                "Failures": []}  # fmt: skip
    run = course_group if job.workflow == "meg_timecourse" else meg_group_source.source_group
    found = run(job, config, files)
    tested = found.pop("Tested")
    told = _told_of_courses if job.workflow == "meg_timecourse" else _told_of_sources
    return {**common, **found, **told(job, config, tested, found), "Failures": []}


def _common(job: MegGroupJob, config: Config, hashes: tuple[str, str]) -> dict[str, Any]:
    first = job.results[0]
    inputs = [{"Kind": "result", "Path": path, "SHA256": digest}
              for _, path, digest in file_hashes(job, config.output_dir)]  # fmt: skip
    counts = [int(each["Stimuli"]["Compared"]) for each in job.results]
    return {
        "Workflow": job.workflow,
        "Subjects": job.subjects,
        **({"Session": job.session} if job.session else {}),
        "Task": job.task,
        "Inputs": inputs,
        "Stimuli": {"Compared": min(counts)},
        "Network": first.get("Network"),
        "References": first["References"],
        "Nuisance": first.get("Nuisance", []),
        "Parameters": {**first.get("Parameters", {}), **_options(job, config)},
        "Statistic": first.get("Statistic"),
        "SoftwareVersions": software_versions(),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }


def _told(attributes: dict[str, Any], tests: dict[str, dict[str, Any]], reason: str,
          config: Config) -> dict[str, Any]:  # fmt: skip
    """Return the facts of the test over subjects, and one entry for each inference."""
    from neurodnn.workflows.group_inference import TITLES

    if reason:
        return {"Tail": config.tail, "GeneralisesTo": "subjects", "Inferences": [],
                "SubjectsTest": {"SkippedBecause": reason}}  # fmt: skip
    stated, keys = described(attributes), p_keys(list(tests))
    return {
        "Tail": stated["Tail"],
        "Flips": stated["NumberOfPermutations"],
        "Exact": stated["Exact"],
        "Family": stated["MultipleTestingFamily"],
        "MinimumP": stated["MinimumP"],
        "GeneralisesTo": stated["GeneralisesTo"],
        "SubjectsTest": {},
        "Inferences": [
            {"Name": name, "Title": TITLES[name], "Key": keys[name], **described(each),
             **({"ClusterThresholdP": config.cluster_threshold} if "cluster" in name
                or name == "reference-study" else {})}
            for name, each in tests.items()
        ],
    }  # fmt: skip


def _told_of_courses(
    job: MegGroupJob, config: Config, measured: Any, found: dict[str, Any]
) -> dict[str, Any]:
    from neurodnn.pipeline.meg_group_methods import course_methods

    subjects: SubjectsTest = measured.subjects
    stimuli: dict[str, Any] = {"SkippedBecause": measured.stimuli.reason}
    if measured.stimuli.tested is not None:
        stimuli = {**described(measured.stimuli.tested.attrs), "Key": "p_stimuli",
                   "Stimuli": measured.stimuli.n_stimuli}  # fmt: skip
    text, cited = course_methods(job, config, measured, found)
    tests = {name: each.attributes for name, each in subjects.corrected.items()}
    return {**_told(subjects.tested.attrs, tests, subjects.reason, config),
            "StimuliTest": stimuli, "Methods": text, "Citations": cited}  # fmt: skip


def _told_of_sources(
    job: MegGroupJob, config: Config, tested: Any, found: dict[str, Any]
) -> dict[str, Any]:
    from neurodnn.pipeline.group_tests import chosen_inferences
    from neurodnn.pipeline.meg_group_methods import source_methods

    attributes = dict(tested.found.attrs)
    of_cells = {key: value for key, value in attributes.items()
                if key not in ("threshold_t", "cluster_statistic")}  # fmt: skip
    tests = {name: of_cells if name == "max" else attributes for name in tested.inferences}
    pairs, _ = find_pairs(config.contrast, [str(each["Name"]) for each in job.references])
    text, cited = source_methods(job, config, tested, found, len(pairs))
    left = [name for name in chosen_inferences(config) if name not in tested.inferences]
    return {
        **_told(attributes, tests, tested.reason, config),
        **({"InferencesLeftOut": left} if left and not tested.reason else {}),
        "StimuliTest": {"SkippedBecause": _NO_STIMULI}, "Methods": text, "Citations": cited,
    }  # fmt: skip
