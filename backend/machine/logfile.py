"""Opening a log, reading the end of one that may be huge and is being written, and keeping it from getting so."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

ROOM_BYTES = 8_192
BLOCK_BYTES = 16_384
MAX_BYTES = 1_000_000  # what a page can show; one endless line must not fill the memory
LARGEST_BYTES, EARLIER = 10_000_000, 4  # of a server's log, and so many such beside the one that is written


def opened(path: Path) -> IO[bytes]:
    """Open a log to go on with it; where the disk has no room for one, what is written goes nowhere, and work goes on.

    Programs die of a print that fails while they start, and not later: loggers take no harm of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab", buffering=0)
        try:
            _try_out(stream.fileno())
        except OSError:
            stream.close()
            raise
    except OSError as error:
        logger.warning("The log %s cannot be written: %s", path, error.strerror)
        return Path(os.devnull).open("ab")
    return stream


def _try_out(log: int) -> None:
    """Write as much as a program may say while it starts, and take it back."""
    n_bytes = os.fstat(log).st_size
    try:
        if os.write(log, bytes(ROOM_BYTES)) < ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        with suppress(OSError):  # a device has no length
            os.ftruncate(log, n_bytes)


def turn_over(path: Path, *, largest: int = LARGEST_BYTES, earlier: int = EARLIER) -> None:
    """Once a log is large, keep what it holds as ``….log.1``, what was that as ``….log.2``, and empty it.

    The file itself stays, because its writers, a server and its children, hold it open to append to it. A line that is
    written in the moment between the copy and the emptying is lost.
    """
    if not path.is_file() or path.stat().st_size <= largest:
        return
    kept = [path.with_name(f"{path.name}.{number}") for number in range(1, earlier + 1)]
    with suppress(OSError):  # where the disk has no room for a copy, the log is emptied all the same
        for older, newer in zip(reversed(kept), reversed(kept[:-1]), strict=False):
            if newer.is_file():
                newer.replace(older)
        shutil.copyfile(path, kept[0])
        shutil.copymode(path, kept[0])
    with suppress(OSError):  # a disk that refuses this lets no log grow either
        os.truncate(path, 0)


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file, as a terminal would show them; empty when there is no file yet.

    Reads backwards from the end, as far as needed and at most ``MAX_BYTES``. Of a line that a progress bar has written
    over and over, the last version counts.
    """
    if lines < 1 or not path.is_file():
        return ""
    text = _last_bytes(path, lines).decode("utf-8", errors="replace").removesuffix("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(shown[-lines:])


def _last_bytes(path: Path, lines: int) -> bytes:
    """Read blocks from the end until they hold one line break more than asked for."""
    blocks: list[bytes] = []
    breaks = taken = 0
    with path.open("rb") as file:
        position = file.seek(0, 2)
        while position > 0 and breaks <= lines and taken < MAX_BYTES:
            size = min(BLOCK_BYTES, position)
            position -= size
            file.seek(position)
            blocks.append(file.read(size))
            breaks += blocks[-1].count(b"\n")
            taken += size
    return b"".join(reversed(blocks))
