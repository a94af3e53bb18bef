"""What a training reads: the train split as a feed, and a validator; decoded once into a folder of the training.

One of several ranks reads its own shard of the train split, and asks its own share of the validation queries.

The test split is never read here. It is for :mod:`backend.evaluation`, after everything has been decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from backend.feeding.arrow import decode_split
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.feeding.prefetch import Prefetched
from backend.feeding.shards import Shard
from backend.retrieval.features import features_of
from backend.training.heads import frozen_network, space_of
from backend.training.resolve import resolve
from backend.training.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.catalogue.snapshot import Snapshot
    from backend.feeding.arrow import PixelTable
    from backend.feeding.content_cache import CacheFolder
    from backend.feeding.feed import Feed
    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.resolve import Resolved

TRAIN, VALIDATION = "train", "validation"
_RANK_SEEDS = 1_000_003  # between the seeds of two ranks, so that they do not draw the same classes step by step


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The configuration that fits the catalogue, the batches, and what scores the network after each epoch."""

    resolved: Resolved
    feed: Feed
    validator: Validator
    train: PixelTable


def check_catalogue(snapshot: Snapshot, config: TrainConfig) -> Resolved:
    """Fit the configuration to the catalogue from its labels alone, before any picture is read.

    Raises:
        ConfigurationError: The catalogue cannot be trained on; the message says why.
    """
    labels = {
        split: snapshot.columns(["label"], splits=[split]).column("label").to_pylist() for split in (TRAIN, VALIDATION)
    }
    return resolve(config, labels[TRAIN], labels[VALIDATION])


def prepare_data(
    snapshot: Snapshot,
    config: TrainConfig,
    folder: Path,
    *,
    progress: Progress,
    rank: int = 0,
    ranks: int = 1,
    cache: CacheFolder | None = None,
) -> TrainingData:
    """Decode the train and the validation split into ``folder``, which must outlive what is returned.

    Args:
        snapshot: The catalogue version.
        config: What is trained; batches are those of one rank.
        folder: Where decoded pictures go.
        progress: Hears decoded pictures; may cancel.
        rank: Whose part of the data.
        ranks: Of how many.
        cache: What it holds is not decoded again.

    Raises:
        ConfigurationError: What can be read of the catalogue is not enough to train on.
        StorageFull: There is no space for the pixels.
        Cancelled: The user asked to stop.
    """
    # Ranks must agree, so that they go by the catalogue's labels; a rank on its own goes by what can be read.
    agreed = check_catalogue(snapshot, config) if ranks > 1 else None
    shard = Shard(rank, ranks, seed=config.seed, classes=agreed.classes) if agreed else None
    read = table_reader(snapshot, config, progress=progress, cache=cache)
    train = read(split=TRAIN, path=folder / TRAIN, shard=shard)
    validation = read(split=VALIDATION, path=folder / VALIDATION)
    resolved = agreed or resolve(config, train.labels.tolist(), validation.labels.tolist())
    # All ranks read the validation split, and one counts it.
    left_out = len(train.unreadable) + (len(validation.unreadable) if rank == 0 else 0)
    resolved = replace(resolved, left_out=left_out)
    feed = feed_of(train, resolved, rank, ranks)
    validator = Validator(train, validation, seed=config.seed, rank=rank, ranks=ranks)
    return TrainingData(resolved, feed, validator, train)


def table_reader(
    snapshot: Snapshot, config: TrainConfig, *, progress: Progress, cache: CacheFolder | None
) -> Callable[..., PixelTable]:
    """Return what makes a table of a split: of decoded pictures, or of their features where only a head is trained.

    Takes ``split``, ``path`` and, for one rank's part, ``shard``.

    Raises:
        ConfigurationError: The weights of the frozen network are not available.
    """
    shared = partial(partial, progress=progress, reader=config.reader)
    if not config.learns_from_features:
        return shared(decode_split, snapshot, spec=config.pixels, cache=cache)
    network = frozen_network(config)
    return shared(features_of, snapshot, network=network, cache=space_of(config, network, cache))


def feed_of(table: PixelTable, resolved: Resolved, rank: int = 0, ranks: int = 1) -> Prefetched:
    """Make batches of the pictures whose labels are trained on."""
    places = np.searchsorted(resolved.classes, table.labels).clip(max=len(resolved.classes) - 1)
    known = np.asarray(resolved.classes)[places] == table.labels
    config = resolved.config
    plan = BatchPlan(
        classes=config.classes_per_batch,
        examples=config.examples_per_class,
        # One pass over the split, and the same number on all ranks, whoever holds which row.
        steps=config.steps_per_epoch or max(1, resolved.examples // (ranks * config.batch_size)),
        augmentation=config.augmentation,
        seed=config.seed + rank * _RANK_SEEDS,
    )
    return Prefetched(PixelFeed(table.pixels, np.where(known, places, -1).astype(np.int32), plan))
