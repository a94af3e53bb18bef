"""Epoch after epoch: train, score, keep; the same on one process and on every rank of many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np

from backend.training.checkpoints import EpochResult
from backend.training.embedder import NetworkEmbedder
from backend.training.ranks.communicator import Alone
from backend.training.start import begin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.evaluation.evaluate import RetrievalScores
    from backend.progress import Progress
    from backend.training.checkpoints import EpochResults
    from backend.training.config import TrainConfig
    from backend.training.data import TrainingData
    from backend.training.ranks.communicator import Communicator
    from backend.training.trainer import Trainer

logger = logging.getLogger(__name__)


class EpochListener(Protocol):
    """Who hears the figures of an epoch; :meth:`backend.training.tracking.Tracker.log` for one."""

    def __call__(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Hear them; ``step`` is the epoch's number, from 1."""


def run_epochs(
    trainer: Trainer,
    data: TrainingData,
    results: EpochResults,
    *,
    listener: EpochListener,
    progress: Progress,
    ranks: Communicator | None = None,
) -> None:
    """Train, score and keep epoch after epoch, until all are done or the patience is at its end.

    Validation scores are those of the queries of all ranks; so every rank comes to the same results.

    Raises:
        TrainingError: The loss is no longer a number, or the embeddings collapsed.
        StorageFull: There is no space for a checkpoint.
        Cancelled: The user asked to stop.
    """
    config = data.resolved.config
    embedder = NetworkEmbedder(trainer.model, config.pixels)
    if not results.done:
        begin(trainer, data, ranks or Alone(), progress=progress)
    for number in range(results.done, config.epochs):
        if _is_out_of_patience(config, results):
            logger.info("stopped early: no better epoch since number %d", results.best.epoch)
            break
        note = f"epoch {number + 1} of {config.epochs}"
        losses = trainer.run_epoch(number, progress=progress, note=note)
        progress.check_cancelled()
        trainer.settle(data.train.pixels)
        arrays = trainer.arrays()
        precision, map_at_r = _over_ranks(data.validator.score(embedder), ranks or Alone())
        result = EpochResult(number + 1, losses["loss"], precision, map_at_r)
        results.save(result, arrays, trainer.state())
        validation = {"val.precision_at_1": precision, "val.map_at_r": map_at_r}
        for key, value in validation.items():
            progress.metric(key, value, step=trainer.steps_done)
        speed = trainer.speed
        figures = {"examples_per_second": speed.examples_per_second, "waiting_share": speed.waited}
        listener({**losses, **validation, **figures}, step=result.epoch)
        logger.info("%s: loss %.4f, %s, %s", note, result.loss, validation, figures)


def _is_out_of_patience(config: TrainConfig, results: EpochResults) -> bool:
    return bool(config.patience and results.done and results.done - results.best.epoch >= config.patience)


def _over_ranks(scores: RetrievalScores, ranks: Communicator) -> tuple[float, float]:
    """Average precision@1 and MAP@R over the queries of all ranks."""
    own = np.array([scores.precision_at_1, scores.map_at_r, scores.queries], dtype=np.float64)
    by_rank = ranks.gather_values(own)  # (ranks, 3)
    precision, map_at_r = np.average(by_rank[:, :2], axis=0, weights=by_rank[:, 2])
    return float(precision), float(map_at_r)
