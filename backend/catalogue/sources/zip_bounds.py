"""Zips from strangers: opened only when their list is sound, and unpacked in pieces, whatever that list says.

What a zip unpacks to is known from its list alone, since nothing is unpacked beyond it: files that are in one another
("overlapping"), and far more bytes than pictures and tables are ever packed from, are signs of a bomb.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from copy import copy
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from backend.errors import CatalogueError
from backend.files.plain_files import open_plain
from backend.files.positioned import Onwards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zipfile import ZipInfo

MAX_LIST_BYTES = 64_000_000  # some 600,000 files; the list is held in memory, ten times as large
MAX_RATIO = 100  # pictures do not shrink in a zip, tables do by 3 to 20
FREE_BYTES = 256_000_000  # what any zip may unpack to
_HEADER_BYTES = 30  # before a file's content, at least
_SIZE_FIELD = 5
_PIECE = 1 << 20
_SIP = 1 << 12
_LZMA_HEAD = 9  # two bytes each of version and length, then the properties: one byte, and the dictionary's size
_MOST_DICTIONARY = 1 << 28
_MAKE_AGAIN = "Make the zip again, or unpack it and load the folder."


def is_zip(path: Path) -> bool:
    """Tell whether a file ends as a zip does; a damaged end is none."""
    try:
        return zipfile.is_zipfile(path)
    except BadZipFile:
        return False


def open_bounded(path: Path) -> ZipFile:
    """Open a zip whose list is sound.

    Raises:
        FileNotFoundError: There is no such file.
        CatalogueError: It is a bomb, or has more files than are held in memory.
        BadZipFile, OSError, ValueError, NotImplementedError: It is no zip, or is damaged.
    """
    with open_plain(path.resolve()) as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001 - as ZipFile reads it, not otherwise
    if end and end[_SIZE_FIELD] > MAX_LIST_BYTES:
        raise CatalogueError(
            f"{path.name} contains too many files: their list has {end[_SIZE_FIELD] / 1e6:,.0f} MB; at most "
            f"{MAX_LIST_BYTES // 1_000_000} MB are allowed.",
            next_step="Unpack it on the server and load the folder, or split it into several zips.",
        )
    handle = ZipFile(path)
    try:
        _require_sound(path, handle)
    except CatalogueError:
        handle.close()
        raise
    return handle


def _require_sound(path: Path, handle: ZipFile) -> None:
    infos = sorted(handle.infolist(), key=lambda info: info.header_offset)
    if any(_end_of(one) > other.header_offset for one, other in pairwise(infos)):
        raise CatalogueError(f"The files in {path.name} overlap, as in a malicious zip.", next_step=_MAKE_AGAIN)
    packed, unpacked = path.stat().st_size, sum(info.file_size for info in infos)
    if unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise CatalogueError(
            f"{path.name} has {packed / 1e6:,.1f} MB and would unpack to {unpacked / 1e6:,.0f} MB, more than "
            f"{MAX_RATIO} times as much.",
            next_step=_MAKE_AGAIN,
        )


def _end_of(info: ZipInfo) -> int:
    return info.header_offset + _HEADER_BYTES + info.compress_size


def open_member(handle: ZipFile, info: ZipInfo) -> IO[bytes]:
    """Open a file in a zip so that asking for a few bytes of it unpacks a few; errors are those of ``ZipFile.open``."""
    if info.compress_type in {zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        return io.BufferedReader(_Bounded(handle, info))
    return handle.open(info)


class _Bounded(Onwards):
    """A file packed by bzip2 or LZMA. Python's own reader unpacks all that it has read at once: 46 MB from 45 bytes."""

    def __init__(self, handle: ZipFile, info: ZipInfo) -> None:
        super().__init__()
        self._handle, self._info = handle, info
        self._raw, self._unpacker = self._begin()
        self._checksum = 0

    def size(self) -> int:
        return self._info.file_size

    def begin_again(self) -> None:
        self._raw.close()
        self._raw, self._unpacker = self._begin()
        self._at = self._checksum = 0

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._info.file_size - self._at)
        piece = b""
        while size and not piece:
            packed = self._raw.read(_SIP) if self._unpacker.needs_input else b""
            if self._unpacker.eof or (self._unpacker.needs_input and not packed):
                raise EOFError
            piece = self._unpacker.decompress(packed, size)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        self._checksum = zlib.crc32(piece, self._checksum)
        if piece and self._at == self._info.file_size and self._checksum != self._info.CRC:
            raise BadZipFile("its checksum does not match")
        return len(piece)

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _begin(self) -> tuple[IO[bytes], bz2.BZ2Decompressor | lzma.LZMADecompressor]:
        packed = copy(self._info)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, packed.compress_size
        packed.CRC = None  # type: ignore[assignment]  # that of what is unpacked
        raw = self._handle.open(packed)
        if self._info.compress_type == zipfile.ZIP_BZIP2:
            return raw, bz2.BZ2Decompressor()
        head = raw.read(_LZMA_HEAD)
        if len(head) < _LZMA_HEAD or int.from_bytes(head[5:], "little") > _MOST_DICTIONARY:
            raise NotImplementedError("an LZMA dictionary of that size")
        known = lzma._decode_filter_properties(lzma.FILTER_LZMA1, head[4:])  # type: ignore[attr-defined]  # noqa: SLF001
        return raw, lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[known])


def unpacked(file: IO[bytes], most: int) -> Iterator[bytes]:
    """Read what is left of an opened member in pieces, to its end or to one byte more than ``most``."""
    left = most + 1
    while left > 0 and (piece := file.read(min(_PIECE, left))):
        left -= len(piece)
        yield piece
