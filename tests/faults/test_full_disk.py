"""Full disks, quotas, folders that may not be written. Ids as in the design."""

from __future__ import annotations

import errno
import os
import resource
import signal

import nibabel
import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import RDMs

from neurodnn import InputError
from neurodnn.bids import WriteError, lock_output, write_atomic, write_derivative

HASHES = {"InputHash": "in", "ParameterHash": "options"}


def outcome(work):
    """(class, errno, text) of what `work` raises; 'done' if nothing."""
    try:
        work()
    except OSError as error:
        return [type(error).__name__, error.errno, str(error)]
    return "done"


def big_objects():
    rng = np.random.default_rng(0)
    return {
        "a_statmap.nii.gz": nibabel.Nifti1Image(rng.random((40, 40, 40)), np.eye(4)),
        "a_rdm.h5": RDMs(rng.random((2, 200 * 199 // 2))),
        "a_timeseries.tsv": pd.DataFrame({"rho": rng.random(20000)}),
        "a.json": {"values": rng.random(20000).tolist()},
        "a.html": "<p>" + "x" * 300_000,
        "a.svg": "<svg>" + "x" * 300_000,
    }


@pytest.mark.parametrize("name", list(big_objects()))
def test_f1_full_disk_leaves_nothing(tmp_path, name, in_child):
    obj = big_objects()[name]

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        sidecar = None if name.endswith(".json") else HASHES
        return outcome(lambda: write_derivative(tmp_path / name, obj, sidecar))

    kind, number, text = in_child(work)
    assert (kind, number) == ("WriteError", errno.EFBIG)
    assert str(tmp_path / name) in text
    assert "ulimit -f" in text
    assert list(tmp_path.iterdir()) == []


def test_f1_full_device_under_a_stream_writer(tmp_path):
    def onto_a_full_device(stream):
        with open("/dev/full", "wb") as full:
            full.write(b"x" * 100)

    with pytest.raises(WriteError, match=r"a\.npy: could not be written.*disk is full: free"):
        write_atomic(tmp_path / "a.npy", onto_a_full_device)
    assert list(tmp_path.iterdir()) == []


def test_f1_full_disk_keeps_the_pair_that_was_there(tmp_path, in_child, tree):
    path = tmp_path / "a.tsv"
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES)
    before = tree(tmp_path)

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        table = big_objects()["a_timeseries.tsv"]
        return outcome(lambda: write_derivative(path, table, HASHES, overwrite=True))

    assert in_child(work)[0] == "WriteError"
    assert tree(tmp_path) == before


def test_f2_quota_at_the_last_block(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError, match="quota is used up") as caught:
        write_derivative(tmp_path / "a.tsv", pd.DataFrame({"a": [1]}), HASHES)
    assert caught.value.errno == errno.EDQUOT
    assert isinstance(caught.value, InputError)
    assert list(tmp_path.iterdir()) == []


def test_f3_read_only_output_folder(open_folder, in_child):
    closed = open_folder / "out"
    closed.mkdir()
    closed.chmod(0o555)
    kind, number, text = in_child(
        lambda: outcome(lambda: write_atomic(closed / "sub-01" / "a.txt", b"x")), uid=65534
    )
    assert (kind, number) == ("WriteError", errno.EACCES)
    assert "You may not write there" in text
    kind, number, text = in_child(
        lambda: outcome(lambda: lock_output(closed, "01").__enter__()), uid=65534
    )
    assert (kind, number) == ("WriteError", errno.EACCES)
    assert list(closed.iterdir()) == []


def test_f3_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="choose another output folder"):
        write_atomic(tmp_path / "out" / "a.txt", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="A folder of that name is in the way"):
        write_atomic(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out"]
