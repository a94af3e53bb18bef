"""One trial: a training with the code of all trainings, judged by the sweep's objective after every epoch."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.scratch import own_folder
from backend.training.checkpoints import EpochResults
from backend.training.epochs import run_epochs
from backend.training.network.pretrained import check_pretrained
from backend.training.runtime import prepare_training
from backend.training.tracking import NullTracker
from backend.training.trainer import Trainer
from backend.tuning.gpus import assigned_by_spark, own_gpu
from backend.tuning.objective import Judgement, ObjectiveValidator, prepare_trial
from backend.tuning.records import EpochFigures
from backend.tuning.snapshot import open_for_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backend.feeding.content_cache import CacheFolder
    from backend.progress import Progress
    from backend.training.checkpoints import Arrays, EpochResult
    from backend.training.data import TrainingData
    from backend.training.runtime import Device
    from backend.tuning.plan import SweepPlan

    Keep = Callable[[EpochFigures], None]


class Halted(Exception):
    """Raised by who keeps the figures of epochs, to end a trial after this one; what it came to counts."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where trials run.

    Attributes:
        catalogues_dir: Where the products are, as every executor sees it.
        threads: Threads for one operation of a trial.
        device: What a trial computes on.
        unseen: Labels that no trial learns.
        cache: Where what was made of pictures is kept for the next trial; does nothing on a machine without that home.
    """

    catalogues_dir: str
    threads: int = 1
    device: Device = "auto"
    unseen: tuple[str, ...] = ()
    cache: CacheFolder | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What a trial came to.

    Attributes:
        value: What the sweep maximises, of the best epoch.
        best_epoch: The epoch that a training would keep.
        is_halted: Whether it was ended early.
        left_out: Products whose pictures cannot be read.
    """

    value: float
    best_epoch: int
    is_halted: bool
    left_out: int = 0


def train_trial(
    plan: SweepPlan,
    number: int,
    values: Mapping[str, Any],
    surroundings: Surroundings,
    *,
    keep: Keep,
    progress: Progress,
) -> TrialOutcome:
    """Train a trial in this process.

    The same plan, number and values give the same figures, wherever and however often it runs.

    Args:
        plan: Of the sweep.
        number: Of the trial, from 1.
        values: Of the fields that vary.
        surroundings: Where it runs.
        keep: Told the figures of every epoch; may raise :class:`Halted`.
        progress: Hears decoded pictures, then steps; may cancel.

    Raises:
        WorkbenchError: The training cannot start, or failed.
        Cancelled: The sweep was ended.
    """
    config = plan.config_of(number, values)
    tf = prepare_training(config, threads=surroundings.threads, device=surroundings.device, place=_own_card)
    check_pretrained(config)
    started = time.monotonic()
    judgement = Judgement(plan.objective, surroundings.unseen, plan.seed)
    snapshot = open_for_choice(Path(surroundings.catalogues_dir), plan.catalogue, plan.version)
    try:
        with own_folder("trial") as folder:
            data = prepare_trial(snapshot, config, folder, judgement, progress=progress, cache=surroundings.cache)
            trainer = Trainer(data.resolved.config, len(data.resolved.classes), data.feed, tf)
            results = _Told(plan, data, keep, started)
            return _trained(trainer, data, results, progress)
    finally:
        tf.keras.backend.clear_session()  # a process runs many trials, and graphs add up
        gc.collect()


def _trained(trainer: Trainer, data: TrainingData, results: _Told, progress: Progress) -> TrialOutcome:
    is_halted = False
    try:
        run_epochs(trainer, data, results, listener=NullTracker().log, progress=progress)
    except Halted:
        is_halted = True
    best = results.best
    return TrialOutcome(getattr(best, results.metric), best.epoch, is_halted, data.resolved.left_out)


class _Told(EpochResults):
    """Results that are told on as they come."""

    def __init__(self, plan: SweepPlan, data: TrainingData, keep: Keep, started: float) -> None:
        super().__init__()
        self.metric = plan.objective.metric
        self._data, self._keep, self._started = data, keep, started

    def save(self, result: EpochResult, arrays: Arrays, state: Arrays) -> None:
        """Note an epoch's figures and tell them."""
        super().save(result, arrays, state)
        judge = self._data.validator
        parts = judge.parts if isinstance(judge, ObjectiveValidator) else {}
        seconds = round(time.monotonic() - self._started, 3)
        self._keep(EpochFigures(result.epoch, result.loss, getattr(result, self.metric), dict(parts), seconds))


def _own_card(count: int) -> int:
    return own_gpu(count, assigned_by_spark())
