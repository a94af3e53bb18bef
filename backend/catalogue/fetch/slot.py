"""What a thread that fetches is about to keep: a file of one line, which tells after a kill what had come already.

A picture is put into the store before its record is noted, so that no record ever leads to nothing. Between the two a
picture is there of which nothing says where it came from: the line does, as it is written before either. Who fetches next
takes it over, where the picture is there as a whole, and asks for that address no more.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import uuid4

from backend.catalogue.fetch.records import Fetched
from backend.files.locking import open_lock, taken
from backend.files.storage import disk_watched

if TYPE_CHECKING:
    from backend.catalogue.fetch.records import Records
    from backend.catalogue.fetch.store import PictureStore

NOTES = "notes"  # folder beside the pictures
_MOST_BYTES = 1 << 16


class Slot:
    """The line of one thread; its file is locked for as long as the thread lives, and made with the first picture.

    Args:
        store: That the pictures are put into.
    """

    def __init__(self, store: PictureStore) -> None:
        self._path = store.folder / NOTES / f"{uuid4().hex}.arrived"
        self._handle: int | None = None

    def write(self, found: Fetched) -> None:
        """Say what is about to be kept, in place of what was kept before.

        Raises:
            StorageFull: No space is left.
        """
        with disk_watched("fetch the rest", so=", so no more pictures can be kept"):
            if self._handle is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = open_lock(self._path)
                taken(self._handle, wait=True)
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{json.dumps(asdict(found))}\n".encode(), 0)

    def close(self) -> None:
        """Remove it: what it says is noted by now."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)


def take_over(records: Records, store: PictureStore) -> None:
    """Note the pictures that a killed fetch had put into the store and not noted yet; lines of living threads stay."""
    for path in (store.folder / NOTES).glob("*.arrived"):
        with suppress(FileNotFoundError):  # somebody else was faster
            handle = os.open(path, os.O_RDWR)
            try:
                if taken(handle):
                    _take_over(os.read(handle, _MOST_BYTES), records, store)
                    path.unlink(missing_ok=True)
            finally:
                os.close(handle)


def _take_over(line: bytes, records: Records, store: PictureStore) -> None:
    if not line.endswith(b"\n"):
        return
    found = Fetched(**json.loads(line))
    known = records.get(found.address)
    is_newer = known is None or known.fetched_at < found.fetched_at
    if is_newer and store.has(found.sha256, n_bytes=found.n_bytes):
        records.add([found])
