"""RDM files of all kinds, sound ones and every fault that robustness asks for."""

from __future__ import annotations

import io
import pickle
import shutil
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, load_rdm
from scipy.io import savemat
from scipy.spatial.distance import squareform

from neurodnn._checks import DataWarning, InputError
from neurodnn.bids.serialize import to_bytes
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.names import labels_of, names_of
from neurodnn.rsa.rdm_files import read_rdms

NAMES = ["a", "b", "c", "d", "e"]


def _matrices(k=3, n=5, seed=0):
    rows = np.random.default_rng(seed).random((k, n * (n - 1) // 2))
    return np.array([squareform(row) for row in rows])


def _condensed(matrices):
    return np.array([squareform(matrix) for matrix in matrices])


def _write_v73(path, arrays):
    """As MATLAB does: a block of 512 bytes before HDF5, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.T).attrs["MATLAB_class"] = np.bytes_(b"double")
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))


def _write_csv(path, matrix, names=NAMES, delimiter=",", rows=None):
    lines = [delimiter.join(([""] if rows else []) + list(names))]
    for i, row in enumerate(matrix):
        lines.append(delimiter.join(([rows[i]] if rows else []) + [repr(float(v)) for v in row]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---- sound files


@pytest.mark.parametrize("names", [NAMES, ["a", "b\u00e9", "c", "d", "\u732b"]])
def test_hdf5_round_trip_through_our_writer(names, tmp_path):
    rdms = RDMs(
        _condensed(_matrices()),
        dissimilarity_measure="correlation",
        rdm_descriptors={"reference": ["conv1", "conv2", "conv3"]},
        pattern_descriptors={"stimulus": names},
    )
    path = tmp_path / "x.h5"
    path.write_bytes(to_bytes(rdms, path))
    found = read_rdms(path)
    np.testing.assert_array_equal(found.dissimilarities, rdms.dissimilarities)
    assert names_of(found) == names
    assert labels_of(found) == ("reference", ["conv1", "conv2", "conv3"])
    assert found.dissimilarity_measure == "correlation"
    one = read_rdms(path, label="conv2")
    assert labels_of(one) == ("reference", ["conv2"])
    np.testing.assert_array_equal(one.dissimilarities, rdms.dissimilarities[1:2])
    with pytest.raises(InputError, match="no RDM of this label.*conv1"):
        read_rdms(path, label="conv9")


@pytest.mark.parametrize("kind", [list, np.array, lambda names: np.array(names, dtype=object)])
def test_hdf5_as_rsatoolbox_saves_it(kind, tmp_path):  # labels come back as bytes
    rdms = RDMs(_condensed(_matrices()), pattern_descriptors={"stimulus": kind(NAMES)})
    rdms.save(str(tmp_path / "x.hdf5"), "hdf5")
    assert names_of(read_rdms(tmp_path / "x.hdf5")) == NAMES
    assert load_rdm(str(tmp_path / "x.hdf5")).n_rdm == 3


def test_hdf5_with_names_under_another_key(tmp_path):
    rdms = RDMs(_condensed(_matrices(1)), pattern_descriptors={"conds": NAMES, "size": [1] * 5})
    rdms.save(str(tmp_path / "x.h5"), "hdf5")
    assert names_of(read_rdms(tmp_path / "x.h5")) == NAMES


def test_npz(tmp_path):
    matrices = _matrices()
    np.savez(
        tmp_path / "x.npz", models=matrices, model_names=np.array(["V1", "HMAX", "x"]),
        one=matrices[0], stimulus=np.array(NAMES), order=np.arange(5),
    )  # fmt: skip
    found = read_rdms(tmp_path / "x.npz", label="models")
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices))
    assert names_of(found) == NAMES
    assert labels_of(found) == ("reference", ["V1", "HMAX", "x"])
    assert labels_of(read_rdms(tmp_path / "x.npz", label="one"))[1] == ["one"]
    with pytest.raises(InputError, match="several arrays.*models, one.*label"):
        read_rdms(tmp_path / "x.npz")
    with pytest.raises(InputError, match="Did you mean models"):
        read_rdms(tmp_path / "x.npz", label="model")


def test_npz_of_condensed_rows(tmp_path):
    np.savez(tmp_path / "x.npz", rdm=_condensed(_matrices()))
    found = read_rdms(tmp_path / "x.npz", names=NAMES, axis="subject")
    assert labels_of(found) == ("subject", ["rdm_01", "rdm_02", "rdm_03"])


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("rows", [None, NAMES])
def test_tables(suffix, delimiter, rows, tmp_path):
    path = tmp_path / f"my model.{suffix}"
    _write_csv(path, _matrices()[0], delimiter=delimiter, rows=rows)
    found = read_rdms(path)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(_matrices())[:1])
    assert names_of(found) == NAMES
    assert labels_of(found) == ("reference", ["my model"])


def test_rows_of_a_table_are_put_in_the_order_of_its_header(tmp_path):
    order = [2, 0, 1, 4, 3]
    _write_csv(tmp_path / "x.csv", _matrices()[0][order], rows=[NAMES[i] for i in order])
    found = read_rdms(tmp_path / "x.csv")
    np.testing.assert_array_equal(found.dissimilarities, _condensed(_matrices())[:1])


def test_table_from_windows(tmp_path):  # B42
    _write_csv(tmp_path / "x.csv", _matrices()[0], names=["a", "b\u00a0", " c", "d", "e"])
    data = (tmp_path / "x.csv").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf" + data)
    assert names_of(read_rdms(tmp_path / "x.csv")) == NAMES
    (tmp_path / "x.csv").write_bytes(data.decode().encode("utf-16"))
    with pytest.raises(InputError, match=r"x.csv: is not UTF-8.*Save the table as UTF-8"):
        read_rdms(tmp_path / "x.csv")


@pytest.mark.parametrize("write", [savemat, _write_v73])
def test_matlab_of_algonauts(write, tmp_path):
    path = tmp_path / "target_fmri.mat"
    matrices = _matrices(4)
    write(path, {"EVC_RDMs": matrices, "IT_RDMs": matrices[::-1]})
    found = read_rdms(path, label="IT_RDMs", names=NAMES)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices)[::-1])
    assert labels_of(found) == ("subject", ["01", "02", "03", "04"])
    with pytest.raises(InputError, match="EVC_RDMs, IT_RDMs"):
        read_rdms(path, names=NAMES)


@pytest.mark.parametrize("write", [savemat, _write_v73])
def test_matlab_with_samples(write, tmp_path):
    matrices = _matrices(6).reshape(3, 2, 5, 5)
    write(tmp_path / "x.mat", {"MEG_RDMs_early": matrices})
    found = read_rdms(tmp_path / "x.mat", names=NAMES)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices.reshape(6, 5, 5)))
    assert found.rdm_descriptors["subject"] == ["01", "01", "02", "02", "03", "03"]
    assert found.rdm_descriptors["sample"] == [0, 1, 0, 1, 0, 1]


def test_v73_matrices_are_not_symmetric_by_luck(tmp_path):
    # transposition matters for the rows: without it subjects and stimuli would be mixed
    matrices = _matrices(5)
    _write_v73(tmp_path / "x.mat", {"MEG_RDMs_late": matrices})
    found = read_rdms(tmp_path / "x.mat", names=NAMES)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices))


def test_matlab_with_rdms_last(tmp_path):
    matrices = _matrices(3)
    savemat(tmp_path / "x.mat", {"rdms": np.moveaxis(matrices, 0, -1)})
    found = read_rdms(tmp_path / "x.mat", names=NAMES)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices))


def test_matlab_structs(tmp_path):
    matrices = _matrices(2)
    structs = np.array(
        [(matrices[0], "hIT", [1, 0, 0]), (matrices[1], "mIT", [0, 0, 1])],
        dtype=[("RDM", object), ("name", object), ("color", object)],
    )
    savemat(tmp_path / "x.mat", {"RDMs": structs, "other": np.arange(3)})
    found = read_rdms(tmp_path / "x.mat", names=NAMES)
    np.testing.assert_array_equal(found.dissimilarities, _condensed(matrices))
    assert labels_of(found)[1] == ["hIT", "mIT"]


# ---- names


def test_file_without_names(tmp_path):
    savemat(tmp_path / "x.mat", {"rdm": _matrices()[0]})
    with pytest.raises(InputError, match="does not say which stimuli.*names.*by_position"):
        read_rdms(tmp_path / "x.mat")
    with pytest.warns(DataWarning, match="compared by position"):
        found = read_rdms(tmp_path / "x.mat", by_position=True)
    with pytest.raises(InputError, match="no names"):
        compare_rdms(found, found)
    with pytest.warns(DataWarning):
        assert compare_rdms(found, found, by_position=True).item() == pytest.approx(1)


def test_wrong_number_of_names(tmp_path):  # B50
    savemat(tmp_path / "x.mat", {"rdm": _matrices()[0]})
    with pytest.raises(InputError, match=r"x.mat: 4 names for RDMs of 5 stimuli"):
        read_rdms(tmp_path / "x.mat", names=NAMES[:4])


def test_names_twice(tmp_path):  # B43
    _write_csv(tmp_path / "x.csv", _matrices()[0], names=["a", "b", "b ", "d", "e"])
    with pytest.raises(InputError, match=r"x.csv: stimulus names must be unique.*b \(2 times\)"):
        read_rdms(tmp_path / "x.csv")


def test_names_that_contradict_the_file(tmp_path):
    _write_csv(tmp_path / "x.csv", _matrices()[0])
    assert names_of(read_rdms(tmp_path / "x.csv", names=NAMES)) == NAMES
    with pytest.raises(InputError, match="otherwise than names does"):
        read_rdms(tmp_path / "x.csv", names=NAMES[::-1])


# ---- faults: each as file of every kind


def _spoil(fault):
    matrix = _matrices()[0]
    if fault == "asymmetric":
        matrix[1, 3] += 1e-6
    elif fault == "diagonal":
        matrix[2, 2] = 1.0
    elif fault == "similarity":
        np.fill_diagonal(matrix, 1.0)
    elif fault == "nan":
        matrix[1, 3] = matrix[3, 1] = np.nan
    elif fault == "inf":
        matrix[1, 3] = matrix[3, 1] = np.inf
    elif fault == "oblong":
        matrix = matrix[:, :4]
    elif fault == "small":
        matrix = matrix[:3, :3]
    return matrix


FAULTS = {
    "asymmetric": r"not symmetric: .* at row 2, column 4",
    "diagonal": "diagonal of .* is not zero",
    "similarity": "Take 1 - similarity",
    "nan": "1 distances are missing or infinite, the first between stimuli 2 and 4",
    "inf": "1 distances are missing or infinite",
    "oblong": "not square|no array n x n|not the shape of RDMs",
    "small": "too few stimuli",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["npz", "csv", "mat", "v73"])
def test_faults_of_the_matrix_name_the_file(fault, kind, tmp_path):  # B45, B50
    matrix = _spoil(fault)
    path = tmp_path / f"spoiled.{'mat' if kind == 'v73' else kind}"
    names = NAMES[: matrix.shape[1]]
    if kind == "npz":
        np.savez(path, rdm=matrix)
    elif kind == "csv":
        _write_csv(path, matrix, names=names)
    elif kind == "mat":
        savemat(path, {"rdm": matrix})
    else:
        _write_v73(path, {"rdm": matrix})
    with pytest.raises(InputError, match=FAULTS[fault]) as caught:
        read_rdms(path, names=None if kind == "csv" else names)
    assert "spoiled." in str(caught.value)


def test_small_asymmetry_and_unmeasured_diagonal_pass(tmp_path):
    matrix = _matrices()[0]
    matrix[1, 3] += 1e-9
    np.fill_diagonal(matrix, np.nan)
    np.savez(tmp_path / "x.npz", rdm=matrix)
    assert np.isfinite(read_rdms(tmp_path / "x.npz", names=NAMES).dissimilarities).all()
    single = _matrices()[0].astype(np.float32)
    single[1, 3] *= np.float32(1) + np.finfo(np.float32).eps  # rounding of its type
    np.savez(tmp_path / "y.npz", rdm=single)
    assert read_rdms(tmp_path / "y.npz", names=NAMES).n_rdm == 1


def test_missing_distances_may_be_kept(tmp_path):
    np.savez(tmp_path / "x.npz", rdm=_spoil("nan"))
    found = read_rdms(tmp_path / "x.npz", names=NAMES, nan_policy="omit")
    assert np.isnan(found.dissimilarities).sum() == 1


def test_negative_distances_are_kept(tmp_path):  # trap 22
    matrix = _matrices()[0]
    matrix[0, 1] = matrix[1, 0] = -0.3
    np.savez(tmp_path / "x.npz", rdm=matrix)
    assert read_rdms(tmp_path / "x.npz", names=NAMES).dissimilarities[0, 0] == -0.3


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".mat", ".csv"])
@pytest.mark.parametrize("content", ["empty", "cut", "junk"])
def test_damaged_files(suffix, content, tmp_path):
    path = tmp_path / f"damaged{suffix}"
    if suffix == ".h5":
        RDMs(_condensed(_matrices()), pattern_descriptors={"stimulus": NAMES}).save(
            str(path), "hdf5"
        )
    elif suffix == ".npz":
        np.savez(path, rdm=_matrices(), stimulus=NAMES)
    elif suffix == ".mat":
        savemat(path, {"rdm": _matrices()})
    else:
        _write_csv(path, _matrices()[0])
    whole = path.read_bytes()
    damaged = {"empty": b"", "cut": whole[: len(whole) // 2], "junk": b"\x00\xffjunk" * 60}
    path.write_bytes(damaged[content])
    with pytest.raises(InputError, match="damaged"):
        read_rdms(path, names=None if suffix in (".h5", ".csv") else NAMES)


def test_absent_and_unknown_files(tmp_path):
    with pytest.raises(InputError, match=r"x.npz: no such file"):
        read_rdms(tmp_path / "x.npz")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(1))
    with pytest.raises(InputError, match=r"no known kind of RDM file.*\.npz"):
        read_rdms(tmp_path / "x.pkl")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match="no such file"):
        read_rdms(tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b,c,d\n0,1,2,3\n1,0,x,5\n2,4,0,6\n3,5,6,0\n", "no number.*'x'"),
        ("a,b,c,d\n0,1,2,3\n1,0,4\n2,4,0,6\n3,5,6,0\n", "row 3 has 3 cells"),
        (",a,b,c,d\na,0,1,2,3\nb,1,0,4,5\nc,2,4,0,6\nz,3,5,6,0\n", "and columns differ: d, z"),
        ("a,b,c,d\n", "no table"),
        ("a,b,,d\n0,1,2,3\n1,0,4,5\n2,4,0,6\n3,5,6,0\n", "stimulus 3 has no name"),
    ],
)
def test_faults_of_tables(text, match, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=match):
        read_rdms(tmp_path / "x.csv")


# ---- hostile files


def test_pickles_in_archives_are_never_opened(tmp_path):  # S7
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.savez(tmp_path / "x.npz", rdm=np.array([Trap()], dtype=object))
    with pytest.raises(InputError, match=r"x.npz"):
        read_rdms(tmp_path / "x.npz", names=NAMES)
    np.savez(tmp_path / "y.npz", rdm=_matrices()[0], names=np.array([Trap()] * 5, dtype=object))
    assert read_rdms(tmp_path / "y.npz", names=NAMES).n_rdm == 1
    assert not (tmp_path / "sprung").exists()


def test_archive_bombs(tmp_path):  # S8
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (200_000, 200_000)}
        )
        archive.writestr("rdm.npy", header.getvalue() + bytes(1000))  # claims 320 GB
    with pytest.raises(InputError, match="larger than is safe"):
        read_rdms(tmp_path / "x.npz", names=NAMES)
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        for i in range(10_001):
            archive.writestr(f"{i}.npy", b"")
    with pytest.raises(InputError, match="unpacks to more than is safe"):
        read_rdms(tmp_path / "y.npz", names=NAMES)


@pytest.mark.parametrize("link", ["external", "soft", "storage"])
def test_links_out_of_hdf5_are_not_followed(link, tmp_path):  # S9
    secret = tmp_path / "secret.h5"
    RDMs(_condensed(_matrices()), pattern_descriptors={"stimulus": NAMES}).save(
        str(secret), "hdf5"
    )
    (tmp_path / "raw").write_bytes(np.arange(10.0).tobytes())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        if link == "external":
            file["dissimilarities"] = h5py.ExternalLink("secret.h5", "/dissimilarities")
        elif link == "soft":
            file["other"] = np.ones((1, 10))
            file["dissimilarities"] = h5py.SoftLink("/other")
        else:
            file.create_dataset(
                "dissimilarities", (1, 10), "f8", external=[(str(tmp_path / "raw"), 0, 80)]
            )
    with pytest.raises(InputError, match="not followed|stored elsewhere"):
        read_rdms(tmp_path / "x.h5", names=NAMES)


def test_links_in_matlab_files_are_not_followed(tmp_path):
    _write_v73(tmp_path / "secret.mat", {"rdm": _matrices()[0]})
    _write_v73(tmp_path / "x.mat", {"nothing": np.zeros(3)})
    with h5py.File(tmp_path / "x.mat", "r+") as file:
        file["rdm"] = h5py.ExternalLink("secret.mat", "/rdm")
    with pytest.raises(InputError):
        read_rdms(tmp_path / "x.mat", label="rdm", names=NAMES)


def test_hdf5_of_another_origin(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.ones((5, 5))
    with pytest.raises(InputError, match=r"no rsatoolbox file .*'data'"):
        read_rdms(tmp_path / "x.h5")


# ---- real files


def test_published_files_equal_the_archive(real_data):
    folder = real_data("rdm92")
    names = [f"image_{i + 1:02d}" for i in range(92)]
    with np.load(folder / "rdm92.npz", allow_pickle=False) as archive:
        wanted = {key: archive[key] for key in ("fmri_evc", "fmri_it", "hit_2008", "models")}
    for file, label, key in [
        ("target_fmri_92.mat", "EVC_RDMs", "fmri_evc"),
        ("target_fmri_92.mat", "IT_RDMs", "fmri_it"),
        ("92_brainRDMs.mat", None, "hit_2008"),
        ("92_modelRDMs.mat", None, "models"),
    ]:
        found = read_rdms(folder / "original" / file, label=label, names=names)
        expected = [squareform(matrix, checks=False) for matrix in wanted[key]]
        np.testing.assert_array_equal(found.dissimilarities, expected, err_msg=file)
        again = read_rdms(folder / "rdm92.npz", label=key, names=names)
        np.testing.assert_array_equal(again.dissimilarities, expected, err_msg=key)


def test_anchors_of_2008(real_data):
    """Recordings averaged per subject; models, mean over 4 subjects (Spearman)."""
    folder = real_data("rdm92") / "original"
    names = [f"image_{i + 1:02d}" for i in range(92)]
    brain = read_rdms(folder / "92_brainRDMs.mat", names=names)
    averaged = RDMs(
        brain.dissimilarities.reshape(4, 2, -1).mean(axis=1),
        pattern_descriptors={"stimulus": names},
    )
    models = read_rdms(folder / "92_modelRDMs.mat", names=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # animacy and categories are all ties
        scores = compare_rdms(averaged, models).mean("rdm")
    anchors = {"animacy": 0.386, "FaceBodyManmadeNatobj": 0.277, "monkeyIT": 0.296, "EVA": 0.245,
               "HMAX": 0.160, "V1": 0.027, "Silhouette": 0.097, "RADON": 0.038}  # fmt: skip
    found = dict(zip(scores["reference"].values, scores.values, strict=True))
    assert found == pytest.approx(anchors, abs=5.01e-4)


def test_human_and_monkey(real_data):
    path = real_data("rdm92") / "original" / "Kriegeskorte_Neuron2008_supplementalData.mat"
    names = [f"image_{i + 1:02d}" for i in range(92)]
    both = read_rdms(path, label="RDMs_mIT_hIT_fig1", names=names)
    assert compare_rdms(both, both).values[0, 1] == pytest.approx(0.439, abs=5.01e-4)
    pearson = compare_rdms(both, both, comparison="pearson").values[0, 1]
    assert pearson == pytest.approx(0.491, abs=5.01e-4)


def test_double_dissociation(real_data):
    """Early MEG goes with early visual cortex, late MEG with inferior temporal cortex."""
    folder = real_data("rdm92") / "original"
    names = [f"image_{i + 1:02d}" for i in range(92)]
    with np.load(real_data("rdm92") / "rdm92.npz", allow_pickle=False) as archive:
        # the MEG file is in the order of categories; only names can bring the two together
        sorted_names = [names[i] for i in archive["category8_order"]]

    def mean_rdm(file, label, names):
        rdms = read_rdms(folder / file, label=label, names=names)
        return RDMs(rdms.dissimilarities.mean(axis=0)[None], pattern_descriptors={
            "stimulus": names})  # fmt: skip

    evc, it = (mean_rdm("target_fmri_92.mat", label, names) for label in ("EVC_RDMs", "IT_RDMs"))
    early, late = (
        mean_rdm("rearranged_meg_92.mat", f"MEG_RDMs_{window}", sorted_names)
        for window in ("early", "late")
    )
    found = [compare_rdms(a, b).item() for a in (early, late) for b in (evc, it)]
    assert found == pytest.approx([0.565, 0.306, 0.341, 0.531], abs=5.01e-4)


def test_copy_under_another_name_is_the_same(real_data, tmp_path):
    """The kind is told by the suffix, the version of MATLAB by the content."""
    source = real_data("rdm92") / "original" / "target_fmri_92.mat"
    shutil.copy(source, tmp_path / "X.MAT")
    names = [f"image_{i + 1:02d}" for i in range(92)]
    assert read_rdms(tmp_path / "X.MAT", label="IT_RDMs", names=names).n_rdm == 15
