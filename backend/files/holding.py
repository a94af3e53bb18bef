"""One piece of work at a time on one name: a lock that says who holds it.

Where nobody needs to be told, :func:`backend.files.locking.locked` is enough.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from backend.errors import InUse
from backend.files.locking import taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.progress import Progress

LOCKS = ".locks"
_LOOK_EVERY_S = 0.2
_LOOKS = 3  # before a lock counts as held: a page that only asks whether it is free has it for a moment
_OURS: ContextVar[frozenset[Path]] = ContextVar("locks held by this piece of work", default=frozenset())


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Attributes:
        doing: What is done with what is locked, e.g. ``is being trained``.
        since: ISO time.
        job: Id of the job; empty for a command.
    """

    doing: str = "is in use"
    pid: int = 0
    host: str = ""
    job: str = ""
    since: str = ""

    def sentence(self, what: str) -> str:
        """Say what is being done to ``what``, by whom, and since when; without a full stop."""
        by = f" by job {self.job}" if self.job else f" by process {self.pid} on {self.host}" if self.pid else ""
        since = f", since {datetime.fromisoformat(self.since):%d %b %H:%M} UTC" if self.since else ""
        return f"{what} {self.doing}{by}{since}"

    @property
    def ending(self) -> str:
        """How it is ended, as the beginning of a sentence."""
        if self.job:
            return f"Wait until it has finished, or cancel it with `python -m backend jobs cancel {self.job}`"
        return (
            f"Wait until it has finished, or stop it with `kill {self.pid}`"
            if self.pid
            else "Wait until it has finished"
        )


def lock_of(folder: Path) -> Path:
    """Return the lock of a folder of a home, e.g. of a model or a sweep; the folder need not exist."""
    return folder.parent / LOCKS / folder.name


@contextmanager
def held(
    lock: Path, what: str, doing: str, progress: Progress, *, wait: bool = False, otherwise: str = ""
) -> Iterator[None]:
    """Hold a lock; whoever holds it already, further up in the same piece of work, is let in.

    Args:
        lock: Its file, which is made if need be.
        what: What is locked, for people, e.g. ``The model 'autumn'``.
        doing: What is done to it, e.g. ``is being trained``.
        progress: Its job is named to others; hears for whom this one waits.
        wait: Whether to wait until the lock is free instead of refusing.
        otherwise: What else can be done instead of waiting, e.g. ``choose another name``.

    Raises:
        InUse: Someone else holds it; the message says who, and what to do.
        Cancelled: The user asked to stop while it waited.
    """
    if lock in _OURS.get():
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as file:
        looks = 0
        while not taken(file):
            looks += 1
            holder = _read(file)
            if looks >= _LOOKS and not wait:
                instead = f", or {otherwise}" if otherwise else ""
                raise InUse(f"{holder.sentence(what)}.", next_step=f"{holder.ending}{instead}.")
            if wait:
                progress.check_cancelled()
                progress.report(0, 1, note=f"Waiting: {holder.sentence(what)}")
            time.sleep(_LOOK_EVERY_S)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        _sign(file, asdict(Holder(doing, os.getpid(), socket.gethostname(), progress.job, now)))
        token = _OURS.set(_OURS.get() | {lock})
        try:
            yield
        finally:
            _OURS.reset(token)
            _sign(file, {})


def holder_of(lock: Path) -> Holder | None:
    """Return who holds a lock; None where nobody does."""
    try:
        with lock.open(encoding="utf-8") as file:
            return None if taken(file, shared=True) else _read(file)
    except FileNotFoundError:
        return None


def _sign(file: TextIO, holder: dict[str, object]) -> None:
    """Write who holds the lock, for whoever waits to read."""
    file.seek(0)
    file.truncate()
    file.write(json.dumps(holder))
    file.flush()


def _read(file: TextIO) -> Holder:
    file.seek(0)
    try:
        return Holder(**json.loads(file.read() or "{}"))
    except (ValueError, TypeError):  # read while it is being written, or written by another version
        return Holder()
