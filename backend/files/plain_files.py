"""Files that others may have put there: opened only where they are plain ones, and read only as far as is wanted.

A link may lead anywhere, and whoever opens a named pipe waits for good: neither is opened, nor is a device.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io
    from pathlib import Path


def open_plain(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: It is not there, may not be read, or is no plain file.
    """
    # Without O_NONBLOCK a named pipe would be waited for here, before anything of it could be looked at.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "Not a regular file", str(path))


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is replaced; empty where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def read_plain(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises:
        OSError: As for :func:`open_plain`, or it is larger.
    """
    with open_plain(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EOVERFLOW, f"Larger than {limit:,} bytes", str(path))
    return data
