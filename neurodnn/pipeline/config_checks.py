"""What stands against options taken together; each of them alone is in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message

if TYPE_CHECKING:
    from neurodnn.pipeline.config import Config


def _check_inference(config: Config) -> None:
    if config.cluster_threshold >= 1:
        raise InputError(message("--cluster-threshold", "is a p value",
                                 got=config.cluster_threshold, allowed="0 to 1"))  # fmt: skip
    if 0 < config.label_permutations < 20:
        remedy = "Fewer cannot reach p <= .05."
        raise InputError(message("--label-permutations", "is too small",
                                 got=config.label_permutations, allowed="0, or at least 20",
                                 remedy=remedy))  # fmt: skip
    held = config.nuisance_rdms or config.nuisance_order
    if config.semi_partial and not held:
        raise InputError(message("--semi-partial", "has nothing to take out",
                                 remedy="Give --nuisance-rdms or --nuisance-order."))  # fmt: skip
    if held and config.compare not in ("spearman", "pearson"):
        option = "--nuisance-rdms" if config.nuisance_rdms else "--nuisance-order"
        raise InputError(message("--compare", f"has no partial form for {option}",
                                 got=config.compare, allowed="spearman, pearson"))  # fmt: skip
    if config.noise == "per-fold" and config.metric != "crossnobis":
        raise InputError(message("--noise", "per-fold belongs to --metric crossnobis",
                                 got=f"--metric {config.metric}"))  # fmt: skip
    for text in config.contrast:
        if " - " not in text:
            remedy = "Write 'A - B', with blanks round the minus sign."
            raise InputError(message("--contrast", "is no difference", got=text, remedy=remedy))


def check_together(config: Config) -> None:
    """Refuse options that contradict each other or leave nothing to compare."""
    if config.level != "group" and config.network == "none" and not config.reference_rdms:
        raise InputError(
            message("--network", "is none and no --reference-rdms are given", got="none",
                    remedy="Give a network, your own RDMs, or both.")
        )  # fmt: skip
    _check_inference(config)
    check_meg_options(config)
    if config.min_share > 1:
        raise InputError(message("--min-share", "is a share", got=config.min_share,
                                 allowed="0 to 1"))  # fmt: skip
    if config.output_dir is None:
        return
    for name, folder in (("work-dir", config.work_dir), ("BIDS_DIR", config.bids_dir)):
        if folder.is_relative_to(config.output_dir):
            raise InputError(
                message(f"{name}", "lies inside OUTPUT_DIR", got=str(folder),
                        remedy="Choose a folder outside it.")
            )  # fmt: skip


def check_meg_options(config: Config) -> None:
    """Refuse epochs, baselines and metrics of MEG that contradict each other."""
    if config.tmin >= config.tmax:
        raise InputError(message("--tmin", "the epoch is empty",
                                 got=f"{config.tmin:g} to {config.tmax:g} s",
                                 allowed="--tmin below --tmax"))  # fmt: skip
    span = baseline_span(config)
    low, high = (config.tmin, 0.0) if span is None else span
    low = config.tmin if low is None else low
    if span is not None and not config.tmin <= low < high <= config.tmax:
        raise InputError(message("--baseline", "is not within the epoch", got=config.baseline,
                                 allowed=f"{config.tmin:g} to {config.tmax:g} s",
                                 remedy="Begin the epoch earlier (--tmin), or give none."))
    if config.time_window > config.tmax - config.tmin:
        raise InputError(message("--time-window", "is longer than the epoch",
                                 got=config.time_window,
                                 allowed=f"<= {config.tmax - config.tmin:g} s"))  # fmt: skip
    if config.meg_metric == "mahalanobis" and config.meg_noise != "none":
        raise InputError(message("--meg-noise", "mahalanobis takes the noise out itself",
                                 got=config.meg_noise, remedy="Leave it out."))  # fmt: skip
    if config.meg_noise == "mvnn" and config.meg_metric == "decoding":
        fault = "would whiten decoded trials by noise that they have taught"
        raise InputError(message("--meg-noise", fault, got="mvnn with decoding",
                                 allowed="baseline", remedy="Decoding takes baseline."))


def baseline_span(config: Config) -> tuple[float | None, float] | None:
    """Return the span of the baseline in seconds as MNE takes it; None stands for none."""
    text = config.baseline.strip()
    if text == "none":
        return None
    start, colon, stop = text.partition(":")
    try:
        low = None if start == "start" else float(start)
        high = float(stop)
    except ValueError:
        colon = ""
    if not colon:
        raise InputError(message("--baseline", "is no span", got=config.baseline,
                                 allowed="start:0, -0.1:0 (s), none"))  # fmt: skip
    return low, high
