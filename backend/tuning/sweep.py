"""Run a sweep from its folder: the use case behind ``tune``.

earlier trials -> Hyperopt goes on from them -> trials write their own records -> this process watches, tells and decides

Everything that matters is in the folder, so that it can be killed at any moment and run again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backend.errors import Cancelled, EnvironmentUnready, RegistryError, WorkbenchError
from backend.errors.addresses import shown
from backend.tuning import engines
from backend.tuning.budget import Clock, ending_of
from backend.tuning.records import SweepStatus, TrialRecord, TrialState, best_of
from backend.tuning.search import Suggestions
from backend.tuning.task import TrialTask, failed, killed

if TYPE_CHECKING:
    from backend.progress import Progress
    from backend.training.tracking import RunStatus
    from backend.tuning.folder import SweepFolder
    from backend.tuning.plan import SweepPlan
    from backend.tuning.ports import SweepTracker, TrialEngine
    from backend.tuning.records import Phase
    from backend.tuning.trial import Surroundings

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.5
NOTE_EVERY_S = 2.0
ENDED_WITHIN_S = 4.0
_RUN_STATUS: dict[Phase, RunStatus] = {"finished": "FINISHED", "paused": "FINISHED", "cancelled": "KILLED"}


def run_sweep(
    folder: SweepFolder,
    engine: TrialEngine,
    surroundings: Surroundings,
    *,
    tracker: SweepTracker,
    progress: Progress,
    log_level: str = "INFO",
) -> SweepStatus:
    """Run the trials of a sweep that are still to be run, and return how it ended.

    A trial that fails, and one whose process dies, is a record with a reason; the sweep goes on.

    Args:
        folder: Of the sweep, with its plan.
        engine: Runs the trials.
        surroundings: Where they run.
        tracker: Keeps the record of the sweep and of its trials.
        progress: Hears how many trials are done; may cancel.
        log_level: Of the log where trials run.

    Raises:
        ConfigurationError: The sweep is running already, or more trials at a time were asked for than can run.
        EnvironmentUnready: Spark went away; finished trials are kept.
        StorageFull: There is no space for records.
        Cancelled: The user asked to stop; trials that ran are run again by a resumed sweep.
    """
    with folder.held():
        folder.forget_wishes()
        plan = folder.plan()
        parallelism = engines.parallelism_of(plan.budget.parallelism, engine, progress)
        _close_interrupted(folder)
        status = folder.update_status(
            phase="running",
            reason="",
            next_step="",
            slots=engine.slots,
            parallelism=parallelism,
            started_at=time.time(),
            ended_at=0.0,
            run_id=tracker.begin(plan, run_id=folder.status().run_id),
            held_out=surroundings.unseen,
        )
        task = TrialTask(str(folder.path.absolute()), surroundings, log_level)
        run = _Run(folder, plan, engine, tracker, progress, Clock(plan.budget, status.spent_s))
        return run.to_its_end(task, parallelism)


def _close_interrupted(folder: SweepFolder) -> None:
    """Say of trials whose sweep was killed that they will run again."""
    for record in folder.trials():
        if record.state is TrialState.RUNNING:
            folder.write_trial(replace(record, state=TrialState.INTERRUPTED, finished_at=time.time()))


@dataclass
class _Run:
    """One run of a sweep, watched until it ends."""

    folder: SweepFolder
    plan: SweepPlan
    engine: TrialEngine
    tracker: SweepTracker
    progress: Progress
    clock: Clock
    _ending: str = field(default="", init=False)
    _error: BaseException | None = field(default=None, init=False)
    _done: threading.Event = field(default_factory=threading.Event, init=False)
    _is_store_resting: bool = field(default=False, init=False)
    _noted_s: float = field(default=0.0, init=False)

    def to_its_end(self, task: TrialTask, parallelism: int) -> SweepStatus:
        from cloudpickle import dumps

        suggestions = Suggestions(self.plan, self.folder, self._may_go_on)
        self.folder.update_status(shipped_bytes=engines.shipped_bytes(task, dumps, suggestions))
        thread = threading.Thread(target=self._search, args=(task, suggestions, parallelism), name="sweep", daemon=True)
        thread.start()
        try:
            while not self._done.wait(LOOK_EVERY_S):
                self._look()
            self._look()
            self._raise_what_search_did()
        except BaseException as error:
            self._stop(error)
            raise
        if self.folder.is_to_pause and not self.clock.is_over:
            if self.folder.is_to_stop:
                return self._close("cancelled", "The sweep was cancelled.")
            return self._close("paused", "The sweep was paused.")
        return self._close("finished", self._ending)

    def _search(self, task: TrialTask, suggestions: Suggestions, parallelism: int) -> None:
        try:
            self.engine.search(task, suggestions, self.folder.trials(), parallelism=parallelism)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that watches
            self._error = error
        finally:
            self._done.set()

    def _raise_what_search_did(self) -> None:
        if self._error is not None:
            raise self._error

    def _may_go_on(self, number: int) -> bool:
        """Tell Hyperopt whether another trial may begin; in its thread."""
        if self._done.is_set() or self.folder.is_to_pause or self.engine.trouble():
            return False
        self._ending = ending_of(self.plan.budget, number, self.folder.trials(), self.clock)
        return not self._ending

    def _look(self) -> None:
        """See what became of the trials, tell it, and decide."""
        self.progress.check_cancelled()  # first: whoever cancels may have ended the JVM, too
        lost = self.engine.lost()
        if not self._done.is_set() and (trouble := self.engine.trouble()):
            raise EnvironmentUnready(
                f"{trouble}; finished trials are kept.", next_step="Start it again, then resume the sweep."
            )
        records = [self._settled(record, lost) for record in self.folder.trials()]
        self._tell(records)
        self._keep(records)
        if self.clock.spent_s - self._noted_s >= NOTE_EVERY_S:
            self._noted_s = self.clock.spent_s
            self.folder.update_status(spent_s=round(self._noted_s, 1))
        if self.clock.is_over and not self.folder.is_to_stop:
            self._ending = self.clock.sentence
            self.folder.ask_to_stop()

    def _settled(self, record: TrialRecord, lost: list[int]) -> TrialRecord:
        """Close the record of a trial that can no longer do it itself."""
        if record.number not in lost or record.state.is_finished or self.folder.is_to_stop:
            return record
        closed = failed(record, *killed())
        self.folder.write_trial(closed)
        return closed

    def _tell(self, records: list[TrialRecord]) -> None:
        best, running = best_of(records), sum(record.state is TrialState.RUNNING for record in records)
        found = f"best {best.value:.4f} by trial {best.number}" if best is not None else "no figure yet"
        done = sum(record.state.is_finished for record in records)
        self.progress.report(done, self.plan.budget.trials, unit="trials", note=f"{running} running, {found}")

    def _keep(self, records: list[TrialRecord], *, is_last: bool = False) -> None:
        """Mirror finished trials into the tracking store; one that rests for a while does not end a sweep."""
        status = self.folder.status()
        new = [r for r in records if r.state.is_finished and str(r.number) not in status.child_runs]
        if not new or (self._is_store_resting and not is_last):
            return
        runs = dict(status.child_runs)
        try:
            for record in new:
                runs[str(record.number)] = self.tracker.trial(self.plan, record, parent=status.run_id)
        except RegistryError as error:
            if is_last:
                raise
            self._is_store_resting = True
            logger.warning("Trials are recorded at the end of the sweep instead: %s", error)
        finally:
            self.folder.update_status(child_runs=runs)

    def _stop(self, error: BaseException) -> None:
        """End what runs, and say why; a resumed sweep goes on from here."""
        self.folder.ask_to_stop()
        self.engine.end()
        if isinstance(error, Cancelled | KeyboardInterrupt):
            self._done.wait(ENDED_WITHIN_S)
            self._close("cancelled", "The sweep was cancelled.")
            return
        said = error if isinstance(error, WorkbenchError) else None
        reason = said.message if said else shown(f"The sweep ended with {type(error).__name__}: {error}")
        self._close("failed", reason, said.next_step if said else "See the end of the job's log.")

    def _close(self, phase: Phase, reason: str, next_step: str = "") -> SweepStatus:
        records = self.folder.trials()
        status = self.folder.update_status(
            phase=phase,
            reason=reason,
            next_step=next_step,
            spent_s=round(self.clock.spent_s, 1),
            ended_at=time.time(),
        )
        self._keep(records, is_last=phase in {"finished", "paused"})
        self.tracker.end(status.run_id, status=_RUN_STATUS.get(phase, "FAILED"), best=best_of(records))
        return self.folder.status()


def result_of(folder: SweepFolder, status: SweepStatus) -> dict[str, Any]:
    """Return what a sweep brought, as JSON values."""
    records, plan = folder.trials(), folder.plan()
    best = best_of(records)
    counts = {state: sum(record.state is state for record in records) for state in TrialState}
    return {
        "sweep": folder.name,
        "phase": status.phase,
        "reason": status.reason,
        "trials": len(records),
        **{str(state): count for state, count in counts.items() if count},
        "left_out": max((record.left_out for record in records), default=0),
        "objective": plan.objective.sentence(),
        "best_trial": best.number if best else 0,
        "best_value": best.value if best else None,
        "best_values": best.values if best else {},
        "seconds": status.spent_s,
        "slots": status.slots,
        "parallelism": status.parallelism,
        "shipped_bytes": status.shipped_bytes,
        "run_id": status.run_id,
    }
