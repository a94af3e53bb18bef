"""The steps that make, refresh and measure an index, each a function from a typed request to a JSON result."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.bundles.renewal import renew
from backend.catalogue.items import GALLERY_SPLITS
from backend.errors import RegistryError
from backend.flow import named

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import IndexInfo, Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.flow.requests import FidelityRequest, IndexRequest, RefreshRequest
    from backend.progress import Progress
    from backend.retrieval.indexes.kinds import Kind
    from backend.settings import Settings


def index_step(request: IndexRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Embed the whole gallery of the model's catalogue into the bundle; on the executors where a cluster is set."""
    from backend.retrieval.indexes.kinds import EXACT, check_kind

    folder = named.model_folder(settings, request.model)
    manifest = bundle.verify(folder)
    had = manifest.index.kind if manifest.index is not None else EXACT
    kind = check_kind(request.index_kind or had)
    snapshot = _newest(manifest, settings) if request.newest else _same(manifest, settings)
    started = time.monotonic()
    info = build_index(snapshot, manifest, folder, kind, settings, progress)
    return {
        "model": folder.name,
        "gallery_size": info.size,
        "left_out": named.left_out(info, snapshot),
        "index": info.kind,
        "catalogue": info.catalogue.name,
        "version": info.catalogue.version,
        "seconds": round(time.monotonic() - started, 3),
    }


def build_index(
    snapshot: Snapshot, manifest: Manifest, folder: Path, kind: Kind, settings: Settings, progress: Progress
) -> IndexInfo:
    """Embed the gallery of a catalogue version into a verified bundle; on the executors where a cluster is set."""
    build = _built_here if is_local(settings.spark_master) else _built_on_spark
    return build(snapshot, manifest, folder, kind, settings, progress)


def is_local(master: str) -> bool:
    """Tell whether a Spark master is this very process and its children, so that nothing is gained by asking it."""
    return master == "local" or master.startswith("local[")


def _built_here(
    snapshot: Snapshot, manifest: Manifest, folder: Path, kind: Kind, settings: Settings, progress: Progress
) -> IndexInfo:
    from backend.retrieval.gallery.gallery import build_gallery

    embedder = named.load_network(folder, manifest, settings)
    return build_gallery(snapshot, embedder, folder, splits=GALLERY_SPLITS, kind=kind, progress=progress)


def _built_on_spark(
    snapshot: Snapshot, manifest: Manifest, folder: Path, kind: Kind, settings: Settings, progress: Progress
) -> IndexInfo:
    from backend.flow.index_on_spark import build_gallery_on_spark
    from backend.spark.session import open_spark

    progress.report(0, 1, note="Starting Spark")
    with open_spark(settings, app_name=f"twinset index {manifest.name}") as spark:
        return build_gallery_on_spark(spark, snapshot, folder, splits=GALLERY_SPLITS, kind=kind, progress=progress)


def refresh_index(request: RefreshRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Bring a model's index to the newest version of its catalogue; only what changed is embedded."""
    from backend.retrieval.refresh import refresh_gallery

    folder = named.model_folder(settings, request.model)
    manifest = bundle.read_manifest(folder)
    started = time.monotonic()
    progress.report(0, 1, note="Finding changes")
    network = partial(named.load_network, folder, manifest, settings)
    snapshot = _newest(manifest, settings)
    done = refresh_gallery(snapshot, network, folder, progress=progress)
    counted = {"left_out": named.left_out(done.index, snapshot)}
    return {"model": folder.name, **done.as_dict(), **counted, "seconds": round(time.monotonic() - started, 3)}


def is_answered_with(folder: Path, settings: Settings, *, alias: str) -> bool:
    """Tell whether a registered model is at an alias that is an earlier state of this bundle."""
    from backend.registry.fetching import fetch_champion

    try:
        version, registered = fetch_champion(settings, alias)
    except RegistryError:
        return False  # nothing is registered under that alias, so that nothing has to be brought up to date
    return version.model == folder.name and bundle.read_manifest(registered).index != bundle.read_manifest(folder).index


def fidelity_step(request: FidelityRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure how much of the exact answer a model's index gives, and how fast; the gate before an alias reads it."""
    from backend.retrieval.fidelity import measure_fidelity

    folder = named.model_folder(settings, request.model)
    report = measure_fidelity(folder, k=request.k, queries=request.queries, progress=progress)
    manifest = bundle.read_manifest(folder)
    if manifest.index is not None and manifest.index.generation == report.generation:
        metrics = {**manifest.metrics, f"{bundle.INDEX_METRICS}fidelity_at_{report.k}": report.fidelity}
        renew(folder, {}, partial(replace, metrics=metrics))
    return report.as_dict()


def _same(manifest: Manifest, settings: Settings) -> Snapshot:
    """Open the version that the model's index is of, and the one it was trained on while it has none."""
    from backend.catalogue.snapshot import open_snapshot

    if manifest.index is None:
        return named.trained_on(manifest, settings)
    return open_snapshot(settings.catalogues_dir, manifest.index.catalogue.name, manifest.index.catalogue.version)


def _newest(manifest: Manifest, settings: Settings) -> Snapshot:
    from backend.catalogue.snapshot import open_snapshot

    return open_snapshot(settings.catalogues_dir, manifest.searched.name)
