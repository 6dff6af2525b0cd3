"""Lets the tests here import the protocols, which the command of the same folder runs too."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def chosen_seeds() -> list[int]:
    """Return the seeds that NEURODNN_CALIBRATION_SEED names: "7", "0-9" or "all" (0 to 99)."""
    text = os.environ.get("NEURODNN_CALIBRATION_SEED", "0")
    first, _, last = ("0-99" if text == "all" else text).partition("-")
    return list(range(int(first), int(last or first) + 1))


def pytest_generate_tests(metafunc):
    """Give every test that asks for a seed all that were chosen."""
    if "calibration_seed" in metafunc.fixturenames:
        metafunc.parametrize("calibration_seed", chosen_seeds())
