"""Load a source into a catalogue: list it, check every picture where Spark runs, show what it would do, commit it.

:func:`check_source` ends before anything is committed, :func:`commit_checked` commits that very check, and
:func:`ingest` does both at once.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.items import GonePolicy, IngestReport
from backend.catalogue.labels import apart
from backend.catalogue.loading import staging
from backend.catalogue.loading.commit import commit_load, held_by
from backend.catalogue.loading.entries import check_entries
from backend.catalogue.loading.further import KNOWN_MORE, with_known
from backend.catalogue.loading.load_plan import plan_load, repeats
from backend.catalogue.loading.load_warnings import counted, sentences, warned_too
from backend.catalogue.loading.pictures import PictureCheck, to_bytes
from backend.catalogue.loading.staging import StagedLoad
from backend.catalogue.sources.sources import remarks_of
from backend.catalogue.sources.tables.reading import reading_of
from backend.catalogue.split_demand import demand_of, shortfalls
from backend.catalogue.splits import SplitPlan
from backend.errors import CatalogueBusy, CatalogueError
from backend.spark.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from backend.catalogue.loading.commit import Committed
    from backend.catalogue.sources.sources import Source
    from backend.progress import Progress
    from backend.settings import Settings

_ROWS_PER_TASK = 4096
_MIN_ROWS_PER_TASK = 64
_CHECKED = 0.85  # share of the time that the pictures take; the rest is writing
_RESTAGINGS = 3


def ingest(  # noqa: PLR0913 - what is loaded, and how; all else may be left out
    spark: SparkSession,
    source: Source,
    settings: Settings,
    *,
    catalogue: str,
    progress: Progress,
    splits: SplitPlan | None = None,
    gone: GonePolicy = "keep",
    doubt: Callable[[IngestReport], str] | None = None,
) -> IngestReport:
    """Load all products of a source into a catalogue, in one commit of its products or none if nothing differs.

    Args:
        spark: A session with Delta.
        source: Where the products come from.
        settings: Where catalogues are, and how large a picture may be.
        catalogue: Name of the catalogue, made if there is none.
        progress: Told the products done, asked whether to stop.
        splits: How products get their splits.
        gone: What becomes of products of the catalogue that the source does not name.
        doubt: Asked between the check and the commit, with the report of the check; where it says something, nothing is
            committed, and the report is that of :func:`check_source`.

    Raises:
        CatalogueError: The source is empty or nothing in it is usable, or the name or a share is no good.
        CatalogueBusy: Other writers changed the catalogue again and again.
        StorageFull: No space is left.
        Cancelled: The user asked to stop.

    After every error the catalogue is at the version it had before.
    """
    started = time.monotonic()
    folder = delta_log.catalogue_folder(settings.catalogues_dir, catalogue)
    notes: list[str] = []
    for attempt in range(1, _RESTAGINGS + 1):
        with staging.new_staging(settings) as place:
            load, watch = _checked(
                spark, source, settings, place=place, folder=folder, splits=splits, progress=progress
            )
            _require_usable(load)
            if doubt is not None:
                checked = _report(load, None, gone="keep", seconds=time.monotonic() - started, folder=folder)
                if said := doubt(checked):
                    load.save()
                    return replace(checked, notes=(said, *checked.notes))
            try:
                done = commit_load(watch, folder, load, gone=gone)
            except CatalogueBusy as busy:
                if attempt == _RESTAGINGS:
                    raise
                notes.append(f"{busy.message} It was tried again.")
                progress.report(0, 1, note=f"{busy.message} Trying again")
                continue  # what it lacks is read again
            progress.report(watch.total, watch.total, unit="products", note="Committed")
            report = _report(load, done, gone=gone, seconds=time.monotonic() - started)
            return replace(report, notes=(*notes, *report.notes))
    raise AssertionError  # the last attempt returns or raises


def check_source(
    spark: SparkSession,
    source: Source,
    settings: Settings,
    *,
    catalogue: str,
    progress: Progress,
    splits: SplitPlan | None = None,
) -> IngestReport:
    """Check a source and say what a load of it would do; nothing is committed.

    The report's ``staged`` is what :func:`commit_checked` takes, for a day. Where nothing is usable, it names the rejected
    rows all the same. Other errors are those of :func:`ingest`.
    """
    started = time.monotonic()
    folder = delta_log.catalogue_folder(settings.catalogues_dir, catalogue)
    with staging.new_staging(settings) as place:
        load, watch = _checked(spark, source, settings, place=place, folder=folder, splits=splits, progress=progress)
        load.save()
    progress.report(watch.total, watch.total, unit="products", note="Checked")
    return _report(load, None, gone="keep", seconds=time.monotonic() - started, folder=folder)


def commit_checked(
    spark: SparkSession, settings: Settings, staged: str, *, gone: GonePolicy, progress: Progress
) -> IngestReport:
    """Commit what was checked.

    Raises:
        CatalogueNotFound: There is no such check (any more).
        CatalogueBusy: The catalogue is at another version than it was checked against.
        CatalogueError: Nothing in it is usable.
        StorageFull, CatalogueError, Cancelled: As :func:`ingest`.
    """
    started = time.monotonic()
    with staging.staged(settings, staged) as load:
        _require_usable(load)
        folder = delta_log.catalogue_folder(settings.catalogues_dir, load.meta["catalogue"])
        watch = Watch(spark, progress, total=load.rows.num_rows)
        done = commit_load(watch, folder, load, gone=gone, is_reviewed=True)
        progress.report(watch.total, watch.total, unit="products", note="Committed")
        report = _report(load, done, gone=gone, seconds=time.monotonic() - started)
        staging.remove(settings, staged)
    return report


def _checked(
    spark: SparkSession,
    source: Source,
    settings: Settings,
    *,
    place: Path,
    folder: Path,
    splits: SplitPlan | None,
    progress: Progress,
) -> tuple[StagedLoad, Watch]:
    """Check a source into the folder ``place``."""
    splits = splits or SplitPlan()
    progress.report(0, 1, note="Listing the products")
    held = held_by(folder)
    # 1. What there is, without a picture: ids, labels, splits, and what the catalogue holds of it already.
    listed = source.entries()
    entries = check_entries(listed, splits, held.rows)
    # 2. The pictures, part by part, on the executors; in the source's own order, in which it reads best.
    entries = with_known(entries.sort_by("position"), folder, held.version).combine_chunks()
    now = datetime.now(UTC)
    watch = Watch(spark, progress, total=entries.num_rows, tasks=_tasks(entries.num_rows, spark))
    check = PictureCheck(source, place, now, settings.max_pixels)
    with delta_table.spark_errors(folder.name, progress):
        facts = watch.run(lambda: _facts(watch, entries, check), 0.0, _CHECKED, "Reading and checking pictures")
    # 3. Both side by side.
    warned = warned_too(entries["warning"], facts["warning"])
    rows = entries.drop_columns(["reason", "warning", "known_sha256", KNOWN_MORE])
    for name in facts.column_names:
        rows = rows.append_column(name, warned if name == "warning" else facts[name])
    meta = {
        "catalogue": folder.name,
        "source": source.name,
        "base_version": held.version,
        "splits": splits.as_note(),
        "ingested_at": now.isoformat(),
        "reading": _reading(listed),
        "remarks": _remarks(source, listed, [] if held.rows.num_rows else _empty_splits(listed, splits)),
    }
    return StagedLoad(place, rows, meta), watch


def _reading(listed: pa.Table) -> dict[str, Any]:
    reading = reading_of(listed)
    return reading.as_dict() if reading else {}


def _remarks(source: Source, listed: pa.Table, shortfall: list[str]) -> list[str]:
    reading = reading_of(listed)
    recognised = [reading.sentence] if reading and reading.sentence else []
    return [*recognised, *remarks_of(source), *shortfall]


def _empty_splits(listed: pa.Table, splits: SplitPlan) -> list[str]:
    usable = listed.filter(pc.is_null(listed["reason"]))
    return shortfalls(demand_of(usable["label"].to_pylist(), usable["split"].to_pylist()), splits)


def _facts(watch: Watch, entries: pa.Table, check: PictureCheck) -> pa.Table:
    """Have every part of the entries checked by a task; pictures pass neither through here nor through the JVM."""
    bounds = [entries.num_rows * at // watch.tasks for at in range(watch.tasks + 1)]
    parts = [to_bytes(entries.slice(a, b - a)) for a, b in pairwise(bounds)]
    found = watch.spark.sparkContext.parallelize(parts, len(parts)).mapPartitionsWithIndex(check).collect()
    return pa.concat_tables([pa.ipc.open_stream(part).read_all() for part in found]).combine_chunks()


def _tasks(rows: int, spark: SparkSession) -> int:
    """One file a task: about 4,000 rows in a file, but work for every core where there are enough rows."""
    cores = int(spark.sparkContext.defaultParallelism)
    return max(ceil(rows / _ROWS_PER_TASK), min(4 * cores, ceil(rows / _MIN_ROWS_PER_TASK)))


def _rejected(load: StagedLoad) -> dict[str, int]:
    reasons = load.rows["reason"].drop_null().to_pylist()
    return dict(sorted(Counter(reason.partition(":")[0] for reason in reasons).items()))


def _require_usable(load: StagedLoad) -> None:
    rejected = _rejected(load)
    if sum(rejected.values()) == load.rows.num_rows:
        reasons = ", ".join(f"{count:,} {code}" for code, count in rejected.items())
        first = load.rows["reason"].drop_null()[0].as_py().partition(":")[2].strip()
        raise CatalogueError(
            f"None of the {load.rows.num_rows:,} products is usable: {reasons}. Of the first: {first}",
            next_step="Check the source without loading it: that lists every rejected row.",
        )


def _report(
    load: StagedLoad, done: Committed | None, *, gone: GonePolicy, seconds: float, folder: Path | None = None
) -> IngestReport:
    usable = load.rows.filter(pc.is_null(load.rows["reason"]))
    duplicates, leaks = repeats(load.rows)
    plan = done.plan if done else plan_load(load.rows, held_by(folder).rows if folder else load.rows, gone=gone)
    by_label = Counter(usable["label"].to_pylist())
    unlabelled = by_label.get("", 0)
    notes = [*(done.notes if done else ()), *load.meta.get("remarks", ()), *sentences(load.rows)]
    notes += apart(by_label)
    if not usable.num_rows:
        notes.append("No product can be used, so there is nothing to load. Correct the rejected rows first.")
    if unlabelled:
        notes.append(
            f"{unlabelled:,} products have no label: they appear in results, but Twinset does not learn from them."
        )
    return IngestReport(
        catalogue=load.meta["catalogue"],
        source=load.meta["source"],
        base_version=load.meta["base_version"],
        version=done.version if done else None,
        staged="" if done else load.name,
        kept=usable.num_rows,
        rejected=_rejected(load),
        counts=plan.counts,
        gone_policy=gone,
        by_split=dict(sorted(Counter(usable["split"].to_pylist()).items())),
        by_label=dict(sorted(by_label.items())),
        duplicates=duplicates,
        leaks=leaks,
        warnings=counted(load.rows),
        notes=tuple(notes),
        reading=load.meta.get("reading", {}),
        seconds=seconds,
    )
