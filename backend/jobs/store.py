"""The jobs and all that is known of them, in SQLite; the one thing that app, workers and command line share.

A state changes only if it still is what the caller saw (compare and set) and :mod:`backend.jobs.states` allows the move:
of two processes that judge a job at the same time, one wins and the other is told so.
"""

from __future__ import annotations

import json
import uuid
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.access.person import Person, Role
from backend.errors import JobNotFound
from backend.files.database import Database
from backend.jobs.clock import Clock
from backend.jobs.database import LAYOUT
from backend.jobs.job import Counted, Job, JobProgress, MetricPoint, Pulse
from backend.jobs.queue import is_waiting, lane_of, may_start
from backend.jobs.states import ACTIVE_STATES, JobState, check_transition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from backend.jobs.job import Priority

__all__ = ["Job", "JobProgress", "JobStore", "MetricPoint", "Pulse", "as_json", "person_of"]

_IS_ACTIVE = f"state IN ({', '.join(repr(str(state)) for state in ACTIVE_STATES)})"


class JobStore:
    """All jobs of one home folder; cheap to make, safe to share between threads and across processes.

    Args:
        path: The SQLite file; made when missing.
        logs_dir: Folder of the log files; ``logs`` beside the file when left out.
        clock: What time it is.
    """

    def __init__(self, path: Path, *, logs_dir: Path | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._logs_dir = logs_dir or path.parent / "logs"
        self._database = Database(path, LAYOUT)

    def add(
        self,
        kind: str,
        request: dict[str, Any],
        *,
        retry_of: str | None = None,
        asked_by: Person | None = None,
        request_id: str = "",
        within: sqlite3.Connection | None = None,
    ) -> tuple[Job, bool]:
        """Record a QUEUED job, or find the active one that does the same; tell whether it is new.

        ``within`` is somebody's own transaction: what belongs together is recorded together, or not at all.
        """
        text, person = as_json(request), None if asked_by is None else as_json(asdict(asked_by))
        with nullcontext(within) if within is not None else self._database.writing() as connection:
            row = connection.execute(
                f"SELECT * FROM jobs WHERE kind = ? AND request = ? AND {_IS_ACTIVE}",  # noqa: S608 - our own words
                (kind, text),
            ).fetchone()
            if row is not None:
                return self._job(row), False
            job_id = uuid.uuid4().hex[:12]
            connection.execute(
                "INSERT INTO jobs (id, kind, request, state, retry_of, asked_by, created_at, priority, request_id) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(job_id, kind, text, JobState.QUEUED, retry_of, person, self.clock.now()),
                    *(lane_of(kind).priority, request_id),
                ),
            )
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            return self._job(row), True

    def get(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFound: There is none of that id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise JobNotFound(f"There is no job {job_id!r}.", next_step="See the list of jobs.")
        return self._job(row)

    def list(self, limit: int = 50, *, kind: str | None = None, active: bool = False) -> Sequence[Job]:
        """Read jobs, newest first; of one kind only, or only those that have not ended, on request."""
        where = f"(?1 IS NULL OR kind = ?1) AND (NOT ?2 OR {_IS_ACTIVE})"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM jobs WHERE {where} ORDER BY created_at DESC, rowid DESC LIMIT ?3",  # noqa: S608
                (kind, active, limit),
            ).fetchall()
        return [self._job(row) for row in rows]

    def count(self) -> dict[tuple[str, JobState], int]:
        """Return how many jobs there are of each kind in each state; no request or result is read."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT kind, state, COUNT(*) FROM jobs GROUP BY kind, state").fetchall()
        return {(kind, JobState(state)): number for kind, state, number in rows}

    def claim(self, limits: dict[str, int]) -> Sequence[Job]:
        """Take the waiting jobs whose turn it is; whoever gets them starts their processes, and nobody else does.

        Args:
            limits: How many jobs of each lane may run at the same time.
        """
        if not any(map(is_waiting, self.list(-1, active=True))):
            return []
        with self._database.writing() as connection:
            rows = connection.execute(f"SELECT * FROM jobs WHERE {_IS_ACTIVE} ORDER BY created_at, rowid").fetchall()  # noqa: S608
            found = may_start(map(self._job, rows), limits)
            for job in found:
                _update(connection, job.id, JobState.QUEUED, {"claimed_tick": self.clock.tick()})
        return found

    def unclaim(self, job: Job) -> None:
        """Let a job wait again whose process was never started by whoever claimed it, unless it has begun meanwhile."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE jobs SET claimed_tick = NULL "
                "WHERE id = ? AND state = 'QUEUED' AND pid IS NULL AND claimed_tick = ?",
                (job.id, job.claimed_tick),
            )

    def set_priority(self, job_id: str, priority: Priority) -> bool:
        """Move a waiting job in the queue; False if it does not wait any more."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE jobs SET priority = ? WHERE id = ? AND state = 'QUEUED' AND claimed_tick IS NULL",
                (priority, job_id),
            )
            return done.rowcount == 1

    def counted(self) -> Sequence[Counted]:
        """Count the jobs by kind and state, with the times of the one that ended last."""
        with self._database.reading() as connection:
            rows = connection.execute(  # beside max(), SQLite gives the other columns of the row that has it
                "SELECT kind, state, count(*), max(finished_at), started_at FROM jobs GROUP BY kind, state"
            ).fetchall()
        return [Counted(kind, JobState(state), *more) for kind, state, *more in rows]

    def ended(self, since: float) -> Sequence[Job]:
        """Read the jobs that ended at this time or later, in seconds since the epoch, in the order in which they did."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE finished_at >= ? ORDER BY finished_at, rowid", (since,)
            ).fetchall()
        return [self._job(row) for row in rows]

    def set_pid(self, job_id: str, pid: int) -> None:
        """Note the process that was started for a job, unless it has reported already."""
        with self._database.writing() as connection:
            connection.execute("UPDATE jobs SET pid = ? WHERE id = ? AND pid IS NULL", (pid, job_id))

    def start(self, job_id: str, *, pid: int) -> bool:
        """Move QUEUED -> RUNNING; False if the job is no longer queued, so that nothing may be done for it."""
        now, tick = self.clock.now(), self.clock.tick()
        return self._move(
            job_id,
            JobState.QUEUED,
            JobState.RUNNING,
            {"pid": pid, "started_at": now, "heartbeat_at": now, "heartbeat_tick": tick},
        )

    def finish(
        self,
        job_id: str,
        target: JobState,
        *,
        source: JobState = JobState.RUNNING,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        next_step: str = "",
    ) -> bool:
        """Move a job to a final state; False if it is not in ``source`` any more.

        Raises:
            IllegalTransition: No job may make that move.
        """
        text = None if result is None else as_json(result)
        end = {"finished_at": self.clock.now(), "result": text, "error": error, "next_step": next_step, "due_at": None}
        return self._move(job_id, source, target, end)

    def request_cancel(self, job_id: str) -> None:
        """Note that the user wants a running job to stop; the first request counts."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE jobs SET cancel_requested_at = ? "
                "WHERE id = ? AND state = 'RUNNING' AND cancel_requested_at IS NULL",
                (self.clock.now(), job_id),
            )

    def record(self, job_id: str, *, progress: JobProgress | None = None, metrics: Iterable[MetricPoint] = ()) -> Pulse:
        """Write a sign of life of a running job and what is new, in one transaction; learn what others want of it."""
        now = self.clock.now()
        changes: dict[str, Any] = {"heartbeat_at": now, "heartbeat_tick": self.clock.tick()}
        if progress is not None:
            changes |= {name: getattr(progress, name) for name in ("done", "total", "unit", "note", "rate")}
            changes["due_at"] = None if progress.eta_s is None else now + progress.eta_s
        with self._database.writing() as connection:
            is_running = _update(connection, job_id, JobState.RUNNING, changes)
            if is_running:
                connection.executemany(
                    "INSERT INTO metrics (job_id, name, step, value) VALUES (?, ?, ?, ?)",
                    [(job_id, *point) for point in metrics],
                )
            row = connection.execute("SELECT cancel_requested_at FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return Pulse(is_running, cancel_requested=row is not None and row["cancel_requested_at"] is not None)

    def metrics(self, job_id: str) -> Sequence[MetricPoint]:
        """Read a job's metrics in the order in which they were written."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name, step, value FROM metrics WHERE job_id = ? ORDER BY rowid", (job_id,)
            ).fetchall()
        return [MetricPoint(n, step, float("nan") if value is None else value) for n, step, value in rows]

    def held_open(self) -> AbstractContextManager[None]:
        """Make every access cheaper for as long as this is entered; for processes that report all the time."""
        return self._database.held_open()

    def _move(self, job_id: str, source: JobState, target: JobState, changes: dict[str, Any]) -> bool:
        check_transition(source, target)
        with self._database.writing() as connection:
            return _update(connection, job_id, source, {"state": target, **changes})

    def _job(self, row: sqlite3.Row) -> Job:
        values = dict(row)
        due_at = values.pop("due_at")
        shown = {name: values.pop(name) for name in ("done", "total", "unit", "note", "rate")}
        eta_s = None if due_at is None else max(due_at - self.clock.now(), 0.0)
        values |= {
            "request": json.loads(values["request"]),
            "state": JobState(values["state"]),
            "progress": JobProgress(**shown, eta_s=eta_s),
            "result": None if values["result"] is None else json.loads(values["result"]),
            "asked_by": person_of(values["asked_by"]),
        }
        return Job(**values, log_path=self._logs_dir / f"{values['id']}.log")


def person_of(text: str | None) -> Person | None:
    """Read a person as it is stored."""
    raw = {} if text is None else json.loads(text)
    return Person(**{**raw, "role": None if raw["role"] is None else Role(raw["role"])}) if raw else None


def _update(connection: sqlite3.Connection, job_id: str, state: JobState, changes: dict[str, Any]) -> bool:
    """Change a job's columns if it is in the given state."""
    columns = ", ".join(f"{name} = ?" for name in changes)
    done = connection.execute(
        f"UPDATE jobs SET {columns} WHERE id = ? AND state = ?",  # noqa: S608 - column names are ours
        (*changes.values(), job_id, state),
    )
    return done.rowcount == 1


def as_json(value: dict[str, Any]) -> str:
    """Return the one text of a JSON value; NumPy scalars become numbers and paths become texts.

    Raises:
        TypeError: It holds something that JSON does not know.
    """
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if getattr(value, "ndim", None) == 0:
        return value.item()  # type: ignore[attr-defined]  # a NumPy scalar
    raise TypeError(f"A job's request and result must be plain JSON values, not {type(value).__name__}.")
