"""Train a model on a catalogue snapshot: the use case behind ``train``.

check the catalogue -> decode train and validation -> epochs of steps, scores and checkpoints -> bundle
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import Cancelled, ConfigurationError
from backend.training import provenance
from backend.training.checkpoints import Checkpoints, EpochResult
from backend.training.config import validate
from backend.training.data import check_catalogue, prepare_data
from backend.training.embedder import NetworkEmbedder
from backend.training.package import describe, write_bundle
from backend.training.runtime import prepare_similarity, prepare_tensorflow
from backend.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.data import TrainingData
    from backend.training.resolve import Resolved
    from backend.training.tracking import RunStatus, Tracker

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def train(
    snapshot: Snapshot,
    config: TrainConfig,
    *,
    models_dir: Path,
    name: str,
    tracker: Tracker,
    progress: Progress,
    threads: int = 0,
) -> Manifest:
    """Train a network and write the bundle of its best epoch to ``models_dir / name``.

    The loss, and precision@1 and MAP@R of validation queries after every epoch, go to ``progress`` and ``tracker``.
    Each epoch leaves a checkpoint in ``models_dir / <name>.checkpoints``. The bundle appears whole or not at all.

    Args:
        snapshot: The catalogue version to train on; only its train and validation splits are read.
        config: What to train; batches are fitted to the catalogue, and the bundle records the fitted configuration.
        models_dir: Folder of all bundles.
        name: Folder name of the new bundle.
        tracker: Keeps the record of the run.
        progress: Hears decoded pictures, then steps; may cancel.
        threads: Threads for one operation; 0 means all cores.

    Raises:
        ConfigurationError: The configuration or the catalogue cannot work, or the name is taken; nothing was started.
        TrainingError: The loss is no longer a number, or the embeddings collapsed.
        StorageFull: There is no space for pixels, checkpoints or the bundle.
        Cancelled: The user asked to stop.
    """
    validate(config)
    _check_name(models_dir, name)
    check_catalogue(snapshot, config)
    progress.report(0, 1, note="starting TensorFlow")
    tf = prepare_tensorflow(threads)
    prepare_similarity()
    tf.config.experimental.enable_op_determinism()
    with _workplace(models_dir, name) as place:
        data = prepare_data(snapshot, config, place, progress=progress)
        with _tracked(tracker, snapshot, data.resolved, name) as run_id:
            trainer = Trainer(data.resolved.config, len(data.resolved.classes), data.feed, tf)
            checkpoints = Checkpoints(models_dir / f"{name}.checkpoints")
            _run_epochs(trainer, data, checkpoints, tracker, progress)
            best = checkpoints.best
            manifest = describe(name, data.resolved, best, catalogue=snapshot.ref, run_id=run_id)
            return write_bundle(models_dir / name, manifest, checkpoints.load(best.epoch))


def _run_epochs(
    trainer: Trainer, data: TrainingData, checkpoints: Checkpoints, tracker: Tracker, progress: Progress
) -> None:
    """Train, score and keep epoch after epoch, until all are done or the patience is at its end."""
    config = data.resolved.config
    embedder = NetworkEmbedder(trainer.model, config.pixels)
    for number in range(config.epochs):
        note = f"epoch {number + 1} of {config.epochs}"
        losses = trainer.run_epoch(number, progress=progress, note=note)
        progress.check_cancelled()
        arrays = trainer.arrays()
        scores = data.validator.score(embedder)
        result = EpochResult(number + 1, losses["loss"], scores.precision_at_1, scores.map_at_r)
        checkpoints.save(result, arrays)
        validation = {"val.precision_at_1": result.precision_at_1, "val.map_at_r": result.map_at_r}
        for key, value in validation.items():
            progress.metric(key, value, step=trainer.steps_done)
        tracker.log({**losses, **validation}, step=result.epoch)
        logger.info("%s: loss %.4f, %s", note, result.loss, validation)
        if config.patience and result.epoch - checkpoints.best.epoch >= config.patience:
            logger.info("stopped early: no better epoch since number %d", checkpoints.best.epoch)
            break


@contextmanager
def _tracked(tracker: Tracker, snapshot: Snapshot, resolved: Resolved, name: str) -> Iterator[str]:
    """Open a run of the tracker, yield its id, and close it with what became of the training."""
    for note in resolved.notes:
        logger.warning(note)
    params = {**resolved.config.as_dict(), **{f"catalogue.{k}": v for k, v in asdict(snapshot.ref).items()}}
    tags = {
        "git_commit": provenance.git_commit(),
        "notes": " ".join(resolved.notes),
        **{f"library.{library}": version for library, version in provenance.library_versions().items()},
    }
    run_id = tracker.start(name=name, params=params, tags=tags)
    status: RunStatus = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    except (Cancelled, KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        tracker.finish(status=status)


@contextmanager
def _workplace(models_dir: Path, name: str) -> Iterator[Path]:
    """A folder for decoded pixels, on the disk of the models, gone afterwards; so is one of a training that died."""
    models_dir.mkdir(parents=True, exist_ok=True)
    prefix = f".{name}.pixels-"
    for stale in models_dir.glob(f"{prefix}*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=prefix) as place:
        yield Path(place)


def _check_name(models_dir: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a model.",
            next_step="Use up to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
        )
    if (models_dir / name).exists():
        raise ConfigurationError(f"There is already a model {name!r}.", next_step="Choose another name.")
