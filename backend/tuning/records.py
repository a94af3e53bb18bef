"""What is known of a trial and of a sweep; plain data, as JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Phase = Literal["running", "paused", "finished", "cancelled", "failed"]


class TrialState(StrEnum):
    """State of a trial."""

    WAITING = "waiting"  # its values are chosen
    RUNNING = "running"
    DONE = "done"
    HALTED = "halted"  # ended early, because others were better at that epoch
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # ended with the sweep; a resumed sweep runs it again

    @property
    def is_finished(self) -> bool:
        """Whether it will not run again."""
        return self in {TrialState.DONE, TrialState.HALTED, TrialState.FAILED}

    @property
    def has_value(self) -> bool:
        """Whether it came to a figure."""
        return self in {TrialState.DONE, TrialState.HALTED}


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """What an epoch of a trial, numbered from 1, came to.

    Attributes:
        loss: Mean over its batches.
        value: What the sweep maximises, as of this epoch.
        metrics: precision@1 and MAP@R of labels that are learnt and of those that are not, as far as they are asked about.
        seconds: Since the trial began.
    """

    epoch: int
    loss: float
    value: float
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial as it is now; times are seconds since the epoch, UTC, and 0 while there is none.

    Attributes:
        number: From 1, in the order in which values were chosen.
        values: Values of the fields that vary.
        seed: Seed of its training.
        planned_epochs: Epochs it has if it is not ended early.
        epochs: What its epochs came to.
        value: What the sweep maximises, of the epoch that a training would keep; None until it came to one.
        best_epoch: That epoch.
        reason, next_step: Why it failed or ended early, and what can be done.
        host, pid: Where it runs, or ran.
        tries: How often this run of the sweep has begun it; a second time where its process or machine died.
        left_out: Products that were neither trained on nor judged by, because their pictures cannot be read.
    """

    number: int
    values: dict[str, Any]
    seed: int
    planned_epochs: int
    state: TrialState = TrialState.WAITING
    epochs: tuple[EpochFigures, ...] = ()
    value: float | None = None
    best_epoch: int = 0
    proposed_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    reason: str = ""
    next_step: str = ""
    host: str = ""
    pid: int = 0
    tries: int = 0
    left_out: int = 0

    @property
    def seconds(self) -> float:
        """How long it ran; 0 until it has ended."""
        return max(self.finished_at - self.started_at, 0.0) if self.finished_at and self.started_at else 0.0

    @property
    def so_far(self) -> float | None:
        """The best value of its epochs."""
        return max((figures.value for figures in self.epochs), default=None)

    def best_until(self, epoch: int) -> float | None:
        """The best value up to an epoch; None for a trial that has not come so far."""
        if not self.epochs or self.epochs[-1].epoch < epoch:
            return None
        return max(figures.value for figures in self.epochs if figures.epoch <= epoch)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "state": str(self.state)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> TrialRecord:
        """Read JSON values back."""
        epochs = tuple(EpochFigures(**figures) for figures in raw["epochs"])
        return cls(**{**raw, "state": TrialState(raw["state"]), "epochs": epochs})


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """How a sweep as a whole is doing.

    Attributes:
        phase: ``running`` also where its process was killed; whether it does run, its lock tells.
        reason, next_step: Why it ended, and what can be done.
        slots: Trials that the engine could run at a time.
        parallelism: Trials that it runs at a time.
        spent_s: Seconds of running in all, also of earlier runs.
        started_at: Of the present run, or of the last; seconds since the epoch.
        ended_at: Ditto; 0 while it runs.
        run_id: Of the parent run in the tracking store.
        child_runs: Of the runs of trials, by number.
        shipped_bytes: What travels to where a trial runs.
        held_out: Labels that no trial learns.
    """

    phase: Phase = "running"
    reason: str = ""
    next_step: str = ""
    slots: int = 0
    parallelism: int = 0
    spent_s: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    run_id: str = ""
    child_runs: dict[str, str] = field(default_factory=dict)
    shipped_bytes: int = 0
    held_out: tuple[str, ...] = ()

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The runs of the sweep and of its trials in the tracking store."""
        return (*self.child_runs.values(), self.run_id)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> SweepStatus:
        """Read JSON values back."""
        return cls(**{**raw, "held_out": tuple(raw["held_out"])})


def best_of(records: list[TrialRecord]) -> TrialRecord | None:
    """Return the finished trial with the largest value, the earliest of equals."""
    valued = [record for record in records if record.state.has_value and record.value is not None]
    return max(valued, key=lambda record: (record.value or 0.0, -record.number), default=None)
