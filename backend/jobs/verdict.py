"""What to think of an unfinished job, from what its record and its process show. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.jobs.states import JobState

if TYPE_CHECKING:
    from backend.jobs.store import Job

_READ_LOG = "Read the end of its log, then retry it."


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a sign of life, and for a cancelled job to end by itself."""

    lost_after_s: float
    grace_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that a job has to be given, a final one or QUEUED to wait again, and what to tell its owner."""

    state: JobState
    error: str | None = None
    next_step: str = ""


def judge(job: Job, *, is_alive: bool, now: float, tick: float, patience: Patience) -> Verdict | None:
    """Judge an unfinished job; None means that it may go on.

    Args:
        job: The job as it is in the store.
        is_alive: Whether its worker process exists.
        now: Seconds since the epoch.
        tick: Seconds since the machine started; see :class:`backend.jobs.clock.Clock`.
        patience: How long to wait for what.
    """
    if job.state is JobState.QUEUED:
        return _judge_queued(job, is_alive=is_alive, tick=tick, patience=patience)
    if job.cancel_requested_at is not None and (not is_alive or now - job.cancel_requested_at > patience.grace_s):
        return Verdict(JobState.CANCELLED)
    if not is_alive:
        return Verdict(
            JobState.LOST,
            "The job's process was killed unexpectedly, possibly because it ran out of memory.",
            _READ_LOG,
        )
    silent_s = tick - (job.heartbeat_tick or 0.0)
    if silent_s > patience.lost_after_s:
        return Verdict(JobState.LOST, f"The job did not respond for {silent_s:.0f} s and was stopped.", _READ_LOG)
    return None


def _judge_queued(job: Job, *, is_alive: bool, tick: float, patience: Patience) -> Verdict | None:
    """A job may wait for its turn as long as it takes; once claimed it soon has a process, which reports or dies."""
    if job.pid is not None:
        error = "The job's process ended before it started its work."
        return None if is_alive else Verdict(JobState.FAILED, error, _READ_LOG)
    # Whoever claimed it was killed; before the tick of the claim, the machine was started again.
    if job.claimed_tick is not None and not 0 <= tick - job.claimed_tick <= patience.lost_after_s:
        return Verdict(JobState.QUEUED)
    return None
