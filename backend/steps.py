"""The steps of the flow, each a function from a typed request to a JSON result; commands and jobs both call these.

catalogue -> train -> index -> evaluate -> explore -> deploy; ``demo`` runs them in one go
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from backend import bundle
from backend.catalogue.items import GALLERY_SPLITS
from backend.catalogue_steps import commit_step, ingest_step, quality_step, restore_step, splits_step, tidy_step
from backend.errors import JobError, StorageFull, is_disk_full
from backend.evaluation_steps import evaluate_step
from backend.models import load_network, model_folder, trained_on
from backend.projection_steps import project_step
from backend.requests import (
    CommitRequest,
    DemoRequest,
    DeployRequest,
    EvaluateRequest,
    IndexRequest,
    IngestRequest,
    ProjectRequest,
    QualityRequest,
    Request,
    RestoreRequest,
    SplitsRequest,
    TidyRequest,
    TrainRequest,
)
from backend.training_steps import train_step

if TYPE_CHECKING:
    from backend.progress import Progress
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
        ProjectRequest: project_step,
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


def index_step(request: IndexRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Embed the whole gallery of the model's catalogue version into the bundle."""
    from backend.retrieval.gallery import build_gallery

    folder = model_folder(settings, request.model)
    manifest = bundle.verify(folder)
    embedder = load_network(folder, manifest, settings)
    started = time.monotonic()
    info = build_gallery(trained_on(manifest, settings), embedder, folder, splits=GALLERY_SPLITS, progress=progress)
    return {
        "model": folder.name,
        "gallery_size": info.size,
        "index": info.kind,
        "seconds": round(time.monotonic() - started, 3),
    }


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
