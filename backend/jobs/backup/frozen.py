"""A home as it is at one moment, while others go on writing.

What is written once and then replaced as a whole is linked, not copied: a link keeps what the file held. A folder whose
files belong together is linked again until nothing of it changed meanwhile. A Delta table is taken at the version it has,
with the files that its versions name, however many commits follow; a database by SQLite's own backup. What refers to
something is taken before that, so that nothing in the backup points to what came later.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from backend.catalogue.delta.log_replay import states
from backend.errors import InUse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.progress import Progress

# Made again when needed, or of processes that run on this machine now.
LEFT_OUT = frozenset({"cache", "staging", "runs", "downloads"})
_LOG, _NEWEST = "_delta_log", "_last_checkpoint"
_DATABASE, _GROWING = ".db", (".log", ".jsonl")
_SIDE_FILES = ("-wal", "-shm", "-journal")
_LOOKS, _BETWEEN_S = 50, 0.1
_BUSY_TIMEOUT_S = 30.0

Signatures = dict[str, tuple[int, ...]]  # by path from the folder: what changes where the file does


def freeze(home: Path, place: Path, progress: Progress) -> None:
    """Link or copy a home into a folder of the same file system, which is made.

    Raises:
        InUse: A part of it is changed all the time.
        CatalogueError: The log of a table is damaged.
        Cancelled: The user asked to stop.
    """
    _take_files(home, place, deep=False)
    groups = []
    for kind in [path for path in folders(home) if path.name not in LEFT_OUT]:
        _take_files(kind, place / kind.name, deep=False)
        groups += [kind] if (kind / _LOG).is_dir() else folders(kind)
    for number, group in enumerate(groups):
        progress.check_cancelled()
        progress.report(number, len(groups), note=f"Reading {group.relative_to(home)}")
        try:
            _take(group, place / group.relative_to(home))
        except FileNotFoundError:  # it was removed meanwhile
            shutil.rmtree(place / group.relative_to(home), ignore_errors=True)


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, in order; hidden ones, and those of a table's own, are passed over."""
    found = [one for one in os.scandir(folder) if one.is_dir(follow_symlinks=False)]
    return [folder / one.name for one in sorted(found, key=_name) if not one.name.startswith((".", "_"))]


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _take(source: Path, target: Path) -> None:
    _take_files(source, target)
    for table in tables_in(source):
        _until_whole(lambda table=table: _take_table(table, target / table.relative_to(source)), table)  # type: ignore[misc]


def tables_in(folder: Path) -> list[Path]:
    """Find the tables in a folder, it being one or not: one that another is in comes before that."""
    below = [table for one in folders(folder) for table in tables_in(one)]
    return [folder, *below] if (folder / _LOG).is_dir() else below


def _until_whole(take: Callable[[], bool], source: Path) -> None:
    for _ in range(_LOOKS):
        if take():
            return
        time.sleep(_BETWEEN_S)
    raise InUse(f"{source} changes all the time.", next_step="Wait until it is no longer written, then try again.")


# ------------------------------------------------------------------------------------------- files that belong together


def _take_files(source: Path, target: Path, *, deep: bool = True) -> None:
    """Take the files of a folder, but for tables; once more as long as any of them changed meanwhile."""

    def taken() -> bool:
        before = _signatures(source, deep=deep)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted(before, key=lambda one: (not one.endswith(_DATABASE), one)):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # the second look finds it gone, too
                _copy(source / path, target / path)
        return _settled(before) == _settled(_signatures(source, deep=deep))

    _until_whole(taken, source)


def _signatures(folder: Path, *, deep: bool) -> Signatures:
    """Look at a folder's files, but for those of tables, of side files, and of what is being written."""
    found: Signatures = {}
    open_ = [""]
    while open_:
        prefix = open_.pop()
        is_table = (folder / prefix / _LOG).is_dir()
        for entry in os.scandir(folder / prefix):
            path = f"{prefix}{entry.name}"
            if entry.name.startswith((".", "_") if is_table else ".") or entry.name.endswith(_SIDE_FILES):
                continue
            if entry.is_dir(follow_symlinks=False):
                open_ += [f"{path}/"] if deep else []
            elif entry.is_file(follow_symlinks=False) and not (is_table and entry.name.endswith((".parquet", ".bin"))):
                facts = entry.stat(follow_symlinks=False)
                found[path] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
    return found


def _settled(found: Signatures) -> Signatures:
    """Leave out what changes while it is used, and is whole at any time: a database, and a list that grows."""
    return {path: facts for path, facts in found.items() if not path.endswith((_DATABASE, *_GROWING))}


def _copy(source: Path, target: Path) -> None:
    if source.name.endswith(_DATABASE):
        _copy_database(source, target)
    elif source.name.endswith(_GROWING):
        shutil.copyfile(source, target)
    else:
        _link(source, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source, timeout=_BUSY_TIMEOUT_S)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
        other.execute("PRAGMA journal_mode = DELETE")  # no side files beside the copy


# ------------------------------------------------------------------------------------------- a Delta table


def _take_table(source: Path, target: Path) -> bool:
    """Take a table at the version it has now; returns whether its newest version is all there."""
    log = target / _LOG
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir(parents=True)
    names = sorted(path.name for path in (source / _LOG).iterdir() if not path.name.startswith("."))
    last = max((name for name in names if name.endswith(".json")), default="")
    for name in names:
        # A pointer to a checkpoint may be newer than the list of names; without it, readers look for themselves.
        if name != _NEWEST and name[: len("0" * 20)] <= last[:20]:
            with suppress(FileNotFoundError):
                _put(source / _LOG / name, log / name)
    history = states(target)
    for path in {path for state in history for path in (*state.paths, *state.commit.feed)}:
        with suppress(FileNotFoundError):  # of an older version, removed when its retention ended
            _put(source / path, target / path)
    return not history or all((target / path).is_file() for path in history[-1].paths)


def _put(source: Path, target: Path) -> None:
    if source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(source, target)
