"""Before the first step of a network with ready-made weights: its head is fitted, and trained where blocks are tuned next.

A head that starts from nothing would pull the tuned blocks about until it knows where kinds belong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backend.training.data import feed_of
from backend.training.heads import fitted_head, with_features
from backend.training.network.lite import LITE
from backend.training.network.ready_made import set_head
from backend.training.runtime import loaded
from backend.training.trainer import Trainer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.training.config import TrainConfig
    from backend.training.data import TrainingData
    from backend.training.ranks.communicator import Communicator

HEAD_EPOCHS, HEAD_RATE, HEAD_DROPOUT = 60, 0.005, 0.3


def begin(trainer: Trainer, data: TrainingData, ranks: Communicator, *, progress: Progress) -> None:
    """Bring a fresh trainer to where its epochs start; networks without ready-made weights are there already.

    Raises:
        TrainingError: The head's loss is no longer a number.
        Cancelled: The user asked to stop.
    """
    config = data.resolved.config
    if config.learns_from_features:
        _fit(trainer, data.train.pixels, config, ranks)
    elif config.backbone in LITE:
        trainer.take_over(_trained_head(data, config, ranks, progress))


def head_config(config: TrainConfig) -> TrainConfig:
    """Return how the head is trained before blocks are tuned: on features, with rates of its own."""
    return replace(
        config,
        tuned_blocks=0,
        epochs=HEAD_EPOCHS,
        learning_rate=HEAD_RATE,
        dropout=HEAD_DROPOUT,
        schedule="one-cycle",
        augmentation="none",
        steps_per_epoch=0,
    )


def _fit(trainer: Trainer, features: NDArray[np.float16], config: TrainConfig, ranks: Communicator) -> None:
    set_head(trainer.model, fitted_head(features, config.kept_size, ranks))


def _trained_head(data: TrainingData, config: TrainConfig, ranks: Communicator, progress: Progress) -> Trainer:
    """Train the head on the frozen network's features of the train split."""
    resolved = replace(data.resolved, config=head_config(config))
    table = with_features(data.train, config, progress)
    feed = feed_of(table, resolved, ranks.rank, ranks.size)
    head = Trainer(resolved.config, len(resolved.classes), feed, loaded(), ranks)
    _fit(head, table.pixels, config, ranks)
    for number in range(resolved.config.epochs):
        head.run_epoch(number, progress=progress, note="training the head first")
    return head
