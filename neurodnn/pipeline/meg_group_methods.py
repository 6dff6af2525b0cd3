"""The methods paragraphs of a group's MEG, with the numbers that were used."""

from __future__ import annotations

from typing import Any

from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_tests import find_pairs
from neurodnn.pipeline.meg_group_plan import TEMPLATE, MegGroupJob


def course_methods(
    job: MegGroupJob, config: Config, measured: Any, found: dict[str, Any]
) -> tuple[str, list[str]]:
    """Return the paragraph on time courses and the keys of its citations."""
    from neurodnn.workflows import course_inference, stimulus_test
    from neurodnn.workflows.group_inference import InferenceSettings

    subjects, stimuli = measured.subjects, measured.stimuli
    names = [str(each["Name"]) for each in job.references]
    n_subjects, cited = len(job.subjects), []
    parts = [f"Time courses are means over {n_subjects} subjects."]
    if subjects.corrected:
        attributes = subjects.tested.attrs
        heights = [each.attributes.get("threshold_t") for each in subjects.corrected.values()]
        text, keys = course_inference.describe({
            "inferences": list(subjects.corrected), "n_subjects": n_subjects,
            "tail": attributes["tail"], "n_flips": attributes["n_flips"],
            "exact": bool(attributes["exact"]), "n_times": measured.courses.sizes["time"],
            "n_references": len(names), "minimum_p": attributes["minimum_p"],
            "settings": InferenceSettings.of(vars(config)),
            "n_differences": len(find_pairs(config.contrast, names)[0]),
            "threshold_t": next((height for height in heights if height is not None), 0.0),
        })  # fmt: skip
        parts.append(text)
        cited += keys
    if stimuli.tested is not None:
        stated = stimuli.tested.attrs
        text, keys = stimulus_test.describe({
            "n_subjects": n_subjects, "n_stimuli": stimuli.n_stimuli, "ceiling": False,
            "n_references": len(names), "n_permutations": stated["n_permutations"],
            "minimum_p": stated["minimum_p"], "tail": stated["tail"],
            "place": "time",
        })  # fmt: skip
        parts.append(text)
        cited += keys
    if measured.ceiling is not None:
        parts.append(
            "The noise ceiling at each time is the mean score of a subject's RDM against the mean "
            "RDM of the other subjects (lower bound) and of all (upper bound; Nili et al., 2014)."
        )
        cited.append("nili2014")
    parts += _of_times(config, found, cited)
    return " ".join(parts), sorted(set(cited))


def _of_times(config: Config, found: dict[str, Any], cited: list[str]) -> list[str]:
    """Return the sentences on peaks, onsets and the order of layers; add what they cite."""
    if "Onsets" not in found:  # few subjects: peaks without intervals
        return ["The peak is the largest mean score after the onset of the stimulus, its interval "
                "is not given for so few subjects."] if "Peaks" in found else []  # fmt: skip
    cited += ["cichy2014", "cichy2016"]
    parts = [
        "The latency of a reference is the time of its largest mean score after the onset of the "
        f"stimulus; 95% intervals and differences come from {config.n_bootstrap} bootstrap samples "
        "of subjects (Cichy et al., 2016), with p of differences multiplied by the number of "
        "pairs. The onset is the first significant time (Cichy et al., 2014), here with p < .05 "
        f"({found['OnsetInference']}) and a positive mean; in a bootstrap sample, the first time "
        "that reaches the smallest t of the significant times."
    ]
    order = found["Hierarchy"]
    if "Estimate" in order:
        flips = f"all {order['Flips']}" if order["Exact"] else f"{order['Flips']} random"
        parts.append(
            f"Whether later layers peak later was tested by Spearman's correlation of the number "
            f"of the layer with the latency in single subjects, over {len(order['Layers'])} layers "
            f"and {order['N']} subjects, against {flips} reversals of the order in subjects; the "
            "test generalises to subjects, the layers are taken as given."
        )
    return parts


def source_methods(
    job: MegGroupJob, config: Config, tested: Any, found: dict[str, Any], n_differences: int
) -> tuple[str, list[str]]:
    """Return the paragraph on maps of the cortex and the keys of its citations."""
    from neurodnn.workflows import source_inference

    morphed = sum(each["Space"] != TEMPLATE for each in job.results)
    text = f"Maps of the cortex are means over {len(job.subjects)} subjects on {TEMPLATE}"
    text += f", to which those of {morphed} were brought." if morphed else "."
    if tested.reason:
        return text, []
    attributes = tested.found.attrs
    more, cited = source_inference.describe({
        "n_subjects": len(job.subjects), "tail": attributes["tail"],
        "n_flips": attributes["n_flips"], "exact": bool(attributes["exact"]),
        "n_vertices": sum(found["Vertices"].values()), "n_times": found["Times"]["Count"],
        "n_references": len(job.references), "minimum_p": attributes["minimum_p"],
        "cluster_threshold": config.cluster_threshold, "threshold_t": attributes["threshold_t"],
        "n_differences": n_differences,
    })  # fmt: skip
    return f"{text} {more}", cited
