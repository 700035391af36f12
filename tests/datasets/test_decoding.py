"""Pixels of image files: every mode scaled or refused by name, upright, on white."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from orchestrator.datasets.decoding import BrokenImageError, Photo, decode, decode_content
from orchestrator.datasets.jpeg import REDUCTIONS
from tests.datasets.odd_images import ORIENTATION, UPRIGHT, make, on_white, scaled

GREY, COLOUR = 0, 2  # PNG's colour types
DEEP = np.array([[0, 100, 257, 4095], [32768, 40000, 65000, 65535]], np.uint16)
FILES = 60

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on damaged metadata


def png(path: Path, size: tuple[int, int], depth: int, colour: int, rows: list[bytes], *chunks: bytes) -> Path:
    """A PNG written by hand, for what Pillow reads but does not write."""

    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, (header, *chunks, data, b"IEND"))))
    return path


def tiff(path: Path, image: Image.Image, **tags: int) -> Path:
    """A TIFF with tags of one's choice: ``photometric``, ``bits``, ``format``."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"photometric": 262, "bits": 258, "format": 339}[name]] = value
    image.save(path, tiffinfo=info)
    return path


def test_files_of_random_mode_size_format_and_damage_match_the_reference_or_are_refused(tmp_path: Path) -> None:
    compared = 0
    for number in range(FILES):
        odd = make(number, tmp_path)
        try:
            found = decode(odd.path)
        except BrokenImageError:
            assert odd.damage or odd.expected is None, odd.path
            continue
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3
        if odd.damage is None:
            np.testing.assert_array_equal(found, odd.expected, err_msg=str(odd.path))
            compared += 1
    assert compared > FILES / 3


@pytest.mark.parametrize("form", ["png", "tif", "pgm", "jp2"])
def test_sixteen_bits_of_grey_are_scaled(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{form}"
    Image.fromarray(DEEP).save(path)
    np.testing.assert_array_equal(decode(path), scaled(DEEP, 65535))


def test_sixteen_bits_of_colour_are_read_by_their_upper_eight(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (2, 3, 3))
    path = png(tmp_path / "x.png", (3, 2), 16, COLOUR, [row.astype(">u2").tobytes() for row in values])
    np.testing.assert_array_equal(decode(path), values >> 8)
    with pytest.raises(BrokenImageError, match="only the upper 8 bits are read"):
        decode(path, white_level=4095)


def test_the_largest_value_of_the_files_own_depth_is_white(tmp_path: Path) -> None:
    ten_bits = np.array([[0, 512, 1023]], np.uint16)
    (tmp_path / "x.pgm").write_bytes(b"P5\n3 1\n1023\n" + ten_bits.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(tmp_path / "x.pgm")[0, :, 0], [0, 128, 255])
    path = png(tmp_path / "x.png", (4, 1), 4, GREY, [bytes([0x05, 0xAF])])
    np.testing.assert_array_equal(decode(path)[0, :, 0], [0, 85, 170, 255])


def test_twelve_bits_in_a_container_of_sixteen_are_scaled_by_the_white_level(tmp_path: Path) -> None:
    values = np.array([[0, 2047, 4095, 5000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    np.testing.assert_array_equal(decode(tmp_path / "x.png", white_level=4095), scaled(values, 4095))


def test_floats_run_from_black_at_0_to_white_at_1(tmp_path: Path) -> None:
    values = np.array([[0, 0.25, 1.0]], np.float32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(decode(tmp_path / "x.tif"), scaled(values, 1))
    Image.fromarray(values * 200).save(tmp_path / "x.tif")
    with pytest.raises(
        BrokenImageError, match=r"floats from 0 to 200, where 0 is black and 1 white; dataset.white_lev"
    ):
        decode(tmp_path / "x.tif")
    np.testing.assert_array_equal(decode(tmp_path / "x.tif", white_level=200), scaled(values, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, value]], np.float32)).save(tmp_path / "x.tif")
    for white_level in (None, 1.0):
        with pytest.raises(BrokenImageError, match="floats that are not finite"):
            decode(tmp_path / "x.tif", white_level)


def test_integers_of_32_bits_need_a_white_level(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 100_000]], np.int32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(BrokenImageError, match=r"integers from 0 to 100000; set dataset\.white_level"):
        decode(tmp_path / "x.tif")
    np.testing.assert_array_equal(decode(tmp_path / "x.tif", white_level=100_000), scaled(values, 100_000))
    Image.fromarray(-values).save(tmp_path / "x.tif")
    with pytest.raises(BrokenImageError, match="integers from -100000 to 0, where 0 is black"):
        decode(tmp_path / "x.tif", white_level=100_000)


@pytest.mark.parametrize(
    ("values", "white"), [(DEEP, 65535), (np.array([[0, 0.25, 1]], np.float32), 1)], ids=["16 bits", "floats"]
)
def test_a_tiff_whose_zero_is_white_is_turned_round(values: Any, white: float, tmp_path: Path) -> None:
    path = tiff(tmp_path / "x.tif", Image.fromarray(values), photometric=0)
    np.testing.assert_array_equal(decode(path), scaled(white - values, white))


@pytest.mark.parametrize(("mode", "words"), [("LAB", "pixels of mode LAB"), ("L", "signed 8-bit integers")])
def test_pixels_that_are_not_read_are_refused_by_name(mode: str, words: str, tmp_path: Path) -> None:
    tags = {"format": 2} if mode == "L" else {}
    path = tiff(tmp_path / "x.tif", Image.new(mode, (3, 2)), **tags)
    with pytest.raises(BrokenImageError, match=rf"x\.tif: not a usable image \({words}.*convert it"):
        decode(path)


def test_a_transparent_palette_entry_and_a_partly_transparent_pixel_are_seen_on_white(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for name in ("x.png", "x.gif"):
        palette.save(tmp_path / name, transparency=0)
        np.testing.assert_array_equal(decode(tmp_path / name), [[[255, 255, 255], [0, 0, 255]]])
    Image.new("RGBA", (1, 1), (10, 20, 30, 128)).save(tmp_path / "x.webp", lossless=True)
    expected = on_white(np.array([[[10, 20, 30]]]), np.array([[128]]))
    np.testing.assert_array_equal(decode(tmp_path / "x.webp"), expected)


@pytest.mark.parametrize(
    ("depth", "row", "transparent", "expected"),
    [
        (2, bytes([0b00011011]), 1, [0, 255, 170, 255]),
        (4, bytes([0x05, 0xA0]), 10, [0, 85, 255, 0]),
        (8, bytes([0, 5, 10, 20]), 10, [0, 5, 255, 20]),
        (16, struct.pack(">4H", 0, 257, 514, 65535), 514, [0, 1, 255, 255]),
    ],
)
def test_a_grey_that_a_png_declares_transparent_is_white_at_any_depth(
    depth: int, row: bytes, transparent: int, expected: list[int], tmp_path: Path
) -> None:
    path = png(tmp_path / "x.png", (4, 1), depth, GREY, [row], b"tRNS" + struct.pack(">H", transparent))
    np.testing.assert_array_equal(decode(path)[0, :, 0], expected)


def test_a_colour_that_a_png_declares_transparent_is_white_with_8_bits_and_refused_with_16(tmp_path: Path) -> None:
    declared = b"tRNS" + struct.pack(">3H", 1, 2, 3)
    path = png(tmp_path / "x.png", (2, 1), 8, COLOUR, [bytes([1, 2, 3, 4, 5, 6])], declared)
    np.testing.assert_array_equal(decode(path), [[[255, 255, 255], [4, 5, 6]]])
    png(path, (1, 1), 16, COLOUR, [bytes(6)], declared)
    with pytest.raises(BrokenImageError, match="16-bit colour with one colour declared transparent"):
        decode(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["png", "tif", "webp", "lzw.tif", "grey.tif", "jpg"])
def test_photos_are_turned_upright(form: str, orientation: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    known: dict[str, dict[str, Any]] = {"webp": {"lossless": True}, "lzw.tif": {"compression": "tiff_lzw"}}
    options = known.get(form, {})
    image = Image.fromarray(pixels).convert("L" if form == "grey.tif" else "RGB")
    path = tmp_path / f"x.{form}"
    image.save(path)
    plain = decode(path)  # of a JPEG not quite the same
    image.save(path, exif=exif, **options)
    np.testing.assert_array_equal(decode(path), UPRIGHT[orientation](plain if form != "webp" else pixels))


def photo(mode: str = "RGB") -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((150, 101), Image.Resampling.BICUBIC).convert(mode)


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"subsampling": "4:4:4", "quality": 100}),
        ("RGB", {"subsampling": "4:2:2", "quality": 30}),
        ("RGB", {"progressive": True}),
        ("RGB", {"restart_marker_rows": 1, "icc_profile": bytes(3000), "comment": b"\xff\xda"}),
        ("L", {}),
        ("L", {"progressive": True}),
        ("CMYK", {}),
        ("RGB", {"keep_rgb": True}),
    ],
    ids=str,
)
def test_a_jpeg_has_the_pixels_that_pillow_reads(mode: str, options: dict[str, Any]) -> None:
    stream = io.BytesIO()
    photo(mode).save(stream, "JPEG", **options)
    np.testing.assert_array_equal(decode_content(stream.getvalue(), "x"), by_pillow(stream.getvalue()))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_plain_jpeg_is_decoded_at_less_than_its_size_and_other_files_are_not(reduction: int) -> None:
    jpeg, png = io.BytesIO(), io.BytesIO()
    photo().save(jpeg, "JPEG", quality=95)
    photo().save(png, "PNG")
    pixels, found = Photo(jpeg.getvalue(), "x").reduced(reduction)
    assert (found, pixels.shape) == (reduction, (-(-101 // reduction), -(-150 // reduction), 3))
    means = np.asarray(photo().reduce(reduction)).astype(np.int64)
    assert np.abs(pixels - means)[:-1, :-1].mean() < 3
    pixels, found = Photo(png.getvalue(), "x").reduced(reduction)
    assert (found, pixels.shape) == (1, (101, 150, 3))


def test_a_jpeg_with_an_error_that_pillow_passes_over_is_read_as_pillow_reads_it() -> None:
    stream = io.BytesIO()
    photo().save(stream, "JPEG")
    content = stream.getvalue()
    middle = len(content) * 2 // 3
    damaged = content[:middle] + bytes(10) + content[middle + 10 :]
    assert not np.array_equal(by_pillow(damaged), by_pillow(content))
    np.testing.assert_array_equal(decode_content(damaged, "x"), by_pillow(damaged))
    np.testing.assert_array_equal(Photo(damaged, "x").reduced(2)[0], by_pillow(damaged))


def test_an_orientation_in_xmp_turns_a_jpeg_too() -> None:
    stream = io.BytesIO()
    photo().save(stream, "JPEG")
    content = stream.getvalue()
    packet = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><r tiff:Orientation="6"/></x:xmpmeta>'
    segment = b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet
    turned = content[:2] + segment + content[2:]
    np.testing.assert_array_equal(decode_content(turned, "x"), UPRIGHT[6](by_pillow(content)))


@pytest.mark.parametrize("orientation", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"nonsense"])
def test_unreadable_orientation_metadata_leaves_the_image_unrotated(orientation: bytes, tmp_path: Path) -> None:
    Image.new("RGB", (5, 3)).save(tmp_path / "x.jpg", exif=orientation)
    assert decode(tmp_path / "x.jpg").shape == (3, 5, 3)


@pytest.mark.parametrize("form", ["gif", "webp", "png", "tif"])
def test_the_first_of_several_frames_is_read(form: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue", "lime")]
    options: dict[str, Any] = {"lossless": True} if form == "webp" else {}
    frames[0].save(tmp_path / f"x.{form}", save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode(tmp_path / f"x.{form}")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "YCbCr"])
def test_white_is_white_in_every_mode(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("photo.jpg" if mode in ("CMYK", "YCbCr") else "photo.png")
    Image.new("RGB", (7, 5), (255, 255, 255)).convert(mode).save(path)
    pixels = decode(path)
    assert pixels.shape == (5, 7, 3) and pixels.dtype == np.uint8
    assert pixels.min() >= 250
    pixels[0] = 0  # the caller may write into it


def test_a_files_content_counts_and_not_its_ending(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "x.jpg", format="PNG")
    np.testing.assert_array_equal(decode(tmp_path / "x.jpg")[0, 0], [255, 0, 0])
    (tmp_path / "y.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Ghostscript would run it
    with pytest.raises(BrokenImageError, match="no image of a known format: JPEG, PNG"):
        decode(tmp_path / "y.jpg")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, .*: run git lfs pull"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC image; convert it to JPEG"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "a TIFF that is damaged, or has an unsupported type of pixels"),
        (b"<svg/>", "no image of a known format: JPEG, PNG"),
    ],
)
def test_a_file_that_is_not_an_image_is_described(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(BrokenImageError, match=words):
        decode(tmp_path / "x.jpg")


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "bmp", "tif", "gif", "ppm", "jp2"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_named_once_with_the_reason_and_the_advice(
    extension: str, share: float, tmp_path: Path
) -> None:
    photo = tmp_path / f"photo.{extension}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(photo)
    content = photo.read_bytes()
    photo.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BrokenImageError) as caught:
        decode(photo)
    said, reason = str(caught.value), caught.value.reason
    assert said.count(str(tmp_path)) == 1 and said.count("skip_broken") == 1
    assert reason and str(tmp_path) not in reason and "skip_broken" not in reason


def test_a_missing_file_is_named_and_the_error_travels_between_processes(tmp_path: Path) -> None:
    with pytest.raises(
        BrokenImageError, match=r"none\.jpg: not a usable image \(No such file or directory\)"
    ) as caught:
        decode(tmp_path / "none.jpg")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), caught.value.reason)
