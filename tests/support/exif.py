"""EXIF blocks written by hand, whatever is wrong with them."""

from __future__ import annotations

import struct

from tests.support.pictures import encoded


def exif(*entries: tuple[int, int, int, bytes], extra: bytes = b"") -> bytes:
    """A block of IFD 0 with these entries: tag, type, count, and four bytes of value or offset; ``extra`` follows."""
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0II*\0\x08\0\0\0" + body + b"\0\0\0\0" + extra


def orientation(value: int, kind: int = 3) -> tuple[int, int, int, bytes]:
    """The entry of the orientation; 3 is the type that it has to have."""
    return 0x0112, kind, 1, struct.pack("<I", value) if kind != 2 else str(value).encode()


def with_exif(block: bytes, jpeg: bytes | None = None) -> bytes:
    """A JPEG that holds this block."""
    jpeg = encoded(kind="JPEG") if jpeg is None else jpeg
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
