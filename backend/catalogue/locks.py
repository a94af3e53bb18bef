"""One writer at a time in a catalogue, on the machines that share its folder; readers never wait.

Delta itself refuses commits that contradict each other. Where the log lies on an ordinary file system, though, two
programs that write the same version within a millisecond can both believe that they did, so whoever commits holds this
lock. The system gives it back when its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.progress import Progress

_FILE = ".commit-lock"
_LOOK_EVERY_S = 0.2


@contextmanager
def commit_lock(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a catalogue's folder, which is made if need be; says for whom it waits.

    Raises:
        Cancelled: The user asked to stop while it waited.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FILE).open("a+", encoding="utf-8") as file:
        _take(file, progress)
        _sign(file, {"pid": os.getpid(), "job": progress.job, "since": datetime.now(UTC).isoformat(timespec="seconds")})
        try:
            yield
        finally:
            _sign(file, {})


def _take(file: TextIO, progress: Progress) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.check_cancelled()
            progress.report(0, 1, note=f"Waiting for {_holder(file)} to commit")
            time.sleep(_LOOK_EVERY_S)
        else:
            return


def _sign(file: TextIO, holder: dict[str, object]) -> None:
    """Write who holds the lock, for whoever waits to read."""
    file.seek(0)
    file.truncate()
    file.write(json.dumps(holder))
    file.flush()


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read() or "{}")
    except ValueError:  # read while it is being written
        holder = {}
    if holder.get("job"):
        return f"the job {holder['job']}"
    return f"process {holder['pid']}" if holder.get("pid") else "another load"
