"""Runs killed at any step, damaged files: what resumes, and how. Ids as in the design."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from neurodnn import DataWarning
from neurodnn.bids import is_done, lock_output, sidecar_path, write_derivative

HASHES = {"InputHash": "in", "ParameterHash": "options"}

@pytest.mark.parametrize("step", ["fsync 1", "fsync 2", "replace 1", "replace 2", "fsync 3",
                                  "fsync 4"])  # fmt: skip
@pytest.mark.parametrize("when", ["before", "after"])
def test_f9_f13_killed_at_any_step_then_resumed(tmp_path, step, when, in_child, tree):
    path = tmp_path / "sub-01" / "a_statmap.nii.gz"
    path.parent.mkdir()
    image = nibabel.Nifti1Image(np.arange(8.0).reshape(2, 2, 2), np.eye(4))
    name, count = step.split()

    def work():
        original, calls = getattr(os, name), []

        def die(*arguments):
            calls.append(1)
            if when == "after" and len(calls) == int(count):
                original(*arguments)
            if len(calls) == int(count):
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(os, name, die)
        with lock_output(tmp_path, "01"):
            write_derivative(path, image, HASHES)

    assert in_child(work) == -signal.SIGKILL
    with pytest.warns(DataWarning, match="dead; the lock was taken over"):
        with lock_output(tmp_path, "01"):
            if not is_done(path, "in", "options"):
                write_derivative(path, image, HASHES)
    resumed = tree(tmp_path)
    fresh = tmp_path / "fresh" / "a_statmap.nii.gz"
    write_derivative(fresh, image, HASHES)
    assert {Path(name).name: digest for name, digest in resumed.items()} == tree(fresh.parent)


def test_f13_either_half_of_a_pair_counts_as_absent(tmp_path):
    path = tmp_path / "a.tsv"
    table = pd.DataFrame({"rho": [0.5]})
    for half in (path, sidecar_path(path)):
        write_derivative(path, table, HASHES)
        half.unlink()
        assert not is_done(path, "in", "options")
        write_derivative(path, table, HASHES)
        assert is_done(path, "in", "options")


def test_f13_killed_between_the_two_while_overwriting(tmp_path, in_child):
    path = tmp_path / "a.tsv"
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES)
    new = {"InputHash": "new", "ParameterHash": "options"}

    def work():
        replace = os.replace

        def die(source, target):
            if str(target).endswith(".tsv"):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = die
        write_derivative(path, pd.DataFrame({"rho": [0.6]}), new, overwrite=True)

    assert in_child(work) == -signal.SIGKILL
    # The old data stand beside the new sidecar: noticed, and remade without --overwrite.
    with pytest.warns(DataWarning, match="made anew"):
        assert not is_done(path, "new", "options")
    with pytest.warns(DataWarning, match="made anew"):
        write_derivative(path, pd.DataFrame({"rho": [0.6]}), new)
    assert is_done(path, "new", "options")


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "sidecar cut"])
def test_f16_f17_damage_is_noticed_and_mended(tmp_path, harm, tree):
    path = tmp_path / "a_statmap.nii.gz"
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4))
    write_derivative(path, image, HASHES)
    whole = tree(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    if harm == "sidecar cut":
        sidecar_path(path).write_text('{"InputHash": "in"')
    else:
        path.write_bytes({"flipped": raw, "cut": raw[:100], "emptied": b""}[harm])
    with pytest.warns(DataWarning, match="a_statmap.*made anew"):
        assert not is_done(path, "in", "options")
    with pytest.warns(DataWarning, match="made anew"):
        write_derivative(path, image, HASHES)
    assert tree(tmp_path) == whole
