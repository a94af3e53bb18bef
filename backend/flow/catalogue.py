"""The steps that make and keep catalogues, each a function from a typed request to a JSON result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.catalogue.delta.delta_log import catalogue_folder
from backend.progress import Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.catalogue.items import IngestReport
    from backend.catalogue.sources.sources import Source
    from backend.flow.requests import (
        CommitRequest,
        IngestRequest,
        QualityRequest,
        RestoreRequest,
        SplitsRequest,
        TidyRequest,
    )
    from backend.progress import Progress
    from backend.settings import Settings


def ingest_step(
    request: IngestRequest,
    settings: Settings,
    progress: Progress,
    *,
    doubt: Callable[[IngestReport], str] | None = None,
) -> dict[str, Any]:
    """Load a source into its catalogue, one Delta commit, unless there is a doubt; or only check what that would do."""
    from backend.catalogue.loading.ingest import check_source, ingest
    from backend.spark.session import open_spark

    name = request.catalogue_name
    source = _source(request, settings, progress)
    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset catalogue {name}") as spark:
        if request.check_only:
            report = check_source(spark, source, settings, catalogue=name, splits=request.splits, progress=progress)
            return report.as_dict()
        loading, measuring = _spans(progress, measure=request.measure_quality)
        report = ingest(
            spark,
            source,
            settings,
            catalogue=name,
            splits=request.splits,
            gone=request.gone,
            doubt=doubt,
            progress=loading,
        )
        if report.staged:
            return report.as_dict()
        return _measured(report, spark, settings, measuring, measure=request.measure_quality)


def commit_step(request: CommitRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Commit a load that was checked."""
    from backend.catalogue.loading.ingest import commit_checked
    from backend.spark.session import open_spark

    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name="twinset commit") as spark:
        loading, measuring = _spans(progress, measure=request.measure_quality)
        report = commit_checked(spark, settings, request.staged, gone=request.gone, progress=loading)
        return _measured(report, spark, settings, measuring, measure=request.measure_quality)


def quality_step(request: QualityRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure the pictures that were not measured yet."""
    from backend.spark.session import open_spark

    folder = _existing(settings, request.catalogue)
    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset quality {request.catalogue}") as spark:
        return {"catalogue": request.catalogue, **_counted(spark, folder, settings, progress)}


def splits_step(request: SplitsRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Draw the splits again, or bring duplicates across splits into one."""
    from backend.catalogue.splits import SplitPlan
    from backend.catalogue.upkeep.resplit import mend_leaks, redraw_splits
    from backend.spark.session import open_spark

    _existing(settings, request.catalogue)
    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset splits {request.catalogue}") as spark:
        if request.action == "mend":
            return mend_leaks(spark, settings, request.catalogue, near=request.near, progress=progress)
        plan = SplitPlan(request.validation_share, request.test_share, request.seed, tuple(request.unseen), redraw=True)
        return redraw_splits(spark, settings, request.catalogue, plan, progress=progress)


def restore_step(request: RestoreRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Bring a catalogue back to an earlier version, as a new version."""
    from backend.catalogue.upkeep.maintenance import restore
    from backend.spark.session import open_spark

    folder = _existing(settings, request.catalogue)
    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset restore {request.catalogue}") as spark:
        version = restore(spark, folder, request.version, progress=progress)
    return {"catalogue": request.catalogue, "restored": request.version, "version": version}


def tidy_step(request: TidyRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Compact a catalogue, and remove files that no kept version needs."""
    from backend.catalogue.upkeep.maintenance import compact, vacuum
    from backend.registry.usage import versions_in_use
    from backend.spark.session import open_spark

    folder = _existing(settings, request.catalogue)
    protected = versions_in_use(settings, request.catalogue) if request.vacuum else {}
    result: dict[str, Any] = {"catalogue": request.catalogue}
    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset tidy {request.catalogue}") as spark:
        if request.compact:
            result |= compact(spark, folder, progress=progress)
        if request.vacuum:
            result |= vacuum(spark, folder, keep_days=request.keep_days, protected=protected, progress=progress)
    return result


def _source(request: IngestRequest, settings: Settings, progress: Progress) -> Source:
    from backend.catalogue.fetch.finding import AddressBook
    from backend.catalogue.fetch.records import store_of
    from backend.catalogue.labels import OneLabelEach
    from backend.catalogue.sources.built_in import FashionMnistSource, SampleSource
    from backend.catalogue.sources.fashion_mnist import obtain
    from backend.catalogue.sources.locations import open_source, require_allowed, with_addresses, with_saved

    if request.source == "fashion-mnist":
        return FashionMnistSource(obtain(settings, progress))
    if request.source == "sample":
        return SampleSource()
    path = Path(request.path).expanduser().absolute()
    if progress.job:  # a job comes from a page; on the command line one may read what one may read
        path = require_allowed(path, settings)
    source = open_source(
        request.source,
        path,
        columns=request.columns,
        label_from=request.label_from,
        version=request.source_version,
        table=request.table,
    )
    if not request.columns:
        source = with_saved(source, settings.mappings_dir)
    source = with_addresses(source, AddressBook(store_of(settings), request.base))
    return OneLabelEach(source) if request.merge_labels else source


def _existing(settings: Settings, catalogue: str) -> Path:
    """Return a catalogue's folder.

    Raises:
        CatalogueNotFound: There is no such name.
    """
    from backend.catalogue.snapshot import open_snapshot

    open_snapshot(settings.catalogues_dir, catalogue)
    return catalogue_folder(settings.catalogues_dir, catalogue)


def _spans(progress: Progress, *, measure: bool) -> tuple[Progress, Progress]:
    if not measure:
        return progress, progress
    loading, measuring = Span.split(progress, [("", 60), ("Measuring", 40)])
    return loading, measuring


def _measured(
    report: IngestReport, spark: Any, settings: Settings, progress: Progress, *, measure: bool
) -> dict[str, Any]:
    result = report.as_dict()
    if measure:
        result |= _counted(spark, catalogue_folder(settings.catalogues_dir, report.catalogue), settings, progress)
    return result


def _counted(spark: Any, folder: Path, settings: Settings, progress: Progress) -> dict[str, int]:
    """Measure pictures; returns how many were, and how many cannot be."""
    from backend.catalogue.quality.measuring import measure_quality, unmeasured_count

    measured = measure_quality(spark, folder, progress=progress, max_pixels=settings.max_pixels)
    return {"measured": measured, "left_out": unmeasured_count(folder)}
