"""One writer at a time in a catalogue, on the machines that share its folder; readers never wait.

Delta itself refuses commits that contradict each other. Where the log is on an ordinary file system, though, two
programs that write the same version within a millisecond can both believe that they did, so whoever commits holds this
lock.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend.files.holding import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.progress import Progress

_FILE = ".commit-lock"


@contextmanager
def commit_lock(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of a catalogue's folder, which is made if need be; says for whom it waits.

    Raises:
        Cancelled: The user asked to stop while it waited.
    """
    with held(folder / _FILE, f"The catalogue {folder.name}", "is being written", progress, wait=True):
        yield
