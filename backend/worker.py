"""The process of one job: ``python -m backend.worker JOB_ID``; the only place that turns a job into work.

It marks the job as running, carries out its request, and records how that ended. It is started by
:class:`backend.jobs.runner.JobRunner`, which gives it its settings through the environment.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.access.asking import Asking, asked_by
from backend.access.edges import by_account
from backend.access.logs import begin_process, log_lines, log_person
from backend.access.people import people_of
from backend.errors import Cancelled, WorkbenchError
from backend.files.niceness import yield_to_others
from backend.files.storage import system_error
from backend.flow.requests import Request, from_json
from backend.jobs.queue import lane_of
from backend.jobs.reporter import JobReporter
from backend.jobs.runner import active_jobs
from backend.jobs.states import JobState
from backend.jobs.store import JobStore, as_json
from backend.jobs.tidying import own_process
from backend.machine.processes import end_family
from backend.progress import Progress
from backend.settings import Settings, load_settings
from backend.training.runtime import set_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from backend.jobs.store import Job

logger = logging.getLogger(__name__)

Run = Callable[[Request, Settings, Progress], dict[str, Any]]

RESERVE_BYTES = 262_144
FINISH_PAUSES_S = (0.0, 0.2, 1.0, 3.0)
LEFTOVER_GRACE_S = 2.0
EXIT_LIMIT_S = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the work ended."""

    state: JobState
    result: dict[str, Any] | None = None
    error: str | None = None
    next_step: str = ""


def main(job_id: str, *, run: Run | None = None) -> int:
    """Carry out a job and return the exit status of the process: 0 unless the job failed.

    Args:
        job_id: A queued job; one in any other state is left alone.
        run: What carries out a request; :func:`backend.flow.kinds.run_request` when left out.
    """
    settings = load_settings()
    set_environment()
    begin_process(settings.log_format, job=job_id)
    _log_to_stderr(settings.log_level)
    store = JobStore(settings.jobs_db, logs_dir=settings.logs_dir)
    reporter = JobReporter(
        store,
        job_id,
        heartbeat_s=settings.job_heartbeat_s,
        grace_s=settings.job_grace_s,
        on_overdue=lambda: _give_up(store, job_id),
    )
    _stop_on_signal(reporter)
    with own_process(settings), store.held_open():
        if not store.start(job_id, pid=os.getpid()):
            logger.warning("Job %s is no longer queued; there is nothing to do.", job_id)
            return 0
        job = store.get(job_id)
        if lane_of(job.kind).is_background:
            yield_to_others(settings.job_niceness)
        outcome = _carry_out(job, settings, reporter, run or _run_request)
        _end_leftovers(job_id)
        _record(store, job_id, outcome)
    _limit_exit()
    return 1 if outcome.state is JobState.FAILED else 0


def _run_request(request: Request, settings: Settings, progress: Progress) -> dict[str, Any]:
    from backend.flow.kinds import run_request

    return run_request(request, settings, progress, active=active_jobs(settings))


def _carry_out(job: Job, settings: Settings, reporter: JobReporter, run: Run) -> Outcome:
    """Do the work; whatever happens becomes an outcome."""
    begin_process(settings.log_format, request=job.request_id, job=job.id)
    log_person(job.asked_by.name if job.asked_by is not None else "")
    logger.info("Job %s (%s) starts: %s", job.id, job.kind, as_json(job.request))
    try:
        with reporter, _reserved_space(settings.home), asked_by(_asking(job, settings)):
            result = run(from_json(job.kind, job.request), settings, reporter)
            result = json.loads(as_json(result))
    except BaseException as error:  # noqa: BLE001 - also a library's sys.exit; every end has to be recorded
        if isinstance(error, Cancelled) or reporter.is_cancelled():
            logger.info("The job was cancelled: %r", error)
            return Outcome(JobState.CANCELLED)
        return _failed(error)
    logger.info("The job succeeded.")
    return Outcome(JobState.SUCCEEDED, result)


def _asking(job: Job, settings: Settings) -> Asking:
    """Return who asked for a job, as it does now what they asked; those of earlier versions were all the account's."""
    account = by_account(settings, "job")
    person = job.asked_by or account.person
    entry = None if person.name == account.person.name else people_of(settings.home).listed().get(person.name)
    role = person.role if entry is None else entry.may_be  # it may have changed while the job waited
    return replace(account, person=replace(person, role=role, way="job"))


def _failed(error: BaseException) -> Outcome:
    """Say what went wrong: expected errors in their own words, all others under a number that the log explains."""
    if isinstance(error, WorkbenchError):
        logger.error("The job failed: %s", error, exc_info=error)
        return Outcome(JobState.FAILED, error=error.message, next_step=error.next_step)
    if (known := system_error(error, "retry the job")) is not None:
        logger.error("The job failed: %s", known, exc_info=error)
        return Outcome(JobState.FAILED, error=known.message, next_step=known.next_step)
    incident = uuid.uuid4().hex[:8]
    logger.error("Something unexpected went wrong, incident %s.", incident, exc_info=error)
    return Outcome(
        JobState.FAILED,
        error=f"Something unexpected went wrong (incident {incident}).",
        next_step="See the end of the job's log.",
    )


def _record(store: JobStore, job_id: str, outcome: Outcome) -> None:
    """Write the final state, again and again if need be; if it cannot be written, the next look finds a lost job."""
    for pause_s in FINISH_PAUSES_S:
        time.sleep(pause_s)
        try:
            if not store.finish(
                job_id, outcome.state, result=outcome.result, error=outcome.error, next_step=outcome.next_step
            ):
                logger.error(
                    "Another process has already marked the job as ended; its own result (%s) came late.", outcome
                )
        except WorkbenchError:
            logger.exception("The end of the job cannot be recorded at the moment.")
        else:
            return


def _give_up(store: JobStore, job_id: str) -> None:
    """End this process at once, with all that it started; called in the reporter's thread."""
    logger.warning("The work did not stop in time; it is being killed.")
    end_family(job_id, os.getpid())
    try:
        store.finish(job_id, JobState.CANCELLED)
    except WorkbenchError:
        logger.exception("The end of the job cannot be recorded now; it is recorded when the job is next read.")
    finally:
        os._exit(1)


def _end_leftovers(job_id: str) -> None:
    """A job leaves nothing behind: no JVM, no rank, no helper."""
    count = end_family(job_id, os.getpid(), grace_s=LEFTOVER_GRACE_S)
    if count:
        logger.info("Ended %d processes that the job had left behind.", count)


def _stop_on_signal(reporter: JobReporter) -> None:
    """Make SIGTERM and SIGINT a wish to stop, for this process; a forked child dies of them as usual."""
    owner = os.getpid()

    def handle(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == owner:
            reporter.ask_to_stop()
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


@contextmanager
def _reserved_space(folder: Path) -> Iterator[None]:
    """Occupy a little space during the work, so that its end can be recorded on a disk that it has filled.

    The file has no name: the space is free again also when this process is killed.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as reserve:
        reserve.write(os.urandom(RESERVE_BYTES))  # random, for file systems that compress
        yield


def _limit_exit() -> None:
    """Have the system end this process if a library's threads or exit handlers hang: all is recorded by now."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(EXIT_LIMIT_S)


def _log_to_stderr(level: str) -> None:
    """The runner has pointed stderr, also of crashes and of children, to the job's log file."""
    log_lines(logging.StreamHandler(sys.stderr), level=level, force=True)
    logging.captureWarnings(capture=True)
    faulthandler.enable()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
