"""The pixel contract: every odd picture gives the right pixels or a clear sentence, and scaling happens once."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from backend.errors import ImageRejected
from backend.imaging import pixels as imaging
from backend.imaging.pixels import decode, decode_batch, encode_png, thumbnail, to_float, verify
from backend.imaging.spec import PixelSpec

GREY = PixelSpec(28, 28, 1, "dark")
COLOUR = PixelSpec(16, 16, 3, "any")


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def quartered(side: int = 16) -> np.ndarray:
    """Red, green, blue and white quarters: shows every turn and mirroring."""
    pixels = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    pixels[:half, :half], pixels[:half, half:] = (255, 0, 0), (0, 255, 0)
    pixels[half:, :half], pixels[half:, half:] = (0, 0, 255), (255, 255, 255)
    return pixels


def test_a_picture_of_the_right_size_keeps_its_very_pixels():
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    assert (decode(encode_png(pixels), COLOUR).pixels == pixels).all()


def test_pixels_are_scaled_exactly_once():
    assert to_float(np.array([[[0, 51, 255]]], np.uint8)).tolist() == [[[0.0, pytest.approx(0.2), 1.0]]]
    shown = decode(encode_png(quartered()), COLOUR).to_float()
    assert shown.dtype == np.float32
    assert (shown.min(), shown.max()) == (0.0, 1.0)


def test_one_by_one_and_in_a_batch_give_the_same_pixels():
    rng = np.random.default_rng(5)
    pictures = [encode_png(rng.integers(0, 256, (h, w, 3), np.uint8)) for h, w in [(16, 16), (40, 20), (9, 33)]]
    together, _ = decode_batch(pictures, COLOUR)
    assert together.shape == (3, 16, 16, 3)
    for data, pixels in zip(pictures, together, strict=True):
        assert (decode(data, COLOUR).pixels == pixels).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_read(kind):
    info = verify(encoded(Image.fromarray(quartered(32)), kind))
    assert (info.format, info.width, info.height, info.channels, info.frames) == (kind, 32, 32, 3, 1)


@pytest.mark.parametrize(
    ("orientation", "operation"),
    [
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (6, Image.Transpose.ROTATE_270),
        (8, Image.Transpose.ROTATE_90),
    ],
)
def test_camera_turns_are_undone(orientation, operation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(quartered())
    answer = decode(encoded(upright, exif=exif), COLOUR)
    assert (answer.pixels == np.asarray(upright.transpose(operation))).all()
    assert "upright" in answer.notes[0]


def test_transparent_parts_are_put_on_white():
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[4:12, 4:12] = (200, 10, 10, 255)
    answer = decode(encoded(Image.fromarray(rgba)), COLOUR)
    assert answer.pixels[0, 0].tolist() == [255, 255, 255]
    assert answer.pixels[8, 8].tolist() == [200, 10, 10]
    assert "transparent" in answer.notes[0]


def test_an_opaque_alpha_channel_is_no_news():
    assert decode(encoded(Image.fromarray(quartered()).convert("RGBA")), COLOUR).notes == ()


def test_a_palette_with_transparency_is_read():
    image = Image.fromarray(quartered()).convert("P", palette=Image.Palette.ADAPTIVE)
    answer = decode(encoded(image, transparency=image.getpixel((0, 0))), COLOUR)
    assert answer.pixels[0, 0].tolist() == [255, 255, 255]
    assert answer.pixels[0, 15].tolist() == [0, 255, 0]


def test_cmyk_keeps_its_colours():
    red = Image.new("RGB", (16, 16), (220, 20, 20)).convert("CMYK")
    pixel = decode(encoded(red, "JPEG", quality=95), COLOUR).pixels[8, 8]
    assert np.abs(pixel.astype(int) - [220, 20, 20]).max() < 12


def test_sixteen_bits_are_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 28 * 28).astype(np.uint16).reshape(28, 28)
    pixels = decode(encoded(Image.fromarray(ramp)), PixelSpec(28, 28, 1)).pixels[..., 0]
    assert (pixels == (ramp >> 8)).all()


def test_an_animation_shows_its_first_frame():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True)
    answer = decode(data, COLOUR)
    assert answer.pixels[8, 8].tolist() == [255, 0, 0]
    assert "2 frames" in answer.notes[0]


def test_a_long_picture_is_padded_with_its_border_and_not_stretched():
    tall = np.full((40, 20, 3), 240, np.uint8)
    tall[5:35, 5:15] = (10, 10, 10)
    pixels = decode(encode_png(tall), COLOUR).pixels
    assert pixels[:, 0].min() > 235  # padded left and right with the border's colour
    assert (pixels[8, 6:10] < 60).all()  # the garment kept its shape, in the middle


def test_a_dark_garment_on_white_is_inverted_for_a_gallery_on_black():
    garment = np.full((28, 28), 250, np.uint8)
    garment[8:20, 8:20] = 20
    answer = decode(encode_png(garment), GREY)
    assert answer.pixels[0, 0, 0] == 5
    assert answer.pixels[14, 14, 0] == 235
    assert "inverted" in answer.notes[0]


def test_a_light_garment_on_black_is_left_alone_for_a_gallery_on_black():
    garment = np.zeros((28, 28), np.uint8)
    garment[8:20, 8:20] = 200
    answer = decode(encode_png(garment), GREY)
    assert (answer.pixels[..., 0] == garment).all()
    assert answer.notes == ()


def test_an_rgb_upload_is_one_picture_for_a_grey_model():
    """Regression: the original design turned an RGB upload into three pictures."""
    assert decode(encoded(Image.fromarray(quartered(28))), GREY).pixels.shape == (28, 28, 1)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises many pixels and whose body is a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


JPEG = encoded(Image.fromarray(quartered(64)), "JPEG")
PNG = encode_png(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "code", "status"),
    [
        pytest.param(b"", "empty", 422, id="empty"),
        pytest.param(b"%PDF-1.7 a document", "not_an_image", 415, id="document"),
        pytest.param(encoded(Image.fromarray(quartered()), "BMP"), "not_an_image", 415, id="bmp"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt ", "not_an_image", 415, id="sound"),
        pytest.param(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "not_an_image", 415, id="video"),
        pytest.param(JPEG[: len(JPEG) // 2], "damaged", 422, id="truncated-jpeg"),
        pytest.param(PNG[: len(PNG) // 2], "damaged", 422, id="truncated-png"),
        pytest.param(PNG[:1000] + b"\0" * 200 + PNG[1200:], "damaged", 422, id="corrupt-png"),
        pytest.param(bomb(60_000, 60_000), "too_many_pixels", 413, id="bomb"),
        pytest.param(bomb(200, 200), "damaged", 422, id="lying-header"),
        pytest.param(encoded(Image.new("RGB", (1, 1))), "too_small", 422, id="one-pixel"),
    ],
)
def test_what_is_no_usable_picture_is_rejected_with_a_sentence(data, code, status):
    with pytest.raises(ImageRejected) as rejected:
        decode(data, COLOUR)
    assert (rejected.value.code, rejected.value.status) == (code, status)
    assert rejected.value.message.endswith(".")
    assert rejected.value.next_step


def test_a_bad_picture_in_a_batch_is_named_by_its_place():
    _, rejected = decode_batch([encode_png(quartered()), b"no"], COLOUR)
    assert [*rejected] == [1]


def test_the_limit_on_pixels_is_the_callers():
    with pytest.raises(ImageRejected, match="at most"):
        decode(encode_png(quartered(64)), COLOUR, max_pixels=1000)


def test_thumbnails_are_small_and_small_pictures_stay_as_they_are():
    small = encode_png(quartered())
    assert thumbnail(small, side=32) == small
    large = thumbnail(encoded(Image.fromarray(quartered(640)), "JPEG"), side=96)
    assert verify(large).width == 96


def test_a_turned_photo_has_an_upright_thumbnail():
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.vstack([quartered(64), quartered(64)]))
    info = verify(thumbnail(encoded(wide, exif=exif), side=60))
    assert (info.width, info.height) == (60, 30)


def test_nothing_else_in_the_code_scales_pixels(repository):
    """Regression: the original design scaled pixels twice in training and again in serving."""
    # Networks with ready-made weights go from [0, 1] to what they were trained with, inside of them.
    owners = {"pixels.py", "applications.py", "efficientnet_lite.py"}
    guilty = [
        str(path)
        for path in (repository / "backend").rglob("*.py")
        if path.name not in owners
        and "sample" not in path.parts  # draws pictures, feeds none to a model
        and any(sign in path.read_text("utf-8") for sign in ("/ 255", "/255", "Rescaling("))
    ]
    # The reference arm that has the original's mistake, and nothing else in that file.
    network = repository / "backend" / "training" / "network" / "network.py"
    assert guilty == [str(network)]
    assert network.read_text("utf-8").count("Rescaling(") == 1
    assert "_seed_cnn(layers.Rescaling(1.0 / 255.0)(x), config, layers)" in network.read_text("utf-8")
    assert "1.0 / 255.0" in (repository / "backend" / "imaging" / "pixels.py").read_text("utf-8")
    assert imaging.to_float(np.uint8([255]))[0] == 1.0
