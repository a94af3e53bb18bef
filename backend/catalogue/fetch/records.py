"""What was fetched, address by address, and which addresses each source names: one SQLite file beside the pictures.

SQLite and not a Delta table: it is asked for single addresses by the hundred thousand, is written a picture at a time so
that a killed fetch forgets nothing, and has one writer, the process that fetches; executors read only the pictures.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from backend.catalogue.fetch.gate import hosts_of
from backend.catalogue.fetch.layout import DATABASE, LAYOUT
from backend.catalogue.fetch.store import PictureStore
from backend.files.database import Database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backend.catalogue.fetch.gate import Hosts
    from backend.settings import Settings

GONE = 410
UNSIGNED_DAYS = 30.0  # after which a picture is asked for again whose server says nothing to ask by
_DAY_S, _HOUR_S = 86_400.0, 3600.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one address.

    Attributes:
        address: In its one spelling, without a password.
        final: Where redirects led.
        status: The server's last answer; 0 where there was none, 304 also where it sent the very same bytes again.
        etag, modified: By which it is asked whether the picture is still the same; empty where the server gave none.
        sha256: Of the picture's bytes; empty where there is no picture.
        kind: Its format, as its bytes say.
        n_bytes: Of the picture.
        attempts: Questions that it took.
        reason: Why there is no picture, as ``code: sentences``; empty where there is one.
        fetched_at: When it was last asked, seconds since the epoch.
    """

    address: str
    final: str = ""
    status: int = 0
    etag: str = ""
    modified: str = ""
    sha256: str = ""
    kind: str = ""
    n_bytes: int = 0
    attempts: int = 0
    reason: str = ""
    fetched_at: float = 0.0


_COLUMNS = tuple(item.name for item in fields(Fetched))
_ADD = f"INSERT OR REPLACE INTO fetched ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our own names


class Which(NamedTuple):
    """Which addresses are due.

    Attributes:
        before: What was asked before that is asked again, in seconds since the epoch.
        only_failed: Whether those alone are asked that failed, whenever that was.
        unsigned_before: The same as ``before`` for pictures that can only be sent whole, as their servers gave neither
            an ``ETag`` nor a date.
    """

    before: float
    only_failed: bool = False
    unsigned_before: float = 0.0

    @classmethod
    def older_than(cls, hours: float, *, only_failed: bool = False) -> Which:
        """Return those that were asked that long ago; of pictures without a sign, :data:`UNSIGNED_DAYS` at least."""
        now = time.time()
        return cls(now - hours * _HOUR_S, only_failed, now - max(hours * _HOUR_S, UNSIGNED_DAYS * _DAY_S))

    def condition(self) -> str:
        """Return it as SQL, over a row of ``fetched`` that may be null."""
        if self.only_failed:
            return f"f.reason != '' AND f.status != {GONE}"
        has_sign = "f.sha256 = '' OR f.etag != '' OR f.modified != ''"
        before = f"CASE WHEN {has_sign} THEN {self.before!r} ELSE {self.unsigned_before!r} END"
        return f"f.address IS NULL OR (f.status != {GONE} AND f.fetched_at < {before})"


class Kept(NamedTuple):
    """What a load has to know of an address; see :class:`Fetched`."""

    sha256: str
    kind: str
    reason: str
    is_placeholder: bool


class HostCount(NamedTuple):
    """How many addresses of a source are on a host, and how many of these are due."""

    host: str
    addresses: int
    due: int


class Records:
    """The table of what was fetched; see :class:`backend.files.database.Database` for its errors."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, LAYOUT)

    def add(self, found: Iterable[Fetched]) -> None:
        """Note what became of addresses, in one transaction."""
        with self._database.writing() as connection:
            connection.executemany(_ADD, map(astuple, found))

    def held_open(self) -> AbstractContextManager[None]:
        """Make many small transactions cheap meanwhile; see :meth:`backend.files.database.Database.held_open`."""
        return self._database.held_open()

    def get(self, address: str) -> Fetched | None:
        """Return what became of an address; None where it was never asked."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM fetched WHERE address = ?", (address,)).fetchone()
        return None if row is None else _fetched(row)

    def lookup(self) -> Callable[[str], Kept | None]:
        """Return what looks addresses up, one by one and quickly, in one thread; nothing is made where nothing is."""
        if not self._database.path.is_file():
            return lambda _: None
        connection = self._database.opened()
        sql = (
            "SELECT f.sha256, f.kind, f.reason, s.is_real = 0 FROM fetched f LEFT JOIN shared s USING (sha256) "
            "WHERE f.address = ?"
        )

        def look(address: str) -> Kept | None:
            row = connection.execute(sql, (address,)).fetchone()
            return None if row is None else Kept(row[0], row[1], row[2], bool(row[3]))

        return look

    def want(self, source: str, rows: Iterable[tuple[str, str, str]]) -> int:
        """Note what a source names, in place of what it named before: host, address and owner of each picture.

        Returns:
            How many it names.
        """
        with self._database.writing() as connection:
            connection.execute("DELETE FROM wanted WHERE source = ?", (source,))
            connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?)", ((source, *row) for row in rows))
            count: int = connection.execute("SELECT COUNT(*) FROM wanted WHERE source = ?", (source,)).fetchone()[0]
        return count

    def hosts(self, source: str, which: Which) -> list[HostCount]:
        """Count the addresses of a source by host, the most first."""
        sql = (
            f"SELECT host, COUNT(*), SUM({which.condition()}) FROM "  # noqa: S608 - our own numbers
            "(SELECT DISTINCT host, address FROM wanted WHERE source = ?) w "
            "LEFT JOIN fetched f USING (address) GROUP BY host ORDER BY 2 DESC, host"
        )
        with self._database.reading() as connection:
            return [HostCount(*row) for row in connection.execute(sql, (source,))]

    def due(self, source: str, host: str, which: Which) -> Iterator[tuple[str, Fetched | None]]:
        """Give the addresses of a host that are due, page by page, each with what is known of it."""
        sql = (
            "SELECT w.address AS wanted, f.* FROM (SELECT DISTINCT address FROM wanted WHERE source = ? AND host = ? "  # noqa: S608
            "AND address > ?) w LEFT JOIN fetched f USING (address) "
            f"WHERE {which.condition()} ORDER BY w.address LIMIT {_PAGE}"
        )
        last = ""
        while True:
            with self._database.reading() as connection:
                page = connection.execute(sql, (source, host, last)).fetchall()
            if not page:
                return
            for row in page:
                yield row["wanted"], _fetched(row) if row["address"] is not None else None
            last = page[-1]["wanted"]

    def counts(self, source: str) -> dict[str, int]:
        """Count the addresses of a source by why they have no picture; the empty code counts those that have one."""
        sql = (
            "SELECT CASE WHEN f.address IS NULL THEN 'not_fetched' ELSE "
            "SUBSTR(f.reason, 1, MAX(INSTR(f.reason, ':') - 1, 0)) END AS code, COUNT(*) FROM "
            "(SELECT DISTINCT address FROM wanted WHERE source = ?) w LEFT JOIN fetched f USING (address) "
            "GROUP BY code ORDER BY 2 DESC, code"
        )
        with self._database.reading() as connection:
            return dict(map(tuple, connection.execute(sql, (source,)).fetchall()))

    def state(self, source: str) -> str:
        """Return a hash of all that a load finds of a source's pictures: it is another once one of them is."""
        sql = (
            "SELECT DISTINCT w.address, f.sha256, s.is_real FROM wanted w LEFT JOIN fetched f USING (address) "
            "LEFT JOIN shared s USING (sha256) WHERE w.source = ? ORDER BY w.address"
        )
        digest = hashlib.sha256()
        with self._database.reading() as connection:
            for row in connection.execute(sql, (source,)):
                digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()

    def failed(self, source: str, *, limit: int) -> list[Fetched]:
        """Return addresses of a source that have no picture, some of each reason first."""
        sql = (
            "SELECT * FROM (SELECT f.*, ROW_NUMBER() OVER (PARTITION BY f.reason ORDER BY f.address) AS place FROM "
            "(SELECT DISTINCT address FROM wanted WHERE source = ?) w JOIN fetched f USING (address) "
            "WHERE f.reason != '') ORDER BY place, address LIMIT ?"
        )
        with self._database.reading() as connection:
            return [_fetched(row) for row in connection.execute(sql, (source, limit))]

    def forget_lost(self, source: str, store: PictureStore) -> None:
        """Forget the addresses of a source whose pictures are not in the store any more."""
        sql = (
            "SELECT DISTINCT f.address, f.sha256, f.n_bytes FROM wanted w JOIN fetched f USING (address) "
            "WHERE w.source = ? AND f.sha256 != ''"
        )
        with self._database.reading() as connection:
            rows = connection.execute(sql, (source,))
            lost = [(address,) for address, sha256, size in rows if not store.has(sha256, n_bytes=size)]
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM fetched WHERE address = ?", lost)

    def named(self) -> set[str]:
        """Return the hashes of the pictures that some source names, as it was last listed."""
        sql = "SELECT DISTINCT f.sha256 FROM wanted w JOIN fetched f USING (address)"
        with self._database.reading() as connection:
            return {row[0] for row in connection.execute(sql)}

    def confirm(self, hosts: Iterable[str]) -> None:
        """Note that a user confirmed hosts."""
        hosts = list(hosts)
        if not hosts:
            return
        with self._database.writing() as connection:
            rows = ((host, time.time()) for host in hosts)
            connection.executemany("INSERT OR IGNORE INTO confirmed VALUES (?, ?)", rows)
            connection.execute("DELETE FROM fetched WHERE reason LIKE 'host_not_allowed:%'")  # it may be by now

    def confirmed(self) -> list[str]:
        """Return the hosts that were confirmed."""
        if not self._database.path.is_file():
            return []
        with self._database.reading() as connection:
            return [row[0] for row in connection.execute("SELECT host FROM confirmed ORDER BY host")]


def store_of(settings: Settings) -> PictureStore:
    """Return where a home keeps fetched pictures."""
    return PictureStore(settings.fetched_dir)


def records_of(store: PictureStore) -> Records:
    """Return the table of what was fetched into a store."""
    return Records(store.folder / DATABASE)


def allowed_hosts(settings: Settings) -> Hosts:
    """Return the hosts that may be asked: those that the setting names, and those that were confirmed.

    Raises:
        SettingsError: The setting names what is no host.
    """
    return hosts_of(settings.picture_hosts, records_of(store_of(settings)).confirmed())


def _fetched(row: sqlite3.Row) -> Fetched:
    return Fetched(*(row[name] for name in _COLUMNS))
