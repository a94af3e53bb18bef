"""Starting, watching, cancelling and repeating jobs; every page and command steers jobs through this.

A job is a process of its own, in its own session: it outlives the process that started it. The runner keeps nothing in
memory that matters, so that any number of runners, in any number of processes, may look after the same jobs.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backend.access import use_case
from backend.access.asking import asking
from backend.access.edges import by_account, journal_of
from backend.access.logs import new_id, request_id
from backend.errors import JobError, WorkbenchError
from backend.flow.requests import from_json, to_json
from backend.flow.roles import CANCEL, MOVE, SUBMIT, about, role_for
from backend.jobs.job import Priority
from backend.jobs.queue import is_waiting, limits_of, waits
from backend.jobs.states import JobState, check_transition
from backend.jobs.store import Job, JobStore
from backend.jobs.verdict import Patience, Verdict, judge
from backend.machine import logfile
from backend.machine.processes import JOB_MARK, end_family, family, is_worker, signal_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backend.flow.requests import Request
    from backend.jobs.clock import Clock
    from backend.jobs.queue import Waiting
    from backend.jobs.store import MetricPoint
    from backend.settings import Settings

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
ORPHAN_GRACE_S = 0.5  # a JVM removes its temporary files when it is asked to end
WAIT_POLL_S = 0.05


def active_jobs(settings: Settings) -> Callable[..., Sequence[Job]]:
    """Return what says which jobs of a home have not ended, for :class:`backend.flow.active.ActiveJobs`."""

    def active(*, kind: str | None = None) -> Sequence[Job]:
        return JobRunner(settings, starts=False).list(-1, kind=kind, active=True)

    return active


class JobRunner:
    """The jobs of one home folder.

    Args:
        settings: Handed on to every worker, through its environment.
        command: What starts a worker; the job's id is added at the end.
        clock: What time it is.
        starts: Whether waiting jobs are started; not by other jobs, which would pass on how little processor time they get.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        command: Sequence[str] | None = None,
        clock: Clock | None = None,
        starts: bool = True,
    ) -> None:
        self._settings, self._starts = settings, starts
        self._command = tuple(command or (sys.executable, "-m", "backend.worker"))
        self._store = JobStore(settings.jobs_db, logs_dir=settings.logs_dir, clock=clock)
        self._patience = Patience(lost_after_s=settings.job_lost_after_s, grace_s=settings.job_grace_s)
        self.reconcile()

    def submit(self, request: Request) -> Job:
        """Queue a job for a request and start it if it is its turn, or return the unfinished job that does the same already.

        A process that cannot be started makes a FAILED job, which says why.

        Raises:
            AccessDenied: Jobs of this kind are not for whoever asks.
        """
        return self._submit(request, retry_of=None)

    def retry(self, job_id: str) -> Job:
        """Submit the request of an earlier job again.

        Raises:
            JobNotFound: There is no such job.
            JobError: Its request is not understood any more.
            AccessDenied: As for :meth:`submit`.
        """
        job = self._store.get(job_id)
        return self._submit(from_json(job.kind, job.request), retry_of=job.id)

    def get(self, job_id: str) -> Job:
        """Return one job as it is now.

        Raises:
            JobNotFound: There is no such job.
        """
        job = self._store.get(job_id)
        if is_waiting(job):
            self.reconcile()  # what it waits for may have ended
        return self._looked_after(self._store.get(job_id))

    def list(self, limit: int = 50, *, kind: str | None = None, active: bool = False) -> Sequence[Job]:
        """Return jobs as they are now, newest first; of one kind, or the unfinished ones, on request."""
        self.reconcile()
        return self._store.list(limit, kind=kind, active=active)

    def waits(self, job: Job) -> Waiting | None:
        """Say why a job waits for its turn; None if it does not."""
        return waits(job, self._store.list(-1, active=True)[::-1]) if is_waiting(job) else None

    def move_to_front(self, job_id: str) -> bool:
        """Give a waiting job the next turn; False if it does not wait any more.

        Raises:
            JobNotFound: There is no such job.
            AccessDenied: As for :meth:`submit`.
        """
        kind = self._store.get(job_id).kind
        wanted = replace(MOVE, role=role_for(kind))
        move = partial(self._store.set_priority, job_id, Priority.FIRST)
        return use_case.carry_out(wanted, move, use_case.words(job=job_id, kind=kind))

    def count(self) -> dict[tuple[str, JobState], int]:
        """Return how many jobs there are of each kind in each state; cheap, and nothing is looked after."""
        return self._store.count()

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop, and return at once; cancelling twice is no error.

        A queued job is CANCELLED right away. A running one and all that it started get SIGTERM; after the grace its
        worker, or the next look at the job by any runner, kills what is left.

        Raises:
            JobNotFound: There is no such job.
            IllegalTransition: It has ended already.
            AccessDenied: As for :meth:`submit`.
        """
        kind = self._store.get(job_id).kind
        wanted = replace(CANCEL, role=role_for(kind))
        return use_case.carry_out(wanted, lambda: self._cancel(job_id), use_case.words(job=job_id, kind=kind))

    def _cancel(self, job_id: str) -> Job:
        job = self.get(job_id)
        check_transition(job.state, JobState.CANCELLED)
        if job.state is JobState.QUEUED and self._store.finish(job_id, JobState.CANCELLED, source=JobState.QUEUED):
            signal_all(family(job_id, job.pid), signal.SIGKILL)  # it has not begun; nothing to tidy up
            return self._store.get(job_id)
        if job.cancel_requested_at is None:
            self._store.request_cancel(job_id)
            signal_all(family(job_id, job.pid), signal.SIGTERM)
        return self.get(job_id)

    def log_tail(self, job_id: str, lines: int = 100) -> str:
        """Return the last lines of a job's log; empty while it has written none."""
        return logfile.tail(self._store.get(job_id).log_path, lines)

    def metrics(self, job_id: str) -> Sequence[MetricPoint]:
        """Return the stream of metrics (name, step, value), in the order in which they came."""
        return self._store.metrics(job_id)

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """Wait until a job has ended, and return it.

        Raises:
            JobError: It has not ended after ``timeout_s`` seconds.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (job := self.get(job_id)).state.is_finished:
            if deadline is not None and time.monotonic() >= deadline:
                raise JobError(
                    f"Job {job_id} is still {job.state} after {timeout_s:.0f} s.",
                    next_step="Wait longer, read its log, or cancel it.",
                )
            time.sleep(WAIT_POLL_S)
        return job

    def reconcile(self) -> Sequence[Job]:
        """Give a final state to every job that has ended without one, and end its orphans; return those jobs.

        Then whatever has its turn is started, by one of all that look.
        """
        jobs = [self._looked_after(job) for job in self._store.list(-1, active=True)]
        self._start_due()
        return [job for job in jobs if job.state.is_finished]

    def _submit(self, request: Request, *, retry_of: str | None) -> Job:
        wanted = replace(SUBMIT, role=role_for(request.kind))
        said = use_case.words(kind=request.kind, retry_of=retry_of)
        start = partial(self._start, request, retry_of=retry_of)
        return use_case.carry_out(wanted, start, said, lambda job: about(request, job.id))

    def _start(self, request: Request, *, retry_of: str | None) -> Job:
        self.reconcile()  # a lost job must not stand in the way of its own repetition
        asked, by = request_id() or new_id(), asking().person
        job, is_new = self._store.add(request.kind, to_json(request), retry_of=retry_of, asked_by=by, request_id=asked)
        if is_new:
            logger.info("Job %s (%s) was submitted by request %s.", job.id, job.kind, asked)
        self._start_due()
        return self._store.get(job.id)

    def _start_due(self) -> None:
        """Start the process of every job whose turn it is.

        Killed between the two steps, it leaves a claimed job without a process, which the verdict lets wait again; a
        process that was started all the same is no harm: of two, the one that reports first does the work.
        """
        for job in self._store.claim(limits_of(self._settings)) if self._starts else ():
            try:
                self._store.set_pid(job.id, self._spawn(job))
            except OSError as error:
                self._store.finish(
                    job.id,
                    JobState.FAILED,
                    source=JobState.QUEUED,
                    error=f"The job's process could not be started: {error}.",
                    next_step="Check the installation with `python -m backend doctor`, then retry it.",
                )

    def _spawn(self, job: Job) -> int:
        """Start the worker in a session of its own. Settings, secrets among them, go through the environment only."""
        marks = {JOB_MARK: job.id, "PYTHONUNBUFFERED": "1"}
        with logfile.opened(job.log_path) as log:
            process = subprocess.Popen(
                [*self._command, job.id],
                cwd=REPOSITORY,
                env={**os.environ, **self._settings.environment(), **marks},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Somebody has to take the exit status, or a zombie stays as long as this process lives.
        threading.Thread(target=process.wait, name=f"reap-{job.id}", daemon=True).start()
        return process.pid

    def _looked_after(self, job: Job) -> Job:
        """Return the job, after giving it the final state that is due."""
        if job.state.is_finished:
            return job
        is_alive = is_worker(job.pid, job.id)
        clock = self._store.clock
        verdict = judge(job, is_alive=is_alive, now=clock.now(), tick=clock.tick(), patience=self._patience)
        if verdict is None:
            return job
        try:
            if verdict.state is JobState.QUEUED:
                self._store.unclaim(job)
            else:
                self._close(job, verdict, is_alive=is_alive)
        except WorkbenchError as error:  # a full disk must not hide the list of jobs; the next look tries again
            logger.warning("Job %s should be %s, but that cannot be recorded: %s", job.id, verdict.state, error)
        return self._store.get(job.id)

    def _close(self, job: Job, verdict: Verdict, *, is_alive: bool) -> None:
        """Record a verdict and end what is left of the job.

        A silent worker is ended only by whoever could record the verdict: it may be silent because nothing can be
        recorded. In all other cases the processes go first, so that a repetition never meets its predecessor.
        """
        record_first = is_alive and verdict.state is JobState.LOST
        if not record_first:
            end_family(job.id, job.pid, grace_s=0.0 if is_alive else ORPHAN_GRACE_S)
        is_ours = self._store.finish(
            job.id, verdict.state, source=job.state, error=verdict.error, next_step=verdict.next_step
        )
        if is_ours:
            logger.warning("Job %s is %s: %s", job.id, verdict.state, verdict.error or "it was cancelled")
            self._write_down(job, verdict.state)
        if is_ours and record_first:
            end_family(job.id, job.pid)

    def _write_down(self, job: Job, state: JobState) -> None:
        """Write down the end of a job whose own process did not live to do so."""
        person = job.asked_by or by_account(self._settings, "job").person
        said = use_case.words(job=job.id)
        journal_of(self._settings).write(replace(person, way="job"), f"jobs.{job.kind}", said, state.lower())


def dead_jobs(settings: Settings) -> Sequence[Job]:
    """Return the unfinished jobs of a home whose process is gone; nothing is changed."""
    if not settings.jobs_db.is_file():
        return []
    active = JobStore(settings.jobs_db, logs_dir=settings.logs_dir).list(-1, active=True)
    return [job for job in active if job.pid is not None and not is_worker(job.pid, job.id)]
