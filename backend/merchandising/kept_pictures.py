"""Pictures that people sent, kept under the SHA-256 of their bytes: those of rules for good, photos for so long, and so many."""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case
from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES
from backend.errors import RetrievalError
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{64}")
_DAY_S = 86_400.0


class KeptPictures:
    """The pictures in one folder, each a file that never changes.

    Args:
        folder: Where they are; made when the first one is kept.
        lasting: Whether they have to be on the disk before anybody goes on.
    """

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        self._folder, self._lasting = folder, lasting

    def keep(self, picture: bytes) -> str:
        """Keep the bytes of a picture, one that is kept already as from now; returns their SHA-256.

        Raises:
            RetrievalError: It is empty or too large.
        """
        if not 0 < len(picture) <= MAX_PICTURE_BYTES:
            raise RetrievalError(
                f"The picture has {len(picture):,} bytes.", next_step=f"Use up to {MAX_PICTURE_BYTES:,}."
            )
        name = hashlib.sha256(picture).hexdigest()
        try:
            os.utime(self._folder / name)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / name, picture, lasting=self._lasting)
        return name

    def find(self, sha256: str) -> bytes | None:
        """Return the bytes of a picture; None where it is not kept here, or its file was changed."""
        try:
            data = read_plain(self._folder / sha256, MAX_PICTURE_BYTES) if is_name(sha256) else b""
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a picture of a rule.

        Raises:
            RetrievalError: It is not kept here, or its file was changed.
        """
        data = self.find(sha256)
        if data is None:
            raise RetrievalError(
                f"The picture {sha256[:12]} of a rule is not here, or its file is damaged.",
                next_step="Make the rule again from an answer to this picture.",
            )
        return data

    def kept_at(self, sha256: str) -> float | None:
        """Return when a picture was kept last, in seconds since 1970; None where it is not kept here."""
        with suppress(FileNotFoundError):
            return (self._folder / sha256).stat().st_mtime if is_name(sha256) else None
        return None

    def names(self) -> frozenset[str]:
        """Return the SHA-256 of every picture that is kept."""
        return frozenset(path.name for path in self._paths())

    def remove(self, sha256: str) -> None:
        """Keep a picture no more."""
        if is_name(sha256):
            (self._folder / sha256).unlink(missing_ok=True)

    def tidy(self, days: float, *, most_bytes: int | None = None, now: float | None = None) -> int:
        """Remove pictures that nobody sent for so many days, then the oldest while all have too many bytes; returns how many."""
        oldest = (time.time() if now is None else now) - days * _DAY_S
        room, removed = most_bytes, 0
        with suppress(FileNotFoundError):  # another process tidies, too
            for at, size, path in sorted((one.stat().st_mtime, one.stat().st_size, one) for one in self._paths())[::-1]:
                room = None if room is None else room - size
                if at < oldest or (room is not None and room < 0):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _paths(self) -> list[Path]:
        entries = self._folder.iterdir() if self._folder.is_dir() else ()
        return [path for path in entries if is_name(path.name)]


def is_name(text: str) -> bool:
    """Whether a text is the SHA-256 of a picture, and so a name in such a folder: nothing else is looked for on the disk."""
    return _NAME.fullmatch(text) is not None


@use_case("photos.keep", Role.VIEWER, is_audited=False)
def keep_photo(store: KeptPictures, image: bytes) -> None:
    """Keep a photo that somebody searches with; raises as :meth:`KeptPictures.keep`."""
    store.keep(image)


@use_case("photos.remove", Role.VIEWER, is_audited=False)
def remove_photo(store: KeptPictures, sha256: str) -> None:
    """Keep such a photo no more."""
    store.remove(sha256)
