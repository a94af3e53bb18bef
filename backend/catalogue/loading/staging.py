"""Checked loads that wait for their commit: pictures and facts in a folder of their own, one load a folder.

.lock          held while a process works in the folder; a killed one lets go of it, and the next load sweeps
part-*.parquet usable pictures, written by the executors
rejected-*     rejected rows, with pictures where there are any
rows.parquet   every row of the source without its picture, with its facts
load.json      what was checked, written last: a folder with it can be committed
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.fields import COLUMNS, NAMES
from backend.catalogue.loading.leftovers import META, sweep
from backend.catalogue.loading.pictures import FACT_SCHEMA
from backend.catalogue.schemas import ARROW_TYPES
from backend.errors import CatalogueNotFound
from backend.files import scratch
from backend.files.locking import locked
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.settings import Settings

_ROWS = "rows.parquet"


@dataclass(frozen=True, slots=True)
class StagedLoad:
    """A checked source.

    Attributes:
        folder: Where it is.
        rows: Every row of the source, :data:`entries.CHECKED_ENTRY_SCHEMA` and the facts of its picture.
        meta: Catalogue, source, base version, split plan and time, as JSON values.
    """

    folder: Path
    rows: pa.Table
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        """What ``commit`` is told."""
        return self.folder.name

    @property
    def files(self) -> list[str]:
        """The files with usable pictures that are to be read; those of tasks that failed are not among them."""
        usable = pc.is_null(self.rows["reason"])
        return sorted({*self._named(usable), *self._named(usable, "more_file")})

    @property
    def rejected_files(self) -> list[str]:
        """The same of rejected rows."""
        return self._named(pc.is_valid(self.rows["reason"]))

    def _named(self, wanted: pa.ChunkedArray, column: str = "file") -> list[str]:
        names = self.rows[column].filter(wanted).drop_null().unique().to_pylist()
        return [str(self.folder / name) for name in sorted(names)]

    def save(self) -> None:
        """Write rows and meta, so that another process can commit this load."""
        pq.write_table(self.rows, self.folder / _ROWS)
        write_atomically(self.folder / META, json.dumps(self.meta).encode())


@contextmanager
def new_staging(settings: Settings) -> Iterator[Path]:
    """Give a fresh folder that is removed afterwards, unless its load was saved."""
    sweep(settings)
    folder = settings.staging_dir / uuid4().hex[:16]
    folder.mkdir(parents=True)
    try:
        with scratch.hold(folder):
            yield folder
    finally:
        if not (folder / META).exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staged(settings: Settings, name: str) -> Iterator[StagedLoad]:
    """Open a saved load for its commit.

    Raises:
        CatalogueNotFound: There is no such name: committed, discarded, or older than a day.
    """
    folder = settings.staging_dir / name
    if not name.isalnum() or not (folder / META).is_file():
        raise _no_load(name)
    with locked(folder / scratch.LOCK):
        if not (folder / META).is_file():  # somebody else committed or discarded it while this one waited
            raise _no_load(name)
        yield _opened(folder)


def peek(settings: Settings, name: str) -> StagedLoad:
    """Return a saved load to look at, not to commit; it may be gone the next moment.

    Raises:
        CatalogueNotFound: As :func:`staged`.
    """
    if not name.isalnum():
        raise _no_load(name)
    try:
        return _opened(settings.staging_dir / name)
    except FileNotFoundError as error:
        raise _no_load(name) from error


@use_case("catalogue.discard", Role.ENGINEER, about=lambda _settings, name: words(staged=name))
def discard(settings: Settings, name: str) -> None:
    """Give up a saved load; one that is not there is no error."""
    remove(settings, name)


def remove(settings: Settings, name: str) -> None:
    """Remove a saved load that is committed; one that is not there is no error."""
    if name.isalnum():
        shutil.rmtree(settings.staging_dir / name, ignore_errors=True)


def _opened(folder: Path) -> StagedLoad:
    """Open a saved load; fields of products that were added since it was checked are null."""
    rows = pq.read_table(folder / _ROWS)
    known = set(rows.column_names)
    if not known >= set(FACT_SCHEMA.names):  # an earlier version checked it, and staged whole rows
        raise _no_load(folder.name)
    for name, kind, _ in COLUMNS if known & set(NAMES) else ():
        if name not in known:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, ARROW_TYPES[kind]))
    return StagedLoad(folder, rows, json.loads((folder / META).read_text("utf-8")))


def _no_load(name: str) -> CatalogueNotFound:
    return CatalogueNotFound(
        f"There is no checked load {name!r} to commit.", next_step="Check the source again, then commit."
    )
