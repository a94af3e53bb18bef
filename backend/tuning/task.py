"""What travels to an executor for every trial: where the sweep's folder is, and nothing of the catalogue.

The figures of a trial are written to the folder by whoever runs it, so that they outlive the sweep's process, and come
back to Hyperopt as well. A trial never raises: what went wrong is a sentence in its record.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.logs import log_lines
from backend.errors import Cancelled, WorkbenchError
from backend.errors.addresses import shown
from backend.spark.executors import spare_zip_imports
from backend.tuning.folder import SweepFolder
from backend.tuning.halving import is_hopeless, rungs
from backend.tuning.records import TrialState

if TYPE_CHECKING:
    from backend.tuning.plan import SweepPlan
    from backend.tuning.records import EpochFigures, TrialRecord
    from backend.tuning.trial import Surroundings

logger = logging.getLogger(__name__)
MOST_TRIES = 2
_LOOK_EVERY_S = 0.3
_LONGEST_REASON = 600
_MEMORY_NEXT = "Lower classes_per_batch, examples_per_class, height or width, or give Spark's tasks more memory."


@dataclass(frozen=True, slots=True)
class TrialTask:
    """Runs one point of the space; called by Hyperopt, on an executor or in the sweep's process.

    Attributes:
        folder: The sweep's folder.
        surroundings: Where trials run.
        log_level: Of the log where a trial runs.
    """

    folder: str
    surroundings: Surroundings
    log_level: str = "INFO"

    def __call__(self, point: dict[str, Any]) -> dict[str, Any]:
        """Run the trial ``point["number"]`` with the values of its record; return what Hyperopt keeps of it."""
        spare_zip_imports()
        _log(self.log_level)
        folder, number = SweepFolder(Path(self.folder)), int(point["number"])
        record = folder.trial(number)
        if record.state.is_finished or folder.is_to_pause:  # by an earlier attempt; or it waits for the next run
            return result_of(record)
        # Spark's cluster runs a task again whose process or machine died, elsewhere if need be: that is right once.
        tries = record.tries if record.state is TrialState.RUNNING and attempt() > 0 else 0
        died_again = tries >= MOST_TRIES
        ended = failed(record, *killed(tries)) if died_again else self._run(folder, replace(record, tries=tries + 1))
        folder.write_trial(ended)
        return result_of(ended)

    def _run(self, folder: SweepFolder, record: TrialRecord) -> TrialRecord:
        from backend.tuning.trial import train_trial

        plan = folder.plan()
        begun = replace(record, state=TrialState.RUNNING, epochs=(), started_at=time.time(), finished_at=0.0)
        keeper = _Keeper(folder, plan, replace(begun, host=socket.gethostname(), pid=os.getpid()))
        try:
            outcome = train_trial(
                plan, record.number, record.values, self.surroundings, keep=keeper.keep, progress=_Listening(folder)
            )
        except Cancelled:
            return replace(keeper.record, state=TrialState.INTERRUPTED, finished_at=time.time())
        except Exception as error:  # a trial may fail in any way, and never ends the sweep
            logger.exception("trial %d failed", record.number)
            return failed(keeper.record, *reason_of(error, keeper.record))
        state = TrialState.HALTED if outcome.is_halted else TrialState.DONE
        return replace(
            keeper.record,
            state=state,
            value=outcome.value,
            best_epoch=outcome.best_epoch,
            finished_at=time.time(),
            reason=keeper.verdict if outcome.is_halted else "",
            left_out=outcome.left_out,
        )


class _Keeper:
    """Writes the record after every epoch, and ends a trial that is hopeless."""

    def __init__(self, folder: SweepFolder, plan: SweepPlan, record: TrialRecord) -> None:
        self._folder, self._plan, self.record, self.verdict = folder, plan, record, ""
        self._rungs = rungs(record.planned_epochs, plan.budget.halving)
        folder.write_trial(record)

    def keep(self, figures: EpochFigures) -> None:
        from backend.tuning.trial import Halted

        self.record = replace(self.record, epochs=(*self.record.epochs, figures))
        self._folder.write_trial(self.record)
        if figures.epoch not in self._rungs:
            return
        others = [other for other in self._folder.trials() if other.number != self.record.number]
        came = [value for other in others if (value := other.best_until(figures.epoch)) is not None]
        own = self.record.so_far or 0.0
        if is_hopeless(own, came, self._plan.budget.halving):
            better = sum(value > own for value in came)
            self.verdict = f"After epoch {figures.epoch}, {better} of {len(came)} other trials were better."
            raise Halted


class _Listening:
    """A progress that hears whether the sweep was ended."""

    job = ""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder, self._looked_at = folder, 0.0

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Ignore the report: epochs are told."""

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Ignore the point: epochs are told."""

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` if trials should end."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._folder.check_stopped()


def result_of(record: TrialRecord) -> dict[str, Any]:
    """Return what Hyperopt keeps of a trial; it minimises."""
    if record.state.has_value and record.value is not None:
        return {"status": "ok", "loss": 1.0 - record.value}
    return {"status": "fail", "reason": record.reason}


def failed(record: TrialRecord, reason: str, next_step: str = "") -> TrialRecord:
    """Return the record of a trial that failed."""
    return replace(
        record,
        state=TrialState.FAILED,
        reason=reason[:_LONGEST_REASON],
        next_step=next_step,
        finished_at=time.time(),
    )


def reason_of(error: BaseException, record: TrialRecord) -> tuple[str, str]:
    """Say what ended a trial, and what can be done."""
    if isinstance(error, WorkbenchError):
        return error.message, error.next_step
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "The trial ran out of memory.", _MEMORY_NEXT
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    said = shown(f"The trial ended with {type(error).__name__}: {first}")
    return said, f"See the log; `tune trial SWEEP {record.number}` runs it alone."


def killed(tries: int = 1) -> tuple[str, str]:
    """Say what is known of a trial whose process is gone."""
    often = "" if tries < MOST_TRIES else f", {tries} times"
    return f"The trial's process was killed or crashed{often}, possibly because it ran out of memory.", _MEMORY_NEXT


def attempt() -> int:
    """How often Spark has tried the present task before; 0 outside of Spark."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return int(context.attemptNumber()) if context is not None else 0


def _log(level: str) -> None:
    """Log where a trial runs; a process that logs already is left alone."""
    log_lines(logging.StreamHandler(), level=level)
