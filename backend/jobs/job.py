"""A job as it was when it was read, and what is reported of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.jobs.states import JobState  # noqa: TC001 - a field's type

if TYPE_CHECKING:
    from pathlib import Path

    from backend.access.person import Person


class Priority(IntEnum):
    """Whose turn comes first in a lane."""

    FIRST = 0  # somebody moved it to the front
    AWAITED = 1  # somebody waits for it at the screen
    USUAL = 2
    BACKGROUND = 3


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job has come.

    Attributes:
        done, total: Units done, and to do in all; ``total`` 0 means that nothing was reported yet.
        unit, note: What is counted, and which step is under way.
        rate: Units a second, lately; None while unknown.
        eta_s: Seconds that remain from now, 0 when they have run out; None while unknown and after the end.
    """

    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    note: str = ""
    rate: float | None = None
    eta_s: float | None = None

    @property
    def fraction(self) -> float:
        """The share that is done, in [0, 1]."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it was when it was read; times are seconds since the epoch, UTC."""

    id: str
    kind: str
    request: dict[str, Any]
    state: JobState
    created_at: float
    log_path: Path
    started_at: float | None = None
    finished_at: float | None = None
    cancel_requested_at: float | None = None
    heartbeat_at: float | None = None
    heartbeat_tick: float | None = None  # the same moment on ``Clock.tick``
    progress: JobProgress = JobProgress()
    result: dict[str, Any] | None = None
    error: str | None = None  # what happened, for FAILED and LOST
    next_step: str = ""
    pid: int | None = None  # of the worker, which leads a process group of the same number
    retry_of: str | None = None
    asked_by: Person | None = None  # None in homes of earlier versions
    priority: int = Priority.USUAL
    claimed_tick: float | None = None  # when somebody began to start its process, on ``Clock.tick``
    request_id: str = ""  # of what asked for it, as logs have it

    @property
    def is_stopping(self) -> bool:
        """The user asked to stop, and the job has not ended yet."""
        return self.cancel_requested_at is not None and not self.state.is_finished


class MetricPoint(NamedTuple):
    """One point of a job's stream of metrics."""

    name: str
    step: int
    value: float


class Counted(NamedTuple):
    """How many jobs of a kind are in a state, and when the one of them that ended last began and ended."""

    kind: str
    state: JobState
    jobs: int
    finished_at: float | None
    started_at: float | None


class Pulse(NamedTuple):
    """What a worker learns when it reports."""

    is_running: bool  # False: somebody else has declared the job ended
    cancel_requested: bool
