"""Locks on files: the system gives one back when its holder dies, however it dies.

Lock files stay where they are: to remove one that someone else is about to take would let two in.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def open_lock(path: Path) -> int:
    """Open a lock's file and return its handle; it is made if need be, in a folder that is there."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def taken(file: int | IO[str], *, wait: bool = False, shared: bool = False) -> bool:
    """Try to lock an open file; closing it lets go.

    Args:
        file: Its handle, or the file itself.
        wait: Whether to wait until it is free.
        shared: Whether others may hold it like this at the same time.

    Returns:
        Whether it is locked now; False where someone else holds it.

    Raises:
        OSError: The file system knows no locks.
    """
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, after waiting for it; its file is made if need be.

    Raises:
        FileNotFoundError: The folder that it should be in is not there.
    """
    handle = open_lock(path)
    try:
        taken(handle, wait=True)
        yield
    finally:
        os.close(handle)


def lock_beside(path: Path) -> Path:
    """Return the lock of a file that is read and replaced; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.lock")
