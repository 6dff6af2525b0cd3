"""Bad images B1 to B30: each ends as the table of bad inputs says, with path and remedy."""

from __future__ import annotations

import gzip
import re
import struct
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.gifti import GiftiDataArray, GiftiImage

from neurodnn import DataWarning, InputError
from neurodnn.brain.fmri import load_fmri_patterns, read_mask, sphere_neighbors
from neurodnn.brain.nifti import check_image, check_same_grid, image_info, read_image
from neurodnn.brain.surface import load_surface_patterns, read_gifti, read_mesh

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
AFFINE[:3, 3] = (-9, -12, -6)
# Offsets of NIfTI-1 header fields
DIM, DATATYPE, PIXDIM, VOX_OFFSET, SLOPE, UNITS = 40, 70, 76, 108, 112, 123
QFORM, SFORM, SROW, MAGIC = 252, 254, 280, 344


def plain_bytes(shape=(6, 7, 8, 5), dtype="f4", kind=nib.Nifti1Image) -> bytearray:
    data = np.random.default_rng(0).normal(100, 20, shape).astype(dtype)
    image = kind(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(1, 0)
    return bytearray(image.to_bytes())


def poke(raw: bytearray, offset: int, form: str, *values) -> bytearray:
    struct.pack_into("<" + form, raw, offset, *values)
    return raw


@pytest.fixture
def write(tmp_path):
    """Write bytes, compressed if the name says so, and give the path."""

    def _write(raw, name="sub-03_bold.nii.gz", compress=None):
        path = tmp_path / name
        compress = name.endswith(".gz") if compress is None else compress
        path.write_bytes(gzip.compress(bytes(raw), mtime=0) if compress else bytes(raw))
        return path

    return _write


def refused(path, *parts, preflight=True, **options):
    """The image is refused with its path and all parts; the preflight says the same."""
    with pytest.raises(InputError, match=re.escape(str(path))) as caught:
        read_image(path, **options)
    for part in parts:
        assert re.search(part, str(caught.value)), (part, str(caught.value))
    assert str(caught.value).rstrip().endswith((".", str(path)))
    found = check_image(path, **options)
    assert bool(found) == preflight, found
    assert all(str(path) in fault for fault in found)


def test_a_sound_image_passes_and_keeps_its_values(write):
    for kind, name in (
        (nib.Nifti1Image, "a.nii.gz"),
        (nib.Nifti1Image, "a.nii"),
        (nib.Nifti2Image, "b.nii.gz"),
        (nib.Nifti2Image, "b.nii"),
    ):
        path = write(plain_bytes(kind=kind), name)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = read_image(path, ndim=4)
        expected = np.asarray(nib.load(path).dataobj)
        assert np.array_equal(np.asarray(image.dataobj), expected)
        assert np.array_equal(image.dataobj[..., 3], expected[..., 3])
        assert np.array_equal(image.affine, AFFINE)
        assert check_image(path) == []
        assert image_info(path).shape == (6, 7, 8, 5)


@pytest.mark.parametrize("order", "<>")
def test_scaled_integers_of_either_byte_order_are_scaled(tmp_path, order):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype("i2").newbyteorder(order))
    data = np.random.default_rng(1).normal(0, 50, (4, 4, 4, 2))
    image = nib.Nifti1Image(data, AFFINE, header)
    path = tmp_path / "scaled.nii.gz"
    image.to_filename(path)
    loaded = np.asarray(read_image(path).dataobj)
    assert np.abs(loaded - data).max() < 0.01
    assert np.array_equal(loaded, np.asarray(nib.load(path).dataobj))


# B1 to B12: the file


def test_b1_cut_in_half(write):
    path = write(plain_bytes())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "cut short", "Fetch it again")


def test_b2_last_eight_bytes_missing(write):
    path = write(plain_bytes())
    path.write_bytes(path.read_bytes()[:-8])
    refused(path, "cut short", "Fetch it again")


def test_b3_a_flipped_bit_in_the_middle_is_always_noticed(write):
    # Stored, not deflated, blocks: every flipped bit unpacks without complaint.
    raw = gzip.compress(bytes(plain_bytes()), compresslevel=0, mtime=0)
    for place in np.linspace(500, len(raw) - 20, 12).astype(int):
        broken = bytearray(raw)
        broken[place] ^= 4
        path = write(broken, compress=False)
        assert nib.load(path).get_fdata().shape == (6, 7, 8, 5)  # silent elsewhere
        refused(path, "checksum", "damaged", "restore", preflight=False)


def test_b3_a_flipped_bit_in_the_header_is_named_as_damage(write):
    raw = bytearray(gzip.compress(bytes(plain_bytes()), compresslevel=0, mtime=0))
    raw[raw.index(b"n+1\0")] ^= 1
    with pytest.raises(InputError, match="checksum of the compressed data does not match"):
        read_image(write(raw, compress=False))


def test_b4_checksum_field_wrong(write):
    path = write(plain_bytes())
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 255
    path.write_bytes(raw)
    refused(path, "checksum of the compressed data does not match", "restore", preflight=False)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_b5_trailing_garbage_is_a_warning(write, name):
    path = write(plain_bytes(), name)
    path.write_bytes(path.read_bytes() + b"garbage")
    with pytest.warns(DataWarning, match=r"a\.nii.*bytes follow the end.*7 bytes.*Save it again"):
        image = read_image(path)
    assert image.get_fdata().std() > 10
    assert check_image(path) == []


def test_b5_zero_padding_and_several_members_are_part_of_the_format(write):
    raw = bytes(plain_bytes())
    joined = gzip.compress(raw[:900]) + gzip.compress(raw[900:]) + bytes(512)
    path = write(joined, compress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path).shape == (6, 7, 8, 5)
    assert check_image(path) == []


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_b6_empty_file(write, name):
    refused(write(b"", name, compress=False), "empty", "Fetch it again")


@pytest.mark.parametrize("compress", [False, True])
def test_b7_web_page(write, compress):
    page = b"\n<!DOCTYPE html><html><body>Sign in to download</body></html>" * 20
    refused(write(page, compress=compress), "web page", "Download the file itself")


def test_b8_plain_nifti_named_gz(write):
    refused(write(plain_bytes(), compress=False), "not compressed", "Rename it to .nii")


def test_b9_gzip_named_nii(write):
    path = write(plain_bytes(), "a.nii", compress=True)
    refused(path, "compressed with gzip", "Rename it to .nii.gz")


def test_b10_truncated_nii(write):
    raw = plain_bytes()
    refused(write(raw[: len(raw) // 2], "a.nii"), "cut short", "got .* bytes", "Fetch it again")
    refused(write(raw[:200], "b.nii"), "ends inside its header")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_b11_annex_pointer(write, name):
    pointer = b"/annex/objects/MD5E-s1234--0123456789abcdef0123456789abcdef.nii.gz\n"
    path = write(pointer, name, compress=False)
    refused(path, "git-annex pointer", f"datalad get {path}")


def test_b12_dangling_link(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.symlink_to("../.git/annex/objects/aa/bb/MD5E-s1--0.nii.gz/MD5E-s1--0.nii.gz")
    refused(path, "git-annex content", f"datalad get {path}")
    other = tmp_path / "b.nii.gz"
    other.symlink_to("gone.nii.gz")
    refused(other, "link to a file that does not exist", "Restore")


def test_absent_folder_and_foreign_names(tmp_path):
    refused(tmp_path / "none.nii.gz", "no such file")
    (tmp_path / "folder.nii").mkdir()
    refused(tmp_path / "folder.nii", "is a folder")
    refused(tmp_path / "brain.mgz", "does not say that it is NIfTI", r"\.nii\.gz")


# B13 to B26: the header


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_b13_absurd_dims_are_refused_before_allocation(write, name):
    raw = poke(plain_bytes(), DIM, "4h", 3, 32767, 32767, 32767)
    path = write(raw, name)
    refused(path, "claims more data" if name.endswith("gz") else "cut short", "Fetch it again")
    if name.endswith("gz"):
        assert "claims more data" in check_image(path)[0]  # said without unpacking


@pytest.mark.parametrize("dims", [(3, -6, 7, 8), (3, 0, 7, 8), (0, 6, 7, 8), (9, 6, 7, 8)])
def test_b14_impossible_dim(write, dims):
    path = write(poke(plain_bytes(), DIM, "4h", *dims))
    refused(path, "axis below 1|axes where", re.escape(str(dims[1])), "Convert it again")


def test_b15_infinite_slope(write):
    path = write(poke(plain_bytes(), SLOPE, "f", np.inf))
    refused(path, "scl_slope is infinite", "got inf", "Convert it again")


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_b15_slope_of_zero_or_nan_means_unscaled(write, slope):
    path = write(poke(plain_bytes(), SLOPE, "2f", slope, 7.0))
    with pytest.warns(DataWarning, match=r"sub-03.*scl_slope asks for no scaling.*Check the unit"):
        image = read_image(path)
    stored = np.frombuffer(plain_bytes()[352:], "<f4")
    assert np.array_equal(image.get_fdata().ravel(order="F"), stored)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_b16_vox_offset_past_the_end(write, name):
    path = write(poke(plain_bytes(), VOX_OFFSET, "f", 1e6), name)
    refused(path, "vox_offset points past the end", "1000000", "Fetch it again")
    refused(write(poke(plain_bytes(), VOX_OFFSET, "f", 12), name), "vox_offset lies inside")


def test_b17_unknown_datatype(write):
    refused(write(poke(plain_bytes(), DATATYPE, "h", 999)), "datatype.*unknown", "got 999")


def test_b18_broken_magic(write):
    path = write(poke(plain_bytes(), MAGIC, "4s", b"xyz\0"))
    refused(path, "magic is broken", "xyz", "Convert it again")
    refused(write(poke(plain_bytes(), MAGIC, "4s", b"ni1\0")), "pair", "Save it as one")
    refused(write(poke(plain_bytes(), 0, "i", 12345)), "not a NIfTI image")


def test_b19_no_orientation(write):
    path = write(poke(plain_bytes(), QFORM, "2h", 0, 0))
    refused(path, "orientation is unknown", "got 0", "Convert it again")


def test_b20_sform_not_finite(write):
    refused(write(poke(plain_bytes(), SROW, "f", np.nan)), "sform.*not finite")


def test_b21_singular_affine(write):
    refused(write(poke(plain_bytes(), SROW, "4f", 0, 0, 0, 0)), "sform is singular")
    flat = poke(plain_bytes(), SROW, "8f", 3, 3, 0, 0, 3, 3, 0, 0)  # two axes, one direction
    refused(write(flat), "sform is singular", "Convert it again")


@pytest.mark.parametrize("size", [0.0, -3.0, np.nan, np.inf])
def test_b22_voxel_size_not_positive(write, size):
    path = write(poke(plain_bytes(), PIXDIM + 4, "f", size))
    refused(path, "voxel size .pixdim. is not positive", "> 0 mm", "Convert it again")


def test_b23_wrong_number_of_axes(write):
    path = write(plain_bytes((6, 7, 8)))
    refused(path, "3 axes where 4 axes", r"\(6, 7, 8\)", "4-D image", ndim=4)
    path = write(plain_bytes((6, 7, 8, 5)))
    refused(path, "4 axes where 3 axes", "one volume", ndim=3)
    refused(write(plain_bytes((4, 4, 4, 2, 2))), "5 axes", "3-D or 4-D")
    one = write(plain_bytes((6, 7, 8, 1)))
    assert read_image(one, ndim=3).shape == (6, 7, 8)
    assert read_image(one, ndim=4).shape == (6, 7, 8, 1)


def test_b24_volumes_and_labels_differ(write):
    path = write(plain_bytes())
    mask = nib.Nifti1Image(np.ones((6, 7, 8), "u1"), AFFINE)
    with pytest.raises(InputError, match=r"sub-03.*5 volumes but 4 labels.*one label per volume"):
        load_fmri_patterns(path, ["a", "b", "c", "d"], mask)


@pytest.mark.parametrize("code", [32, 1792, 128, 2304])
def test_b25_complex_and_colour(write, code):
    path = write(poke(plain_bytes(), DATATYPE, "h", code))
    refused(path, "complex|RGB", str(code), "Save magnitudes")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_b26_nothing_but_zero_or_nan(tmp_path, value):
    path = tmp_path / "empty.nii.gz"
    image = nib.Nifti1Image(np.full((4, 4, 4, 3), value, "f4"), AFFINE)
    image.to_filename(path)
    refused(path, "every value of the image is 0 or NaN", "how it was made", preflight=False)
    assert read_image(path, allow_empty=True).shape == (4, 4, 4, 3)


def test_sform_and_qform_that_differ_need_a_choice(tmp_path):
    image = nib.Nifti1Image(np.ones((6, 6, 6), "f4"), AFFINE)
    moved = AFFINE.copy()
    moved[0, 3] += 0.2
    image.set_sform(AFFINE, 4)
    image.set_qform(moved, 1)
    path = tmp_path / "two.nii.gz"
    image.to_filename(path)
    refused(path, "different places", "0.2 mm apart", "orientation='sform'")
    for choice, affine in (("sform", AFFINE), ("qform", moved)):
        assert np.allclose(read_image(path, orientation=choice).affine, affine, atol=1e-5)
    moved[0, 3] = AFFINE[0, 3] + 0.05
    image.set_qform(moved, 1)
    image.to_filename(path)
    assert np.array_equal(read_image(path).affine, AFFINE)
    with pytest.raises(InputError, match="Did you mean sform"):
        read_image(path, orientation="sfrom")


def test_other_units_than_millimetres_are_refused(write):
    refused(write(poke(plain_bytes(), UNITS, "B", 1)), "not in millimetres", "metres")


@given(
    st.lists(st.tuples(st.integers(0, 351), st.binary(min_size=1, max_size=8)), max_size=4),
    st.sampled_from(["a.nii", "a.nii.gz"]),
)
def test_scrambled_headers_raise_nothing_but_input_errors(tmp_path, pokes, name):
    raw = plain_bytes((3, 3, 3, 2))
    for offset, junk in pokes:
        raw[offset : offset + len(junk)] = junk[: max(0, 352 - offset)]
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(raw), 1) if name.endswith("gz") else bytes(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = check_image(path)
        try:
            values = np.asarray(read_image(path).dataobj)
        except InputError:
            return
        assert found == [] and values.size <= 54


def test_all_faults_are_listed_not_the_first(write):
    raw = poke(poke(plain_bytes(), SLOPE, "f", np.inf), QFORM, "2h", 0, 0)
    found = check_image(write(poke(raw, DATATYPE, "h", 999)))
    assert len(found) == 3


# B27, B28: masks


def mask_image(values, affine=AFFINE):
    return nib.Nifti1Image(np.asarray(values), affine)


def test_b27_empty_mask(tmp_path):
    path = tmp_path / "mask.nii.gz"
    mask_image(np.zeros((5, 5, 5), "u1")).to_filename(path)
    with pytest.raises(InputError, match=r"mask\.nii\.gz: the mask is empty.*Give another mask"):
        read_mask(path)


def test_b27_mask_that_is_not_binary():
    values = np.zeros((5, 5, 5), "f4")
    values[1:4, 1:4, 1:4] = np.linspace(0.1, 1, 27).reshape(3, 3, 3)
    values[0, 0, 0] = np.nan
    with pytest.warns(DataWarning, match=r"not binary.*from 0.1 to 1, 27 voxels.*threshold="):
        assert np.asarray(read_mask(mask_image(values)).dataobj).sum() == 27
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = read_mask(mask_image(values), threshold=0.5)
    assert np.asarray(kept.dataobj).sum() == (np.nan_to_num(values) > 0.5).sum()


def test_b27_mask_of_one_voxel_gives_no_centre():
    values = np.zeros((5, 5, 5), "u1")
    values[2, 2, 2] = 1
    with pytest.warns(DataWarning, match="the mask holds one voxel"):
        neighbors = sphere_neighbors(mask_image(values), 6.0)
    assert neighbors.shape == (1, 1) and neighbors.nnz == 0


def test_b28_mask_on_another_affine(write):
    path = write(plain_bytes())
    moved = AFFINE.copy()
    moved[0, 3] += 2
    other = mask_image(np.ones((6, 7, 8), "u1"), moved)
    with pytest.raises(InputError, match=r"another grid.*2 mm apart.*0\.001 mm.*Resample"):
        load_fmri_patterns(path, list("abcde"), other)
    small = mask_image(np.ones((6, 7, 7), "u1"))
    with pytest.raises(InputError, match=r"shape.*\(6, 7, 7\).*\(6, 7, 8\).*Resample"):
        load_fmri_patterns(path, list("abcde"), small)


def test_b28_tolerance_is_a_thousandth_of_a_millimetre():
    a = mask_image(np.ones((6, 7, 8), "u1"))
    for shift, same in ((9e-4, True), (1.1e-3, False)):
        moved = AFFINE.copy()
        moved[1, 3] += shift
        b = mask_image(np.ones((6, 7, 8), "u1"), moved)
        if same:
            check_same_grid(a, b)
        else:
            with pytest.raises(InputError, match="another grid"):
                check_same_grid(a, b)


# B29, B30: surfaces


def write_gifti(path, count, maps=1):
    rng = np.random.default_rng(0)
    arrays = [GiftiDataArray(rng.normal(size=count).astype("f4")) for _ in range(maps)]
    GiftiImage(darrays=arrays).to_filename(path)
    return path


def write_mesh(path):
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "f4")
    faces = np.array([[0, 1, 2], [1, 3, 2]], "i4")
    arrays = [
        GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET"),
        GiftiDataArray(faces, intent="NIFTI_INTENT_TRIANGLE"),
    ]
    GiftiImage(darrays=arrays).to_filename(path)
    return path


def test_b29_entity_bomb(tmp_path):
    levels = "".join(
        f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
    )
    bomb = f'<?xml version="1.0"?><!DOCTYPE GIFTI [<!ENTITY e0 "ha">{levels}]>'
    path = tmp_path / "bomb.func.gii"
    path.write_text(bomb + '<GIFTI Version="1.0"><Label>&e11;</Label></GIFTI>')
    with pytest.raises(InputError, match=r"bomb\.func\.gii: the XML defines entities.*source"):
        read_gifti(path)
    path.write_text((bomb + "<GIFTI>&e11;</GIFTI>"), encoding="utf-16")  # past a text search
    with pytest.raises(InputError, match=r"bomb\.func\.gii: is not intact GIFTI.*Fetch"):
        read_gifti(path)


def test_b30_vertices_do_not_fit_the_mesh(tmp_path):
    mesh = write_mesh(tmp_path / "lh.surf.gii")
    path = write_gifti(tmp_path / "beta.func.gii", 5)
    with pytest.raises(InputError, match=r"beta\.func\.gii: has 5 vertices.*lh.*has 4.*same"):
        load_surface_patterns(path, ["cat"], mesh)


def test_gifti_truncated_garbled_external_or_foreign(tmp_path):
    path = write_gifti(tmp_path / "a.func.gii", 500)
    raw = path.read_bytes()
    for cut in (0.3, 0.6, 0.98):
        path.write_bytes(raw[: int(len(raw) * cut)])
        with pytest.raises(InputError, match=r"a\.func\.gii: is not intact GIFTI.*Fetch"):
            read_gifti(path)
    start = raw.index(b"<Data>") + 6
    for junk in (b"!!!! not base64 !!!!", raw[start + 40 : start + 80]):
        path.write_bytes(raw[:start] + junk + raw[raw.index(b"</Data>") :])
        with pytest.raises(InputError, match=r"a\.func\.gii: is not intact GIFTI.*Fetch"):
            read_gifti(path)
    path.write_bytes(raw.replace(b"GZipBase64Binary", b"ExternalFileBinary"))
    with pytest.raises(InputError, match=r"data lie in another file.*with the data inside"):
        read_gifti(path)
    path.write_bytes(b"<html><body>404</body></html>")
    with pytest.raises(InputError, match="web page"):
        read_gifti(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        read_gifti(path)
    with pytest.raises(InputError, match="no single set of points and triangles"):
        read_mesh(write_gifti(tmp_path / "b.surf.gii", 9))


@pytest.mark.parametrize(
    "name",
    ["with space.nii.gz", "q'u\"ote%#.nii.gz", "$x_^$.nii.gz", "-dash.nii.gz", "new\nline.nii.gz",
     "emoji 🧠.nii.gz", "e\u0301.nii.gz", "b" * 248 + ".nii.gz", "UPPER.NII.GZ"],
)  # fmt: skip
def test_names_that_must_pass(write, name):
    path = write(plain_bytes(), name, compress=True)
    assert len(path.name.encode()) <= 255
    assert check_image(path) == []
    assert read_image(str(path)).shape == (6, 7, 8, 5)


def test_a_name_that_cannot_exist_is_an_input_error():
    for name in ("a\0b.nii.gz", "c" * 400 + ".nii.gz", 3):
        with pytest.raises(InputError):
            read_image(name)
