"""Load a source into a catalogue: one Delta commit a table, every picture checked, nothing dropped silently."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from backend.catalogue import delta_log, delta_table
from backend.catalogue.entries import check_entries
from backend.catalogue.items import PRODUCT_COLUMNS, PRODUCTS, QUARANTINE, QUARANTINE_COLUMNS, IngestReport
from backend.catalogue.pictures import ROW_DDL, PictureCheck
from backend.catalogue.spark_jobs import run_watched
from backend.errors import CatalogueBusy, CatalogueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from backend.catalogue.sources import Source
    from backend.progress import Progress
    from backend.settings import Settings

T = TypeVar("T")
_ROWS_PER_FILE = 4096
_MIN_ROWS_PER_TASK = 128
_CHECKED = 0.85  # share of the time that the pictures take; the rest is writing


def ingest(
    spark: SparkSession,
    source: Source,
    settings: Settings,
    *,
    catalogue: str,
    validation_share: float,
    seed: int,
    progress: Progress,
) -> IngestReport:
    """Load all products of a source into a catalogue; what it held before is replaced, and stays as a version.

    Args:
        spark: A session with Delta.
        source: Where the products come from.
        settings: Where catalogues are, and how large a picture may be.
        catalogue: Name of the catalogue, made if there is none.
        validation_share: Fraction of each class of train that becomes validation; see :mod:`backend.catalogue.splits`.
        seed: Seed of that draw.
        progress: Told the products done, asked whether to stop.

    Raises:
        CatalogueError: The source is empty or nothing in it is usable, or the name or the share is no good.
        CatalogueBusy: Another writer changed the catalogue meanwhile.
        StorageFull: No space is left.
        Cancelled: The user asked to stop.

    After every error the catalogue stands at the version it had before.
    """
    started = time.monotonic()
    folder = delta_log.catalogue_folder(settings.catalogues_dir, catalogue)
    note = {"source": source.name, "validation_share": validation_share, "seed": seed}
    load = _Load(spark, folder, progress, note=note)
    with delta_table.spark_errors(catalogue, progress):
        # 1. What there is, without a picture: ids, labels, splits.
        entries = check_entries(source.entries(), validation_share=validation_share, seed=seed)
        # 2. The pictures, part by part, on the executors.
        check = PictureCheck(source, datetime.now(UTC), settings.max_pixels)
        with load.checked_rows(entries, check) as rows:
            rejected = load.count_rejected(rows)
            # 3. One commit a table. That of the products makes the load count, so it comes last.
            load.write_quarantine(rows, rejected)
            version = load.write_products(rows)
    kept = entries.num_rows - sum(rejected.values())
    return IngestReport(catalogue, version, kept, rejected, time.monotonic() - started)


@dataclass
class _Load:
    """One load on its way: the tables it goes to, and how far it is."""

    spark: SparkSession
    folder: Path
    progress: Progress
    note: dict[str, object]
    name: str = field(default_factory=lambda: uuid4().hex)
    total: int = 0
    tasks: int = 1
    products_before: int | None = None

    def __post_init__(self) -> None:
        self.products_before = delta_log.newest_version(self.folder / PRODUCTS)

    @contextmanager
    def checked_rows(self, entries: pa.Table, check: PictureCheck) -> Iterator[DataFrame]:
        """Give the frame of all rows with their pictures, computed once however often it is used."""
        self.total = entries.num_rows
        self.tasks = _tasks(self.total, self.spark.sparkContext.defaultParallelism)
        frame = self.spark.createDataFrame(entries).repartitionByRange(self.tasks, "product_id")
        rows = frame.sortWithinPartitions("product_id").mapInArrow(check.rows, ROW_DDL).persist()
        try:
            yield rows
        finally:
            rows.unpersist()

    def count_rejected(self, rows: DataFrame) -> dict[str, int]:
        """Read all pictures; count the rejected rows by the first word of their reason."""
        codes = rows.selectExpr("split(reason, ':')[0] AS code").groupBy("code").count()
        counted = self._watched(codes.collect, 0.0, _CHECKED, "Reading and checking pictures")
        rejected = {row["code"]: int(row["count"]) for row in counted if row["code"] is not None}
        if sum(rejected.values()) == self.total:
            reasons = ", ".join(f"{count:,} {code}" for code, count in sorted(rejected.items()))
            raise CatalogueError(
                f"None of the {self.total:,} products is usable: {reasons}.", next_step="Check the source."
            )
        return dict(sorted(rejected.items()))

    def write_quarantine(self, rows: DataFrame, rejected: dict[str, int]) -> None:
        """Replace the quarantine, unless it was empty and stays so; its version goes into the note of the products."""
        path = self.folder / QUARANTINE
        if delta_log.newest_version(path) is None:
            self._create(path, QUARANTINE_COLUMNS)
        if rejected or delta_log.row_count(path):
            frame = rows.where("reason IS NOT NULL").select([name for name, _, _ in QUARANTINE_COLUMNS])
            self._replace(frame, path, _CHECKED, _CHECKED)
            self.note["quarantine_version"] = delta_log.version_of_load(path, self.name)
        else:
            self.note["quarantine_version"] = delta_log.newest_version(path)

    def write_products(self, rows: DataFrame) -> int:
        """Replace the products, unless somebody else did since this load began; return the new version."""
        path = self.folder / PRODUCTS
        if self.products_before is None:
            self._create(path, PRODUCT_COLUMNS)
            self.products_before = 0
        if (found := delta_log.newest_version(path)) != self.products_before:
            raise CatalogueBusy(
                f"Another writer brought {self.folder.name} to version {found} while this load was under way.",
                next_step="Look at that version first; start this load again if it is still wanted.",
            )
        frame = rows.where("reason IS NULL").select([name for name, _, _ in PRODUCT_COLUMNS])
        self._replace(frame, path, _CHECKED, 1.0)
        self.progress.report(self.total, self.total, unit="products", note="Committed")
        return delta_log.version_of_load(path, self.name)

    def _create(self, path: Path, columns: tuple[tuple[str, str, bool], ...]) -> None:
        title = f"Making the table {path.name}"
        self._watched(lambda: delta_table.create(self.spark, path, columns), _CHECKED, _CHECKED, title)

    def _replace(self, frame: DataFrame, path: Path, start: float, stop: float) -> None:
        note = {**self.note, "load": self.name}
        title = f"Writing the table {path.name}"
        self._watched(lambda: delta_table.replace_content(frame, path, note=note), start, stop, title)

    def _watched(self, action: Callable[[], T], start: float, stop: float, title: str) -> T:
        def on_share(share: float) -> None:
            done = int(self.total * (start + share * (stop - start)))
            self.progress.report(done, self.total, unit="products", note=title)

        on_share(0.0)
        return run_watched(self.spark, action, tasks=self.tasks, on_share=on_share, progress=self.progress)


def _tasks(rows: int, cores: int) -> int:
    """One file a task: about 4,000 rows in a file, but work for every core where there are enough rows."""
    return max(ceil(rows / _ROWS_PER_FILE), min(4 * cores, ceil(rows / _MIN_ROWS_PER_TASK)))
