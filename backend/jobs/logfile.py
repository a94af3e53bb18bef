"""Reading the end of a log that may be huge and is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_BYTES = 16_384
MAX_BYTES = 1_000_000  # what a page can show; one endless line must not fill the memory


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
