"""Pictures that rules are for, kept beside the rules under the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES
from backend.errors import RetrievalError
from backend.files.plain_files import read_plain
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{64}")


class RulePictures:
    """The pictures of one catalogue's rules; what is kept never changes, and is never removed: old versions need it.

    Args:
        folder: Where they are; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, picture: bytes) -> str:
        """Keep the bytes of a picture that was read already; returns their SHA-256.

        Raises:
            RetrievalError: It is empty or too large.
        """
        if not 0 < len(picture) <= MAX_PICTURE_BYTES:
            raise RetrievalError(
                f"The picture of a rule has {len(picture):,} bytes.", next_step=f"Use up to {MAX_PICTURE_BYTES:,}."
            )
        name = hashlib.sha256(picture).hexdigest()
        if not (self._folder / name).exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / name, picture)
        return name

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            RetrievalError: It is not kept here, or its file was changed.
        """
        try:
            data = read_plain(self._folder / sha256, MAX_PICTURE_BYTES) if _NAME.fullmatch(sha256) else b""
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RetrievalError(
                f"The picture {sha256[:12]} of a rule is not here, or its file is damaged.",
                next_step="Make the rule again from an answer to this picture.",
            )
        return data

    def names(self) -> frozenset[str]:
        """Return the SHA-256 of every picture that is kept."""
        entries = self._folder.iterdir() if self._folder.is_dir() else ()
        return frozenset(path.name for path in entries if _NAME.fullmatch(path.name))
