"""What a disk refuses, in words; and writing so that a refusal loses nothing.

A disk can be full, read-only or failing, and a system can limit the size of files. Libraries say so in their own ways:
Python by a number, Arrow, Delta's reader and a JVM by the system's words somewhere in a text, SQLite by words of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backend.errors import FileUnusable, SettingsError, StorageFailed, StorageFull, WorkbenchError
from backend.files.locking import taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_ALL, _OTHERS, _GROUP_AND_OTHERS = 0o777, 0o007, 0o077
_OURS = ("jobs.db", "mlflow.db", "catalogues", "models")
_umask: ContextVar[int] = ContextVar("the user's own umask", default=0o022)
_NOT_IN_FOLDERS = '%?#*`\\"'
MOST_FOLDER_BYTES = 400
_UNOPENED = "unable to open database file"
AGAIN, UNTOUCHED = "run this again", "; the last committed state is untouched"


class _Fault(NamedTuple):
    kind: type[StorageFailed]
    said: str
    remedy: str
    texts: tuple[str, ...]


_FULL = _Fault(
    StorageFull, "The disk is full", "Free some space", ("No space left on device", "database or disk is full")
)
_FAULTS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL._replace(said="The disk quota is exhausted", texts=("Disk quota exceeded",)),
    errno.EROFS: _Fault(
        StorageFailed,
        "The disk is read-only",
        "Make it writable",
        ("Read-only file system", "attempt to write a readonly database"),
    ),
    errno.EFBIG: _Fault(
        StorageFailed,
        "The system's limit on file size is exceeded",
        "Raise the limit (`ulimit -f` shows it)",
        ("File too large",),
    ),
    errno.EIO: _Fault(
        StorageFailed,
        "The disk has failed: it could not be read or written",
        "Check the system log for disk errors",
        ("Input/output error", "disk I/O error"),
    ),
}


def disk_error(error: BaseException, then: str, *, so: str = "", place: Path | None = None) -> StorageFailed | None:
    """Return what a disk refused as a sentence, where that is what an error, or one that caused it, is about.

    Args:
        error: What was raised.
        then: What to do once the disk is mended, e.g. ``train again``.
        so: What it means, after the sentence, e.g. ``: epoch 3 could not be stored``.
        place: The folder of a database: of a disk that is read-only, SQLite says only that it cannot be opened.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageFailed):
            return seen
        fault = None if isinstance(seen, WorkbenchError) else _fault_of(seen)
        if fault is None and place is not None and _UNOPENED in _text(seen) and is_read_only(place):
            fault = _FAULTS[errno.EROFS]
        if fault is not None:
            return fault.kind(f"{fault.said}{so}.", next_step=f"{fault.remedy} and {then}.")
        seen = seen.__cause__ or seen.__context__
    return None


def system_error(error: BaseException, then: str) -> WorkbenchError | None:
    """Return what a disk or the system refused as a sentence; None where neither is to blame."""
    return disk_error(error, then) or (FileUnusable.of(error) if isinstance(error, OSError) else None)


@contextmanager
def disk_watched(then: str, *, so: str = "") -> Iterator[None]:
    """Say it in words when a disk refuses; see :func:`disk_error`.

    Raises:
        StorageFull: There is no space.
        StorageFailed: The disk is read-only or failing, or the system limits the size of files.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, WorkbenchError) and (known := disk_error(error, then, so=so)) is not None:
            raise known from error
        raise


def is_read_only(folder: Path) -> bool:
    """Whether a folder is on a disk that is read-only."""
    return folder.is_dir() and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _fault_of(error: BaseException) -> _Fault | None:
    if isinstance(error, OSError) and error.errno in _FAULTS:
        return _FAULTS[error.errno]
    text = _text(error)
    return next((fault for fault in _FAULTS.values() if any(words in text for words in fault.texts)), None)


def _text(error: BaseException) -> str:
    """A JVM's error asks the JVM for its text, and that may be gone."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever went wrong while asking, the error itself is what matters
        return repr(error.args)


def write_atomically(path: Path, data: bytes, *, lasting: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: The file.
        data: Its new content.
        lasting: Whether to wait until the disk has it, so that it also outlives a machine that stops.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.writing-")
    with os.fdopen(handle, "wb") as stream:
        try:
            taken(handle, wait=True)  # it is somebody's; after a kill, it is not
            stream.write(data)
            stream.flush()
            if lasting:
                os.fsync(handle)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_export(path: Path, data: bytes) -> None:
    """Write a file that a user asked for by name: an old one is replaced as a whole; who may read it is as ever."""
    path = path.resolve()  # where a link points to, not the link
    if path.exists() and not path.is_file():  # a pipe, a terminal
        path.write_bytes(data)
        return
    mode = path.stat().st_mode & _ALL if path.exists() else 0o666 & ~_umask.get()
    write_atomically(path, data)
    path.chmod(mode)


@contextmanager
def private(home: Path) -> Iterator[None]:
    """Keep a home private, see :func:`keep_private`, for as long as something is done."""
    before = keep_private(home)
    token = _umask.set(before)
    try:
        yield
    finally:
        _umask.reset(token)
        os.umask(before)


def keep_private(home: Path) -> int:
    """Have this process, and those that it starts, make files that only their owner may read; returns the mask before.

    A home that an earlier version left open is closed. One that a group shares is marked by its setgid bit
    (``chmod g+rwxs``): there the group may do what the owner may.
    """
    is_shared = home.is_dir() and bool(home.stat().st_mode & stat.S_ISGID)
    closed = _OTHERS if is_shared else _GROUP_AND_OTHERS
    before = os.umask(closed)
    if home.is_dir():
        close_to_others(home, closed)
    return before


def close_to_others(home: Path, closed: int) -> None:
    """Take rights on a home, and on its databases, secrets and logs, from all whom the bits ``closed`` name.

    A folder that is not known to be a home, as one for temporary files that all share, is left alone.
    """
    if not any((home / name).exists() for name in _OURS):
        return
    for path in (home, *home.iterdir(), *(home / "logs").glob("*")):
        with suppress(OSError):  # it is gone, another's, or of a disk that is read-only: whoever can closes it
            mode = path.lstat().st_mode
            if mode & closed and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~closed)


def without_dots(folder: Path) -> Path:
    """Return a folder by a path without ``..``, which Delta reads as a step back in the text, whatever links say."""
    return folder.resolve() if ".." in folder.parts else folder


def check_folders(folders: Mapping[str, Path]) -> None:
    """Refuse folders, by the setting that names each, that a library would take for others, as it makes addresses of them.

    Raises:
        SettingsError: One has such a letter in its name, or is too long a path.
    """
    for name, folder in folders.items():
        _check_folder(name, folder)


def _check_folder(name: str, folder: Path) -> None:
    text = str(folder)
    wrong = next((letter for letter in text if letter in _NOT_IN_FOLDERS or not (letter.isprintable())), "")
    if wrong:
        raise SettingsError(
            f"{name} is {text!r}, but {wrong!r} in a folder name has a special meaning for the libraries that store "
            "data there.",
            next_step=f"Choose a folder without any of {' '.join(_NOT_IN_FOLDERS)}; one that exists can be renamed.",
        )
    if (n_bytes := len(os.fsencode(text))) > MOST_FOLDER_BYTES:
        raise SettingsError(
            f"{name} has {n_bytes} bytes; paths below it would be too long.",
            next_step=f"Choose a folder whose path has at most {MOST_FOLDER_BYTES} bytes.",
        )
