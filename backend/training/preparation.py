"""What surrounds a training: its name, its folders, the record of its run, and what is needed to resume it."""

from __future__ import annotations

import json
import logging
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from backend.bundles.bundle import MANIFEST, CatalogueRef
from backend.errors import Cancelled, ConfigurationError
from backend.files.storage import write_atomically
from backend.training import provenance
from backend.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.catalogue.snapshot import Snapshot
    from backend.feeding.content_cache import CacheFolder
    from backend.training.resolve import Resolved
    from backend.training.runtime import Device
    from backend.training.tracking import RunStatus, Tracker

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHECKPOINTS = ".checkpoints"
_TRAINING = "training.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A training that ended before its bundle was written, and can go on.

    Attributes:
        name: Name of the model that it was to become.
        catalogue: What it was trained on.
        config: As it was asked for.
        workers: Processes that trained together.
        epochs_done: Epochs that will not be trained again.
        origin: Where the configuration came from.
        run_id: Of its run in the tracking store; empty where an earlier version began it.
    """

    name: str
    catalogue: CatalogueRef
    config: TrainConfig
    workers: int
    epochs_done: int
    origin: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a training puts what it makes.

    Attributes:
        models_dir: Folder of all bundles.
        name: Folder name of the new bundle.
        resume: Whether to go on from the last checkpoint of that name, trained with the same configuration.
        origin: Where the configuration came from; kept for a training that is resumed.
        run_id: Of the run that a resumed training goes on in.
        cache: Where what was made of pictures is kept for later trainings; None: nowhere.
    """

    models_dir: Path
    name: str
    resume: bool = False
    origin: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    cache: CacheFolder | None = None

    @property
    def bundle(self) -> Path:
        """The new bundle."""
        return self.models_dir / self.name

    @property
    def checkpoints(self) -> Path:
        """What is kept on the way."""
        return self.models_dir / f"{self.name}{_CHECKPOINTS}"


@dataclass(frozen=True, slots=True)
class Workers:
    """Who trains.

    Attributes:
        count: Processes that train together.
        threads: Threads for one operation in each; 0 means a machine's cores, shared among those on it.
        device: What each computes on.
        log_level: Of their logs, where they have their own.
    """

    count: int = 1
    threads: int = 0
    device: Device = "auto"
    log_level: str = "INFO"


def check_name(place: ModelPlace) -> None:
    """Check that a new model can have this name.

    Raises:
        ConfigurationError: It cannot be a folder's name, or is taken.
    """
    name = place.name
    if not _NAME.fullmatch(name) or name.endswith(_CHECKPOINTS):
        raise ConfigurationError(
            f"{name!r} is not a valid model name.",
            next_step="Use up to 100 letters, digits, dots, hyphens and underscores, starting with a letter or digit.",
        )
    if (place.bundle / MANIFEST).exists():
        raise ConfigurationError(f"There is already a model {name!r}.", next_step="Choose another name.")
    if place.bundle.exists():
        raise ConfigurationError(
            f"{place.bundle} already exists but is not a model, as it has no {MANIFEST}.",
            next_step=f"Remove it with `python -m backend models delete --model {name}`, or choose another name.",
        )


def note_training(
    place: ModelPlace, catalogue: CatalogueRef, config: TrainConfig, *, workers: int, run_id: str = ""
) -> None:
    """Write down beside the checkpoints what is trained, so that it can be resumed."""
    record = {"catalogue": asdict(catalogue), "config": config.as_dict(), "workers": workers}
    record |= {"origin": place.origin, "run_id": run_id}
    write_atomically(place.checkpoints / _TRAINING, json.dumps(record, indent=2).encode())


def unfinished_trainings(models_dir: Path) -> list[Unfinished]:
    """Return the trainings that have a checkpoint and no bundle, the newest first; one that cannot be read is left out."""
    folders = [
        folder
        for folder in models_dir.glob(f"*{_CHECKPOINTS}")
        if (folder / _TRAINING).is_file()
        and any(folder.glob("state-*.npz"))
        and not (models_dir / folder.name.removesuffix(_CHECKPOINTS) / MANIFEST).exists()
    ]
    found = []
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True):
        try:
            found.append(_unfinished(folder))
        except (OSError, ValueError, KeyError, TypeError, ConfigurationError) as error:
            logger.warning("%s cannot be resumed: %s", folder.name, error)
    return found


def find_unfinished(models_dir: Path, name: str) -> Unfinished | None:
    """Return the training of that name that could go on; None where there is none."""
    return next((training for training in unfinished_trainings(models_dir) if training.name == name), None)


def unfinished_training(models_dir: Path, name: str) -> Unfinished:
    """Return the training of that name.

    Raises:
        ConfigurationError: There is none that could go on.
    """
    found = find_unfinished(models_dir, name)
    if found is None:
        known = ", ".join(training.name for training in unfinished_trainings(models_dir)) or "none"
        said = f"There is no training {name!r} with a checkpoint to resume from"
        if (models_dir / name / MANIFEST).exists():
            longer = "To train longer, train under another name with more epochs."
            raise ConfigurationError(f"{said}: it has finished, and its model exists.", next_step=longer)
        raise ConfigurationError(f"{said}.", next_step=f"Unfinished ones: {known}.")
    return found


def remove_finished_checkpoints(models_dir: Path) -> None:
    """Remove the checkpoints of trainings whose bundle is there, also of those that an earlier version left."""
    for folder in models_dir.glob(f"*{_CHECKPOINTS}"):
        if (models_dir / folder.name.removesuffix(_CHECKPOINTS) / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)


def useless_checkpoints(models_dir: Path) -> list[tuple[Path, str]]:
    """Return the folders of trainings that nothing goes on from, each with the name of its model: no epoch, or all done."""
    folders = [(folder, folder.name.removesuffix(_CHECKPOINTS)) for folder in models_dir.glob(f"*{_CHECKPOINTS}")]
    return [
        (folder, name)
        for folder, name in folders
        if (models_dir / name / MANIFEST).exists() or not any(folder.glob("state-*.npz"))
    ]


def _unfinished(folder: Path) -> Unfinished:
    record = json.loads((folder / _TRAINING).read_text("utf-8"))
    (state,) = sorted(folder.glob("state-*.npz"))[-1:]
    return Unfinished(
        name=folder.name.removesuffix(_CHECKPOINTS),
        catalogue=CatalogueRef(**record["catalogue"]),
        config=TrainConfig.from_dict(record["config"]),
        workers=int(record["workers"]),
        epochs_done=int(state.stem.removeprefix("state-")),
        origin=dict(record.get("origin", {})),
        run_id=str(record.get("run_id", "")),
    )


@contextmanager
def tracked(
    tracker: Tracker,
    snapshot: Snapshot,
    resolved: Resolved,
    place: ModelPlace,
    config: TrainConfig,
    *,
    workers: int = 1,
) -> Iterator[str]:
    """Open a run of the tracker, yield its id, and close it with what became of the training.

    A resumed training goes on in its own run. What is trained, ``config`` as it was asked for, is noted beside the
    checkpoints, whose folder must be there.
    """
    for note in resolved.all_notes:
        logger.warning(note)
    params = {
        **resolved.config.as_dict(),
        **{f"catalogue.{k}": v for k, v in asdict(snapshot.ref).items()},
        "workers": workers,
    }
    tags = {
        "git_commit": provenance.git_commit(),
        "notes": " ".join(resolved.all_notes),
        **{f"library.{library}": version for library, version in provenance.library_versions().items()},
        **{f"origin.{name}": str(value) for name, value in place.origin.items()},
    }
    run_id = tracker.start(name=place.name, params=params, tags=tags, run_id=place.run_id)
    status: RunStatus = "FAILED"
    try:
        note_training(place, snapshot.ref, config, workers=workers, run_id=run_id)
        yield run_id
        status = "FINISHED"
    except (Cancelled, KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        tracker.finish(status=status)
