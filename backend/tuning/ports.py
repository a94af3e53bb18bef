"""The ports of a sweep: what runs its trials, and who keeps its record, a parent run with a child for every trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backend.progress import Progress
    from backend.training.tracking import RunStatus
    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import TrialRecord
    from backend.tuning.search import Suggestions
    from backend.tuning.task import TrialTask


class SweepTracker(Protocol):
    """One sweep at a time."""

    def begin(self, plan: SweepPlan, *, run_id: str) -> str:
        """Open the parent run, or the one of that id again, and return its id."""

    def trial(self, plan: SweepPlan, record: TrialRecord, *, parent: str) -> str:
        """Keep a finished trial as a child: parameters, metrics by epoch, state; return its id."""

    def end(self, run_id: str, *, status: RunStatus, best: TrialRecord | None) -> None:
        """Close the parent run with the figures of its best trial."""


class TrialEngine(Protocol):
    """Runs the trials that Hyperopt suggests."""

    @property
    def slots(self) -> int:
        """Trials that could run at a time."""

    @property
    def where(self) -> str:
        """What runs them, in words."""

    def wait_for_slots(self, wanted: int, progress: Progress) -> int:
        """Wait for so many slots, or for what there is, and return how many there are."""

    def search(
        self, task: TrialTask, suggestions: Suggestions, records: list[TrialRecord], *, parallelism: int
    ) -> None:
        """Run trials until no further one is suggested and all have ended, going on from earlier records."""

    def trouble(self) -> str:
        """Say why nothing can run any more; nothing as long as it can."""

    def lost(self) -> list[int]:
        """Return the numbers of trials that were given up: their process died, or the cluster did."""

    def end(self) -> None:
        """End what still runs, without waiting for it."""
