"""The step ``train``, from its request to a bundle: in this process, or on the ranks of a Spark master."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any, cast

from backend.errors import Cancelled, ConfigurationError, StorageFailed, StorageFull
from backend.files.holding import held, holder_of, lock_of
from backend.spark.cluster import is_local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.bundles.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.flow.requests import TrainRequest
    from backend.progress import Progress
    from backend.settings import Settings
    from backend.training.config import TrainConfig
    from backend.training.preparation import Unfinished
    from backend.training.runtime import Device

logger = logging.getLogger(__name__)


RESUMABLE = ("epochs", "patience")  # what a resumed training may take anew


def train_step(request: TrainRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Train a model on one catalogue version; the result is a bundle without an index.

    Raises:
        InUse: Another training has the name.
    """
    from backend.training.preparation import ModelPlace, check_name, remove_finished_checkpoints, unfinished_training

    name = request.name or _free_name(request, settings)
    if request.resume:
        unfinished_training(settings.models_dir, name)
    else:
        check_name(ModelPlace(settings.models_dir, name))
    lock, what = lock_of(settings.models_dir / name), f"The model {name!r}"
    with held(lock, what, "is being trained", progress, otherwise="choose another name"), _advised(name, settings):
        result = _trained(replace(request, name=name), settings, progress)
        remove_finished_checkpoints(settings.models_dir)
    return result


def new_model_name(request: TrainRequest) -> str:
    """Name a model after its catalogue, its preset and the time in UTC."""
    return f"{request.catalogue}-{request.config.preset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def resume_command(name: str) -> str:
    """Return the command that goes on with a training."""
    return f"python -m backend train --resume {name}"


def _free_name(request: TrainRequest, settings: Settings) -> str:
    """Make a name from the time that nothing else has, also where several trainings begin within a second."""
    base = new_model_name(request)
    taken = {path.name.removesuffix(".checkpoints") for path in settings.models_dir.glob(f"{base}*")}
    names = chain([base], (f"{base}-{number}" for number in count(2)))
    return next(one for one in names if one not in taken and holder_of(lock_of(settings.models_dir / one)) is None)


def _trained(request: TrainRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    from backend.catalogue.snapshot import open_snapshot
    from backend.catalogue.upkeep.history import require_readable

    request, run_id = _resumed(request, settings) if request.resume else (request, "")
    snapshot = open_snapshot(settings.catalogues_dir, request.catalogue, request.version)
    if request.resume:
        require_readable(settings.catalogues_dir / snapshot.name, snapshot.version)
    else:
        request, run_id = _taken_up(request, snapshot, settings)
    _check(request, snapshot, settings)
    started = time.monotonic()
    around = _surroundings(request, run_id, settings, progress)
    manifest, proof = (_on_spark if request.workers > 1 else _here)(request, snapshot, settings, progress, around)
    return {
        "model": manifest.name,
        "run_id": manifest.run_id,
        "metrics": manifest.metrics,
        "seconds": round(time.monotonic() - started, 3),
        "workers": request.workers,
        "proof": proof,
        "notes": list(manifest.notes),
    }


def _resumed(request: TrainRequest, settings: Settings) -> tuple[TrainRequest, str]:
    """Return the request that a resumed training was started with, and its run.

    Raises:
        ConfigurationError: There is no such training, or something was asked to change that cannot.
    """
    from backend.training.config import validate
    from backend.training.preparation import unfinished_training

    found = unfinished_training(settings.models_dir, request.name)
    fixed = [name for name in request.changes if name not in RESUMABLE]
    if fixed:
        raise ConfigurationError(
            f"A resumed training keeps its {', '.join(fixed)}.", next_step="Start a new training under another name."
        )
    config = replace(found.config, **request.changes)
    validate(config)
    if config.epochs < found.epochs_done:
        raise ConfigurationError(
            f"{found.epochs_done} epochs of {request.name!r} are done, but only {config.epochs} in total were requested.",
            next_step=f"Request {found.epochs_done} or more.",
        )
    return _as_begun(request, found, config), found.run_id


def _taken_up(request: TrainRequest, snapshot: Snapshot, settings: Settings) -> tuple[TrainRequest, str]:
    """Go on with a training that was carried out in part where the very same one is asked for again, as by *Try again*.

    Raises:
        ConfigurationError: Another one of that name is unfinished, whose checkpoints would be lost.
    """
    from backend.training.preparation import find_unfinished

    found = find_unfinished(settings.models_dir, request.name)
    if found is None:
        return request, ""
    if (found.catalogue, found.config, found.workers) == (snapshot.ref, request.config, request.workers):
        logger.info("%s resumes after epoch %d", found.name, found.epochs_done)
        return _as_begun(replace(request, resume=True), found, found.config), found.run_id
    done = f"{found.epochs_done} of {found.config.epochs} epochs done"
    raise ConfigurationError(
        f"There is an unfinished training {found.name!r} with other settings, {done}.",
        next_step=f"Resume it (`{resume_command(found.name)}`), delete it (`models delete`), or choose another name.",
    )


def _as_begun(request: TrainRequest, unfinished: Unfinished, config: TrainConfig) -> TrainRequest:
    ref = unfinished.catalogue
    request = replace(request, catalogue=ref.name, version=ref.version, origin=unfinished.origin)
    return replace(request, config=config, workers=unfinished.workers)


@contextmanager
def _advised(name: str, settings: Settings) -> Iterator[None]:
    """Say of a training that was stopped, or met a full disk, whether it can be resumed, and how."""
    from backend.training.preparation import find_unfinished

    try:
        yield
    except (Cancelled, StorageFailed) as error:
        found = find_unfinished(settings.models_dir, name)
        first = "" if isinstance(error, Cancelled) else "Fix the disk problem first. "
        if isinstance(error, StorageFull):
            first = "Free some space first. "
        if found is None:
            error.next_step = f"{first}No epoch was finished, so training starts from the beginning."
        else:
            kept = f"{found.epochs_done} of {found.config.epochs} epochs are kept"
            error.next_step = f"{first}{kept}; resume on the Train page, or with `{resume_command(name)}`."
        raise


def _check(request: TrainRequest, snapshot: Snapshot, settings: Settings) -> None:
    """Refuse at once what the Train page would refuse.

    Raises:
        ConfigurationError: The first thing that cannot work.
    """
    from backend.training.ranks.preflight import Machine, preflight, this_machine

    is_here = request.workers <= 1 or is_local(settings.spark_master)
    machine = (
        this_machine(settings.models_dir, threads=settings.threads, device=settings.device)
        if is_here
        else Machine(is_shared=False)
    )
    counts = snapshot.summary().by_label
    preflight(request.config, counts, machine, workers=request.workers).raise_first()


def _here(
    request: TrainRequest, snapshot: Snapshot, _settings: Settings, _progress: Progress, around: dict[str, Any]
) -> tuple[Manifest, dict[str, Any] | None]:
    from backend.training.fit import train

    return train(snapshot, request.config, **around), None


def _on_spark(
    request: TrainRequest, snapshot: Snapshot, settings: Settings, progress: Progress, around: dict[str, Any]
) -> tuple[Manifest, dict[str, Any] | None]:
    from backend.spark.session import open_spark
    from backend.training.ranks.distributed import train_on_spark

    progress.report(0, 1, note="starting Spark")
    with open_spark(settings, app_name=f"Twinset train {request.name}") as spark:
        manifest, proof = train_on_spark(spark, snapshot, request.config, **around)
    return manifest, proof.as_dict()


def _surroundings(request: TrainRequest, run_id: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    from backend.feeding.content_cache import cache_folder
    from backend.registry.runs.tracking import MlflowTracker
    from backend.training.preparation import ModelPlace, Workers

    cache = cache_folder(settings)
    return {
        "place": ModelPlace(settings.models_dir, request.name, request.resume, request.origin, run_id, cache),
        "tracker": MlflowTracker(settings),
        "progress": progress,
        "workers": Workers(request.workers, settings.threads, cast("Device", settings.device), settings.log_level),
    }
