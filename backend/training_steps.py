"""The step ``train``, from its request to a bundle: in this process, or on the ranks of a Spark master."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from backend.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.requests import TrainRequest
    from backend.settings import Settings
    from backend.training.runtime import Device


def train_step(request: TrainRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Train a model on one catalogue version; the result is a bundle without an index."""
    from backend.catalogue.snapshot import open_snapshot

    request = _resumed(request, settings) if request.resume else request
    snapshot = open_snapshot(settings.catalogues_dir, request.catalogue, request.version)
    _check(request, snapshot, settings)
    started = time.monotonic()
    manifest, proof = (_on_spark if request.workers > 1 else _here)(request, snapshot, settings, progress)
    if request.origin:
        _keep_origin(request, manifest, settings)
    return {
        "model": manifest.name,
        "run_id": manifest.run_id,
        "metrics": manifest.metrics,
        "seconds": round(time.monotonic() - started, 3),
        "workers": request.workers,
        "proof": proof,
    }


def new_model_name(request: TrainRequest) -> str:
    """Name a model after its catalogue, its preset and the time in UTC."""
    return f"{request.catalogue}-{request.config.preset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _resumed(request: TrainRequest, settings: Settings) -> TrainRequest:
    """Return the request that a resumed training was started with."""
    from backend.training.preparation import unfinished_training

    found = unfinished_training(settings.models_dir, request.name)
    ref = found.catalogue
    request = replace(request, catalogue=ref.name, version=ref.version, origin=found.origin)
    return replace(request, config=found.config, workers=found.workers)


def _keep_origin(request: TrainRequest, manifest: Manifest, settings: Settings) -> None:
    """Write where the configuration came from into the manifest and the run."""
    from backend import bundle
    from backend.registry.tracking import tag_run

    bundle.write_manifest(settings.models_dir / manifest.name, replace(manifest, origin=request.origin))
    tag_run(settings, manifest.run_id, {f"origin.{name}": str(value) for name, value in request.origin.items()})


def _check(request: TrainRequest, snapshot: Snapshot, settings: Settings) -> None:
    """Refuse at once what the Train page would refuse.

    Raises:
        ConfigurationError: The first thing that cannot work.
    """
    from backend.training.preflight import Machine, preflight, this_machine

    is_here = request.workers == 1 or settings.spark_master.startswith("local")
    machine = this_machine(settings.models_dir, threads=settings.threads) if is_here else Machine()
    counts = snapshot.summary().by_label
    preflight(request.config, counts, machine, workers=request.workers).raise_first()


def _here(
    request: TrainRequest, snapshot: Snapshot, settings: Settings, progress: Progress
) -> tuple[Manifest, dict[str, Any] | None]:
    from backend.training.fit import train

    return train(snapshot, request.config, **_surroundings(request, settings, progress)), None


def _on_spark(
    request: TrainRequest, snapshot: Snapshot, settings: Settings, progress: Progress
) -> tuple[Manifest, dict[str, Any] | None]:
    from backend.spark_session import open_spark
    from backend.training.distributed import train_on_spark

    progress.report(0, 1, note="starting Spark")
    with open_spark(settings, app_name=f"Twinset train {request.name}".strip()) as spark:
        manifest, proof = train_on_spark(spark, snapshot, request.config, **_surroundings(request, settings, progress))
    return manifest, proof.as_dict()


def _surroundings(request: TrainRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    from backend.registry.tracking import MlflowTracker
    from backend.training.preparation import ModelPlace, Workers

    name = request.name or new_model_name(request)
    return {
        "place": ModelPlace(settings.models_dir, name, request.resume, request.origin),
        "tracker": MlflowTracker(settings),
        "progress": progress,
        "workers": Workers(request.workers, settings.threads, cast("Device", settings.device), settings.log_level),
    }
