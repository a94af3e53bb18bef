"""Colour profiles of matrix and tone curve, written by hand: ICC.1:2010, 8.3."""

from __future__ import annotations

import struct

import numpy as np

# x and y of red, green, blue; all adapted from D65.
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_D65, _D50 = (0.3127, 0.3290), np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile(primaries, *, gamma: float = 2.2, order: str = "rgb") -> bytes:
    """A display profile; ``order`` swaps which channel is which colour."""
    columns = dict(zip("rgb", matrix(primaries).T, strict=True))
    tags = {b"wtpt": _xyz(_D50), b"desc": _text(b"test"), b"cprt": _text(b"none")}
    for channel, colour in zip("rgb", order, strict=True):
        tags[f"{channel}XYZ".encode()] = _xyz(columns[colour])
        tags[f"{channel}TRC".encode()] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _joined(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    """A profile of greys."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _joined(b"GRAY", {b"wtpt": _xyz(_D50), b"desc": _text(b"test"), b"cprt": _text(b"none"), b"kTRC": curve})


def matrix(primaries) -> np.ndarray:
    """RGB of these primaries to XYZ under D50."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in (*primaries, _D65)]).T
    scaled = xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ xyz[:, 3])) @ _BRADFORD
    return adapted @ scaled


def in_space(colour, primaries, *, gamma: float = 2.2) -> list[int]:
    """An sRGB colour, 0 to 255, as the levels of another space."""
    level = np.asarray(colour) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    there = np.linalg.solve(matrix(primaries), matrix(SRGB) @ linear)
    return np.rint(255 * there.clip(0, 1) ** (1 / gamma)).astype(int).tolist()


def _joined(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    at = 132 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02400000, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + b"".join(struct.pack(">i", round(v * 65536)) for v in _D50)
    return head.ljust(128, b"\0") + table + body


def _xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(words: bytes) -> bytes:
    return b"text\0\0\0\0" + words + b"\0"
