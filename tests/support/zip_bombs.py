"""Zips made to do harm, written byte by byte: what their lists say need not be so."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14


@dataclass(frozen=True)
class Member:
    """A file in a zip: its packed bytes, and what the list says; ``at`` is where it says that the file begins."""

    name: str
    packed: bytes
    method: int = DEFLATED
    size: int = 0
    crc: int = 0
    at: int | None = None


def zeros(name, size, *, says=None, method=DEFLATED):
    """A member that unpacks to so many zeros; ``says`` is the size in the list."""
    return Member(name, packed_zeros(size, method), method, size if says is None else says)


def packed_zeros(size, method=DEFLATED):
    packer = {DEFLATED: lambda: zlib.compressobj(9, wbits=-15), BZIP2: bz2.BZ2Compressor, LZMA: _lzma}[method]()
    found = bytearray(b"\x09\x14\x05\x00" + _PROPERTIES if method == LZMA else b"")
    for start in range(0, size, 1 << 20):
        found += packer.compress(bytes(min(1 << 20, size - start)))
    return bytes(found + packer.flush())


_FILTERS = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}]
_PROPERTIES = lzma._encode_filter_properties(_FILTERS[0])


def _lzma():
    return lzma.LZMACompressor(lzma.FORMAT_RAW, filters=_FILTERS)


def write(path, members, *, list_bytes=None):
    """Write a zip; ``list_bytes`` is what its end says of the size of the list."""
    data, listed = bytearray(), bytearray()
    for member in members:
        name = member.name.encode()
        facts = struct.pack("<HHHHHLLL", 20, 0, member.method, 0, 33, member.crc, len(member.packed), member.size)
        at = len(data) if member.at is None else member.at
        if member.at is None:
            data += b"PK\3\4" + facts + struct.pack("<HH", len(name), 0) + name + member.packed
        listed += (
            b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<HHHHHLL", len(name), 0, 0, 0, 0, 0, at) + name
        )
    size = len(listed) if list_bytes is None else list_bytes
    count = min(len(members), 0xFFFF)
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, count, count, size, len(data), 0)
    path.write_bytes(data + listed + end)
    return path


def nested(depth, width=4):
    """A zip of zips of zips, as 42.zip is; at the end are zeros."""
    inner = bytes(1 << 20)
    for level in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(width):
                archive.writestr(f"{number}.{'zip' if level else 'dll'}", inner)
        inner = buffer.getvalue()
    return inner
