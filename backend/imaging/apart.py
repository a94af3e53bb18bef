"""Pictures read in processes of their own, with limits and killed where they exceed one; for :mod:`backend.imaging.budget`.

A process reads one picture after another. A slot is taken until the answer is there or the process has really ended.
"""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from backend.errors import WorkbenchError
from backend.files.limited import LimitedProcess, LimitExceeded
from backend.imaging import refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.errors import ImageRejected
    from backend.files.limited import Limits

_READER = "backend.imaging.pixels:answered"
_REFUSALS: dict[str, Callable[[], ImageRejected]] = {
    "memory": refusals.no_memory,
    "time": refusals.too_costly,
}


class Readers:
    """Up to ``slots`` processes that read pictures, started when they are needed and then kept."""

    def __init__(self, slots: int) -> None:
        self.slots, self._slots = slots, BoundedSemaphore(slots)
        self._idle: list[tuple[Limits, LimitedProcess]] = []
        self._lock = Lock()

    def ask(self, question: bytes, limits: Limits) -> bytes:
        """Have a picture read.

        Raises:
            ImageRejected: It was refused, or takes more than the limits; the process has ended then.
        """
        with self._one(limits) as process:
            return process.ask(question)

    @contextmanager
    def _one(self, limits: Limits) -> Iterator[LimitedProcess]:
        with self._slots:
            process = self._taken(limits)
            try:
                yield process
            except LimitExceeded as error:
                process.close()
                refusal = _REFUSALS.get(error.limit, refusals.damaged)
                raise refusal() from error
            except WorkbenchError:  # a whole answer
                raise
            except BaseException:
                process.close()
                raise
            finally:
                self._kept(limits, process)

    def _taken(self, limits: Limits) -> LimitedProcess:
        """Take a process with these limits; one with others makes room."""
        with self._lock:
            found, process = self._idle.pop() if self._idle else (None, None)
        if process and found != limits:
            process.close()
        return process if process and found == limits else LimitedProcess(_READER, limits)

    def _kept(self, limits: Limits, process: LimitedProcess) -> None:
        if process.is_running:
            with self._lock:
                self._idle.append((limits, process))

    def start(self, limits: Limits) -> None:
        """Have a process ready before the first picture comes."""
        with self._one(limits):
            pass

    def close(self) -> None:
        """End the processes that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, process in idle:
            process.close()


_SLOTS = 2
_readers = [Readers(_SLOTS)]  # this process's own is the last


def readers() -> Readers:
    """Return the processes that read pictures for this one."""
    return _readers[-1]


def allow(slots: int) -> None:
    """Set how many processes there may be at once; a server says it whenever it loads a model."""
    if readers().slots != slots:
        readers().close()
        _readers[-1] = Readers(slots)


# A process is asked by the one that started it only; what a forked one inherits, it leaves alone.
os.register_at_fork(after_in_child=lambda: _readers.append(Readers(_SLOTS)))
atexit.register(lambda: readers().close())
