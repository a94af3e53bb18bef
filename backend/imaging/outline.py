"""What the bytes of a picture say of it before any decoder is asked: size, scans and kind of coding, in microseconds.

Only :mod:`backend.imaging.budget` and :mod:`backend.imaging.codecs` use this. Nothing here raises for what is no sound picture: decoders refuse that.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_PARTS = (
    10_000  # of a file that are walked through, in 3 ms; photos have some ten, a huge PNG in small chunks 5,000
)
_PNG_HEAD, _RIFF_HEAD = 8, 12
_SCAN, _END, _TEMPORARY = 0xDA, 0xD9, 0x01
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed byte, nor a fill byte, nor a restart
_BLOCK = 8


class Outline(NamedTuple):
    """A picture before it is decoded.

    Attributes:
        size: (W, H); nothing where the header does not say.
        parts: Chunks, segments and scans, counted to :data:`MOST_PARTS` and one more.
        block_scans: Blocks of 64 pixels of a JPEG, summed over its scans: what its decoder goes through.
        held: Bytes that its decoder holds beside the result, whatever size that has.
    """

    size: tuple[int, int] | None = None
    parts: int = 0
    block_scans: int = 0
    held: int = 0


def outline(data: bytes, kind: str) -> Outline:
    """Return what a PNG, JPEG or WEBP says of itself; an empty outline of every other format."""
    try:
        return _READERS[kind](data) if kind in _READERS else Outline()
    except (struct.error, IndexError):  # it ends before it says
        return Outline()


def _png(data: bytes) -> Outline:
    at, parts = _PNG_HEAD, 0
    while at < len(data) and parts <= MOST_PARTS:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        parts += 1
    return Outline(struct.unpack_from(">II", data, _PNG_HEAD + 8), parts)


def _webp(data: bytes) -> Outline:
    """Source: RFC 9649, 2.7; what libwebp 1.6 allocates: two canvases and more for an animation, all of a lossless one."""
    size, a_pixel, at, parts = None, 0, _RIFF_HEAD, 0
    while at + 8 <= len(data) and parts <= MOST_PARTS:
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 18]
        if name == b"VP8X":
            size = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
            a_pixel = 16 if body[0] & 0x02 else 5 if body[0] & 0x10 else 0
        elif name == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            size, a_pixel = size or ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), max(a_pixel, 4)
        elif name == b"VP8 " and size is None:
            width, height = struct.unpack_from("<HH", body, 6)
            size = width & 0x3FFF, height & 0x3FFF
        at += 8 + length + length % 2
        parts += 1
    return Outline(size, parts, held=a_pixel * size[0] * size[1] if size else 0)


def _jpeg(data: bytes) -> Outline:
    """Source: ITU-T T.81, B.2; a decoder holds all coefficients, two bytes each, where not one scan holds all of them."""
    size, parts, scans, total, is_whole = None, 0, 0, 0, True
    blocks: dict[int, int] = {}
    for marker, at in _segments(data):
        parts += 1
        if marker in _FRAMES and not blocks:
            size, blocks = _frame(data, at)
            is_whole = marker not in _PROGRESSIVE
        elif marker == _SCAN:
            scans += 1
            named = data[at + 5 : at + 5 + 2 * data[at + 4] : 2]
            total += sum(blocks.get(component, 0) for component in named)
            is_whole &= len(named) == len(blocks)
        if parts > MOST_PARTS:
            break
    held = 0 if is_whole and scans <= 1 else 2 * _BLOCK * _BLOCK * sum(blocks.values())
    return Outline(size, parts, total, held)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and place of every segment up to the end of the picture; what is coded is passed over."""
    found = _MARKER.search(data, 2)
    while found:
        at, marker = found.start(), data[found.start() + 1]
        if marker == _END:
            return
        yield marker, at
        length = 0 if marker == _TEMPORARY else int.from_bytes(data[at + 2 : at + 4], "big")
        found = _MARKER.search(data, at + 2 + length)


def _frame(data: bytes, at: int) -> tuple[tuple[int, int], dict[int, int]]:
    """Return size, (W, H), and the blocks of each component."""
    height, width, count = struct.unpack_from(">HHB", data, at + 5)
    components = [(data[i], data[i + 1] >> 4, data[i + 1] & 15) for i in range(at + 10, at + 10 + 3 * count, 3)]
    most_x, most_y = (max((one[axis] for one in components), default=1) or 1 for axis in (1, 2))
    return (width, height), {
        name: -(-width * x // (_BLOCK * most_x)) * -(-height * y // (_BLOCK * most_y)) for name, x, y in components
    }


def tiff_frames(data: bytes) -> int:
    """Return how many pictures a TIFF holds, as far as its directories can be followed. Source: TIFF 6.0, section 2."""
    order = "<" if data[:2] == b"II" else ">"
    places: set[int] = set()
    with suppress(struct.error):
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        while at and at not in places and len(places) < MOST_PARTS:
            (tags,) = struct.unpack_from(f"{order}H", data, at)
            places.add(at)
            (at,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * tags)
    return max(len(places), 1)


_READERS: dict[str, Callable[[bytes], Outline]] = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}
