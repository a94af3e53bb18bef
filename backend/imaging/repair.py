"""Bytes of a picture that no decoder takes as they are, mended where nothing of the picture itself is missing.

Only :mod:`backend.imaging.codecs` uses this, and only after a decoder has refused.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

from backend.imaging.refusals import LARGE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from PIL import Image

_PNG_HEAD = 8
_KEPT_CHUNKS = (b"tRNS", b"iCCP", b"eXIf")  # of those that a decoder may pass over
_ESSENTIAL = 0x20  # bit of a chunk's first letter that is not set in one that must be understood
_START_OF_SCAN, _COMMENT = 0xDA, 0xFE
# Orientation, colour profile, and how colours are coded, by marker and what they begin with.
_KEPT_SEGMENTS = {0xE1: b"Exif\0\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_APPLICATIONS = range(0xE0, 0xF0)
_STANDALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_END = b"\xff\xd9"
# Bits to go on with where data end. Two of them agree in no bit, so a picture that comes out the same needs none.
_TAILS = (b"", b"\x55" * 4096, b"\xaa" * 4096)
_BAND = 256  # rows


def bare(data: bytes, kind: str) -> Iterator[bytes]:
    """Yield a PNG or JPEG without metadata but those that the pixels are shown by, then without these; no others."""
    if kind == "PNG":
        yield from (data[:_PNG_HEAD] + b"".join(_chunks(data, kept)) for kept in (_KEPT_CHUNKS, ()))
    if kind == "JPEG":
        yield from (data[:2] + b"".join(_segments(data, kept)) for kept in (_KEPT_SEGMENTS, {}))


def _chunks(data: bytes, kept: Collection[bytes]) -> Iterator[bytes]:
    """Yield the chunks that must be understood, and of the others those to keep that are whole."""
    at = _PNG_HEAD
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at : at + 12 + length]
        name = chunk[4:8]
        is_needed = len(name) == 4 and not name[0] & _ESSENTIAL
        if is_needed or (name in kept and _is_sound(chunk)):
            yield chunk
        at += 12 + length


def _is_sound(chunk: bytes) -> bool:
    return chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))


def _segments(data: bytes, kept: Mapping[int, bytes]) -> Iterator[bytes]:
    """Yield the segments to keep up to the first scan, then all the rest."""
    at = 2
    while data[at : at + 1] == b"\xff":
        marker = data[at + 1] if at + 1 < len(data) else _START_OF_SCAN
        if marker == _START_OF_SCAN:
            break
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        stop = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at:stop]
        is_metadata = marker in _APPLICATIONS or marker == _COMMENT
        if not is_metadata or (marker in kept and segment[4:].startswith(kept[marker])):
            yield segment
        at = stop
    yield data[at:]


def completed_jpeg(data: bytes, opener: Callable[[io.BytesIO], Image.Image]) -> bytes:
    """Return a JPEG with the end that it lacks, if every one of its pixels is there without it; else nothing."""
    data = data.rstrip(b"\xff")
    found = [_fingerprint(opener(io.BytesIO(data + tail + _END))) for tail in _TAILS]
    return data + _END if all(one == other for one, other in pairwise(found)) else b""


def _fingerprint(image: Image.Image) -> bytes:
    """Hash the pixels band by band, of a large picture at a half or a quarter of its size, so that it stays small."""
    width, height = image.size
    while width * height > LARGE_PIXELS:
        width, height = width // 2, height // 2
    image.draft(None, (width, height))
    image.load()
    digest = hashlib.sha256()
    for top in range(0, image.height, _BAND):
        digest.update(image.crop((0, top, image.width, min(top + _BAND, image.height))).tobytes())
    return digest.digest()
