"""Train a model on a catalogue snapshot in this process: the use case behind ``train``.

check the catalogue -> decode train and validation -> epochs of steps, scores and checkpoints -> bundle

With several workers, :mod:`backend.training.ranks.distributed` does the same on Spark.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backend.bundles import bundle
from backend.training.checkpoints import Checkpoints
from backend.training.config import validate
from backend.training.data import check_catalogue, prepare_data
from backend.training.epochs import run_epochs
from backend.training.network.pretrained import check_pretrained
from backend.training.package import describe, write_bundle
from backend.training.preparation import Workers, check_name, tracked
from backend.training.provenance import threads_of
from backend.training.runtime import prepare_training
from backend.training.trainer import Trainer

if TYPE_CHECKING:
    from backend.bundles.bundle import Manifest
    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.preparation import ModelPlace
    from backend.training.tracking import Tracker


def train(
    snapshot: Snapshot,
    config: TrainConfig,
    *,
    place: ModelPlace,
    tracker: Tracker,
    progress: Progress,
    workers: Workers | None = None,
) -> Manifest:
    """Train a network and write the bundle of its best epoch.

    The loss, and precision@1 and MAP@R of validation queries after every epoch, go to ``progress`` and ``tracker``.
    The best epoch and the last state are kept beside the bundle. The bundle appears whole or not at all.

    Args:
        snapshot: The catalogue version to train on; only its train and validation splits are read.
        config: What to train; batches are fitted to the catalogue, and the bundle records the fitted configuration.
        place: Where the bundle goes, and whether to go on from a checkpoint.
        tracker: Keeps the record of the run.
        progress: Hears decoded pictures, then steps; may cancel.
        workers: Threads and device of this process.

    Raises:
        ConfigurationError: The configuration or the catalogue cannot work, or the name is taken; nothing was started.
        EnvironmentUnready: The device that was asked for is not there.
        TrainingError: The loss is no longer a number, or the embeddings collapsed.
        StorageFull: There is no space for pixels, checkpoints or the bundle.
        Cancelled: The user asked to stop.
    """
    workers = workers or Workers()
    validate(config)
    check_name(place)
    check_catalogue(snapshot, config)
    progress.report(0, 1, note="starting TensorFlow")
    tf = prepare_training(config, threads=workers.threads, device=workers.device)
    check_pretrained(config)
    with bundle.workplace(place.bundle, "pixels") as pixels:
        data = prepare_data(snapshot, config, pixels, progress=progress, cache=place.cache)
        checkpoints = Checkpoints(place.checkpoints, resume=place.resume)
        with tracked(tracker, snapshot, data.resolved, place, config) as run_id:
            trainer = Trainer(data.resolved.config, len(data.resolved.classes), data.feed, tf)
            if checkpoints.done:
                trainer.restore(checkpoints.state(), epochs=checkpoints.done)
            run_epochs(trainer, data, checkpoints, listener=tracker.log, progress=progress)
            best = checkpoints.best
            threads = threads_of(tf)
            manifest = describe(place.name, data.resolved, best, catalogue=snapshot.ref, run_id=run_id, threads=threads)
            return write_bundle(place.bundle, replace(manifest, origin=place.origin), checkpoints.load(best.epoch))
