"""Photos of questions, where a setting keeps them: under the SHA-256 of their bytes, for so many days."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S = 86_400.0


class KeptPhotos:
    """The photos of one catalogue's questions.

    Args:
        folder: Of the catalogue's log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "photos"

    def keep(self, photo: bytes) -> None:
        """Keep a photo; one that is kept already is so from today."""
        path = self.path(hashlib.sha256(photo).hexdigest())
        if path.exists():
            os.utime(path)
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, photo, lasting=False)

    def path(self, sha256: str) -> Path:
        """Return where a photo is, if it is kept."""
        return self._folder / sha256

    def tidy(self, days: int, *, now: float | None = None) -> int:
        """Remove photos that nobody sent for so many days; returns how many."""
        oldest = (time.time() if now is None else now) - days * _DAY_S
        old = [path for path in self._folder.glob("*") if path.stat().st_mtime < oldest]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)
