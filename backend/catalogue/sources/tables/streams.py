"""Files with tables as a stream of UTF-8, whatever they were saved as: packed by gzip, in UTF-16, with old Macs' line ends."""

from __future__ import annotations

import codecs
import gzip
import io
from typing import IO, TYPE_CHECKING, Any

from backend.catalogue.sources.zip_bounds import FREE_BYTES, MAX_RATIO
from backend.errors import CatalogueError
from backend.files.positioned import Onwards

if TYPE_CHECKING:
    from collections.abc import Callable

GZIP_MAGIC = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PIECE = 1 << 16


class _Forward(Onwards):
    """A stream that is made piece by piece.

    Args:
        below: What it is made of; closed with it.
        begin: Returns what gives the next piece, empty at the end.
    """

    def __init__(self, below: IO[bytes], begin: Callable[[], Callable[[], bytes]]) -> None:
        super().__init__()
        self._below = below
        self._begin = begin
        self.begin_again()

    def begin_again(self) -> None:
        self._next, self._left, self._at = self._begin(), b"", 0

    def close(self) -> None:
        self._below.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = self._next()
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def unpacked_gzip(name: str, stream: IO[bytes]) -> IO[bytes]:
    """Unpack a file as it is read, and never more of it than tables are packed from.

    Reading raises CatalogueError where it is a bomb, and EOFError, OSError or zlib.error where it is damaged.
    """
    packed = stream.seek(0, io.SEEK_END)
    most = max(FREE_BYTES, MAX_RATIO * packed)

    def begin() -> Callable[[], bytes]:
        stream.seek(0)
        unpacking, given = gzip.GzipFile(fileobj=stream), 0

        def following() -> bytes:
            nonlocal given
            piece = unpacking.read1(_PIECE)
            given += len(piece)
            if given > most:
                raise CatalogueError(
                    f"{name} has {packed / 1e6:,.1f} MB and unpacks to more than {most / 1e6:,.0f} MB.",
                    next_step="Unpack it, or export it again in several files.",
                )
            return piece

        return following

    return io.BufferedReader(_Forward(stream, begin))


def as_utf8(stream: IO[bytes]) -> IO[bytes]:
    """Return a stream that begins as UTF-16 does in UTF-8; any other as it is, at its start."""
    start = stream.read(2)
    stream.seek(0)
    if start not in _UTF16:
        return stream

    def begin() -> Callable[[], bytes]:
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-16")("replace")

        def following() -> bytes:
            while piece := stream.read(_PIECE):
                if text := decoder.decode(piece):
                    return text.encode("utf-8", "replace")
            return decoder.decode(b"", final=True).encode("utf-8", "replace")

        return following

    return io.BufferedReader(_Forward(stream, begin))


def with_newlines(stream: IO[bytes]) -> IO[bytes]:
    """Return a stream whose lines end in carriage returns alone with line feeds instead; every byte stays where it is."""

    def begin() -> Callable[[], bytes]:
        stream.seek(0)
        return lambda: stream.read(_PIECE).replace(b"\r", b"\n")

    return io.BufferedReader(_Forward(stream, begin))
