"""The official validator accepts what the demonstration writes and what the analysis writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neurodnn.simulate.dataset import simulate_dataset


@pytest.fixture(scope="module")
def validate():
    beside = Path(sys.executable).with_name("bids-validator-deno")
    program = shutil.which("bids-validator-deno") or (str(beside) if beside.exists() else None)
    if program is None:
        pytest.skip("bids-validator-deno is not installed (extra: test)")

    def run(folder: Path) -> tuple[int, str]:
        done = subprocess.run([program, str(folder), "--ignoreWarnings"], capture_output=True,
                              text=True, check=False, timeout=120)  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def bold(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bold")
    simulate_dataset(root, n_subjects=2, n_stimuli=4, n_runs=2, layers=[],
                     voxel_size=(12, 12, 12))  # fmt: skip
    return root


@pytest.mark.parametrize("folder", [".", "derivatives/fmriprep"])
def test_simulated_bold_is_valid(validate, bold, folder):
    code, text = validate(bold / folder)
    assert code == 0, text
    assert "2 - Subjects" in text


def test_simulated_betas_are_valid(validate, study):
    for folder in (study.root, study.root / "derivatives" / "betas"):
        code, text = validate(folder)
        assert code == 0, text


def test_output_is_valid(validate, study):
    code, text = validate(study.output)
    assert code == 0, text
    assert "8 - Subjects" in text


def test_the_validator_sees_a_stray_file(validate, bold, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bold, copy)
    (copy / "sub-01" / "func" / "sub-01_notes.xyz").write_text("stray")
    assert validate(copy)[0] != 0
