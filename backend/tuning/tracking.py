"""The port to whoever keeps the record of a sweep: a parent run, and a child for every trial; MLflow stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backend.training.tracking import RunStatus
    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import TrialRecord


class SweepTracker(Protocol):
    """One sweep at a time."""

    def begin(self, plan: SweepPlan, *, run_id: str) -> str:
        """Open the parent run, or the one of that id again, and return its id."""

    def trial(self, plan: SweepPlan, record: TrialRecord, *, parent: str) -> str:
        """Keep a finished trial as a child: parameters, metrics by epoch, state; return its id."""

    def end(self, run_id: str, *, status: RunStatus, best: TrialRecord | None) -> None:
        """Close the parent run with the figures of its best trial."""


class NullSweepTracker:
    """A tracker that keeps nothing; its ids are empty."""

    def begin(self, plan: SweepPlan, *, run_id: str) -> str:  # noqa: ARG002 - the port's
        """Open nothing."""
        return ""

    def trial(self, plan: SweepPlan, record: TrialRecord, *, parent: str) -> str:  # noqa: ARG002 - the port's
        """Keep nothing."""
        return ""

    def end(self, run_id: str, *, status: RunStatus, best: TrialRecord | None) -> None:
        """Close nothing."""
