"""Picture files below a folder: which of them count, what they are called, and their bytes.

Nothing outside the folder is ever read, whatever a link or a name says. Reading answers for one picture at a time: its
bytes, None where there is none, or why it cannot be used.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from backend.catalogue.sources.pictures.names import OUTSIDE, Finder, Name, Place
from backend.errors import CatalogueError, DatasetUnavailable, ImageRejected
from backend.imaging.pixels import HEAD_BYTES, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backend.catalogue.sources.sources import Picture

MAX_PICTURE_BYTES = 64_000_000
PICTURE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".webp"}
    | {".gif", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif"}
)
# Pictures that nothing here reads: named with every load, never passed over.
FOREIGN_SUFFIXES = frozenset(
    {".bmp", ".dib", ".ico", ".svg", ".eps", ".ai", ".psd", ".psb", ".xcf", ".jxl", ".jp2", ".j2k", ".jpx", ".jxr"}
    | {".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".raw", ".exr", ".hdr", ".tga", ".ppm"}
)

_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "@eaDir"})


class Listed(NamedTuple):
    """One picture file of a source: its shown path, where to read it (None: not at all), and why it is unusable."""

    path: str
    locator: str | None
    reason: str | None = None


def is_listed(path: str) -> bool:
    """Tell whether a path below the root is a picture, in whatever format; hidden files and clutter are none."""
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES | FOREIGN_SUFFIXES and not is_clutter(path)


def may_be_picture(path: str) -> bool:
    """Tell whether only its first bytes say if a file is a picture: it has no suffix."""
    return not PurePosixPath(path).suffix and not is_clutter(path)


def is_clutter(path: str) -> bool:
    """Tell whether a path is hidden, or of those files that systems leave behind."""
    return any(part in _CLUTTER or (part.startswith(".") and part != "..") for part in PurePosixPath(path).parts)


def format_reason(path: str) -> str | None:
    """Say why a file cannot be used, going by its name alone; None where nothing speaks against it."""
    suffix = path.rpartition(".")[2]
    if f".{suffix.lower()}" not in FOREIGN_SUFFIXES:
        return None
    return f"unsupported_format: A {suffix.upper()} file cannot be used; save it as PNG, JPEG or WEBP."


def product_ids(paths: Sequence[str]) -> list[str]:
    """Make ids of shown paths: without suffix, unless another usable file would then have the same id.

    Example:
        >>> product_ids(["bag/1.jpg", "bag/2.jpg", "bag/2.png", "bag/1.bmp"])
        ['bag/1', 'bag/2.jpg', 'bag/2.png', 'bag/1.bmp']
    """
    stems = [path.removesuffix(PurePosixPath(path).suffix) for path in paths]
    usable = [PurePosixPath(path).suffix.lower() in {"", *PICTURE_SUFFIXES} for path in paths]
    among_usable = Counter(stem for stem, counts in zip(stems, usable, strict=True) if counts)
    among_all = Counter(stems)
    shared = [(among_usable if counts else among_all)[stem] > 1 for stem, counts in zip(stems, usable, strict=True)]
    return [path if many else stem for path, stem, many in zip(paths, stems, shared, strict=True)]


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The picture files below a folder."""

    root: Path

    def files(self) -> list[Listed]:
        """List all pictures, in the order of their paths; linked folders are not entered.

        Raises:
            CatalogueError: A folder cannot be looked into.
        """
        root = os.path.realpath(self.root)
        return sorted(self._below(root), key=lambda found: found.path)

    def finder(self) -> Finder:
        """Return what finds the file that a table names, absolutely or from this folder on."""
        return Finder(_Exact(self.root).find, self._names)

    def reader(self) -> Callable[[str], Picture]:
        """Return what reads the bytes of a file by its locator, None where it is gone; for one batch of entries.

        It raises ``DatasetUnavailable`` where the whole folder is gone.
        """
        return _Reader(self.root).read

    def _names(self) -> Iterator[Name]:
        return (Name(file.path, file.locator) for file in self.files() if file.locator is not None)

    def _below(self, root: str) -> Iterator[Listed]:
        for folder, names, files in os.walk(root, onerror=_cannot_look):
            names[:] = sorted(name for name in names if name not in _CLUTTER and not name.startswith("."))
            for name in files:
                full = Path(folder, name)
                path = full.relative_to(root).as_posix()
                is_link = full.is_symlink()
                inside = not is_link or _is_inside(os.path.realpath(full), root)
                is_picture = is_listed(path) or (inside and may_be_picture(path) and _begins_as_picture(full))
                if is_picture and (is_link or full.is_file()):
                    yield _listed(path, inside=inside)


class _Bounds:
    """Tells whether paths lead into a folder, wherever links lead; each folder on the way is looked at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.real = os.path.abspath(root), os.path.realpath(root)  # noqa: PTH100 - links stay
        self._inside: dict[str, bool] = {}

    def below(self, path: str) -> str:
        return os.path.normpath(path if path.startswith("/") else f"{self.root.rstrip('/')}/{path}")

    def hold(self, full: str, *, is_link: bool) -> bool:
        if is_link or full in {self.root, self.real}:
            return _is_inside(os.path.realpath(full), self.real)
        folder = os.path.split(full)[0]
        if folder not in self._inside:
            self._inside[folder] = _is_inside(os.path.realpath(folder), self.real)
        return self._inside[folder]


class _Exact:
    """Finds files by their paths as they are."""

    def __init__(self, root: Path) -> None:
        self._bounds = _Bounds(root)

    def find(self, named: str) -> Place | None:
        wanted = self._bounds.below(named)
        try:
            is_link = stat.S_ISLNK(os.lstat(wanted).st_mode)
            is_there = True
        except (OSError, ValueError):
            is_link = is_there = False
        if not self._bounds.hold(wanted, is_link=is_link):
            return Place(reason=f"outside: {OUTSIDE}")
        if not is_there:
            return None
        root = self._bounds.root
        path = wanted[len(root) :].lstrip("/") if _is_inside(wanted, root) else self._real_way(wanted)
        return Place(path or ".", path=path or ".")

    def _real_way(self, wanted: str) -> str:
        return Path(os.path.relpath(os.path.realpath(wanted), self._bounds.real)).as_posix()


class _Reader:
    """Reads the files that were found."""

    def __init__(self, root: Path) -> None:
        self._root, self._bounds = root, _Bounds(root)

    def read(self, locator: str) -> Picture:
        full = self._bounds.below(locator)
        try:
            if not self._bounds.hold(full, is_link=os.path.islink(full)):  # noqa: PTH114 - False for names too long
                return ImageRejected(OUTSIDE, code="outside", next_step="Put the file itself into the folder.")
            status = Path(full).stat()
            if not stat.S_ISREG(status.st_mode):
                return unreadable("it is not a file")
            return too_large(status.st_size) or Path(full).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            if not self._root.is_dir():
                raise gone(self._root) from None
            return None
        except OSError as error:
            return unreadable(error.strerror or type(error).__name__)


def _begins_as_picture(path: Path) -> bool:
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            return bool(kind_of(file.read(HEAD_BYTES)))
    except OSError:  # one that cannot be read is not known to be a picture
        return False


def _listed(path: str, *, inside: bool) -> Listed:
    if not inside:
        return Listed(_printable(path), None, f"outside: {OUTSIDE} Put the file itself into the folder.")
    if path != _printable(path):
        return Listed(_printable(path), None, "bad_name: Its name is not in UTF-8; rename the file.")
    return Listed(path, path, format_reason(path))


def _printable(path: str) -> str:
    return path.encode("utf-8", "replace").decode("utf-8")


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def too_large(size: int) -> ImageRejected | None:
    """Say that a file of ``size`` bytes is too large for a picture; None where it is not."""
    if size <= MAX_PICTURE_BYTES:
        return None
    return ImageRejected(
        f"The file has {size / 1e6:,.0f} MB; at most {MAX_PICTURE_BYTES // 1_000_000} MB are allowed.",
        code="too_large",
        next_step="Save it smaller and try again.",
    )


def unreadable(why: str) -> ImageRejected:
    """Say why a file cannot be read."""
    return ImageRejected(
        f"The file cannot be read: {why}.", code="unreadable", next_step="Check the file and its permissions."
    )


def _cannot_look(error: OSError) -> None:
    raise CatalogueError(
        f"The folder {error.filename} cannot be read: {error.strerror}.",
        next_step="Give the user that runs Twinset permission to read it.",
    ) from error


def gone(path: Path) -> DatasetUnavailable:
    """Say that a source is not where it should be."""
    return DatasetUnavailable(
        f"{path} does not exist.", next_step="Check the path; every machine of a cluster must have it at the same path."
    )
