"""The log of questions of one catalogue: a Delta table that grows by one file a batch, and shrinks by whole files.

A batch is one Parquet file and one commit: whoever is killed leaves a file that no commit names, which the next tidying
removes. Old files go by a commit first; the disk is told an hour later, so that nobody who reads misses them.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import checkpoint, commit_files, create_table, write_file
from backend.catalogue.delta.log_replay import DataFile
from backend.catalogue.delta.stored_rows import StoredRows
from backend.files.locking import lock_beside, locked
from backend.files.storage import disk_watched
from backend.merchandising.questions.question import DELTA_FIELDS, SCHEMA, Question, as_table, from_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = 1
_PROPERTIES = {"delta.logRetentionDuration": "interval 1 days", "twinset.questions.format": str(FORMAT)}
_SMALL_ROWS = 5_000  # files with fewer are brought together
_SMALL_FILES = 40  # as soon as there are so many
_GRACE_S = 3_600.0  # a file that no commit names may be one that is about to be named, or still read


class QuestionStore:
    """The questions of one catalogue; threads and processes may share it.

    Args:
        questions_dir: Folder of the logs of all catalogues.
        catalogue: Its name.

    Raises:
        CatalogueError: The name is none that a catalogue may have.
    """

    def __init__(self, questions_dir: Path, catalogue: str) -> None:
        self.folder = delta_log.catalogue_folder(questions_dir, catalogue)
        self.catalogue = catalogue
        self.table = self.folder / "table"

    @property
    def is_there(self) -> bool:
        """Whether anything was ever logged."""
        return delta_log.newest_version(self.table) is not None

    def append(self, rows: Sequence[Question]) -> None:
        """Add rows as one file and one commit.

        Raises:
            StorageFull, StorageFailed: The disk refuses; nothing was added.
            CatalogueError: The table is damaged.
        """
        with self._writing():
            if not self.is_there:
                create_table(self.table, DELTA_FIELDS, _PROPERTIES)
            self._commit([self._written(as_table(rows))])

    def newest(self, limit: int, *, only: pc.Expression | None = None) -> list[Question]:
        """Return the newest questions, the newest first; of those that pass ``only`` where it is given.

        Files are read from the newest on, and no further than is needed.

        Raises:
            CatalogueError: The table is damaged.
        """
        found: list[Question] = []
        for name, _ in sorted(self._files(), key=lambda file: _last(file[0]), reverse=True):
            if len(found) >= limit > 0 and found[-1].time >= _last(name):
                break
            table = self._rows([name])
            found += from_table(table if only is None else table.filter(only))
            found = sorted(found, key=lambda row: row.time, reverse=True)[:limit]
        return found

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return columns of all rows."""
        return self._rows([name for name, _ in self._files()]).select(names)

    def __len__(self) -> int:
        return sum(rows for _, rows in self._files())

    def tidy(self, days: int, *, now: datetime | None = None) -> int:
        """Take out files whose newest row is older than so many days, and bring small ones together.

        Returns:
            How many rows went.

        Raises:
            StorageFull, StorageFailed: The disk refuses.
            CatalogueError: The table is damaged.
        """
        if not self.is_there:
            return 0
        now = now or datetime.now(UTC)
        with self._writing():
            gone = self._expire(now - timedelta(days=days))
            self._bring_together()
            self._clear(now)
        return gone

    # ------------------------------------------------------------------------------------------- inside

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock of the table, and say in words what a disk refuses."""
        with disk_watched("restart the endpoint", so=": questions are not logged"), locked(lock_beside(self.table)):
            yield

    def _state(self) -> list[DataFile]:
        """Return the files that the newest version names, oldest first: their names begin with their oldest row's time."""
        if not self.is_there:
            return []
        table = delta_log.open_table(self.table)
        actions = pa.table(table.get_add_actions(flatten=True))
        rows = zip(actions["path"].to_pylist(), actions["num_records"].to_pylist(), strict=True)
        return [DataFile(path, rows=count, identity={"path": path}) for path, count in sorted(rows)]

    def _files(self) -> list[tuple[str, int]]:
        return [(file.path, file.rows or 0) for file in self._state()]

    def _rows(self, names: Sequence[str]) -> pa.Table:
        if not names:
            return SCHEMA.empty_table()
        return StoredRows([self.table / name for name in names], schema=SCHEMA).table(SCHEMA.names)

    def _written(self, rows: pa.Table) -> dict[str, Any]:
        first, last = (pc.min_max(rows["time"])[end].as_py() for end in ("min", "max"))
        name = f"{first:%Y%m%dT%H%M%S%f}-{last:%Y%m%dT%H%M%S%f}-{uuid4().hex[:12]}.parquet"
        return write_file(self.table / name, rows, compression="zstd")

    def _commit(
        self, added: list[dict[str, Any]], removed: Sequence[DataFile] = (), *, moves_only: bool = False
    ) -> None:
        operation = "OPTIMIZE" if moves_only else "WRITE" if added else "DELETE"
        note = {"questions": FORMAT}
        commit_files(self.table, added, removed, note=note, operation=operation, moves_only=moves_only)
        checkpoint(self.table, forgets=True)

    def _expire(self, oldest: datetime) -> int:
        old = [file for file in self._state() if _last(file.path) < oldest]
        if old:
            self._commit([], old)
        return sum(file.rows or 0 for file in old)

    def _bring_together(self) -> None:
        """Write small files as one; those of different days stay apart, so that what is old can go."""
        small: dict[str, list[DataFile]] = {}
        for file in self._state():
            if (file.rows or 0) < _SMALL_ROWS:
                small.setdefault(file.path[:8], []).append(file)
        for files in small.values():
            if len(files) >= _SMALL_FILES:
                rows = self._rows([file.path for file in files]).sort_by("time")
                self._commit([self._written(rows)], files, moves_only=True)

    def _clear(self, now: datetime) -> None:
        named = {file.path for file in self._state()}
        for path in self.table.glob("*.parquet"):
            if path.name not in named and path.stat().st_mtime < now.timestamp() - _GRACE_S:
                path.unlink(missing_ok=True)


def _last(name: str) -> datetime:
    """Return the time of a file's newest row, which its name tells."""
    return datetime.strptime(name.split("-")[1], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
