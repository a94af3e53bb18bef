"""An SQLite file of the home: opened for one short transaction at a time, by any number of processes and threads.

A connection lives as long as one transaction: nothing to share between the threads of the app, nothing for a forked
child to inherit, and a home folder that was deleted meanwhile is simply made again.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from backend.files.storage import disk_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.errors import WorkbenchError

BUSY_TIMEOUT_S = 10.0
FULL_BELOW_BYTES = 1_000_000  # SQLite reports some full disks as an I/O error only


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file holds, and what is said when it cannot be used.

    Attributes:
        name: What the file is, as the start of a sentence: ``The job list``.
        schema: Statements that make its tables.
        error: What is raised when it cannot be used.
        again: What to do once a full disk has space.
        anew: What it means to start with a new, empty file.
        later: Statements of each later version of the schema, which bring a file of the one before to it; a file of a
            version that is not among them is refused.
    """

    name: str
    schema: tuple[str, ...]
    error: type[WorkbenchError]
    again: str
    anew: str
    later: tuple[tuple[str, ...], ...] = ()

    @property
    def version(self) -> int:
        """Of the schema."""
        return 1 + len(self.later)


class Database:
    """Transactions on one file; every error of SQLite leaves as a ``WorkbenchError``.

    Raises (all methods):
        StorageFull: No space is left.
        WorkbenchError: The layout's own: the file is busy for too long, damaged, unreadable, or a newer Twinset's.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self._layout = path, layout

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one or more reads; columns are had by name."""
        with self._translated(), closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one transaction that excludes other writers; an error undoes all of it."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection  # closing without a commit rolls back
            connection.execute("COMMIT")

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Keep the side files of the database from being removed and made again by every transaction.

        That costs a flush of the disk (seen: 6 ms a write instead of 0.2 ms), and space that may be wanting.
        """
        with self.reading():
            yield

    def opened(self) -> sqlite3.Connection:
        """Return a connection for many reads of one thread; it is closed with its last reader."""
        with self._translated():
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = NORMAL")  # safe with WAL; no disk flush for every report
            connection.execute("PRAGMA foreign_keys = ON")
            self._ensure_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ensure_schema(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version > self._layout.version:
            raise self._layout.error(
                f"{self._layout.name} {self.path} was written by a newer Twinset.",
                next_step="Update this Twinset, or choose another TWINSET_HOME.",
            )
        if version == self._layout.version:
            return
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        found = _version(connection)  # somebody else may have brought it here, or on, while we waited
        for statement in chain.from_iterable((self._layout.schema, *self._layout.later)[found:]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(found, self._layout.version)}")
        connection.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.Error | OSError) -> WorkbenchError:
        kind = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the low byte is the family
        if kind == sqlite3.SQLITE_IOERR and self._is_full():
            error = OSError(errno.ENOSPC, "SQLite gives no further reason")
        if (
            known := disk_error(
                error, self._layout.again, so=f": {self.path} cannot be written", place=self.path.parent
            )
        ) is not None:
            return known
        if kind in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return self._layout.error(
                f"{self._layout.name} {self.path} was busy for {BUSY_TIMEOUT_S:.0f} s.",
                next_step="Try again in a moment.",
            )
        if kind in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            return self._layout.error(
                f"{self._layout.name} {self.path} is damaged.",
                next_step=f"Move the file away; {self._layout.anew}",
            )
        return self._layout.error(
            f"{self._layout.name} {self.path} cannot be used: {error}.", next_step="Check that the folder is writable."
        )

    def _is_full(self) -> bool:
        return shutil.disk_usage(self.path.parent).free < FULL_BELOW_BYTES


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
