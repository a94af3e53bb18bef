"""What a training reads: the train split as a feed, and a validator; decoded once into a folder of the training.

The test split is never read here. It is for :mod:`backend.evaluation`, after everything has been decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.arrow import decode_split
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.training.resolve import resolve
from backend.training.validation import Validator

if TYPE_CHECKING:
    from pathlib import Path

    from backend.catalogue.snapshot import Snapshot
    from backend.feeding.arrow import PixelTable
    from backend.feeding.batches import Feed
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.resolve import Resolved

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The configuration that fits the catalogue, the batches, and what scores the network after each epoch."""

    resolved: Resolved
    feed: Feed
    validator: Validator


def check_catalogue(snapshot: Snapshot, config: TrainConfig) -> Resolved:
    """Fit the configuration to the catalogue from its labels alone, before any picture is read.

    Raises:
        ConfigurationError: The catalogue cannot be trained on; the message says why.
    """
    labels = {
        split: snapshot.columns(["label"], splits=[split]).column("label").to_pylist() for split in (TRAIN, VALIDATION)
    }
    return resolve(config, labels[TRAIN], labels[VALIDATION])


def prepare_data(snapshot: Snapshot, config: TrainConfig, folder: Path, *, progress: Progress) -> TrainingData:
    """Decode the train and the validation split into ``folder``, which must outlive what is returned.

    Raises:
        ConfigurationError: What can be read of the catalogue is not enough to train on.
        StorageFull: There is no space for the pixels.
        Cancelled: The user asked to stop.
    """
    train, validation = (
        decode_split(snapshot, split, config.pixels, folder / f"{split}.uint8", progress=progress)
        for split in (TRAIN, VALIDATION)
    )
    resolved = resolve(config, train.labels.tolist(), validation.labels.tolist())
    unreadable = len(train.unreadable) + len(validation.unreadable)
    if unreadable:
        note = f"{unreadable} products were left out: their pictures cannot be read."
        resolved = replace(resolved, notes=(*resolved.notes, note))
    return TrainingData(resolved, _feed(train, resolved), Validator(train, validation, seed=config.seed))


def _feed(table: PixelTable, resolved: Resolved) -> PixelFeed:
    places = np.searchsorted(resolved.classes, table.labels).clip(max=len(resolved.classes) - 1)
    known = np.asarray(resolved.classes)[places] == table.labels
    config = resolved.config
    plan = BatchPlan(
        classes=config.classes_per_batch,
        examples=config.examples_per_class,
        steps=config.steps_per_epoch,
        augmentation=config.augmentation,
        seed=config.seed,
    )
    return PixelFeed(table.pixels, np.where(known, places, -1).astype(np.int32), plan)
