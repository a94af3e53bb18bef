"""How much a sweep may still spend: trials, minutes, patience; and when it will probably be done."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.tuning.plan import Budget
    from backend.tuning.records import TrialRecord

_MINUTE = 60.0


class Clock:
    """How long a sweep has run, over all its runs.

    Args:
        budget: Says how long it may.
        spent_s: Seconds of earlier runs.
    """

    def __init__(self, budget: Budget, spent_s: float) -> None:
        self._minutes, self._spent_s, self._began = budget.minutes, spent_s, time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds until now."""
        return self._spent_s + time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """Whether it has run for as long as it may."""
        return bool(self._minutes) and self.spent_s >= self._minutes * _MINUTE

    @property
    def sentence(self) -> str:
        """Say that it has."""
        return f"The time limit of {self._minutes:g} minutes is reached."


def ending_of(budget: Budget, number: int, records: Sequence[TrialRecord], clock: Clock) -> str:
    """Say why the trial of that number is not begun; nothing where it is."""
    if number > budget.trials:
        return f"All {budget.trials} trials have run."
    if clock.is_over:
        return clock.sentence
    if budget.patience and since_best(records) >= budget.patience:
        return f"The last {budget.patience} trials brought no improvement."
    return ""


def since_best(records: Sequence[TrialRecord]) -> int:
    """Count the trials that have ended since the best one did."""
    ended = sorted((r for r in records if r.state.is_finished), key=lambda record: record.finished_at)
    values = [-math.inf if record.value is None else record.value for record in ended]
    return len(values) - 1 - int(np.argmax(values)) if values and max(values) > -math.inf else 0


def remaining_s(budget: Budget, records: Sequence[TrialRecord], *, parallelism: int, spent_s: float) -> float | None:
    """Estimate the seconds until all trials are done, from those that are; None before there are any."""
    spans = [record.seconds for record in records if record.state.is_finished and record.seconds]
    if not spans:
        return None
    left = budget.trials - sum(record.state.is_finished for record in records)
    needed = max(left, 0) * sum(spans) / len(spans) / max(parallelism, 1)
    return min(needed, max(budget.minutes * _MINUTE - spent_s, 0.0)) if budget.minutes else needed


def planned_s(budget: Budget, trial_s: float, *, epochs: int, parallelism: int) -> float:
    """Estimate the seconds of a whole sweep, from those of a trial with all epochs."""
    needed = budget.trials * trial_s * trained_share(epochs, budget.halving) / max(parallelism, 1)
    return min(needed, budget.minutes * _MINUTE) if budget.minutes else needed


def trained_share(epochs: int, halving: int) -> float:
    """Return the share of all epochs that is trained where a trial in h goes on at every rung."""
    if halving < 2 or epochs < 2:
        return 1.0
    trained, going, epoch, before = 0.0, 1.0, 1, 0
    while epoch < epochs:
        trained += going * (epoch - before)
        going, before, epoch = going / halving, epoch, epoch * halving
    return (trained + going * (epochs - before)) / epochs
