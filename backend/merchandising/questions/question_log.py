"""What is asked, on its way into the log: a bounded queue, and a thread that writes it in batches.

Who answers hands over a row and goes on: where the queue is full, or the disk refuses, the row is dropped and counted.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from backend.merchandising.kept_pictures import KeptPictures
from backend.merchandising.questions.question_store import QuestionStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backend.merchandising.questions.question import Question

PHOTOS = "photos"  # folder in the log's
MOST_WAITING, MOST_IN_A_BATCH = 2_000, 500
MOST_PHOTO_BYTES = 64_000_000  # of photos that wait to be kept
_BATCH_S = 5.0
_TIDY_S = 3_600.0
_log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """How many questions were written to the log, and how many were not."""

    written: int
    dropped: int


class _Waiting(NamedTuple):
    catalogue: str
    row: Question
    photos: tuple[bytes, ...]


class QuestionLog:
    """The log as an endpoint fills it; any number of threads may add.

    Args:
        questions_dir: Folder of the logs of all catalogues.
        days: How long questions are kept; 0 logs none, and removes those there are.
        photo_days: How long their photos are kept; 0 keeps none.
    """

    def __init__(self, questions_dir: Path, *, days: int, photo_days: int) -> None:
        self._folder, self._days, self._photo_days = questions_dir, days, min(photo_days, days)
        self._waiting: Queue[_Waiting] = Queue(MOST_WAITING)
        self._ended, self._is_due, self._lock = Event(), Event(), Lock()
        self._written = self._dropped = self._photo_bytes = 0
        self._problem = ""

    @property
    def is_on(self) -> bool:
        """Whether questions are logged."""
        return self._days > 0

    @property
    def counts(self) -> Counts:
        """How many questions were written so far, and how many were dropped."""
        return Counts(self._written, self._dropped)

    def add(self, catalogue: str, row: Question, photos: Sequence[bytes] = ()) -> None:
        """Hand over a question; never waits, and never fails. Photos go where they are not to be kept, or are too many."""
        size = sum(map(len, photos))
        with self._lock:
            fits = bool(self._photo_days) and self._photo_bytes + size <= MOST_PHOTO_BYTES
            try:
                self._waiting.put_nowait(_Waiting(catalogue, row, tuple(photos) if fits else ()))
            except Full:
                self._dropped += 1
                return
            self._photo_bytes += size if fits else 0
        if self._waiting.qsize() >= MOST_IN_A_BATCH:
            self._is_due.set()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write what is added while inside, every few seconds, and all of it at the end."""
        thread = Thread(target=self._run, name="questions", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._is_due.set()
            thread.join()

    # ------------------------------------------------------------------------------------------- inside

    def _run(self) -> None:
        tidied = time.monotonic() - _TIDY_S
        while not self._ended.is_set():
            if time.monotonic() - tidied >= _TIDY_S:
                tidied = time.monotonic()
                self._tidy()
            self._is_due.wait(_BATCH_S)
            self._is_due.clear()
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        while batch := self._taken():
            for catalogue in dict.fromkeys(one.catalogue for one in batch):
                self._write(catalogue, [one for one in batch if one.catalogue == catalogue])

    def _taken(self) -> list[_Waiting]:
        found: list[_Waiting] = []
        try:
            while len(found) < MOST_IN_A_BATCH:
                found.append(self._waiting.get_nowait())
        except Empty:
            return found
        return found

    def _write(self, catalogue: str, batch: list[_Waiting]) -> None:
        with self._lock:
            self._photo_bytes -= sum(len(photo) for one in batch for photo in one.photos)
        try:
            store = QuestionStore(self._folder, catalogue)
            for photo in (photo for one in batch for photo in one.photos):
                KeptPictures(store.folder / PHOTOS).keep(photo)
            store.append([one.row for one in batch])
        except Exception as error:  # noqa: BLE001 - it is counted and said, and what comes later may be written
            with self._lock:
                self._dropped += len(batch)
            self._complain(error)
        else:
            self._written += len(batch)
            self._problem = ""

    def _tidy(self) -> None:
        for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            try:
                store = QuestionStore(self._folder, folder.name)
                store.tidy(self._days)
                KeptPictures(store.folder / PHOTOS).tidy(self._photo_days)
            except Exception as error:  # noqa: BLE001 - as for writing
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Say it once, not with every batch."""
        if str(error) != self._problem:
            _log.warning("questions are not logged: %s", error)
        self._problem = str(error)
