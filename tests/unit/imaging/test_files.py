"""Every file a shop or a phone may send: read for its pixels, whatever else is wrong with it, or refused in a sentence."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.catalogue.quality.measures import measure
from backend.errors import ImageRejected
from backend.imaging import budget, codecs
from backend.imaging.pixels import decode, encode_png, thumbnail, verify
from backend.imaging.spec import PixelSpec
from tests.support.exif import exif, orientation, with_exif
from tests.support.pictures import encoded as plain

# Pillow warns of metadata that it cannot make sense of; a picture is read all the same.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

COLOUR, GREY = PixelSpec(16, 16, 3), PixelSpec(28, 28, 1, "dark")
SIDEWAYS = np.zeros((16, 16, 3), np.uint8)
SIDEWAYS[:8] = 250
KINDS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")
BROKEN_RESOLUTION = (0x011A, 10, 1, struct.pack("<I", 256)), struct.pack("<ii", -1, 0)


def encoded(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def brightness_left_and_right(data):
    pixels = decode(data, COLOUR).pixels
    return pixels[8, 2].mean() > 128, pixels[8, 13].mean() > 128


JPEG = encoded(SIDEWAYS, "JPEG", quality=90)
TURNED = (False, True)  # the bright upper half is on the right then


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_read_and_shown(kind):
    data = encoded(SIDEWAYS.repeat(4, axis=0).repeat(4, axis=1), kind)
    info = verify(data)
    assert (info.format, info.width, info.height, info.channels) == (kind.replace("HEIF", "HEIC"), 64, 64, 3)
    assert np.abs(decode(data, COLOUR).pixels.astype(int) - SIDEWAYS).max() < 20  # the filter overshoots
    assert Image.open(io.BytesIO(thumbnail(data, side=32))).size == (32, 32)
    assert 0.4 < measure(data).brightness < 0.6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_what_a_camera_says_about_turning_is_heard_in_every_format_that_can_say_it(kind):
    says = Image.Exif()
    says[0x0112] = 6
    data = encoded(SIDEWAYS.repeat(4, axis=0).repeat(4, axis=1), kind, exif=says)
    assert brightness_left_and_right(data) == TURNED
    assert decode(data, COLOUR).notes == ("It was rotated upright according to its camera data.",)


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_the_first_of_several_pictures_in_a_file_is_used(kind):
    frames = [Image.fromarray(np.full((16, 16), level, np.uint8)) for level in (200, 20, 40)]
    answer = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), COLOUR)
    assert answer.pixels[8, 8].tolist() == [200, 200, 200]
    assert answer.notes == ("It has 3 frames; the first one was used.",)


def test_heic_alone_is_refused_where_its_decoder_is_missing(monkeypatch):
    data = encoded(SIDEWAYS.repeat(4, axis=0).repeat(4, axis=1), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(budget, "is_simple", lambda *_: True)  # read here, where it is missing
    for call in (verify, thumbnail, lambda found: decode(found, COLOUR)):
        with pytest.raises(ImageRejected, match="pillow-heif is not installed") as refused:
            call(data)
        assert (refused.value.code, refused.value.status) == ("unsupported_format", 415)
    assert verify(JPEG).format == "JPEG"


def test_a_phone_photo_with_an_impossible_rational_is_turned_and_read():
    """Regression: EXIF was encoded anew to turn a picture, and a photo that the load had accepted was damaged later."""
    entry, extra = BROKEN_RESOLUTION
    data = with_exif(exif(orientation(6), entry, extra=extra.rjust(256, b"\0")), JPEG)
    assert verify(data).width == 16
    assert brightness_left_and_right(data) == TURNED
    assert thumbnail(data)
    assert measure(data).brightness > 0.4


@pytest.mark.parametrize("entry", [orientation(9), orientation(0), orientation(6, kind=1), orientation(6, kind=2)])
def test_an_orientation_that_means_nothing_is_ignored_without_a_note(entry):
    answer = decode(with_exif(exif(entry), JPEG), COLOUR)
    assert answer.notes == ()
    assert (answer.pixels == decode(JPEG, COLOUR).pixels).all()


def test_files_from_bug_reports_give_the_right_picture(shared_case):
    right = {
        "02-exif-negative-rational/photo.jpg": 1,
        "02-exif-negative-rational/photo-exposure-bias.jpg": 1,
        "05-exif-orientation-9/photo.jpg": 0,
    }
    for name, notes in right.items():
        case, _, file = name.partition("/")
        data = (shared_case(case) / file).read_bytes()
        assert verify(data)
        assert len(decode(data, COLOUR).notes) == notes


def test_an_avif_is_turned_by_what_decoders_turn_it_by_and_its_exif_is_left_alone():
    says = Image.Exif()
    says[0x0112], says[0x011A] = 6, 72.0
    data = encoded(SIDEWAYS.repeat(4, axis=0).repeat(4, axis=1), "AVIF", exif=says)
    at = data.index(struct.pack("<II", 72, 1)) if struct.pack("<II", 72, 1) in data else data.index(b"Exif")
    assert brightness_left_and_right(data[:at] + struct.pack("<ii", -1, 0) + data[at + 8 :]) == TURNED


def chunk(kind, body, *, is_sound=True):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ (not is_sound))


PNG = encode_png(SIDEWAYS)
PNG_METADATA = {
    "wrong checksum": chunk(b"tEXt", b"Title\0Dress", is_sound=False),
    "text that is too long": chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"x" * 3_000_000)),
    "half a resolution": chunk(b"pHYs", b"\0\0"),
    "half a gamma": chunk(b"gAMA", b"\0"),
    "a profile that unpacks to too much": chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 3_000_000)),
    "exif that is none": chunk(b"eXIf", b"II"),
}
JPEG_METADATA = {
    "half a JFIF": b"\xff\xe0\0\x06JFIF",
    "half an Adobe": b"\xff\xee\0\x08Adobe\0",
    "photoshop": b"\xff\xed\0\x15Photoshop 3.0\x008BIM\x03",
    "pictures in a picture": b"\xff\xe2\0\x0eMPF\0II*\0\xff\xff\xff\xff",
    "profile in no parts": b"\xff\xe2\0\x10ICC_PROFILE\0\x02\x05",
}


@pytest.mark.parametrize("name", PNG_METADATA)
def test_metadata_never_costs_a_png(name):
    data = PNG[:33] + PNG_METADATA[name] + PNG[33:]
    assert verify(data)
    assert (decode(data, COLOUR).pixels == SIDEWAYS).all()
    assert thumbnail(data, side=10)


@pytest.mark.parametrize("name", JPEG_METADATA)
def test_metadata_never_costs_a_jpeg(name):
    data = JPEG[:2] + JPEG_METADATA[name] + JPEG[2:]
    assert verify(data)
    assert (decode(data, COLOUR).pixels == decode(JPEG, COLOUR).pixels).all()


def test_a_jpeg_without_its_last_bytes_is_taken_where_no_pixel_needs_them():
    for missing in (1, 2):
        answer = decode(JPEG[:-missing], COLOUR)
        assert (answer.pixels == decode(JPEG, COLOUR).pixels).all()
        assert answer.notes == (codecs.MISSING_END,)
        assert verify(JPEG[:-missing])
        assert thumbnail(JPEG[:-missing])
    photo = encoded(np.random.default_rng(2).integers(0, 256, (96, 64, 3), np.uint8), "JPEG")
    for missing in (20, 200, len(photo) // 2):
        with pytest.raises(ImageRejected, match="damaged or incomplete"):
            decode(photo[:-missing], COLOUR)
        with pytest.raises(ImageRejected, match="damaged or incomplete"):
            verify(photo[:-missing])


def test_grey_of_16_bits_with_a_transparent_level_is_put_on_white():
    levels = np.full((16, 16), 20_000, np.uint16)
    levels[:8] = 1234
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 0, 0, 0, 0)) + chunk(b"tRNS", struct.pack(">H", 1234))
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert verify(data).channels == 1
    answer = decode(data, COLOUR)
    assert answer.pixels[2, 2].tolist() == [255, 255, 255]
    assert answer.pixels[12, 2].tolist() == [20_000 >> 8] * 3
    assert answer.notes == ("Its transparent areas were filled with white.",)
    assert thumbnail(data, side=10)


def seeds():
    """Small files of every format, with everything beside the pixels that a file may hold."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 256, (24, 20, 3), np.uint8)
    says = Image.Exif()
    says[0x0112], says[0x011A], says[0x010F] = 6, 72.0, "Camera"
    deep = Image.fromarray(rng.integers(0, 65536, (12, 12)).astype(np.uint16))
    palette = Image.fromarray(noise).convert("P", palette=Image.Palette.ADAPTIVE)
    yield from (encoded(noise, kind, exif=says) for kind in ("PNG", "JPEG", "WEBP", "TIFF"))
    yield from (encoded(noise, kind) for kind in ("GIF", "AVIF", "HEIF"))
    yield encoded(palette, transparency=3)
    yield encoded(deep)
    yield encoded(Image.fromarray(noise).convert("CMYK"), "JPEG")
    yield encoded(Image.fromarray(noise).convert("RGBA"), "TIFF", compression="tiff_lzw")
    yield encoded(noise, "JPEG", progressive=True)
    yield with_exif(exif(orientation(6), BROKEN_RESOLUTION[0], extra=BROKEN_RESOLUTION[1]), plain(kind="JPEG"))


SEEDS = tuple(seeds())


@st.composite
def mutated(draw):
    """A real file with a few bytes changed, put in or taken out, or cut off; mostly where headers and metadata are."""
    data = bytearray(SEEDS[draw(st.integers(0, len(SEEDS) - 1))])
    for _ in range(draw(st.integers(1, 4))):
        reach = len(data) if draw(st.booleans()) else min(len(data), 300)
        at = draw(st.integers(0, max(reach - 1, 0)))
        change = draw(st.sampled_from(["set", "set", "set", "insert", "delete", "cut"]))
        some = draw(st.binary(min_size=1, max_size=4))
        if change == "set":
            data[at : at + len(some)] = some
        elif change == "insert":
            data[at:at] = some
        elif change == "delete":
            del data[at : at + len(some)]
        elif draw(st.integers(0, 3)) == 0:
            del data[at:]
    return bytes(data)


def outcome(call, data):
    """``ok``, or the code of the refusal; anything else that is raised fails the test."""
    try:
        call(data)
    except ImageRejected as refused:
        return refused.code
    return "ok"


def all_agree(data):
    found = {
        "verify": outcome(verify, data),
        "colour": outcome(lambda given: decode(given, COLOUR), data),
        "grey": outcome(lambda given: decode(given, GREY), data),
        "small": outcome(thumbnail, data),
        "measured": outcome(measure, data),
    }
    assert len(set(found.values())) == 1, found


@given(mutated())
@settings(max_examples=150)
@example(b"")
@example(b"\xff\xd8\xff")
@example(b"RIFF\x04\0\0\0WEBP")
@example(b"\0\0\0\x0cftypavif")
@example(b"\0\0\0\x0cftypheic")
@example(b"II*\0\x08\0\0\0")
@example(b"GIF89a")
def test_what_is_accepted_can_be_decoded_and_what_cannot_is_refused_everywhere(data):
    all_agree(data)


@pytest.mark.slow
@given(mutated())
@settings(max_examples=3_000)
def test_what_is_accepted_can_be_decoded_over_many_files(data):
    all_agree(data)


@given(st.binary(max_size=64))
def test_an_exif_block_of_any_bytes_names_an_orientation_or_none(block):
    for head in (b"", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        assert codecs.orientation_in(head + block) in range(1, 9)
