"""Plain PNGs without a codec: written out and read back, for pictures so small that a codec's set-up costs most.

Only :mod:`backend.imaging.pixels` uses this. What is read here is what :func:`encode_png` writes, grey or RGB of eight bits
without line filters, and its pixels are those that Pillow gives; whatever else a PNG may be is left to Pillow.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GREY, _RGB, _COLOUR_TYPE_AT = 0, 2, 25  # colour types, and the byte that says which
# A packed stream may grow a thousandfold, and so little of it stays harmless.
_PLAIN_BYTES = 32_768


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (H, W), (H, W, 1) or (H, W, 3) as PNG, losslessly; 48 against Pillow's 115 microseconds."""
    height, width, *depth = pixels.shape
    channels = depth[0] if depth else 1
    if pixels.dtype != np.uint8 or channels not in {1, 3}:
        raise ValueError(f"Need uint8 (H, W), (H, W, 1) or (H, W, 3), got {pixels.dtype} {pixels.shape}.")
    lines = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, -1)
    return _head(height, width, channels) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + _TAIL


def read_plain(images: Sequence[bytes], shape: tuple[int, int, int]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Read those pictures that are plain PNGs of exactly this size, complete and undamaged; grey ones fill RGB.

    Args:
        images: N files of any kind.
        shape: (H, W, C) of the pixels.

    Returns:
        Which of them were read, (M,), and their pixels, uint8 (M, H, W, C).
    """
    height, width, channels = shape
    grey, grey_pixels = _read(images, height, width, 1)
    if channels == 1:
        return grey, grey_pixels
    rgb, rgb_pixels = _read(images, height, width, 3)
    return np.concatenate([grey, rgb]), np.concatenate([np.repeat(grey_pixels, 3, axis=3), rgb_pixels])


def channels_of(data: bytes) -> int:
    """Return how many channels a picture has that :func:`read_plain` could read."""
    return 3 if data[_COLOUR_TYPE_AT] == _RGB else 1


def _read(
    images: Sequence[bytes], height: int, width: int, channels: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    head, line = _head(height, width, channels), 1 + width * channels
    start, size = len(head), height * line
    found, bodies = [], []
    for place, data in enumerate(images):
        small = len(data) <= _PLAIN_BYTES
        if small and data.startswith(head) and data.endswith(_TAIL) and (body := _unpacked(data, start, size)):
            found.append(place)
            bodies.append(body)
    lines = np.frombuffer(b"".join(bodies), dtype=np.uint8).reshape(len(bodies), height, line)
    plain = ~lines[:, :, 0].any(axis=1)
    return np.array(found, dtype=np.int64)[plain], lines[plain, :, 1:].reshape(-1, height, width, channels)


def _unpacked(data: bytes, start: int, size: int) -> bytes:
    """Return the lines of a PNG whose rest, after its head, is one IDAT chunk; empty if it is anything else."""
    first, stop = start + 8, len(data) - len(_TAIL) - 4
    if data[start + 4 : first] != b"IDAT" or int.from_bytes(data[start : start + 4], "big") != stop - first:
        return b""
    try:
        lines = zlib.decompress(data[first:stop], zlib.MAX_WBITS, size)  # compares the checksum of what it unpacked
    except zlib.error:
        return b""
    return lines if len(lines) == size else b""


def _head(height: int, width: int, channels: int) -> bytes:
    kind = _RGB if channels == 3 else _GREY
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
