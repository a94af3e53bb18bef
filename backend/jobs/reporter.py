"""The worker's side of a job's record: progress and metrics out, signs of life out, the wish to stop in.

The work itself only changes values in memory. One thread writes them, a few times a second at most, so that training
never waits for a disk, and so that signs of life do not depend on how often the work reports.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from backend.errors import Cancelled, WorkbenchError
from backend.jobs.pace import Pace
from backend.jobs.store import JobProgress, MetricPoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from backend.jobs.store import JobStore, Pulse

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 0.2


class JobReporter:
    """A ``Progress`` that ends up in the job store; use it as a context manager around the work.

    Args:
        store: Where to write.
        job_id: The running job.
        heartbeat_s: Seconds between two signs of life when there is nothing else to write.
        grace_s: Seconds between the wish to stop and ``on_overdue``.
        on_overdue: Called in the reporter's thread when the work does not stop, or when the job was declared ended by
            others: it has to end the process.
    """

    def __init__(
        self, store: JobStore, job_id: str, *, heartbeat_s: float, grace_s: float, on_overdue: Callable[[], None]
    ) -> None:
        self._store, self._job_id = store, job_id
        self.job = job_id
        self._heartbeat_s, self._grace_s, self._on_overdue = heartbeat_s, grace_s, on_overdue
        self._lock = threading.Lock()
        self._pace = Pace()
        self._progress: JobProgress | None = None  # not written yet
        self._metrics: list[MetricPoint] = []  # ditto
        self._stop_asked = False  # a plain flag: a signal handler must take no lock
        self._stop_seen_at: float | None = None
        self._written_at = 0.0
        self._is_failing = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write_until_end, name="job-reporter", daemon=True)

    def report(self, done: float, total: float, *, unit: str = "", note: str = "") -> None:
        """Say that ``done`` of ``total`` units are done; rate and remaining time are worked out here."""
        with self._lock:
            self._pace.report(self._store.clock.tick(), done, total, unit=unit)
            self._progress = JobProgress(done, total, unit, note, self._pace.rate, self._pace.remaining_s)

    def metric(self, name: str, value: float, *, step: int) -> None:
        """Add one point to the stream of metrics."""
        with self._lock:
            self._metrics.append(MetricPoint(name, int(step), float(value)))

    def check_cancelled(self) -> None:
        """Raise ``Cancelled`` if the job was asked to stop."""
        if self._stop_asked:
            raise Cancelled("The job was cancelled.", next_step="Retry it to run the same request again.")

    def ask_to_stop(self) -> None:
        """Make the next ``check_cancelled`` raise; may be called by a signal handler."""
        self._stop_asked = True

    def is_cancelled(self) -> bool:
        """Tell whether the job was asked to stop, also when no signal has arrived yet.

        A child may die of the cancellation, and fail the work, before this process hears of it; the record knows.
        """
        if not self._stop_asked:
            try:
                self._stop_asked = self._store.get(self._job_id).cancel_requested_at is not None
            except WorkbenchError:
                logger.exception("The job's record cannot be read at the moment.")
        return self._stop_asked

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._turn(is_last=True)

    def _write_until_end(self) -> None:
        while not self._end.wait(min(WRITE_EVERY_S, self._heartbeat_s)):
            self._turn()

    def _turn(self, *, is_last: bool = False) -> None:
        now = self._store.clock.tick()
        if self._stop_asked and self._stop_seen_at is None:
            self._stop_seen_at = now
        if self._stop_seen_at is not None and now - self._stop_seen_at > self._grace_s and not is_last:
            self._on_overdue()
        with self._lock:
            progress, self._progress = self._progress, None
            metrics, self._metrics = self._metrics, []
        is_due = now - self._written_at >= self._heartbeat_s
        if progress is None and not metrics and not is_due and not is_last:
            return
        try:
            pulse = self._write(progress, metrics)
        except WorkbenchError as error:
            self._keep(progress, metrics, error)
        else:
            self._written_at, self._is_failing = now, False
            self._obey(pulse)

    def _write(self, progress: JobProgress | None, metrics: list[MetricPoint]) -> Pulse:
        if self._stop_asked:  # by a signal from elsewhere, perhaps: then the record should tell
            self._store.request_cancel(self._job_id)
        return self._store.record(self._job_id, progress=progress, metrics=metrics)

    def _keep(self, progress: JobProgress | None, metrics: list[MetricPoint], error: WorkbenchError) -> None:
        """Try again at the next turn: a job does not die of a disk that is full for a minute."""
        if not self._is_failing:
            logger.warning("The job's record cannot be written at the moment: %s", error)
        self._is_failing = True
        with self._lock:
            self._progress = self._progress or progress
            self._metrics = metrics + self._metrics

    def _obey(self, pulse: Pulse) -> None:
        if pulse.cancel_requested:
            self.ask_to_stop()
        if not pulse.is_running:
            logger.error("Another process has marked this job as ended; it stops here.")
            self._on_overdue()
