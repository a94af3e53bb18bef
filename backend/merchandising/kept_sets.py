"""Sets that are kept: a Delta table for each catalogue, in which every published set is one commit.

The version of a set is the Delta version of its commit, and every commit holds the whole set in one file, so any version
is what Delta's own time travel reads there, and what this module reads from the commit alone, however long the log is.
Versions are never vacuumed: a thousand rules take some 40 kB. Whoever is killed leaves the set before or the one after.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import pyarrow as pa

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import checkpoint, commit_files, create_table, write_file
from backend.catalogue.delta.log_replay import DataFile, states
from backend.catalogue.delta.stored_rows import StoredRows
from backend.errors import CatalogueError, CatalogueNotFound, RetrievalError
from backend.files.locking import lock_beside, locked
from backend.merchandising.merging import Difference, T, difference, merged
from backend.retrieval.rules.rule import MAX_TEXT
from backend.retrieval.rules.rule_set import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backend.errors import WorkbenchError

_SHOWN = 3  # items that a message names


@dataclass(frozen=True, slots=True)
class Published:
    """One version in the history of a set.

    Attributes:
        version: Of the set.
        at: ISO time in UTC.
        by: Who published it.
        note: Why.
        restored: The version that it undoes others in favour of, 0 for the empty set before the first; None where it does not.
        added, changed, removed: How many items; None where somebody else wrote the commit and did not say.
    """

    version: int
    at: str
    by: str = ""
    note: str = ""
    restored: int | None = None
    added: int | None = None
    changed: int | None = None
    removed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


class KeptSets(ABC, Generic[T]):
    """The sets of one catalogue, by version; threads and processes may share it.

    Args:
        folder: Of the sets of all catalogues.
        catalogue: Its name.

    Raises:
        CatalogueError: The name is none that a catalogue may have.
    """

    noun: ClassVar[
        str
    ]  # what a set has in it: also the key of the format in a commit's note, and what files are called
    format: ClassVar[int]  # of what the last column holds
    # What people ask of the table by SQL has columns of its own; the item itself is the JSON text in the last one.
    columns: ClassVar[tuple[str, ...]]
    constraints: ClassVar[Mapping[str, str]]
    changed: ClassVar[type[WorkbenchError]]  # what says that somebody else changed the same
    same: ClassVar[str]  # what that is
    changed_step: ClassVar[str]

    def __init__(self, folder: Path, catalogue: str) -> None:
        self.folder = delta_log.catalogue_folder(folder, catalogue)
        self.catalogue = catalogue
        self.table = self.folder / "table"
        self._known = EMPTY
        self._schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in self.columns])

    # What one kind of item is.

    @abstractmethod
    def _row(self, item: T) -> dict[str, str]:
        """Return an item as its columns have it."""

    @abstractmethod
    def _item(self, raw: Any) -> T:
        """Read an item from its JSON; raises WorkbenchError where it cannot be used."""

    @abstractmethod
    def _check(self, items: Sequence[T]) -> None:
        """Refuse a set that cannot be published; raises WorkbenchError."""

    def _together(self, was: T, mine: T, theirs: T) -> T | None:  # noqa: ARG002 - for who can
        """Bring together what two made of one item; None where it cannot be done."""
        return None

    def _called(self, name: str, items: Sequence[T]) -> str:  # noqa: ARG002 - for who can
        """Return what a message calls an item by its id."""
        return name

    def _noted(self, found: Difference) -> dict[str, Any]:
        """Return what else the note of a commit says."""
        return dict(found.counts)

    # ------------------------------------------------------------------------------------------- reading

    def newest(self) -> int:
        """Return the newest version, ``EMPTY`` where none was published; two file names are looked at, as a rule."""
        if self._known == EMPTY or not self._commit(self._known).exists():
            self._known = delta_log.newest_version(self.table) or EMPTY
        while self._commit(self._known + 1).exists():
            self._known += 1
        return self._known

    def items(self, version: int) -> list[T]:
        """Return the items of a version, ascending by id; none at ``EMPTY``.

        Raises:
            CatalogueNotFound: There is no such version.
            CatalogueError: The table is damaged, or was written by a newer version of Twinset.
            RetrievalError: An item in it cannot be used.
        """
        if version == EMPTY:
            return []
        self._require(version)
        found = [self._item(self._parsed(text, version)) for text in self._texts(version)]
        return sorted(found, key=lambda item: item.id)

    def history(self, *, limit: int = 100, before: int | None = None) -> list[Published]:
        """Return the versions, newest first; ``before`` one for the next page."""
        last = self.newest() if before is None else min(before - 1, self.newest())
        return [self.published(version) for version in range(last, max(last - limit, EMPTY), -1)]

    def changes(self, version: int) -> Difference:
        """Return which items a version added, changed and removed."""
        return difference(self.items(version - 1), self.items(version))

    def published(self, version: int) -> Published:
        """Return what a version says of itself; raises CatalogueError where its commit cannot be read."""
        info, note, _ = self._info(version)
        at = datetime.fromtimestamp(int(info.get("timestamp", 0)) / 1000, UTC).isoformat(timespec="seconds")
        counts = {name: _count(note.get(name)) for name in ("added", "changed", "removed")}
        by, why = str(note.get("by") or ""), str(note.get("note") or "")
        return Published(version, at, by, why, _count(note.get("restored")), **counts)

    # ------------------------------------------------------------------------------------------- writing

    def _publish(self, mine: Sequence[T], base: int, about: Mapping[str, Any]) -> int:
        """Publish items that were made of version ``base``, with what others published since; returns the version."""
        with self._locked():
            newest = self.newest()
            now = self.items(newest)
            whole, both = merged(self.items(base), mine, now, self._together)
            if both:
                raise self._changed(both, mine, base, newest)
            return self._commit_set(newest, now, whole, about)

    def _restore(self, version: int, about: Mapping[str, Any]) -> int:
        """Publish the items of an older version as the newest one; returns the version."""
        with self._locked():
            older, newest = self.items(version), self.newest()
            try:
                now = self.items(newest)
            except (CatalogueError, RetrievalError):  # damaged: any older one may take its place
                now = []
            return self._commit_set(newest, now, older, {**about, "restored": version})

    def _locked(self) -> Any:
        return locked(lock_beside(self.table))

    def _commit_set(self, newest: int, now: Sequence[T], items: Sequence[T], about: Mapping[str, Any]) -> int:
        """Commit items, ascending by id, after the newest ones; the lock is held."""
        if list(items) == list(now):
            return newest
        self._check(items)
        if delta_log.newest_version(self.table) is None:
            fields = [{"name": name, "type": "string", "nullable": False} for name in self.columns]
            checks = {f"delta.constraints.{name}": text for name, text in self.constraints.items()}
            create_table(self.table, fields, {**delta_log.KEEPS_ALL, **checks, self._format_key: str(self.format)})
        version = newest + 1
        said = {name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in about.items()}
        note = {self.noun: self.format, **said, **self._noted(difference(now, items))}
        added = [self._written(version, items)] if items else []
        commit_files(self.table, added, self._files(newest), note=note, operation="WRITE")
        checkpoint(self.table)
        return version

    def _written(self, version: int, items: Sequence[T]) -> dict[str, Any]:
        """Write the file of a version: one that somebody who was killed left there is replaced."""
        rows = pa.Table.from_pylist([self._row(item) for item in items], self._schema)
        return write_file(self.table / f"{self.noun}-{version:020d}.parquet", rows)

    def _changed(self, both: Sequence[str], mine: Sequence[T], base: int, newest: int) -> WorkbenchError:
        """Say who changed items since ``base``, and when."""
        who: dict[str, Published] = {}
        for version in range(newest, base, -1):
            for name in self.changes(version).ids & set(both):
                who.setdefault(name, self.published(version))
        said = [
            f"{self._called(name, mine)} (by {who[name].by or 'an unknown user'} on "
            f"{datetime.fromisoformat(who[name].at):%d %b %Y %H:%M} UTC, version {who[name].version})"
            for name in both[:_SHOWN]
        ]
        more = f" and {len(both) - _SHOWN} more" if len(both) > _SHOWN else ""
        return self.changed(
            f"Another person changed {self.same} since version {base}: {', '.join(said)}{more}.",
            next_step=self.changed_step,
        )

    # ------------------------------------------------------------------------------------------- the table

    @property
    def _format_key(self) -> str:
        return f"twinset.{self.noun}.format"

    def _commit(self, version: int) -> Path:
        return self.table / "_delta_log" / f"{version:020d}.json"

    def _require(self, version: int) -> None:
        if not EMPTY < version <= self.newest():
            raise CatalogueNotFound(
                f"The {self.noun} of {self.catalogue} have no version {version}.",
                next_step=f"Their versions are 1 to {self.newest()}." if self.newest() else "None was published yet.",
            )

    def _info(self, version: int) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """Return what a commit says about itself, our note on it, and the files that it adds."""
        try:
            lines = self._commit(version).read_text(encoding="utf-8").splitlines()
            actions = [action for line in lines if isinstance(action := json.loads(line), dict)]
        except (OSError, ValueError) as error:
            raise self._damaged(version, error) from error
        info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
        return info, delta_log.note_of(info), [one["add"] for one in actions if "add" in one]

    def _texts(self, version: int) -> list[str]:
        """Return the JSON texts of a version: from its commit where it is ours, else as Delta tells."""
        _, note, added = self._info(version)
        if (found := note.get(self.noun)) is not None:
            self._require_format(found, version)
            rows = StoredRows([self.table / file["path"] for file in added], schema=self._schema)
        else:
            table = delta_log.open_table(self.table, version)
            self._require_format(table.metadata().configuration.get(self._format_key, self.format), version)
            rows = delta_log.rows_of(table, self._schema)
        texts: list[str] = rows.table([self.columns[-1]])[self.columns[-1]].to_pylist()
        return texts

    def _files(self, version: int) -> list[DataFile]:
        """Return what the next commit removes."""
        if version == EMPTY:
            return []
        _, note, added = self._info(version)
        if self.noun in note:
            return [DataFile(file["path"], identity={"path": file["path"]}) for file in added]
        return list((states(self.table)[-1].files or {}).values())

    def _require_format(self, found: object, version: int) -> None:
        if str(found) != str(self.format):
            raise CatalogueError(
                f"Version {version} of the {self.noun} of {self.catalogue} was written by a newer version of Twinset.",
                next_step="Update Twinset, or publish an older version again.",
            )

    def _parsed(self, text: str, version: int) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._damaged(version, error) from error

    def _damaged(self, version: int, error: Exception) -> CatalogueError:
        return CatalogueError(
            f"Version {version} of the {self.noun} of {self.catalogue} cannot be read: {error}.",
            next_step=f"Restore {self.table} from a backup, or publish another version again.",
        )


def _count(number: object) -> int | None:
    return number if isinstance(number, int) else None
