"""Plain PNGs read without a codec: the very pixels, and the very refusals, of the general path."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from backend.errors import ImageRejected
from backend.imaging import pixels as imaging
from backend.imaging.pixels import decode, decode_batch, encode_png
from backend.imaging.plain_png import read_plain
from backend.imaging.spec import PixelSpec

SIDE = 28
RNG = np.random.default_rng(11)
GREY, RGB = (RNG.integers(0, 256, (SIDE, SIDE, channels), np.uint8) for channels in (1, 3))
SPECS = [PixelSpec(SIDE, SIDE, channels, ground) for channels in (1, 3) for ground in ("dark", "light", "any")]


def with_pillow(pixels, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, format="PNG", **options)
    return buffer.getvalue()


def packed(data: bytes, width: int = SIDE, *, kind: int = 0, more: bytes = b"", body: bytes | None = None) -> bytes:
    """A grey PNG of some lines, put together by hand; ``more`` stands between head and picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, SIDE, 8, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + more
        + chunk(b"IDAT", zlib.compress(data) if body is None else body)
        + chunk(b"IEND", b"")
    )


def lines(pixels, filters=0) -> bytes:
    rows = pixels.reshape(SIDE, -1)
    return np.hstack([np.full((SIDE, 1), filters, np.uint8), rows]).tobytes()


def one_by_one(images, spec):
    """What the general path makes of each: pixels, or the code of its refusal."""
    found = []
    for data in images:
        try:
            found.append(decode(data, spec).pixels)
        except ImageRejected as error:
            found.append(error.code)
    return found


def assert_same(images, spec):
    pixels, rejected = decode_batch(images, spec)
    for place, expected in enumerate(one_by_one(images, spec)):
        if isinstance(expected, str):
            assert rejected[place].code == expected
            assert not pixels[place].any()
        else:
            assert place not in rejected
            np.testing.assert_array_equal(pixels[place], expected)


PLAIN = {"grey": encode_png(GREY), "rgb": encode_png(RGB)}
bad_checksum = bytearray(PLAIN["grey"])
bad_checksum[-13] ^= 1  # the checksum of the chunk that holds the picture
STRANGE = {
    "of Pillow": with_pillow(GREY),
    "with line filters": packed(lines(GREY, 1)),
    "with alpha": with_pillow(np.dstack([RGB, RGB[:, :, :1]])),
    "of a palette": with_pillow(GREY // 16, bits=4),
    "with a gamma": packed(lines(GREY), more=struct.pack(">I", 4) + b"gAMA" + struct.pack(">II", 45455, 0x0BFC6105)),
    "of another size": encode_png(GREY[:20, :20]),
    "not square": encode_png(GREY[:20]),
    "cut short": PLAIN["grey"][:-40],
    "of lines that are missing": packed(lines(GREY)[: -SIDE * 3]),
    "of lines that are too many": packed(lines(GREY) + b"\x00" * (SIDE + 1)),
    "with something after the stream": packed(b"", body=zlib.compress(lines(GREY)) + b"after"),
    "with the wrong inner checksum": packed(b"", body=zlib.compress(lines(GREY))[:-1] + b"\x00"),
    "with the wrong outer checksum": bytes(bad_checksum),
    "that says RGB and is grey": packed(lines(GREY), kind=2),
    "in a JPEG": b"\xff\xd8\xff",
    "empty": b"",
}


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_batch_of_anything_is_decoded_as_one_by_one(spec):
    assert_same([*PLAIN.values(), *STRANGE.values(), *PLAIN.values()], spec)


def test_ours_are_read_without_a_codec_and_strange_ones_are_not():
    found, pixels = read_plain([*PLAIN.values(), *STRANGE.values()], (SIDE, SIDE, 3))
    read = dict(zip(found.tolist(), pixels, strict=True))
    np.testing.assert_array_equal(read[0], np.repeat(GREY, 3, axis=2))
    np.testing.assert_array_equal(read[1], RGB)
    harmless = {"with something after the stream", "with the wrong outer checksum"}  # Pillow does not mind either
    assert {list(STRANGE)[place - 2] for place in read if place > 1} <= harmless


@pytest.mark.parametrize("spec", SPECS[:2], ids=str)
def test_a_byte_that_flipped_changes_nothing_in_what_is_said(spec):
    """Every single byte of a small picture, flipped in turn: both paths agree on what is left of it."""
    spec = PixelSpec(8, 8, 1, spec.background)
    whole = encode_png(GREY[:8, :8])
    flipped = [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 128)]
    assert_same(flipped, spec)


def test_a_picture_that_would_unpack_to_a_thousand_times_its_size_is_not_unpacked(monkeypatch):
    bomb = packed(b"\x00" * 40_000_000)
    assert len(bomb) > 32_768
    monkeypatch.setattr(zlib, "decompress", lambda *_: pytest.fail("it was unpacked"))
    assert not len(read_plain([bomb], (SIDE, SIDE, 1))[0])


def test_a_picture_below_the_smallest_side_is_refused_whatever_the_model_sees():
    _, rejected = decode_batch([encode_png(GREY[:4, :4])], PixelSpec(4, 4, 1))
    assert rejected[0].code == "too_small"


def test_an_empty_batch_is_an_empty_array():
    pixels, rejected = decode_batch([], SPECS[0])
    assert pixels.shape == (0, SIDE, SIDE, 1)
    assert rejected == {}


def test_writing_is_lossless_and_refuses_what_is_no_picture():
    for pixels in (GREY, GREY[:, :, 0], RGB):
        shown = np.asarray(Image.open(io.BytesIO(encode_png(pixels))))
        np.testing.assert_array_equal(shown, pixels.squeeze())
    with pytest.raises(ValueError, match="float32"):
        encode_png(imaging.to_float(GREY))
