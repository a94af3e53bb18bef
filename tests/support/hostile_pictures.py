"""Pictures made to take a reader down: bombs of every format by name, and real files with a few bytes changed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pillow_heif.register_heif_opener()  # so that Pillow writes HEIC, too
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "AVIF": "avif", "HEIF": "heic"}
_HEAD = b"\x89PNG\r\n\x1a\n"
_MARKED = {"JPEG": b"\xff\xc0", "AVIF": b"ispe", "HEIF": b"ispe"}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, colour: int = 2, bits: int = 8, is_whole: bool = True, extra: bytes = b"") -> bytes:
    """A black PNG of any size that needs few bytes; one that is not whole promises its pixels only."""
    line = 1 + width * {0: 1, 2: 3, 6: 4}[colour] * bits // 8
    packer = zlib.compressobj(9)
    lines = (packer.compress(bytes(line)) for _ in range(height if is_whole else 1))
    body = b"".join(lines) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return _HEAD + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def resized_header(data: bytes, kind: str, width: int, height: int) -> bytes:
    """A JPEG, AVIF or HEIC that says it has another size than it has."""
    if kind == "TIFF":
        for tag, old, new in ((256, 16, width), (257, 16, height)):
            data = data.replace(struct.pack("<HHII", tag, 4, 1, old), struct.pack("<HHII", tag, 4, 1, new))
        return data
    at = data.index(_MARKED[kind])
    if kind == "JPEG":
        return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    return data[: at + 8] + struct.pack(">II", width, height) + data[at + 16 :]


def many_scans(width: int, height: int, scans: int) -> bytes:
    """A grey progressive JPEG whose last scan is there many times; each goes through all of its blocks."""
    data = encoded(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * scans + data[end:]


def lossless_webp(width: int, height: int) -> bytes:
    """A WEBP of one colour in 36 bytes, whatever its size."""
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes.fromhex("10fd8ffe0722a2ff0100")
    return b"RIFF" + struct.pack("<I", 28) + b"WEBPVP8L" + struct.pack("<I", 15) + body + b"\0"


def many_frames(frames: int) -> bytes:
    """A GIF whose further frames are of one pixel each."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return encoded(Image.new("P", (16, 16)), "GIF")[:-1] + frame * frames + b";"


def many_directories(number: int) -> bytes:
    """A TIFF in which one directory follows another, each with the tags of the first."""
    data = encoded(Image.new("L", (16, 16)), "TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, start)
    stop = start + 2 + 12 * tags  # of the first directory, before the place of the next one
    directory, end = data[start:stop], len(data)
    places = [end + at * (len(directory) + 4) for at in range(number)]
    linked = (directory + struct.pack("<I", following) for following in [*places[1:], 0])
    return data[:stop] + struct.pack("<I", end) + data[stop + 4 :] + b"".join(linked)


def _flat(width: int, height: int, kind: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(Image.new(mode, (width, height), "teal" if mode == "RGB" else 128), kind, **options)


BOMBS: dict[str, Callable[[], bytes]] = {
    "header-60000.png": lambda: png(60_000, 60_000, is_whole=False),
    "lying-header.png": lambda: png(2_000, 1_900, is_whole=False),
    "16-megapixels.png": lambda: png(4_000, 4_000),
    "17-megapixels.png": lambda: png(4_250, 4_000),
    "16-megapixels-alpha.png": lambda: png(4_000, 4_000, colour=6),
    "16-megapixels-of-16-bits.png": lambda: png(4_000, 4_000, bits=16),
    "strip.png": lambda: png(65_500, 8),
    "strip-upright.png": lambda: png(16, 60_000),
    "longest-strip.png": lambda: png(380, 38_000),
    "many-chunks.png": lambda: png(64, 64, extra=chunk(b"teST", b"") * 300_000),
    "text.png": lambda: png(64, 64, extra=chunk(b"zTXt", b"t\0\0" + zlib.compress(bytes(60_000_000), 9)) * 8),
    "many-scans.jpg": lambda: many_scans(4_000, 3_990, 30_000),
    "many-scans-small.jpg": lambda: many_scans(640, 480, 20_000),
    "many-scans-just-not-too-many.jpg": lambda: many_scans(4_000, 3_990, 40),
    "many-segments.jpg": lambda: b"\xff\xd8" + b"\xff\xe9\0\2" * 900_000 + _flat(64, 64, "JPEG")[2:],
    "header-65500.jpg": lambda: resized_header(_flat(64, 64, "JPEG"), "JPEG", 65_500, 65_500),
    "lying-header.jpg": lambda: resized_header(_flat(64, 64, "JPEG"), "JPEG", 7_900, 8_000),
    "narrow.jpg": lambda: resized_header(_flat(64, 64, "JPEG"), "JPEG", 32_800, 33),
    "60-megapixels.jpg": lambda: _flat(8_000, 7_500, "JPEG"),
    "progressive-16-megapixels.jpg": lambda: _flat(4_000, 4_000, "JPEG", progressive=True),
    "progressive-all-colours.jpg": lambda: _flat(4_000, 4_000, "JPEG", progressive=True, subsampling=0),
    "cmyk.jpg": lambda: _flat(4_000, 4_000, "JPEG", "CMYK"),
    "lossless-16383.webp": lambda: lossless_webp(16_383, 16_383),
    "lossless-39-megapixels.webp": lambda: lossless_webp(16_383, 2_400),
    "lossless-16-megapixels.webp": lambda: lossless_webp(4_000, 4_000),
    "20-megapixels.webp": lambda: _flat(5_000, 4_000, "WEBP", method=0),
    "animation.webp": lambda: _flat(
        2_500, 2_000, "WEBP", save_all=True, append_images=[Image.new("RGB", (2_500, 2_000))], method=0
    ),
    "header-65535.gif": lambda: b"GIF89a" + b"\xff" * 4 + _flat(16, 16, "GIF")[10:],
    "16-megapixels.gif": lambda: _flat(4_000, 4_000, "GIF"),
    "many-frames.gif": lambda: many_frames(200_000),
    "header-60000.tif": lambda: resized_header(_flat(16, 16, "TIFF"), "TIFF", 60_000, 60_000),
    "one-strip.tif": lambda: _flat(4_000, 3_990, "TIFF", compression="tiff_lzw", tiffinfo={278: 3_990}),
    "many-directories.tif": lambda: many_directories(25_000),
    "header-60000.avif": lambda: resized_header(_flat(64, 64, "AVIF"), "AVIF", 60_000, 60_000),
    "12-megapixels.avif": lambda: _flat(4_000, 3_000, "AVIF", speed=10),
    "header-60000.heic": lambda: resized_header(_flat(64, 64, "HEIF"), "HEIF", 60_000, 60_000),
    "12-megapixels.heic": lambda: _flat(4_000, 3_000, "HEIF", quality=30),
    "empty.jpg": lambda: b"",
    "two-bytes.jpg": lambda: b"\xff\xd8",
}


@cache
def seeds() -> tuple[tuple[str, bytes], ...]:
    """Small sound files of every format, by suffix."""
    rng = np.random.default_rng(7)
    noise = Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8))
    smooth = noise.resize((300, 260), Image.Resampling.BICUBIC)
    found = [(suffix, encoded(image, kind)) for kind, suffix in SUFFIXES.items() for image in (noise, smooth)]
    found += [("jpg", encoded(smooth, "JPEG", progressive=True)), ("jpg", encoded(smooth.convert("CMYK"), "JPEG"))]
    found += [("webp", encoded(smooth, "WEBP", lossless=True)), ("png", encoded(smooth.convert("RGBA"), "PNG"))]
    found += [("tif", encoded(smooth, "TIFF", compression=name)) for name in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")]
    frames = [noise.rotate(angle) for angle in (0, 90, 180)]
    found += [(suffix, encoded(frames[0], kind, save_all=True, append_images=frames[1:])) for kind, suffix in _ANIMATED]
    return tuple(found)


_ANIMATED = (("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tif"), ("AVIF", "avif"), ("PNG", "png"))


def mutated(dice: random.Random) -> tuple[str, bytes]:
    """A sound file with a few bytes changed, put in, taken out, doubled or cut off; mostly where headers are."""
    suffix, sound = dice.choice(seeds())
    data = bytearray(sound)
    for _ in range(dice.randint(1, 6)):
        reach = len(data) if dice.random() < 0.5 else min(len(data), 300)
        at, size = dice.randrange(max(reach, 1)), dice.choice((1, 1, 2, 4, 16))
        some = dice.choice((dice.randbytes(size), b"\xff" * size, bytes(size), b"\x7f" * size))
        change = dice.randrange(16)
        if change < 8:
            data[at : at + size] = some
        elif change < 10:
            data[at:at] = some
        elif change < 12:
            del data[at : at + size]
        elif change < 14:
            data[at:at] = data[at : at + dice.randint(1, 500)]
        elif change < 15:
            data[at : at + 1] = bytes([data[at] ^ 1 << dice.randrange(8)]) if at < len(data) else b""
        else:
            del data[at:]
    return suffix, bytes(data)


def corpus(size: int, *, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """Yield names and files: all bombs, then mutations, the same for every seed."""
    yield from ((name, make()) for name, make in islice(BOMBS.items(), size))
    yield from mutations(max(size - len(BOMBS), 0), seed=seed)


def mutations(size: int, *, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """Yield names and mutated files, the same for every seed."""
    dice = random.Random(seed)
    for number in range(size):
        suffix, data = mutated(dice)
        yield f"{number:06d}.{suffix}", data
