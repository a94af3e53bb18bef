"""Commit a checked load: compare it with what the catalogue holds, then MERGE what differs by product_id.

A product whose picture and details are as they were is not written; with deletion vectors, Delta does not rewrite its
file either. Quarantine and pictures are committed first and products last: that commit is the moment a load counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.locks import commit_lock
from backend.catalogue.items import PICTURES, PRODUCTS, QUARANTINE, GonePolicy
from backend.catalogue.loading import moving, picture_tables, products_table
from backend.catalogue.loading.load_plan import HELD_COLUMNS, LoadPlan, plan_load
from backend.catalogue.loading.quarantine import plan_quarantine, write_quarantine
from backend.catalogue.noted import key, noted_version
from backend.catalogue.schemas import PRODUCT_SCHEMA
from backend.errors import CatalogueBusy

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from backend.catalogue.loading.quarantine import QuarantineChange
    from backend.catalogue.loading.staging import StagedLoad
    from backend.spark.watch import Watch

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Held:
    """What a catalogue holds: the version (None: there is no table yet) and its rows, :data:`HELD_COLUMNS`."""

    version: int | None
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did: the version that holds the load, the plan that was carried out, and what is to be said."""

    version: int
    plan: LoadPlan
    notes: tuple[str, ...] = ()


def held_by(folder: Path) -> Held:
    """Read what a catalogue holds, without a JVM and without pictures."""
    version = delta_log.newest_version(folder / PRODUCTS)
    if version is None:
        return Held(None, PRODUCT_SCHEMA.empty_table().select(list(HELD_COLUMNS)))
    rows = delta_log.rows_of(delta_log.open_table(folder / PRODUCTS, version), PRODUCT_SCHEMA)
    return Held(version, rows.table(list(HELD_COLUMNS)))


def commit_load(
    watch: Watch, folder: Path, load: StagedLoad, *, gone: GonePolicy, is_reviewed: bool = False
) -> Committed:
    """Commit a load; where another writer is faster, say whom it lost to and try again on top of that.

    Args:
        watch: Runs the Spark actions.
        folder: The catalogue's folder.
        load: What was checked.
        gone: What becomes of products that the source does not name.
        is_reviewed: Someone decided on the counts of the check: a catalogue that moved since is not touched.

    Raises:
        CatalogueBusy: The catalogue moved under a reviewed load, too often, or so that the load lacks pictures.
        StorageFull, CatalogueError, Cancelled: As :func:`delta_table.spark_errors` says.
    """
    notes: list[str] = []
    for attempt in range(1, _ATTEMPTS + 1):
        task = _Commit(watch, folder, load, gone)
        try:
            with commit_lock(folder, watch.progress):
                done = task.run(is_reviewed=is_reviewed)
        except _LostRace as lost:
            if attempt == _ATTEMPTS:
                raise
            notes.append(f"{lost.message} It was tried again.")
            watch.progress.report(0, 1, note=f"{lost.message} Trying again ({attempt + 1} of {_ATTEMPTS})")
        else:
            return Committed(done.version, done.plan, (*notes, *done.notes))
    raise AssertionError  # the last attempt returns or raises


def winner(folder: Path, since: int | None) -> str:
    """Say in words who brought the products beyond the version ``since``."""
    version = delta_log.newest_version(folder / PRODUCTS)
    if version is None or version == since:
        return "another writer"
    commit = delta_log.commit_of(folder / PRODUCTS, version)
    note = delta_log.note_of(commit)
    by = f"the job {note['job']}" if note.get("job") else f"the load {note['load']}" if note.get("load") else "a writer"
    return f"{by} ({commit.get('operation', 'commit')}, version {version})"


class _LostRace(CatalogueBusy):
    """Another writer committed in between; nothing of this attempt was kept."""


@dataclass
class _Commit:
    """One attempt."""

    watch: Watch
    folder: Path
    load: StagedLoad
    gone: GonePolicy
    name: str = field(default_factory=lambda: uuid4().hex)
    held: Held = field(init=False)

    def run(self, *, is_reviewed: bool) -> Committed:
        """Commit what differs; the lock is held."""
        self.held = held_by(self.folder)
        if is_reviewed and self.held.version != self.load.meta["base_version"]:
            raise CatalogueBusy(
                f"The catalogue {self.folder.name} was changed by {winner(self.folder, None)} since this source was "
                "checked; nothing from it was committed.",
                next_step="Check the source again: the counts may have changed.",
            )
        plan = plan_load(self.load.rows, self.held.rows, gone=self.gone)
        if plan.lacking:
            raise CatalogueBusy(
                f"The load lost to {winner(self.folder, None)}, and {len(plan.lacking)} pictures must be read again.",
                next_step="Check the source again.",
            )
        try:
            return self._write(plan)
        except CatalogueBusy as busy:
            raise _LostRace(
                f"The load lost to {winner(self.folder, self.held.version)}.", next_step=busy.next_step
            ) from busy

    def _write(self, plan: LoadPlan) -> Committed:
        spark, name = self.watch.spark, self.folder.name
        base = self.held.version or 0
        change = plan_quarantine(self.folder, noted_version(self.folder, base, QUARANTINE), self.load)
        if plan.is_empty and not change.is_needed and base:
            return Committed(base, plan)
        path, job = self.folder / PRODUCTS, self.watch.progress.job
        with delta_table.spark_errors(name, self.watch.progress):
            self.watch.run(lambda: moving.ensure(spark, self.folder, job=job), 0.86, 0.88, "Preparing the tables")
            note = {**self._note(plan), key(QUARANTINE): self._quarantined(change), key(PICTURES): self._pictured(plan)}
            self._check_unmoved()
            title = "Writing the table products"
            write = products_table.writer(spark, path, self.load, plan, is_first=not self.held.rows.num_rows)
            self.watch.run(lambda: write(note), 0.94, 1.0, title)
        return Committed(delta_log.version_of_load(path, self.name), plan)

    def _quarantined(self, change: QuarantineChange) -> int:
        if not change.is_needed:
            return change.version
        spark, note = self.watch.spark, {"load": self.name, "job": self.watch.progress.job}
        return self.watch.run(
            lambda: write_quarantine(spark, self.folder, self.load, change, note=note),
            0.88,
            0.91,
            "Writing the table quarantine",
        )

    def _pictured(self, plan: LoadPlan) -> int:
        """Put the load's pictures where they are kept; returns the version of ``pictures`` that the products quote."""
        spark, note = self.watch.spark, {"load": self.name, "job": self.watch.progress.job}
        # What an old catalogue had in its rows has moved by now.
        newest = delta_log.newest_version(self.folder / PRODUCTS) or 0
        base = noted_version(self.folder, newest, PICTURES)
        return self.watch.run(
            lambda: picture_tables.write_pictures(spark, self.folder, self.load, plan, base, note=note),
            0.91,
            0.94,
            "Writing the pictures",
        )

    def _check_unmoved(self) -> None:
        """The plan is for one version; a foreign writer does not know our lock.

        What is committed between here and Delta's own check is found by that, or is merged with, row by row.
        """
        path = self.folder / PRODUCTS
        since = range((self.held.version or 0) + 1, (delta_log.newest_version(path) or 0) + 1)
        if any(_changes_rows(path, version) for version in since):
            raise CatalogueBusy("The products changed.")

    def _note(self, plan: LoadPlan) -> dict[str, object]:
        counts = plan.counts
        return {
            "load": self.name,
            "job": self.watch.progress.job,
            "action": "ingest",
            "gone_policy": self.gone,
            "source": self.load.meta["source"],
            "splits": self.load.meta["splits"],
            "new": counts.new,
            "changed": counts.changed,
            "unchanged": counts.unchanged,
            "gone": counts.gone,
        }


def _changes_rows(path: Path, version: int) -> bool:
    """Tell whether a commit took rows in or out; making and preparing a table does not."""
    return delta_log.commit_of(path, version).get("operation", "") not in {
        "CREATE TABLE",
        "ADD COLUMNS",
        "ADD CONSTRAINT",
        "SET TBLPROPERTIES",
        "UPGRADE PROTOCOL",
        moving.MOVED,
    }
