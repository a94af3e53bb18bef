"""What each command of catalogues does: fill a typed request, run it, return JSON values."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli.running import Result, carry_out
from backend.errors import CatalogueError, UsageError
from backend.files.scratch import own_folder
from backend.files.storage import write_export
from backend.flow.requests import (
    CommitRequest,
    FetchRequest,
    IngestRequest,
    QualityRequest,
    RestoreRequest,
    SourceName,
    SplitsRequest,
    TidyRequest,
)
from backend.progress import NullProgress

if TYPE_CHECKING:
    import argparse

    from backend.catalogue.snapshot import Snapshot
    from backend.catalogue.upkeep.changes import ChangeSet
    from backend.settings import Settings

_SHOWN = 50


# ------------------------------------------------------------------------------------------------- loading


def ingest_source(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue ingest``."""
    kind = _kind(options)
    request = IngestRequest(
        source=kind,
        catalogue=options.catalogue,
        validation_share=options.validation_share,
        seed=options.seed,
        label_from=options.label_from,
        **_table_of(options),
        merge_labels=options.merge_labels,
        test_share=options.test_share,
        unseen=tuple(options.unseen),
        redraw=options.redraw,
        gone=options.gone,
        check_only=options.check,
        measure_quality=not options.no_quality,
    )
    return carry_out(request, settings)


def fetch_pictures(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue fetch``."""
    request = FetchRequest(
        source=_kind(options),
        **_table_of(options),
        confirm=tuple(options.confirm),
        check_only=options.check,
        only_failed=options.failed,
        fresh_hours=options.fresh_hours,
    )
    return carry_out(request, settings)


def export_mended(options: argparse.Namespace, settings: Settings) -> Result:  # noqa: ARG001 - as all of them
    """``catalogue export``."""
    from backend.catalogue.sources.locations import open_source
    from backend.catalogue.sources.mended import save_mended
    from backend.catalogue.sources.tables.listing import TableSource

    path = Path(options.path).expanduser().absolute()
    kind = _kind(options)
    if kind == "sample" or kind == "fashion-mnist":  # noqa: PLR1714 - as below
        raise UsageError("A built-in source needs no correction.", next_step="Add --path.")
    source = open_source(
        kind,
        path,
        columns=_columns(options.map) or None,
        label_from=options.label_from,
        version=options.source_version,
        table=options.table,
    )
    if not isinstance(source, TableSource):
        raise UsageError(f"{path.name} contains pictures and no table.", next_step="Name a table.")
    with own_folder("export") as folder:
        done = save_mended(source, folder / "table.csv", NullProgress())
        write_export(Path(options.output).expanduser(), (folder / "table.csv").read_bytes())
    return {"written": options.output, **done.as_dict()}


def commit_staged(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue commit``."""
    return carry_out(CommitRequest(options.staged, options.gone), settings)


def preview_source(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue preview``."""
    from backend.catalogue.labels import apart
    from backend.catalogue.sources.preview import preview
    from backend.catalogue.split_demand import shortfalls
    from backend.catalogue.splits import SplitPlan

    kind = _kind(options)
    if kind == "sample" or kind == "fashion-mnist":  # noqa: PLR1714 - what is left is what the type checker follows
        raise UsageError("A built-in source needs no preview.", next_step="Add --path.")
    found = preview(
        kind,
        Path(options.path).expanduser().absolute(),
        columns=_columns(options.map) or None,
        label_from=options.label_from,
        version=options.source_version,
        table=options.table,
        fetched=str(settings.fetched_dir),
    )
    raw = asdict(found)
    raw["notes"] = [*found.notes, *apart(found.labels), *shortfalls(found.demand, SplitPlan())]
    del raw["demand"]
    raw["rows"] = [{name: value for name, value in row.items() if name != "thumbnail"} for row in raw["rows"]]
    return raw


def source_of(options: argparse.Namespace) -> IngestRequest:
    """Return a load of the source that is named, into the catalogue that is."""
    return IngestRequest(
        source="csv" if not (options.source or options.path) else _kind(options),
        catalogue=options.catalogue,
        path=str(Path(options.path).expanduser().absolute()) if options.path else "",
        columns=_columns(options.map),
        label_from=options.label_from,
        source_version=options.source_version,
        table=options.table,
        gone=options.gone,
    )


def _kind(options: argparse.Namespace) -> SourceName:
    from backend.catalogue.sources.locations import detect

    if options.source:
        kind: SourceName = options.source
        return kind
    if not options.path:
        raise UsageError("No source is given.", next_step="Add --source, --path or both.")
    return detect(Path(options.path).expanduser().absolute())


def _table_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return which table requests are about, by their fields."""
    return {
        "path": options.path,
        "columns": _columns(options.map),
        "table": options.table,
        "source_version": options.source_version,
    }


def _columns(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals:
            raise UsageError(f"--map {pair} has no column.", next_step="Write --map title=Name.")
        found[name.strip()] = column.strip()
    return found


# ------------------------------------------------------------------------------------------------- looking


def list_catalogues(_options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue list``."""
    from backend.catalogue.snapshot import list_catalogues as names

    return {"catalogues": names(settings.catalogues_dir)}


def show_catalogue(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue show``."""
    return asdict(_snapshot(options, settings, options.version).summary())


def show_rejected(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue rejected``."""
    from backend.catalogue.loading.quarantine_export import export_quarantine
    from backend.catalogue.loading.staged_rejects import StagedRejects

    source = StagedRejects(settings, options.staged) if options.staged else _snapshot(options, settings)
    if options.export:
        write_export(Path(options.export), export_quarantine(source))
    shown = source.rejected(limit=_SHOWN)
    rows = [{"product_id": row.product_id, "source": row.source, "reason": row.sentence} for row in shown]
    counts = source.rejected_by_reason()
    return {"catalogue": options.catalogue, "rejected": counts, "rows": rows, "exported": options.export}


def show_history(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue history``."""
    from backend.catalogue.upkeep.history import history
    from backend.registry.usage import versions_in_use

    snapshot = _snapshot(options, settings)
    used = versions_in_use(settings, snapshot.name)
    found = history(settings.catalogues_dir / snapshot.name, used_by=used)
    return {"catalogue": snapshot.name, "versions": [asdict(entry) for entry in found]}


def show_changes(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue changes``."""
    from backend.catalogue.upkeep.changes import changes_between

    snapshot = _snapshot(options, settings)
    until = snapshot.version if options.until is None else options.until
    since = _since(options, settings, until)
    return _as_values(changes_between(settings.catalogues_dir, snapshot.name, since, until))


def _since(options: argparse.Namespace, settings: Settings, until: int) -> int:
    from backend.bundles import bundle
    from backend.flow.named import model_folder

    if options.since_model:
        manifest = bundle.read_manifest(model_folder(settings, options.since_model))
        if manifest.catalogue.name != options.catalogue:
            raise CatalogueError(
                f"{manifest.name} was trained on {manifest.catalogue.name}.", next_step="Use that catalogue."
            )
        return manifest.catalogue.version
    return max(until - 1, 1) if options.since is None else int(options.since)


def _as_values(changes: ChangeSet) -> Result:
    shown = changes.page(offset=0, limit=_SHOWN)
    rows = [{"product_id": c.product_id, "kind": c.kind, "columns": list(c.changed_columns)} for c in shown]
    return {
        "catalogue": changes.catalogue,
        "from_version": changes.from_version,
        "to_version": changes.to_version,
        "counts": dict(changes.counts),
        "changes": rows,
    }


def _snapshot(options: argparse.Namespace, settings: Settings, version: int | None = None) -> Snapshot:
    from backend.catalogue.snapshot import open_snapshot

    return open_snapshot(settings.catalogues_dir, options.catalogue, version)


# ------------------------------------------------------------------------------------------------- keeping


def quality_of(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue quality``."""
    from backend.catalogue.quality.report import quality_report

    result = {} if options.no_measure else carry_out(QualityRequest(options.catalogue), settings)
    return {**result, **quality_report(settings.catalogues_dir, options.catalogue)}


def change_splits(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue splits``."""
    request = SplitsRequest(
        catalogue=options.catalogue,
        action=options.action,
        near=not options.exact,
        validation_share=options.validation_share,
        test_share=options.test_share,
        seed=options.seed,
        unseen=tuple(options.unseen),
    )
    return carry_out(request, settings)


def restore_version(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue restore``."""
    from backend.catalogue.upkeep.maintenance import restore_preview

    if options.preview:
        return _as_values(restore_preview(settings.catalogues_dir, options.catalogue, options.version))
    return carry_out(RestoreRequest(options.catalogue, options.version), settings)


def tidy_up(options: argparse.Namespace, settings: Settings) -> Result:
    """``catalogue tidy``."""
    request = TidyRequest(options.catalogue, not options.no_compact, options.vacuum, options.keep_days)
    return carry_out(request, settings)
