"""Who did what: one row an action, written down when it happens, each chained to the one before it.

A row is a line at the end of a file and on the disk when :meth:`Audit.write` returns. From time to time rows go from there
to the Delta table that :mod:`backend.jobs.audit_table` keeps. Its hash covers a row and the hash before it, so a row that
was changed, removed or put in later breaks the chain; number and hash of the newest row are in a file of their own, too, so
that the end of the chain cannot be cut off unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.files.locking import lock_beside, locked, taken
from backend.files.storage import disk_watched, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from backend.access.person import Person
    from backend.settings import Settings

FORMAT = 1
LONGEST = {
    "person": 320,
    "role": 20,
    "way": 20,
    "address": 100,
    "action": 100,
    "about": 1_000,
    "result": 100,
}  # characters
_DUE_BYTES = 300_000  # some thousand rows
_TAIL = 65_536  # bytes: more than the longest line
_NEWEST_BYTES = 100


class Link(NamedTuple):
    """Where the chain has got to: number and hash of a row."""

    number: int
    hash: str


START = Link(0, "0" * 64)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One action.

    Attributes:
        number: Of the row, from 1 on, without a gap.
        at: When, in UTC.
        person, role, way, address: Who, as in :class:`backend.access.person.Person`.
        action: Name of the use case.
        about: On what, in which version; as ``name=value`` words.
        result: ``done``, ``refused``, or the error's code.
        hash: SHA-256 of the hash before it and of all that is above, 64 hexadecimal digits.
    """

    number: int
    at: datetime
    person: str
    role: str
    way: str
    address: str
    action: str
    about: str
    result: str
    hash: str = ""

    @property
    def link(self) -> Link:
        """Its place in the chain."""
        return Link(self.number, self.hash)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        found = {name: getattr(self, name) for name in COLUMNS}
        return found | {"at": self.at.isoformat(timespec="microseconds")}

    def digest(self, before: str) -> str:
        """Return the hash that it has behind the row of that hash."""
        said = json.dumps([*self.as_dict().values()][:-1])
        return hashlib.sha256(f"{before}{said}".encode()).hexdigest()

    def chained(self, before: str) -> AuditRow:
        """Return it with that hash."""
        return replace(self, hash=self.digest(before))


COLUMNS = tuple(item.name for item in fields(AuditRow))


def row_of(raw: Mapping[str, Any]) -> AuditRow:
    """Read what :meth:`AuditRow.as_dict` gives; raises ValueError, KeyError or TypeError where it is something else."""
    texts = {name: str(raw[name]) for name in COLUMNS if name not in {"number", "at"}}
    return AuditRow(number=int(raw["number"]), at=datetime.fromisoformat(raw["at"]), **texts)


class Audit:
    """The rows that wait for the table; threads and processes may share it.

    Args:
        folder: Of the audit, in the home.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting = folder / "waiting.jsonl"
        self._newest = folder / ".newest"  # locked by whoever sees to it that the disk has the rows

    def write(self, person: Person, action: str, about: str, result: str) -> None:
        """Write down one action, and return when it would survive a crash.

        Raises:
            StorageFull, StorageFailed: The disk refuses; what is behind this row's place in the chain is whole.
        """
        said = {**asdict(person), "person": person.name, "role": person.role.title if person.role else ""}
        said |= {"action": action, "about": about, "result": result}
        texts = {name: _storable(said[name])[:most] for name, most in LONGEST.items()}
        with disk_watched("try again", so=": the audit cannot be written"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _opened(self._newest) as newest, self._appended(texts, newest) as (handle, mine):
                taken(newest, wait=True)
                if _read_link(newest).number < mine.number:  # else it went to the disk with another one
                    _, last = _end_of(handle)
                    os.fdatasync(handle)
                    _write_link(newest, max(mine, last))

    @contextmanager
    def _appended(self, texts: dict[str, str], newest: int) -> Iterator[tuple[int, Link]]:
        """Write a row behind the others; give the open file and the row's place in the chain."""
        with ExitStack() as stack:
            with self.held():
                handle = stack.enter_context(_opened(self.waiting, os.O_APPEND))
                end, last = _end_of(handle)
                last = max(last, _read_link(newest))
                row = AuditRow(last.number + 1, datetime.now(UTC), **texts).chained(last.hash)
                _append(handle, f"{json.dumps(row.as_dict(), ensure_ascii=False)}\n".encode(), end)
            yield handle, row.link

    @property
    def is_due(self) -> bool:
        """Whether so many rows wait that they should be moved to the table."""
        try:
            return self.waiting.stat().st_size > _DUE_BYTES
        except FileNotFoundError:
            return False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from writing."""
        with locked(lock_beside(self.waiting)):
            yield

    def newest(self) -> Link:
        """Return the newest row that is known to be on the disk; ``START`` where nothing says so."""
        if not self._newest.exists():
            return START
        with _opened(self._newest) as newest:
            return _read_link(newest)

    def rows(self) -> list[AuditRow]:
        """Return the rows that wait, in their order; the lock is held.

        Raises:
            ValueError, KeyError, TypeError: A line was changed and cannot be read any more.
        """
        try:
            lines = self.waiting.read_bytes().split(b"\n")[:-1]  # what no line break ends is of a writer who was killed
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [row_of(raw) for raw in found[bool(found and "format" in found[0]) :]]

    def begin_again(self, last: Link) -> None:
        """Empty the file of those that wait, but for where the chain has got to; the lock is held."""
        head = {"format": FORMAT, **last._asdict()}
        write_atomically(self.waiting, f"{json.dumps(head)}\n".encode())


def journal(settings: Settings) -> Audit:
    """Return where the actions of a home are written down."""
    return Audit(settings.audit_dir)


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _end_of(handle: int) -> tuple[int, Link]:
    """Return where the whole lines of a file end, in bytes, and the last row; ``START`` where that cannot be read."""
    size = os.fstat(handle).st_size
    start = max(size - _TAIL, 0)
    whole, _, torn = os.pread(handle, _TAIL, start).rpartition(b"\n")
    try:
        raw = json.loads(whole[whole.rfind(b"\n") + 1 :])
        return size - len(torn), Link(int(raw["number"]), str(raw["hash"]))
    except (ValueError, KeyError, TypeError):
        return size - len(torn), START


def _append(handle: int, line: bytes, end: int) -> None:
    """Write a line where the whole ones end; where the disk refuses, nothing is added."""
    if os.fstat(handle).st_size > end:  # a writer was killed
        os.ftruncate(handle, end)
    try:
        while line:
            line = line[os.write(handle, line) :]
    except OSError:
        os.ftruncate(handle, end)
        raise


def _read_link(newest: int) -> Link:
    try:
        number, digest = os.pread(newest, _NEWEST_BYTES, 0).decode().split()
        return Link(int(number), digest)
    except ValueError:
        return START


def _write_link(newest: int, link: Link) -> None:
    os.pwrite(newest, f"{link.number:020d} {link.hash}\n".encode(), 0)
