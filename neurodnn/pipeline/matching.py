"""Stimuli of the plan: the table, the names of the user's RDMs, and which of them meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodnn._checks import InputError, closest, message

if TYPE_CHECKING:
    import pandas as pd

    from neurodnn.pipeline.config import Config
    from neurodnn.pipeline.findings import Findings

_SHOWN = 5
OTHER_EVENTS = "events of no compared stimulus"
# What laboratories call the absence of an event: it is the baseline, and must not be modelled.
_REST = {"baseline", "blank", "fix", "fixation", "isi", "iti", "n/a", "null", "rest"}


def stimulus_folder(config: Config) -> Path:
    """Return the folder of the images, or the table, that the options mean."""
    return config.stimuli or config.bids_dir / "stimuli"


def absent_file(name: str, path: Path) -> str:
    """Return the one message about a file that an option names and that is not there."""
    remedy = "Correct the path."
    return message(f"--{name}", "the file does not exist", got=str(path), remedy=remedy)


def modelled_names(events: pd.DataFrame, column: str, stimuli: Sequence[str | None]) -> list:
    """Return what each event is in the linear model: its stimulus, another event, or nothing.

    Events with a name that is no known stimulus (catch trials, images outside the RDM) share
    one regressor that nobody reads: left to the baseline, responses to them would stand in the
    estimates of the stimuli near them. Rows without a name, names that mean rest, and rows
    whose times are not numbers (button presses) stay in the baseline.
    """
    import numpy as np
    import pandas as pd

    times = events[["onset", "duration"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    timed = np.isfinite(times).all(axis=1) & (times[:, 1] >= 0)
    names: list[str | None] = []
    for cell, stimulus, whole in zip(events[column], stimuli, timed, strict=True):
        named = isinstance(cell, str) and cell.strip().casefold() not in {"", *_REST}
        other = OTHER_EVENTS if named and whole else None
        names.append(other if stimulus is None else stimulus)
    return names


def plan_references(found: Findings) -> None:
    """Read the RDMs that the user brought, nuisance too; each file's faults are listed."""
    from neurodnn.bids import require_file

    config = found.config
    for paths, kept in (
        (config.reference_rdms, found.user_rdms), (config.nuisance_rdms, found.nuisance)
    ):  # fmt: skip
        for path in paths:
            if found.attempt(lambda path=path: require_file(path)) is None:
                continue
            from neurodnn.rsa.rdm_files import read_rdms

            rdms = found.attempt(lambda path=path: read_rdms(path, axis="reference"))
            if rdms is not None:
                kept.append((path, rdms))


def plan_stimuli(found: Findings) -> None:
    """Read the stimulus table, or take the names of the user's RDMs where no images are needed.

    The RDMs are then spelled as the table spells its stimuli.
    """
    from neurodnn.stimuli import read_stimuli

    config = found.config
    if config.network != "none" or config.stimuli is not None:
        folder = stimulus_folder(config)
        if not folder.exists():
            found.faults.append(
                message(str(folder), "the folder of the stimuli does not exist",
                        remedy="Give --stimuli, or --network none with your own RDMs.")
            )  # fmt: skip
            return
        table = found.attempt(
            lambda: read_stimuli(folder, key=config.stimulus_key, checksums=False)
        )
        if table is None:
            return
        if config.network != "none" and table["path"].isna().any():
            found.faults.append(
                message(str(folder), "the stimulus table names no image files",
                        remedy="Add a column path, or give --network none.")
            )  # fmt: skip
        found.stimuli = table
    elif found.user_rdms:
        found.stimuli = list(map(str, found.user_rdms[0][1].pattern_descriptors["stimulus"]))
    found.user_rdms = _all_spelled_alike(found.user_rdms, found)
    found.nuisance = _all_spelled_alike(found.nuisance, found)


def _all_spelled_alike(brought: list[tuple[Path, Any]], found: Findings) -> list[tuple[Path, Any]]:
    spelled = [
        (path, found.attempt(lambda path=path, rdms=rdms: _spelled_alike(path, rdms, found)))
        for path, rdms in brought
    ]
    return [(path, rdms) for path, rdms in spelled if rdms is not None]


def _spelled_alike(path: Path, rdms: Any, found: Findings) -> Any:
    """Return the RDMs over the stimuli that the table knows, under the table's names."""
    import pandas as pd

    from neurodnn.stimuli import match_stimuli
    from neurodnn.workflows.restriction import restrict_rdms

    names = list(map(str, rdms.pattern_descriptors["stimulus"]))
    try:
        keys, _ = match_stimuli(
            pd.DataFrame({"stimulus": names}), found.stimuli, column="stimulus",
            key=found.config.stimulus_key,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    known = [None if pd.isna(key) else str(key) for key in keys]
    kept = sorted({key for key in known if key is not None})
    twice = [key for key in kept if known.count(key) > 1]
    if twice:
        raise InputError(message(str(path), "two of its stimuli mean the same one", got=twice[:5],
                                 remedy="Rename one, or give --stimulus-key id."))  # fmt: skip
    spelled = [key if key is not None else f"\0{i}" for i, key in enumerate(known)]
    return restrict_rdms(rdms, kept, names=spelled)


def refuse_absent_images(strangers: Sequence[str], found: Findings, where: str, kind: str) -> None:
    """Refuse data of images that the network cannot be shown, unless ``--min-stimuli`` allows it.

    In events, names with the ending of an image count: others may be catch trials or responses.
    Volumes of estimates have a stimulus each, whatever its name.
    """
    from neurodnn.stimuli import IMAGE_ENDINGS

    if found.config.network == "none" or found.config.min_stimuli is not None:
        return
    absent = [name for name in strangers
              if kind == "betas" or name.casefold().endswith(IMAGE_ENDINGS)]  # fmt: skip
    if not absent:
        return
    known = list(found.stimuli["stimulus"]) if hasattr(found.stimuli, "columns") else []
    near = [(name, closest(Path(name).stem, known)) for name in absent[:3]]
    hints = "".join(f" Did you mean {other} by {name}?" for name, other in near if other)
    fault = f"{len(absent)} images of the data are not among the stimuli"
    remedy = f"Add them, or give --min-stimuli N to go on without them.{hints}"
    raise InputError(message(where, fault, got=sorted(absent)[:_SHOWN], remedy=remedy))


def shared_stimuli(
    shown: Sequence[str], strangers: Sequence[str], found: Findings, where: str
) -> tuple[tuple[str, ...], list[str]]:
    """Return the stimuli that brain and all references share, and what is to be reported.

    Parameters
    ----------
    shown : sequence of str
        Stimuli of the brain data that the table knows.
    strangers : sequence of str
        Cells of the events that met no stimulus.
    found : Findings
        Gives the references and ``--min-stimuli``.
    where : str
        The job, for messages.

    Raises
    ------
    InputError
        A reference of the user lacks stimuli of the brain data (both differences are listed)
        and ``--min-stimuli`` was not given; fewer than 4 or than ``--min-stimuli`` are left.
    """
    config, notes = found.config, []
    shared = set(shown)
    missing_ok = config.min_stimuli is not None
    own_names = config.network == "none" and config.stimuli is None
    for path, rdms in [*found.user_rdms, *found.nuisance]:
        names = set(rdms.pattern_descriptors["stimulus"])
        lacking = sorted(set(shown) - names) + (sorted(strangers) if own_names else [])
        beyond = sorted(names - set(shown))
        if lacking:
            text = _difference(path.name, lacking, beyond)
            if not missing_ok:
                remedy = "Complete the RDM, or give --min-stimuli N to use what both have."
                raise InputError(f"{where}: {text} {remedy}")
            notes.append(f"{text} They were left out (--min-stimuli).")
        if beyond:
            notes.append(
                f"{path.name}: {len(beyond)} of its {len(names)} stimuli were not shown in "
                f"{where} and were left out ({_some(beyond)})."
            )
        shared &= names
    if config.network != "none" and len(found.stimuli) > len(shared):
        unseen = len(found.stimuli) - len(shared)
        notes.append(
            f"{unseen} of {len(found.stimuli)} images of the stimulus table are not compared in "
            f"{where}; the layer RDMs were restricted to the other {len(shared)}."
        )
    least = max(4, config.min_stimuli or 4)
    if len(shared) < least:
        raise InputError(
            message(where, f"brain data and references share {len(shared)} stimuli",
                    got=sorted(shared)[:10], allowed=f"at least {least}",
                    remedy="An RDM of fewer has too few entries to compare. See --stimulus-key "
                    "and --stimulus-column.")
        )  # fmt: skip
    return tuple(sorted(shared)), notes


def _difference(model: str, lacking: Sequence[str], beyond: Sequence[str]) -> str:
    near = [(name, closest(name, beyond)) for name in lacking[:3]]
    hints = [f"Did you mean {other} by {name}?" for name, other in near if other]
    text = (
        f"model RDM {model!r} lacks {len(lacking)} stimuli of the brain data ({_some(lacking)}) "
        f"and has {len(beyond)} that the brain data lack ({_some(beyond) or 'none'})."
    )
    return " ".join([text, *hints])


def _some(names: Sequence[str]) -> str:
    tail = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + tail
