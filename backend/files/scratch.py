"""Temporary files of a process: in one folder, which goes with the process, or with the next start after a kill.

A folder is held by a lock in it, and a file that is being written by a lock on itself, which the system gives back however
its owner dies: a number of a process is another's tomorrow. The names say user and host, so that nobody else's folder is
touched, on a shared disk either.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from backend.files.locking import open_lock, taken

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK, _NEW_LOCK = ".lock", ".lock-new"  # the first is how locks beside files end, too
_TMPDIR = "TMPDIR"
_YOUNG_S = 60  # a folder so young may not have its lock yet
_ROOTS: dict[int, Path] = {}  # by process: a forked child's is its own


@contextmanager
def own_folder(purpose: str = "work", *, clear: bool = True) -> Iterator[Path]:
    """Give a folder for temporary files that is gone afterwards.

    The outermost one of a process holds all others, and what libraries and children write: it becomes ``TMPDIR``.
    Making it removes those of this user's processes on this host that were killed, unless ``clear`` is not set.
    """
    if root := _ROOTS.get(os.getpid()):
        with tempfile.TemporaryDirectory(dir=root, prefix=f"{purpose}-", ignore_cleanup_errors=True) as inner:
            yield Path(inner)
        return
    base, prefix = common_folder(), _prefix()
    for folder in left_of_processes() if clear else ():
        remove(folder)
    with held_folder(base, prefix) as folder, _as_tmpdir(folder):
        yield folder


@contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a new folder in ``parent`` that is locked while it is used, and gone afterwards."""
    owner = os.getpid()
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with hold(folder):
        try:
            yield folder
        finally:
            if os.getpid() == owner:  # and not a child that was forked meanwhile
                shutil.rmtree(folder, ignore_errors=True)


class Hold:
    """The lock of a folder, until it is closed or the process ends."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; twice is no error."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def hold(folder: Path) -> Hold:
    """Lock a folder that is new, or whose owner is gone."""
    handle = open_lock(folder / _NEW_LOCK)
    taken(handle, wait=True)
    (folder / _NEW_LOCK).rename(folder / LOCK)  # nobody ever sees it without its owner
    return Hold(handle)


def sweep(parent: Path, pattern: str) -> None:
    """Remove what :func:`left_in` finds."""
    for path in left_in(parent, pattern):
        remove(path)


def left_in(parent: Path, pattern: str) -> list[Path]:
    """Return the folders and files in ``parent`` that :func:`is_left` says; locks stay, whatever they are called."""
    found = []
    for path in (path for path in parent.glob(pattern) if path.suffix != LOCK):
        with suppress(OSError):  # it has gone meanwhile
            found += [path] if is_left(path) else []
    return found


def left_of_processes() -> list[Path]:
    """Return the folders for temporary files of this user's processes on this host that were killed."""
    return left_in(common_folder(), f"{_prefix()}*")


def remove(path: Path) -> None:
    """Remove a file or a folder; another process may be as far."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_left(path: Path) -> bool:
    """Tell whether a folder or a file is this user's, and whoever held it is gone.

    Raises:
        OSError: There is no such one any more.
    """
    with claimed(path) as is_ours:
        return is_ours


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Tell whether something is left, and have nobody else find it so meanwhile.

    Raises:
        OSError: There is no such one any more.
    """
    facts = path.lstat()
    is_folder, is_old = stat.S_ISDIR(facts.st_mode), time.time() - facts.st_mtime > _YOUNG_S
    if facts.st_uid != os.getuid() or not (is_folder or stat.S_ISREG(facts.st_mode)):
        yield False
        return
    if not is_folder and not facts.st_size:  # it may not have its lock yet
        yield is_old
        return
    lock = _locked(path / LOCK if is_folder else path)
    try:
        yield is_old if lock is None else lock >= 0
    finally:
        if lock is not None and lock >= 0:
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Lock a file at once and return its handle: -1 where someone holds it, None where there is none."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        return -1
    with suppress(OSError):  # a file system without locks
        if taken(handle):
            return handle
    os.close(handle)
    return -1


@contextmanager
def _as_tmpdir(folder: Path) -> Iterator[None]:
    """Have this process and its children put their temporary files there."""
    owner, before, cached = os.getpid(), os.environ.get(_TMPDIR), tempfile.tempdir
    os.environ[_TMPDIR] = tempfile.tempdir = str(folder)
    _ROOTS[owner] = folder
    try:
        yield
    finally:
        _ROOTS.pop(owner, None)
        tempfile.tempdir = cached
        if before is None:
            os.environ.pop(_TMPDIR, None)
        else:
            os.environ[_TMPDIR] = before


def common_folder() -> Path:
    """Return the folder that all processes of this machine share, for their own folders and for locks."""
    folder = Path(os.environ.get(_TMPDIR, ""))
    if folder.name.startswith(_prefix()) and folder.parent.is_dir():
        return folder.parent
    return Path(tempfile.gettempdir())


def _prefix() -> str:
    host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:24]
    return f"twinset-{os.getuid()}-{host}-"
