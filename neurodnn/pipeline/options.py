"""The options of a run, declared once: the command line and neurodnn.toml both read this table.

Nothing heavy is imported here, because ``neurodnn --help`` prints these very lines.
"""

from __future__ import annotations

from typing import NamedTuple

# In the order in which the jobs of a subject run.
SUBJECT_WORKFLOWS = ("fmri_searchlight", "meg_timecourse", "meg_source_searchlight")


class Option(NamedTuple):
    """One option: its long name without dashes, what it takes and what it says in the help."""

    name: str
    kind: str  # text, texts, path, paths, pairs, int, number, flag
    default: object
    group: str
    help: str
    choices: tuple[str, ...] = ()
    short: str = ""
    metavar: str = ""
    minimum: float | None = None
    strict: bool = False
    matters: bool = True  # whether the value can change a result, and so enters ParameterHash
    shapes: tuple[str, ...] = SUBJECT_WORKFLOWS  # whose results of one subject it can change


_FMRI = ("fmri_searchlight",)
_MEG = ("meg_timecourse", "meg_source_searchlight")
_TIMES = ("meg_timecourse",)
_SOURCE = ("meg_source_searchlight",)
_GROUP = ()  # nothing of one subject

METRICS = ("correlation", "euclidean", "cosine", "mahalanobis", "crossnobis")
COMPARISONS = ("spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov")
MEG_METRICS = (*METRICS, "decoding")
INFERENCES = ("max", "cluster-size", "cluster-mass", "tfce", "fdr", "reference-study")

_WHAT = "what is compared"
_TIME = "MEG and EEG"
_DATA = "which data"
_INFERENCE = "inference"
_RESOURCES = "resources"
_RUNNING = "how it runs"
_OUTPUT = "what comes out"

OPTIONS: tuple[Option, ...] = (
    Option("workflow", "texts", (), _WHAT, "fmri_searchlight, meg_timecourse (with sensor maps), "
           "meg_source_searchlight; default all that the data allow",
           choices=SUBJECT_WORKFLOWS, metavar="NAME", matters=False),
    Option("network", "text", "alexnet", _WHAT, "network: neurodnn:scenes (ships with the package)"
           ", a torchvision id such as alexnet or torchvision:alexnet@none (untrained), "
           "my_model.py:build, or none to use --reference-rdms alone", metavar="ID"),
    Option("weights", "path", None, _WHAT, "checkpoint (.safetensors, .pth) for the network",
           metavar="FILE"),
    Option("trust-checkpoint", "text", None, _WHAT, "sha256:... of a checkpoint whose pickled "
           "code may run", metavar="SHA256", matters=False),
    Option("activation", "text", None, _WHAT, "put in place of every ReLU, where the weights were "
           "trained so: LeakyReLU(0.55), GELU", metavar="NAME"),
    Option("layers", "texts", (), _WHAT, "layers as torch names them (see: neurodnn layers ID); "
           "default one per block", metavar="NAME"),
    Option("layer-metric", "text", "correlation", _WHAT, "distance between images in a layer",
           choices=("correlation", "euclidean", "spearman")),
    Option("reference-rdms", "paths", (), _WHAT, "your own RDMs (.h5, .npz, .csv, .tsv, .mat)",
           metavar="FILE"),
    Option("image-transform", "text", "whole", _WHAT, "whole: all that the subject saw, resized "
           "(whole:227 to that size); weights: the crop the network was trained with",
           metavar="{whole,whole:N,weights}"),
    Option("metric", "text", "correlation", _WHAT, "distance between brain patterns",
           choices=METRICS, shapes=_FMRI),
    Option("compare", "text", "spearman", _WHAT, "comparison of brain RDM and reference",
           choices=COMPARISONS),
    Option("noise", "text", "pooled", _WHAT, "noise covariance of crossnobis: one of all runs, or "
           "one of each run", choices=("pooled", "per-fold"), shapes=_FMRI),
    Option("nuisance-rdms", "paths", (), _WHAT, "RDMs that are held constant: the comparison "
           "(spearman or pearson) becomes a partial correlation", metavar="FILE"),
    Option("nuisance-order", "flag", False, _WHAT, "hold constant how far apart in time each "
           "subject saw the stimuli (fMRIPrep runs; no group test over stimuli)", shapes=_FMRI),
    Option("semi-partial", "flag", False, _WHAT, "take the nuisance RDMs out of the references "
           "alone, not out of the brain's"),
    Option("radius", "number", 9.0, _WHAT, "radius of the spheres in mm (centre to centre, "
           "inclusive)", metavar="MM", minimum=0, strict=True, shapes=_FMRI),
    Option("min-share", "number", 0.5, _WHAT, "share of a full sphere that must lie in the mask",
           metavar="SHARE", minimum=0, shapes=_FMRI),
    Option("dtype", "text", "float64", _WHAT, "float64 exact, float32 faster",
           choices=("float64", "float32")),
    Option("participant-label", "texts", (), _DATA, "subjects, with or without sub-",
           metavar="LABEL"),
    Option("session-label", "texts", (), _DATA, "sessions, with or without ses-",
           metavar="LABEL"),
    Option("task-id", "texts", (), _DATA, "tasks", short="t", metavar="TASK"),
    Option("run-id", "texts", (), _DATA, "runs", metavar="RUN"),
    Option("space", "text", None, _DATA, "space of the images, such as "
           "MNI152NLin2009cAsym:res-2; default that one where present, else the only one found",
           metavar="SPACE", shapes=_FMRI),
    Option("bids-filter-file", "path", None, _DATA, "JSON of entities that images must have: "
           '{"bold": {"desc": "preproc"}, "betas": {"stat": "effect"}}', metavar="FILE"),
    Option("derivatives", "pairs", (), _DATA, "where preprocessed images are: fmriprep=PATH, "
           "betas=PATH, and inverse or forward solutions of MEG: mne=PATH; default "
           "BIDS_DIR/derivatives/fmriprep (or betas) and /mne", short="d", metavar="NAME=PATH"),
    Option("stimuli", "path", None, _DATA, "folder of the images; default BIDS_DIR/stimuli",
           metavar="DIR"),
    Option("stimulus-column", "text", None, _DATA, "events column that names the image; default "
           "the first found of stim_file, stim_id, file_path, condition, image", metavar="COL"),
    Option("stimulus-key", "text", "name", _DATA, "how values meet images: file name, path below "
           "the stimuli folder, or stimulus_id", choices=("name", "path", "id")),
    Option("stimulus-table", "path", None, _DATA, "TSV from codes in the events to stimulus_id",
           metavar="FILE"),
    Option("min-stimuli", "int", None, _DATA, "fail if fewer stimuli are left after matching "
           "(at least 4 always); given, your own RDMs may lack stimuli of the brain data",
           metavar="N", minimum=4),
    Option("confounds", "text", "motion6", _DATA, "regressors of fMRIPrep runs: motion6, "
           "motion24, each also with +acompcor or +tissue, or none", metavar="STRATEGY",
           shapes=_FMRI),
    Option("hrf", "text", "glover", _DATA, "response function: glover or spm, alone or with "
           "' + derivative'", metavar="MODEL", shapes=_FMRI),
    Option("noise-model", "text", "ar1", _DATA, "of the general linear model: ols, ar1, ar2 ...",
           metavar="MODEL", shapes=_FMRI),
    Option("estimate", "text", "beta", _DATA, "response estimates of fMRIPrep runs",
           choices=("beta", "t"), shapes=_FMRI),
    Option("sensors", "text", "meg", _TIME, "meg (magnetometers and gradiometers), mag, grad or "
           "eeg", choices=("meg", "mag", "grad", "eeg"), shapes=_MEG),
    Option("tmin", "number", -0.1, _TIME, "begin of the epochs, s from the onset of the stimulus",
           metavar="S", shapes=_MEG),
    Option("tmax", "number", 0.8, _TIME, "their end, s", metavar="S", shapes=_MEG),
    Option("baseline", "text", "start:0", _TIME, "span whose mean is taken off each epoch and "
           "sensor: start:0 (up to the stimulus), -0.1:0 in s, or none", metavar="A:B",
           shapes=_MEG),
    Option("low-pass", "number", None, _TIME, "low-pass filter of the recording in Hz; default "
           "none", metavar="HZ", minimum=0, strict=True, shapes=_MEG),
    Option("resample", "number", None, _TIME, "sampling rate of the epochs in Hz; default that of "
           "the recording", metavar="HZ", minimum=0, strict=True, shapes=_MEG),
    Option("bad-channels", "text", "drop", _TIME, "sensors that are marked bad, flat or not "
           "finite: left out with a warning, or refused", choices=("drop", "refuse"),
           shapes=_MEG),
    Option("time-window", "number", 0.02, _TIME, "width of the windows whose mean is a pattern, "
           "s; 0 for single samples", metavar="S", minimum=0, shapes=_MEG),
    Option("time-step", "number", None, _TIME, "from one window to the next, s; default the width "
           "(0: every sample)", metavar="S", minimum=0, strict=True, shapes=_MEG),
    Option("meg-metric", "text", "correlation", _TIME, "distance between patterns of sensors or "
           "sources; decoding is the accuracy of a linear classifier (sensors, over time)",
           choices=MEG_METRICS, shapes=_MEG),
    Option("meg-noise", "text", "none", _TIME, "none; baseline: each sensor in units of its noise "
           "before the stimulus; mvnn: multivariate noise normalisation (of crossnobis: by the "
           "residuals of each window). decoding takes baseline, and not mvnn",
           choices=("none", "baseline", "mvnn"), shapes=_TIMES),
    Option("pseudo-trials", "int", 5, _TIME, "trials that are averaged before they are decoded",
           metavar="N", minimum=1, shapes=_TIMES),
    Option("decoding-repeats", "int", 100, _TIME, "random divisions of trials into such means",
           metavar="N", minimum=1, shapes=_TIMES),
    Option("sensor-radius", "number", 40.0, _TIME, "radius of the neighbourhoods of sensor maps "
           "in mm", metavar="MM", minimum=0, strict=True, shapes=_TIMES),
    Option("source-radius", "number", 20.0, _TIME, "radius of the discs in source space, mm along "
           "the cortex", metavar="MM", minimum=0, strict=True, shapes=_SOURCE),
    Option("source-method", "text", "dSPM", _TIME, "of the inverse solution",
           choices=("MNE", "dSPM", "sLORETA", "eLORETA"), shapes=_SOURCE),
    Option("snr", "number", 3.0, _TIME, "signal-to-noise ratio that regularises the inverse "
           "solution (lambda2 = 1 / snr^2)", metavar="SNR", minimum=0, strict=True,
           shapes=_SOURCE),
    Option("n-bootstrap", "int", 10_000, _INFERENCE, "bootstrap samples of subjects for the "
           "intervals of peak latencies", metavar="N", minimum=20, shapes=_GROUP),
    Option("label-permutations", "int", 1000, _INFERENCE, "shuffles of the stimuli, at both "
           "levels, for the p that generalises to stimuli; 0 leaves that test out", metavar="N",
           minimum=0, shapes=_FMRI),
    Option("n-permutations", "int", 10_000, _INFERENCE, "sign flips of subjects; all of them "
           "where that is affordable (up to 14 subjects)", metavar="N", minimum=20, shapes=_GROUP),
    Option("tail", "text", "two-sided", _INFERENCE, "alternative",
           choices=("two-sided", "greater"), shapes=_FMRI),
    Option("inference", "texts", ("max", "cluster-mass"), _INFERENCE, "corrections over voxels "
           "and references by sign flips: max, cluster-size, cluster-mass, tfce, fdr "
           "(Benjamini-Hochberg), reference-study (cluster size, Cichy et al. 2016) (default: max "
           "cluster-mass)", choices=INFERENCES, metavar="NAME", shapes=_GROUP),
    Option("cluster-threshold", "number", 0.001, _INFERENCE, "p of t, with subjects - 1 degrees "
           "of freedom, that lets a voxel into a cluster (two-sided unless --tail greater)",
           metavar="P", minimum=0, strict=True, shapes=_GROUP),
    Option("connectivity", "int", 18, _INFERENCE, "voxels that touch: by faces (6), also by edges "
           "(18), also by corners (26)", choices=("6", "18", "26"), shapes=_GROUP),
    Option("tfce-step", "number", None, _INFERENCE, "step of t in TFCE; default the exact "
           "integral", metavar="STEP", minimum=0, strict=True, shapes=_GROUP),
    Option("contrast", "texts", (), _INFERENCE, "differences of references to be tested over "
           "subjects, such as 'conv5 - conv1'", metavar="'A - B'", shapes=_GROUP),
    Option("random-seed", "int", 0, _INFERENCE, "seed of random sign flips, of shuffles and of "
           "untrained networks", metavar="N", minimum=0),
    Option("n-cpus", "int", None, _RESOURCES, "workers; the result does not depend on it",
           metavar="N", minimum=1, matters=False),
    Option("mem-mb", "int", None, _RESOURCES, "memory that may be used; default what is available",
           metavar="M", minimum=1, matters=False),
    Option("device", "text", "cpu", _RESOURCES, "where the network runs",
           choices=("auto", "cpu", "cuda")),
    Option("batch-size", "int", 32, _RESOURCES, "images per pass of the network", metavar="N",
           minimum=1, matters=False),
    Option("work-dir", "path", "work", _RUNNING, "scratch space, outside OUTPUT_DIR", short="w",
           metavar="DIR", matters=False),
    Option("clean-workdir", "flag", False, _RUNNING, "empty the work folder first",
           matters=False),
    Option("dry-run", "flag", False, _RUNNING, "print what would run, write nothing",
           matters=False),
    Option("validate", "flag", False, _RUNNING, "run bids-validator-deno on BIDS_DIR first",
           matters=False),
    Option("config-file", "path", None, _RUNNING, "neurodnn.toml with the names of these "
           "options; the command line wins", metavar="FILE", matters=False),
    Option("overwrite", "flag", False, _RUNNING, "recompute and replace outputs that were made "
           "from other inputs or options", matters=False),
    Option("force", "flag", False, _RUNNING, "pass the memory guard", matters=False),
    Option("on-error", "text", "continue", _RUNNING, "after a failed subject",
           choices=("continue", "abort"), matters=False),
    Option("debug", "flag", False, _RUNNING, "show tracebacks", matters=False),
    Option("keep-activations", "flag", False, _OUTPUT, "keep the activations of the layers in "
           "the work folder", matters=False),
    Option("reports-only", "flag", False, _OUTPUT, "rebuild the pages from OUTPUT_DIR",
           matters=False),
    Option("boilerplate-only", "flag", False, _OUTPUT, "print the methods paragraph and stop",
           matters=False),
    Option("verbose", "flag", False, _OUTPUT, "debug messages on the screen", short="v",
           matters=False),
    Option("quiet", "flag", False, _OUTPUT, "warnings and errors only", short="q",
           matters=False),
)  # fmt: skip

# other spellings of the field, each an alias on the command line
ALIASES = {
    "n-cpus": ("--nprocs", "--n-jobs"),
    "on-error": (),
}

BY_FIELD = {option.name.replace("-", "_"): option for option in OPTIONS}
