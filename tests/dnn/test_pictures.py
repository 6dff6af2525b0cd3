"""Stimulus files to tensors: eight encodings of one picture, damage, order, transforms."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from neurodnn._checks import InputError
from neurodnn.dnn.images import ImageTransform, open_images
from neurodnn.dnn.pictures import read_picture


@pytest.fixture
def picture():
    """A smooth grey picture with a dark corner, so that turning it shows."""
    rows, columns = np.mgrid[0:40, 0:60]
    grey = np.clip(40 + 2 * rows + 2 * columns, 0, 255).astype(np.uint8)
    grey[:10, :10] = 0
    return grey


def encode(name, grey, folder):
    path = folder / name
    rgb = Image.fromarray(np.stack([grey] * 3, axis=2))
    if name == "turned.jpg":
        # 6: the camera was turned; the stored picture must be turned clockwise to be upright.
        exif = Image.Exif()
        exif[0x0112] = 6
        rgb.transpose(Image.Transpose.ROTATE_90).save(path, quality=97, exif=exif)
    elif name == "alpha.png":
        rgba = rgb.convert("RGBA")
        values = np.asarray(rgba).copy()
        values[grey == 128] = (255, 0, 0, 0)
        Image.fromarray(values).save(path)
    elif name == "palette.png":
        Image.fromarray(grey).convert("P").save(path)
    elif name == "deep.png":
        Image.fromarray(grey.astype(np.uint16) * 257).save(path)
    elif name == "cmyk.jpg":
        rgb.convert("CMYK").save(path, quality=97)
    elif name == "grey.bmp":
        Image.fromarray(grey).save(path)
    elif name == "plain.webp":
        rgb.save(path, lossless=True)
    else:
        rgb.save(path)
    return path


@pytest.mark.parametrize("name", ["plain.png", "turned.jpg", "alpha.png", "palette.png",
                                  "deep.png", "cmyk.jpg", "grey.bmp", "plain.webp", "deep.tif"])
def test_encodings_of_one_picture_give_one_picture(tmp_path, picture, name):
    path = encode(name, picture, tmp_path)
    if name == "deep.tif":
        Image.fromarray(picture.astype(np.uint16) * 257).save(path)
    found = read_picture(path)
    assert found.mode == "RGB"
    assert found.size == (60, 40)
    limit = 6 if name.endswith("jpg") else 0
    difference = np.abs(np.asarray(found).astype(int) - picture[..., None])
    # JPEG rings at the edge of the dark corner.
    assert np.percentile(difference, 97) <= limit
    assert np.asarray(found)[:5, :5].mean() < 12


def test_the_colour_behind_transparency_is_the_declared_one(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png").getpixel((0, 0)) == (128, 128, 128)
    found = read_picture(tmp_path / "clear.png", background=(10, 20, 30))
    assert found.getpixel((0, 0)) == (10, 20, 30)
    half = Image.new("LA", (4, 4), (255, 128))
    half.save(tmp_path / "half.png")
    assert abs(read_picture(tmp_path / "half.png").getpixel((0, 0))[0] - 192) <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_truncated_image_is_an_error(tmp_path, picture, kind):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, kind)
    path = tmp_path / f"cut.{kind.lower()}"
    for share in (0.5, 0.9):
        path.write_bytes(content.getvalue()[: int(len(content.getvalue()) * share)])
        with pytest.raises(InputError, match="cut"):
            read_picture(path)


def claiming(side):
    """A PNG whose header claims side x side grey pixels, and that holds none of them."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
              (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks)


def test_image_bombs_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    for side, reason in ((50_000, "bomb.png.*too large.*50000000"), (8_000, "8000 x 8000")):
        path.write_bytes(claiming(side))
        with pytest.raises(InputError, match=reason):
            read_picture(path)


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "allowed: PNG, JPEG"),
    ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "allowed: PNG, JPEG"),
    ("a.png", b"<!DOCTYPE html><html>log in</html>", "web page"),
    ("a.png", b"", "is empty"),
    ("a.png", b"/annex/objects/SHA256E-s12--ab.png", "datalad get"),
])
def test_what_is_no_stimulus_is_refused_with_its_reason(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{reason}"):
        read_picture(tmp_path / name)


def test_icons_and_undeclared_ranges_are_refused(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.ico")
    with pytest.raises(InputError, match="allowed: PNG"):
        read_picture(tmp_path / "a.ico")
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="without a declared range"):
        read_picture(tmp_path / "f.tif")


def table_of(folder, count=5):
    rng = np.random.default_rng(0)
    for index in range(count):
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(
            folder / f"s{index}.png")
    names = [f"s{index}" for index in range(count)]
    return pd.DataFrame({"stimulus": names, "path": [f"{name}.png" for name in names]})


def test_rows_come_in_the_order_of_names_whatever_the_table_does(tmp_path):
    table = table_of(tmp_path)
    transform = ImageTransform(size=8)
    first = open_images(table, tmp_path, transform=transform)
    for seed in range(3):
        other = open_images(table.sample(frac=1, random_state=seed), tmp_path,
                            transform=transform)
        assert other.names == first.names == sorted(first.names)
        assert other.sha256 == first.sha256
        assert all(torch.equal(other[i], first[i]) for i in range(len(first)))


def test_a_file_that_is_not_the_one_in_the_table_is_refused(tmp_path):
    table = table_of(tmp_path)
    images = open_images(table, tmp_path)
    Image.new("RGB", (12, 12)).save(tmp_path / "s3.png")
    with pytest.raises(InputError, match="s3.png.*sha256 differs"):
        images[3]
    table["sha256"] = ["0" * 64] * 5
    with pytest.raises(InputError, match="s0.png.*sha256 differs"):
        open_images(table, tmp_path)[0]


def test_missing_twice_named_and_escaping_stimuli_are_refused(tmp_path):
    table = table_of(tmp_path)
    (tmp_path / "s1.png").unlink()
    with pytest.raises(InputError, match=r"s1.png.*1 of 5 images are missing"):
        open_images(table, tmp_path)
    with pytest.raises(InputError, match="names 1 stimuli twice"):
        open_images(pd.concat([table, table[:1]]), tmp_path)
    with pytest.raises(InputError, match="lacks the column path"):
        open_images(table[["stimulus"]], tmp_path)
    for path in ("../s0.png", "/etc/passwd", "a/../../b.png"):
        with pytest.raises(InputError, match="leaves the folder"):
            open_images(pd.DataFrame({"stimulus": ["x"], "path": [path]}), tmp_path)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (500, 256)])
def test_the_transform_of_the_weights_is_torchvisions(size):
    from torchvision.transforms._presets import ImageClassification

    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    ours = ImageTransform(size=224, resize=256)(image)
    theirs = ImageClassification(crop_size=224, resize_size=256)(image)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_the_whole_picture_is_antialiased_and_nothing_is_cut_off():
    values = np.zeros((300, 600, 3), dtype=np.uint8)
    values[:, ::2] = 255
    values[:, :60] = 0
    seen = ImageTransform(size=60, mean=(0, 0, 0), std=(1, 1, 1))(Image.fromarray(values))
    assert seen[:, :, :5].max() == 0
    # Stripes of one pixel become even grey; without antialiasing they would alias.
    assert torch.all((seen[:, :, 10:] - 0.5).abs() < 0.03)
