"""Picture files in a zip: as those below a folder, and never unpacked to disk."""

from __future__ import annotations

import lzma
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from backend.catalogue.sources.pictures.files import (
    MAX_PICTURE_BYTES,
    Listed,
    format_reason,
    gone,
    is_listed,
    may_be_picture,
    too_large,
    unreadable,
)
from backend.catalogue.sources.pictures.names import OUTSIDE, Finder, Name, Place
from backend.catalogue.sources.zip_bounds import open_bounded, open_member, unpacked
from backend.catalogue.sources.zip_names import names_of
from backend.errors import CatalogueError, ImageRejected
from backend.imaging.pixels import HEAD_BYTES, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from zipfile import ZipFile, ZipInfo

    from backend.catalogue.sources.sources import Picture

# What the libraries under zipfile raise over damaged members.
DAMAGE = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_ENCRYPTED_FLAG = 0x1
_KEPT_OPEN = 4
_UNLOCK = "Make the zip again without a password."


@dataclass(frozen=True, slots=True)
class PictureZip:
    """The picture files in a zip; ``base`` is the folder in it that paths in a table start from."""

    path: Path
    base: str = ""

    def files(self) -> list[Listed]:
        """List all pictures, in the order of their paths.

        Raises:
            DatasetUnavailable: There is no such file.
            CatalogueError: The file is no zip.
        """
        archive = opened_zip(self.path)
        found = [
            _member(shown, info)
            for shown, info in archive.members.items()
            if is_listed(shown) or (may_be_picture(shown) and _begins_as_picture(archive.handle, info))
        ]
        return sorted(found, key=lambda member: member.path)

    def finder(self) -> Finder:
        """Return what finds the member that a table names."""
        return Finder(self._exact, self._names)

    def remarks(self) -> tuple[str, ...]:
        """Say by which code page names were read that do not say it themselves."""
        guessed = opened_zip(self.path).guessed
        return (
            (f"The zip does not state the encoding of its file names; they were read as {guessed}.",) if guessed else ()
        )

    def _exact(self, named: str) -> Place | None:
        start = self._start
        shown = normpath(named if named.startswith("/") else start + named)
        if shown == ".." or shown.startswith(("/", "../")) or not shown.startswith(start):
            return Place(reason=f"outside: {OUTSIDE}")
        member = opened_zip(self.path).members.get(shown)
        return Place(member.filename, path=shown.removeprefix(start)) if member else None

    def _names(self) -> Iterator[Name]:
        archive, start = opened_zip(self.path), self._start
        for shown, info in archive.members.items():
            for path in (shown, *archive.others.get(shown, ())):
                if path.startswith(start) and (is_listed(path) or may_be_picture(path)):
                    yield Name(path.removeprefix(start), info.filename)

    @property
    def _start(self) -> str:
        return f"{self.base}/" if self.base else ""

    def reader(self) -> Callable[[str], Picture]:
        """Return what reads the bytes of a member by its locator, None where there is none of that name.

        It raises ``DatasetUnavailable`` where the zip is gone, and ``CatalogueError`` where it is no zip any more.
        """
        return self._read

    def _read(self, locator: str) -> Picture:
        archive = opened_zip(self.path)
        info = archive.handle.NameToInfo.get(locator)
        if info is None or info.is_dir():
            return None
        if is_encrypted(info):
            return ImageRejected("The picture is locked with a password.", code="encrypted", next_step=_UNLOCK)
        if rejected := too_large(info.file_size):
            return rejected
        try:
            with open_member(archive.handle, info) as file:
                found = b"".join(unpacked(file, MAX_PICTURE_BYTES))
            return too_large(len(found)) or found
        except NotImplementedError:
            return unreadable("the zip uses an unsupported compression method for it")
        except DAMAGE:
            return ImageRejected(
                "The picture is damaged inside the zip.", code="damaged", next_step="Make the zip again, then retry."
            )


@dataclass(frozen=True, slots=True)
class OpenZip:
    """A zip that is open for reading, its files by the path that is shown for them, and what else they may be called."""

    handle: ZipFile
    members: dict[str, ZipInfo]
    others: dict[str, tuple[str, ...]]
    guessed: str


def opened_zip(path: Path) -> OpenZip:
    """Open a zip, once in a process for as long as it does not change.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: The file is no zip, or a bomb.
    """
    try:
        return _open_zip(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise gone(path) from None
    except (BadZipFile, OSError, ValueError, OverflowError, NotImplementedError, struct.error) as error:
        raise CatalogueError(
            f"{path.name} is not a zip, or it is damaged.",
            next_step="Make the zip again, or unpack it and load the folder.",
        ) from error


def is_encrypted(info: ZipInfo) -> bool:
    """Tell whether a member is locked with a password."""
    return bool(info.flag_bits & _ENCRYPTED_FLAG)


@lru_cache(maxsize=_KEPT_OPEN)
def _open_zip(path: Path, _modified_ns: int) -> OpenZip:
    handle = open_bounded(path)
    infos = [info for info in handle.infolist() if not info.is_dir()]
    names = names_of(infos)
    others = {shown: others for shown, others in zip(names.shown, names.others, strict=True) if others}
    return OpenZip(handle, dict(zip(names.shown, infos, strict=True)), others, names.guessed)


def _begins_as_picture(handle: ZipFile, info: ZipInfo) -> bool:
    try:
        with open_member(handle, info) as file:
            return bool(kind_of(file.read(HEAD_BYTES)))
    except (*DAMAGE, NotImplementedError, RuntimeError):  # a locked or damaged one is not known to be a picture
        return False


def _member(shown: str, info: ZipInfo) -> Listed:
    if shown.startswith("/") or ".." in PurePosixPath(shown).parts:
        return Listed(shown, None, f"outside: {OUTSIDE}")
    if is_encrypted(info):
        return Listed(shown, info.filename, f"encrypted: The picture is locked with a password. {_UNLOCK}")
    rejected = too_large(info.file_size)
    reason = f"{rejected.code}: {rejected.message}" if rejected else format_reason(shown)
    return Listed(shown, info.filename, reason)
