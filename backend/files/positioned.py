"""Streams that are made while they are read: they know where they are, and begin again where somebody goes back."""

from __future__ import annotations

import io

_PIECE = 1 << 16


class Positioned(io.RawIOBase):
    """A readable stream that counts its bytes in ``_at``."""

    _at = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at


class Onwards(Positioned):
    """A stream that can only be read onwards, in ``readinto``; seeking backwards makes it anew."""

    def begin_again(self) -> None:
        """Go to the first byte, and set ``_at`` to 0."""
        raise NotImplementedError

    def size(self) -> int:
        """Bytes in all.

        Raises:
            UnsupportedOperation: That is not known before they are read.
        """
        raise io.UnsupportedOperation("the end of a stream of unknown size")

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, or to the end where the stream ends before it."""
        start = 0 if whence == io.SEEK_SET else self._at if whence == io.SEEK_CUR else self.size()
        target = start + offset
        if target < self._at:
            self.begin_again()
        while self._at < target and self.read(min(_PIECE, target - self._at)):
            pass
        return self._at
