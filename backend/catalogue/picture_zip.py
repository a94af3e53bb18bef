"""Picture files in a zip: as those below a folder, and never unpacked to disk."""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, ZipInfo

from backend.catalogue.picture_files import (
    ADDRESS,
    OUTSIDE,
    Listed,
    Place,
    format_reason,
    gone,
    is_address,
    is_listed,
    too_large,
    unreadable,
)
from backend.errors import CatalogueError, ImageRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.catalogue.sources import Picture

# What the libraries under zipfile raise over damaged members.
DAMAGE = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
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
        members = opened_zip(self.path).members
        found = [_member(shown, info) for shown, info in members.items() if is_listed(shown)]
        return sorted(found, key=lambda member: member.path)

    def finder(self) -> Callable[[str], Place]:
        """Return what finds the member that a table names; there need not be one."""
        return self._find

    def _find(self, named: str) -> Place:
        if is_address(named):
            return Place(reason=ADDRESS)
        below = named.replace("\\", "/")
        start = f"{self.base}/" if self.base else ""
        shown = normpath(below if below.startswith("/") else start + below)
        if (
            shown.startswith(("/", "../"))
            or shown == ".."
            or not shown.startswith(f"{self.base}/" if self.base else "")
        ):
            return Place(reason=f"outside: {OUTSIDE}")
        member = opened_zip(self.path).members.get(shown)
        return Place(member.filename if member else shown, path=shown.removeprefix(start))

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
            return archive.handle.read(info)
        except NotImplementedError:
            return unreadable("the zip packs it in a way that is not supported")
        except DAMAGE:
            return ImageRejected(
                "The picture is damaged inside the zip.", code="damaged", next_step="Make the zip again, then retry."
            )


@dataclass(frozen=True, slots=True)
class OpenZip:
    """A zip that is open for reading, and its files by the path that is shown for them."""

    handle: ZipFile
    members: dict[str, ZipInfo]


def opened_zip(path: Path) -> OpenZip:
    """Open a zip, once in a process for as long as it does not change.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: The file is no zip.
    """
    try:
        return _open_zip(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise gone(path) from None
    except (BadZipFile, OSError, ValueError) as error:
        raise CatalogueError(
            f"{path.name} is no zip, or it is damaged.",
            next_step="Make the zip again, or unpack it and load the folder.",
        ) from error


def is_encrypted(info: ZipInfo) -> bool:
    """Tell whether a member is locked with a password."""
    return bool(info.flag_bits & _ENCRYPTED_FLAG)


@lru_cache(maxsize=_KEPT_OPEN)
def _open_zip(path: Path, _modified_ns: int) -> OpenZip:
    handle = ZipFile(path)
    return OpenZip(handle, {_shown(info): info for info in handle.infolist() if not info.is_dir()})


def _shown(info: ZipInfo) -> str:
    """Read the name as UTF-8 where it is: some systems write it so and do not say it; Windows may write backslashes."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name.replace("\\", "/")


def _member(shown: str, info: ZipInfo) -> Listed:
    if shown.startswith("/") or ".." in PurePosixPath(shown).parts:
        return Listed(shown, None, f"outside: {OUTSIDE}")
    if is_encrypted(info):
        return Listed(shown, info.filename, f"encrypted: The picture is locked with a password. {_UNLOCK}")
    rejected = too_large(info.file_size)
    reason = f"{rejected.code}: {rejected.message}" if rejected else format_reason(shown)
    return Listed(shown, info.filename, reason)
