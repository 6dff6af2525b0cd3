"""The official validator, run as the program that it is, when the user asks for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from neurodnn._checks import InputError, message
from neurodnn.pipeline.logs import LOGGER

PROGRAM = "bids-validator-deno"


def validate(folder: Path) -> None:
    """Run bids-validator-deno on a data set; its complaints go to the log.

    Raises
    ------
    InputError
        The program is not installed, or it found errors.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.exists() else shutil.which(PROGRAM)
    if program is None:
        raise InputError(message("--validate", f"{PROGRAM} is not installed",
                                 remedy='Install it: pip install "neurodnn[bids]".'))  # fmt: skip
    LOGGER.info("validating %s ...", folder.name)
    done = subprocess.run(
        [program, str(folder)], capture_output=True, text=True, check=False, timeout=3600
    )
    LOGGER.debug("%s", done.stdout)
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if "[ERROR]" in line]
        shown = "; ".join(lines[:5]) or done.stdout.strip()[-300:]
        raise InputError(message(str(folder), f"the BIDS validator found errors: {shown}",
                                 remedy="Correct them, or leave --validate out."))  # fmt: skip
