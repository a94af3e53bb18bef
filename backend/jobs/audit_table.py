"""The audit as a Delta table: to it goes, in commits of many rows, what :mod:`backend.access.audit` has written down.

The table is append only, to Delta as well, and nothing in Twinset removes from it. Whoever is killed between a commit and
the emptying of the file of those that wait leaves rows in both: a row is known by its hash, and counts once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from backend.access.audit import COLUMNS, FORMAT, START, Audit, AuditRow, Link, journal
from backend.access.person import Role
from backend.access.use_case import DONE, REFUSED, use_case, words
from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import checkpoint, commit_files, create_table, write_file
from backend.catalogue.delta.stored_rows import StoredRows
from backend.errors import CatalogueError
from backend.files.sheet_text import as_csv
from backend.files.storage import disk_watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from backend.settings import Settings

Form = Literal["csv", "jsonl"]
FAILED = "failed"
_SHOWN = 20  # problems that a check names
_ARROW = {"number": pa.int64(), "at": pa.timestamp("us", tz="UTC")}
_DELTA = {"number": "long", "at": "timestamp"}
SCHEMA = pa.schema([pa.field(name, _ARROW.get(name, pa.string()), nullable=False) for name in COLUMNS])
_FIELDS = [{"name": name, "type": _DELTA.get(name, "string"), "nullable": False} for name in COLUMNS]
_PROPERTIES = {
    "delta.appendOnly": "true",
    **delta_log.KEEPS_ALL,
    "twinset.audit.format": str(FORMAT),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted; what is empty or None is not looked at.

    Attributes:
        person, action: What it contains; capital letters are as good as small ones.
        result: As the row has it; ``failed`` is every result but ``done`` and ``refused``.
        since, until: The earliest time, and the first that is too late.
    """

    person: str = ""
    action: str = ""
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def of(self, rows: pa.Table) -> pa.Table:
        """Return those of some rows that are wanted."""
        at, result = pc.field("at"), pc.field("result")
        ended = pa.array([DONE, REFUSED])
        parts = (
            (self.person, pc.match_substring(pc.field("person"), self.person, ignore_case=True)),
            (self.action, pc.match_substring(pc.field("action"), self.action, ignore_case=True)),
            (self.result, ~result.isin(ended) if self.result == FAILED else result == self.result),
            (self.since, at >= pa.scalar(self.since, _ARROW["at"])),
            (self.until, at < pa.scalar(self.until, _ARROW["at"])),
        )
        wanted = [part for given, part in parts if given]
        return rows.filter(reduce(and_, wanted)) if wanted else rows


class Page(NamedTuple):
    """Some of the rows that are wanted, the newest first, and how many there are in all."""

    rows: list[AuditRow]
    total: int


@dataclass(slots=True)
class Checked:
    """What a check of the chain found.

    Attributes:
        rows: How many there are.
        newest: Number and hash of the newest: whoever keeps them elsewhere can tell later that the chain still has it.
        problems: What is wrong, in sentences; the first of them.
        more: How many others there are.
    """

    rows: int = 0
    newest: Link = START
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, problem: str) -> None:
        """Note a problem."""
        if len(self.problems) < _SHOWN:
            self.problems.append(problem)
        else:
            self.more += 1


def fold(settings: Settings) -> int:
    """Move the rows that wait to the table, in one commit; returns how many.

    Raises:
        StorageFull, StorageFailed: The disk refuses; the rows still wait.
        CatalogueError: The table or the file of those that wait is damaged.
    """
    audit, table = journal(settings), _table(settings)
    with disk_watched("try again", so=": the audit's rows still wait for its table"), audit.held():
        found = _waiting(audit)
        waiting = _unknown(found, table)
        if waiting:
            _commit(table, waiting)
        if found:
            audit.begin_again(found[-1].link)
    return len(waiting)


@use_case("audit.read", Role.ADMIN, is_audited=False)
def page(settings: Settings, wanted: Wanted, limit: int, *, offset: int = 0) -> Page:
    """Return rows that are wanted, the newest first, behind the first ``offset`` of them.

    Raises:
        CatalogueError: The table or the file of those that wait is damaged.
    """
    found, total = [], 0
    for part in _parts_back(settings):
        kept = wanted.of(part)
        first = max(offset - total, 0)
        last = min(offset + limit - total, len(kept))  # counted from the newest, as ``first`` is
        total += len(kept)
        if first < last:
            found += _from_arrow(kept.slice(len(kept) - last, last - first))[::-1]
    return Page(found, total)


@use_case("audit.export", Role.ADMIN, about=lambda _, wanted, form: words(format=form, **asdict(wanted)))
def export(settings: Settings, wanted: Wanted, form: Form) -> bytes:
    """Return all rows that are wanted, the oldest first, as a table for people or one JSON object a line.

    Raises:
        CatalogueError: The table or the file of those that wait is damaged.
    """
    parts = [wanted.of(part) for part in _parts_back(settings)]
    found = [row.as_dict() for part in parts[::-1] for row in _from_arrow(part)]
    if form == "csv":
        return as_csv([COLUMNS, *(row.values() for row in found)]).encode("utf-8-sig")
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in found).encode()


def check(settings: Settings, known: Link | None = None) -> Checked:
    """Follow the chain from its first row to its last; nothing is changed.

    Args:
        settings: Of the home.
        known: A row that the chain had earlier, as an earlier check told it.
    """
    found, last = Checked(), START
    is_known = known is None
    try:
        for part in reversed(list(_parts_back(settings))):
            for row in _from_arrow(part):
                _check_row(found, row, last)
                is_known |= row.link == known
                found.rows, last = found.rows + 1, row.link
    except CatalogueError as error:
        found.add(error.message)
    newest = journal(settings).newest()
    if newest.number > last.number:
        found.add(f"The rows after {last.number} are missing: {newest.number} were written.")
    elif newest != START and newest.number == last.number and newest != last:
        found.add(f"Row {last.number} is not the one that was written last.")
    if not is_known and known is not None:
        found.add(f"There is no row {known.number} with the hash {known.hash}.")
    found.newest = last
    return found


def _check_row(found: Checked, row: AuditRow, last: Link) -> None:
    if row.number != last.number + 1:
        found.add(f"Row {row.number} follows row {last.number}.")
    if row.digest(last.hash) != row.hash:
        found.add(f"Row {row.number}, or the one before it, is not the one that was written.")


# ------------------------------------------------------------------------------------------- inside


def _table(settings: Settings) -> Path:
    return settings.audit_dir / "table"


def _files(table: Path) -> list[Path]:
    """Return the files of the table, in the order of its commits."""
    if delta_log.newest_version(table) is None:
        return []
    return sorted(delta_log.files_of(delta_log.open_table(table)), key=lambda file: file.name)


def _parts_back(settings: Settings) -> Iterator[pa.Table]:
    """Give the rows in parts, the newest part first: those that wait, then the table's files."""
    audit, table = journal(settings), _table(settings)
    with audit.held():
        files, waiting = _files(table), _waiting(audit)
    yield _as_arrow(_unknown(waiting, table))
    for file in reversed(files):
        yield StoredRows([file], schema=SCHEMA).table(COLUMNS)


def _waiting(audit: Audit) -> list[AuditRow]:
    """Return the rows that wait; the lock is held."""
    try:
        return audit.rows()
    except (ValueError, KeyError, TypeError) as error:
        raise CatalogueError(
            f"{audit.waiting} was changed and cannot be read: {error}.",
            next_step="Restore it from a backup, or move it away; new rows are written to a new file.",
        ) from error


def _unknown(waiting: list[AuditRow], table: Path) -> list[AuditRow]:
    """Return the rows that are not in the table yet."""
    known: set[str] = set()
    for file in reversed(_files(table) if waiting else []):
        numbers = StoredRows([file], schema=SCHEMA).table(["number", "hash"])
        known |= set(numbers["hash"].to_pylist())
        if (pc.min(numbers["number"]).as_py() or 0) <= waiting[0].number:
            break
    return [row for row in waiting if row.hash not in known]


def _commit(table: Path, waiting: list[AuditRow]) -> None:
    if delta_log.newest_version(table) is None:
        create_table(table, _FIELDS, _PROPERTIES)
    version = (delta_log.newest_version(table) or 0) + 1
    # Named by the version: one that somebody who was killed left is replaced, and no file that a commit names ever is.
    added = write_file(table / f"rows-{version:020d}.parquet", _as_arrow(waiting), compression="zstd")
    commit_files(table, [added], note={"audit": FORMAT, "rows": len(waiting)})
    checkpoint(table)


def _as_arrow(found: list[AuditRow]) -> pa.Table:
    return pa.table({name: [getattr(row, name) for row in found] for name in COLUMNS}, schema=SCHEMA)


def _from_arrow(part: pa.Table) -> list[AuditRow]:
    return [AuditRow(**raw) for raw in part.to_pylist()]
