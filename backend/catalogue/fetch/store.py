"""Where fetched pictures are kept: by the hash of their bytes, below the home, until ``tidy`` is told to remove them.

Loads read them from here, on any machine that sees the home. What is read is what was fetched or nothing: a file whose
bytes have another hash, as after a machine that stopped, is no picture, and is fetched again.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.files.plain_files import open_plain
from backend.files.storage import disk_watched, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEME = "fetched:"  # of a locator that leads into the store


def hash_of(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of a picture's bytes."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class PictureStore:
    """The fetched pictures of a home; small when pickled.

    Attributes:
        folder: Where they are; every executor must see it at the same path.
    """

    folder: Path

    def put(self, data: bytes) -> str:
        """Keep a picture and return the hexadecimal SHA-256 of its bytes.

        Raises:
            StorageFull: No space is left.
        """
        sha256 = hash_of(data)
        path = self.path(sha256)
        if not self.has(sha256, n_bytes=len(data)):
            with disk_watched("fetch the rest", so=", so no more pictures can be kept"):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data, lasting=False)
        return sha256

    def has(self, sha256: str, *, n_bytes: int | None = None) -> bool:
        """Tell whether a picture is there, and as large as it should be where that is known."""
        with suppress(OSError):
            size = self.path(sha256).stat().st_size
            return n_bytes is None or size == n_bytes
        return False

    def read(self, sha256: str) -> bytes | None:
        """Return a picture's bytes; None where they are not there, or not the right ones any more."""
        with suppress(OSError), open_plain(self.path(sha256)) as stream:
            data = stream.read()
            return data if hash_of(data) == sha256 else None
        return None

    def path(self, sha256: str) -> Path:
        """Return where a picture is."""
        return self.folder / sha256[:2] / sha256

    def files(self) -> Iterator[Path]:
        """List all pictures."""
        return (path for path in self.folder.glob("??/*") if not path.name.startswith("."))
