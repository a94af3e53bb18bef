"""The life of a job: its states and the moves between them. Pure; nothing else decides what may follow what.

QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED | LOST, and QUEUED -> CANCELLED | FAILED
"""

from __future__ import annotations

from enum import StrEnum

from backend.errors import IllegalTransition


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "QUEUED"  # recorded; its process has not reported yet
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"  # ended because the user asked
    LOST = "LOST"  # its process is gone or silent, and nobody knows how far it came

    @property
    def is_finished(self) -> bool:
        """No move leads out of this state."""
        return not _MOVES[self]


_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.LOST}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.LOST: frozenset(),
}

ACTIVE_STATES: tuple[JobState, ...] = tuple(state for state in JobState if not state.is_finished)


def check_transition(source: JobState, target: JobState) -> None:
    """Check that a job may go from one state to another.

    Raises:
        IllegalTransition: It may not.
    """
    if target in _MOVES[source]:
        return
    if source.is_finished:
        raise IllegalTransition(
            f"The job has already ended: {source}.", next_step="Retry it to run the same request again."
        )
    raise IllegalTransition(f"A job cannot go from {source} to {target}.", next_step="Check its state again.")
