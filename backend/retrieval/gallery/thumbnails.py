"""The small pictures of a gallery, read from its file a row group at a time, when they are first asked for."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from backend.retrieval.gallery.gallery_file import GalleryFile

_COLUMN = "thumbnail"


class Thumbnails:
    """Pictures by position; threads may share it.

    Args:
        file: A gallery.
    """

    def __init__(self, file: GalleryFile) -> None:
        self._file = file
        self._starts = [0, *accumulate(file.group_sizes)]
        self._read: dict[int, pa.ChunkedArray] = {}
        self._lock = Lock()  # a Parquet file is read by one thread at a time

    def at(self, position: int) -> bytes:
        """Return the picture at a position: PNG or WEBP bytes."""
        group = bisect_right(self._starts, position) - 1
        return bytes(self._group(group)[position - self._starts[group]].as_py())

    def preload(self) -> None:
        """Read all of them."""
        for group in range(len(self._starts) - 1):
            self._group(group)

    def _group(self, number: int) -> pa.ChunkedArray:
        found = self._read.get(number)
        if found is None:
            with self._lock:
                found = self._read.get(number)
                if found is None:
                    found = self._read[number] = self._file.read_group(number, [_COLUMN])[_COLUMN]
        return found
