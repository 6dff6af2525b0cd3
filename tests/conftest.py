"""Shared by all tests: offline by force, one thread for BLAS, derandomised properties."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Builders of small data sets that several folders of tests share.
sys.path.insert(0, str(Path(__file__).parent / "fixtures"))

# Nothing in the tests may try a download; set before any library reads its environment.
os.environ.setdefault("NEURODNN_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "change",
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "nightly", settings.get_profile("change"), max_examples=2000, derandomize=False
)
settings.load_profile(os.environ.get("NEURODNN_HYPOTHESIS", "change"))


def _real_data(folder: str) -> Path:
    root = os.environ.get("NEURODNN_DATA")
    if not root:
        pytest.skip("NEURODNN_DATA is not set: the real data sets are not on this machine")
    path = Path(root) / folder
    if not path.is_dir():
        pytest.skip(f"NEURODNN_DATA has no folder {folder}")
    return path


@pytest.fixture
def real_data():
    """A function: name of a folder of the real data -> its path, or the test is skipped."""
    return _real_data


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Eight simulated subjects with planted layers, analysed through the command line."""
    from planted import make_study

    return make_study(tmp_path_factory.mktemp("planted") / "demo")
