"""The steps of the flow, each a function from a typed request to a JSON result; commands and jobs both call these.

catalogue -> train -> index -> evaluate -> deploy; ``demo`` runs them in one go
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend import bundle
from backend.catalogue.items import GALLERY_SPLITS, UNLABELLED
from backend.catalogue_steps import commit_step, ingest_step, quality_step, restore_step, splits_step, tidy_step
from backend.errors import BundleError, JobError, StorageFull, is_disk_full
from backend.requests import (
    CommitRequest,
    DemoRequest,
    DeployRequest,
    EvaluateRequest,
    IndexRequest,
    IngestRequest,
    QualityRequest,
    Request,
    RestoreRequest,
    SplitsRequest,
    TidyRequest,
    TrainRequest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.settings import Settings


def run_request(request: Request, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Carry out one request and return its result as JSON values.

    Raises:
        WorkbenchError: It could not be done; the message says why and what to do.
        Cancelled: The user asked to stop.
    """
    from backend.demo import run_demo

    steps: dict[type[Any], Any] = {
        IngestRequest: ingest_step,
        CommitRequest: commit_step,
        QualityRequest: quality_step,
        SplitsRequest: splits_step,
        RestoreRequest: restore_step,
        TidyRequest: tidy_step,
        TrainRequest: train_step,
        IndexRequest: index_step,
        EvaluateRequest: evaluate_step,
        DeployRequest: deploy_step,
        DemoRequest: run_demo,
    }
    if type(request) not in steps:
        raise JobError(f"Nothing carries out {type(request).__name__}.")
    try:
        result: dict[str, Any] = steps[type(request)](request, settings, progress)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(settings) from error
        raise
    return result


def disk_full(settings: Settings) -> StorageFull:
    """The error for a full disk, wherever it was met."""
    return StorageFull(
        f"The disk that holds {settings.home} is full; the last committed state is untouched.",
        next_step="Free some space or set TWINSET_HOME to another disk, then run this again.",
    )


def train_step(request: TrainRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Train a model on one catalogue version; the result is a bundle without an index."""
    from backend.catalogue.snapshot import open_snapshot
    from backend.registry.tracking import MlflowTracker
    from backend.training.fit import train

    snapshot = open_snapshot(settings.catalogues_dir, request.catalogue, request.version)
    started = time.monotonic()
    manifest = train(
        snapshot,
        request.config,
        models_dir=settings.models_dir,
        name=request.name or new_model_name(request),
        tracker=MlflowTracker(settings),
        progress=progress,
        threads=settings.threads,
    )
    return {
        "model": manifest.name,
        "run_id": manifest.run_id,
        "metrics": manifest.metrics,
        "seconds": round(time.monotonic() - started, 3),
    }


def new_model_name(request: TrainRequest) -> str:
    """Name a model after its catalogue, its preset and the time in UTC."""
    return f"{request.catalogue}-{request.config.preset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def model_folder(settings: Settings, model: str) -> Path:
    """Return a bundle's folder; an empty name means the newest bundle.

    Raises:
        BundleError: There is no such bundle, or none at all.
    """
    if model:
        folder = settings.models_dir / model
        if folder.parent != settings.models_dir or not (folder / bundle.MANIFEST).is_file():
            known = ", ".join(m.name for m in bundle.list_bundles(settings.models_dir)[:5]) or "none yet"
            raise BundleError(f"There is no model {model!r}.", next_step=f"Models are: {known}.")
        return folder
    models = bundle.list_bundles(settings.models_dir)
    if not models:
        raise BundleError("There is no model yet.", next_step="Train one: `python -m backend train`.")
    return settings.models_dir / models[0].name


def index_step(request: IndexRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Embed the whole gallery of the model's catalogue version into the bundle."""
    from backend.retrieval.gallery import build_gallery

    folder = model_folder(settings, request.model)
    manifest = bundle.verify(folder)
    embedder = _embedder(folder, manifest, settings)
    started = time.monotonic()
    info = build_gallery(_trained_on(manifest, settings), embedder, folder, splits=GALLERY_SPLITS, progress=progress)
    return {
        "model": folder.name,
        "gallery_size": info.size,
        "index": info.kind,
        "seconds": round(time.monotonic() - started, 3),
    }


def _embedder(folder: Path, manifest: bundle.Manifest, settings: Settings) -> Embedder:
    from backend.training.embedder import load_embedder

    return load_embedder(folder, manifest, threads=settings.threads)


def _trained_on(manifest: bundle.Manifest, settings: Settings) -> Snapshot:
    from backend.catalogue.snapshot import open_snapshot

    return open_snapshot(settings.catalogues_dir, manifest.catalogue.name, manifest.catalogue.version)


def evaluate_step(request: EvaluateRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Score the test split against the bundle's own index, and write the figures into manifest and run."""
    from backend.evaluation.evaluate import evaluate_retrieval
    from backend.registry.model_registry import log_metrics_to_run
    from backend.retrieval.gallery import Gallery, embed_split, load_vectors

    folder = model_folder(settings, request.model)
    manifest = bundle.verify(folder)
    if manifest.index is None:
        raise BundleError(f"{folder.name} has no index yet.", next_step="Build it first: `python -m backend index`.")
    embedder = _embedder(folder, manifest, settings)
    started = time.monotonic()
    queries = embed_split(_trained_on(manifest, settings), embedder, splits=("test",), progress=progress)
    vectors, labels = load_vectors(folder), Gallery.load(folder).labels
    labelled = labels != UNLABELLED  # of a product without a label nobody can say whether it is a right answer
    scores = evaluate_retrieval(
        queries.vectors,
        queries.labels,
        vectors if labelled.all() else vectors[labelled],
        labels[labelled],
        k=10,
        progress=progress,
    )
    metrics = {f"test.{name}": value for name, value in scores.as_metrics().items()}
    bundle.write_manifest(folder, replace(manifest, metrics={**manifest.metrics, **metrics}))
    log_metrics_to_run(settings, manifest.run_id, metrics)
    return {"model": folder.name, "metrics": metrics, "seconds": round(time.monotonic() - started, 3)}


def deploy_step(request: DeployRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Register the bundle, move the alias to it, and have a running local endpoint take it up."""
    from backend.errors import EndpointUnreachable
    from backend.registry.model_registry import register_bundle
    from backend.serving.client import local_client

    folder = model_folder(settings, request.model)
    version = register_bundle(settings, folder, alias=request.alias, progress=progress)
    result = {"model": folder.name, "registered_model": version.name, "version": version.version}
    try:
        local_client(settings).reload()
    except EndpointUnreachable:
        # Nothing to reload: the endpoint reads the alias when it starts.
        return {**result, "alias": request.alias, "endpoint": "not running"}
    return {**result, "alias": request.alias, "endpoint": settings.effective_endpoint_url}
