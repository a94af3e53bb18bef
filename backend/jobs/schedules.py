"""Jobs that recur: who made them, when they are due, and starting them, each time once.

They are kept beside the jobs: that a schedule has run and that its job exists is one transaction, so that neither two
processes that look at once nor a kill in between start it twice, or not at all.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from backend.access import use_case
from backend.access.asking import Asking, asked_by, asking
from backend.access.edges import journal_of
from backend.access.people import people_of, role_of
from backend.errors import JobError, JobNotFound, WorkbenchError
from backend.files.database import Database
from backend.flow.requests import from_json, to_json
from backend.flow.roles import ADD_SCHEDULE, CHANGE_SCHEDULE, REMOVE_SCHEDULE, SUBMIT, about, role_for
from backend.jobs import timing
from backend.jobs.database import LAYOUT
from backend.jobs.store import JobStore, as_json, person_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backend.access.person import Person
    from backend.access.use_case import UseCase
    from backend.flow.requests import Request
    from backend.jobs.clock import Clock
    from backend.jobs.store import Job
    from backend.settings import Settings

OF_A_CATALOGUE = ("renew", "quality", "tidy")
SCHEDULED = (*OF_A_CATALOGUE, "refresh", "similar", "readiness", "evaluate")  # the kinds that may recur
WEEK_S = 7 * 86_400.0
SHOWN = 3  # moments that are named
_IS_DUE = "is_on AND (next_at <= ?1 OR max(coalesce(last_at, 0), made_at) > ?1 + 86400)"  # the clock was set back


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that recurs; moments are seconds since the epoch.

    Attributes:
        kind, request: Of the job.
        rule, zone: When, as five cron fields, and in which time zone.
        catch_up: Whether it runs once, late, where its time came while nothing ran.
        is_on: Whether it is not paused.
        made_by: Who made it, and asks for its jobs.
        is_listed: Whether the list of people said what they may do; else their sign-in did.
        next_at: When it runs next.
        last_at, last_job: For which moment it ran last, and as which job.
        missed: Moments that passed without a run, of the last time that there were any.
        note: What happened instead of a run, if anything.
    """

    id: str
    kind: str
    request: dict[str, Any]
    rule: str
    zone: str
    catch_up: bool
    is_on: bool
    made_by: Person
    is_listed: bool
    made_at: float
    next_at: float
    last_at: float | None = None
    last_job: str | None = None
    missed: tuple[float, ...] = ()
    note: str = ""

    def coming(self, now: float, until: float) -> list[float]:
        """Return when it runs until a moment; at no time while it is paused."""
        if not self.is_on or self.next_at > until:
            return []
        return [self.next_at, *timing.within(self.rule, self.zone, max(self.next_at, now), until)]

    def said_missed(self, now: float) -> str:
        """Say which runs of the last week were missed; empty if none was."""
        recent = [moment for moment in self.missed if moment > now - WEEK_S]
        if not recent:
            return ""
        zone = ZoneInfo(self.zone)
        shown = [datetime.fromtimestamp(moment, zone) for moment in recent[:SHOWN]]
        names = ", ".join(f"{one:%a} {one.day} {one:%b %H:%M}" for one in shown)
        more = f", and {len(recent) - SHOWN} more" if len(recent) > SHOWN else ""
        return f"Missed {len(recent)} {'run' if len(recent) == 1 else 'runs'}: {names}{more}"


def request_for(kind: str, catalogue: str = "") -> Request:
    """Return the request of a schedule of a kind, for a catalogue where it is about one.

    Raises:
        JobError: Such a job cannot recur, or no catalogue is named.
    """
    if kind not in SCHEDULED:
        raise JobError(f"A {kind} job cannot be scheduled.", next_step=f"These can: {', '.join(SCHEDULED)}.")
    if kind in OF_A_CATALOGUE and not catalogue:
        raise JobError("No catalogue is named.", next_step="Name the catalogue that the job is for.")
    return from_json(kind, {"catalogue": catalogue} if kind in OF_A_CATALOGUE else {})


class Schedules:
    """The schedules of one home.

    Args:
        settings: Of the home.
        clock: What time it is.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._database = Database(settings.jobs_db, LAYOUT)
        self._jobs = JobStore(settings.jobs_db, logs_dir=settings.logs_dir, clock=clock)
        self._clock = self._jobs.clock

    def list(self) -> Sequence[Schedule]:
        """Return all, in the order in which they run next."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM schedules ORDER BY is_on DESC, next_at, id").fetchall()
        return [_schedule(row) for row in rows]

    def get(self, schedule_id: str) -> Schedule:
        """Return one.

        Raises:
            JobNotFound: There is none of that id.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM schedules WHERE id = ?", (schedule_id,)).fetchone()
        if row is None:
            raise JobNotFound(f"There is no schedule {schedule_id!r}.", next_step="See the list of schedules.")
        return _schedule(row)

    def coming(self, days: float) -> Sequence[tuple[float, Schedule]]:
        """Return every run of the coming days with its moment, soonest first."""
        now = self._clock.now()
        until = now + days * 86_400
        found = [(moment, one) for one in self.list() for moment in one.coming(now, until)]
        return sorted(found, key=lambda run: run[0])

    def add(self, request: Request, rule: str, zone: str, *, catch_up: bool = True) -> Schedule:
        """Have a job recur, asked for by whoever asks now.

        Args:
            request: Of the job; see :func:`request_for`.
            rule: When; see :func:`backend.jobs.timing.parsed`.
            zone: Name of a time zone.
            catch_up: Whether it runs once, late, where it was missed.

        Raises:
            JobError: The rule or the zone cannot be used.
            AccessDenied: Jobs of this kind are not for whoever asks.
        """
        rule, now = timing.parsed(rule), self._clock.now()
        added = Schedule(
            id=uuid.uuid4().hex[:8],
            kind=request.kind,
            request=to_json(request),
            rule=rule,
            zone=zone,
            catch_up=catch_up,
            is_on=True,
            made_by=asking().person,
            is_listed=self._is_listed(asking().person),
            made_at=now,
            next_at=timing.next_after(rule, zone, now),
        )
        self._changed(ADD_SCHEDULE, added, partial(self._insert, added))
        return added

    def change(self, schedule_id: str, **changes: Any) -> Schedule:
        """Change when one runs: any of ``rule``, ``zone``, ``catch_up`` and ``is_on``; what was missed counts no more.

        Raises:
            JobNotFound, JobError, AccessDenied: As for :meth:`get` and :meth:`add`.
        """
        before = self.get(schedule_id)
        changes |= {"rule": timing.parsed(changes["rule"])} if "rule" in changes else {}
        after = replace(before, **changes, missed=(), note="")
        after = replace(after, next_at=timing.next_after(after.rule, after.zone, self._clock.now()))
        self._changed(CHANGE_SCHEDULE, after, partial(self._update, after))
        return after

    def remove(self, schedule_id: str) -> None:
        """Remove one; jobs that it started go on.

        Raises:
            JobNotFound, AccessDenied: As for :meth:`get` and :meth:`add`.
        """
        self._changed(REMOVE_SCHEDULE, self.get(schedule_id), partial(self._delete, schedule_id))

    def look(self) -> Sequence[Job]:
        """Queue the jobs of all schedules that are due, once each, and return them; whoever looks next starts them."""
        now = (self._clock.now(),)
        with self._database.reading() as connection:
            if connection.execute(f"SELECT 1 FROM schedules WHERE {_IS_DUE}", now).fetchone() is None:  # noqa: S608
                return []
        with self._database.writing() as connection:
            rows = connection.execute(f"SELECT * FROM schedules WHERE {_IS_DUE}", now).fetchall()  # noqa: S608
            return [job for row in rows if (job := self._run(connection, _schedule(row))) is not None]

    def _run(self, connection: sqlite3.Connection, one: Schedule) -> Job | None:
        now, job, note = self._clock.now(), None, ""
        if one.next_at > now:  # noted when the clock was ahead
            due = timing.Due(None, (), timing.next_after(one.rule, one.zone, now))
            one = replace(one, made_at=min(one.made_at, now), last_at=None)
        else:
            due = timing.due(one.rule, one.zone, one.next_at, now, catch_up=one.catch_up)
        if due.runs_for is not None:
            try:
                job, is_new = self._queued(connection, one)
                note = "" if is_new else "It was still running, so it was not started again."
            except WorkbenchError as error:
                note = f"It was not started: {error.message}"
        ran: dict[str, Any] = {} if job is None else {"last_at": due.runs_for, "last_job": job.id}
        missed = due.missed or one.missed
        _write(connection, replace(one, **ran, next_at=due.next_at, missed=missed, note=note))
        return job

    def _queued(self, connection: sqlite3.Connection, one: Schedule) -> tuple[Job, bool]:
        """Record the job in the name of who made the schedule.

        Raises:
            AccessDenied: Their role does not allow it any more.
        """
        request = from_json(one.kind, one.request)
        was = one.made_by
        claimed = [] if one.is_listed or was.role is None else [was.role.title]
        person = replace(was, way="job", role=role_of(self._settings, was.name, claimed))
        add = partial(self._jobs.add, one.kind, to_json(request), asked_by=person, within=connection)
        with asked_by(Asking(person, journal_of(self._settings))):
            said = use_case.words(schedule=one.id)
            wanted = replace(SUBMIT, role=role_for(one.kind))
            return use_case.carry_out(wanted, add, said, lambda found: about(request, found[0].id))

    def _is_listed(self, person: Person) -> bool:
        return people_of(self._settings.home).listed().get(person.name) is not None

    def _changed(self, wanted: UseCase, one: Schedule, work: Any) -> None:
        said = use_case.words(schedule=one.id, kind=one.kind, rule=one.rule, zone=one.zone, on=one.is_on)
        use_case.carry_out(replace(wanted, role=role_for(one.kind)), work, said)

    def _insert(self, one: Schedule) -> None:
        with self._database.writing() as connection:
            columns = _columns(one)
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO schedules ({', '.join(columns)}) VALUES ({marks})", (*columns.values(),))  # noqa: S608

    def _update(self, one: Schedule) -> None:
        with self._database.writing() as connection:
            _write(connection, one)

    def _delete(self, schedule_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM schedules WHERE id = ?", (schedule_id,))


def _columns(one: Schedule) -> dict[str, Any]:
    raw = asdict(one)
    return raw | {name: as_json(raw[name]) for name in ("request", "made_by")} | {"missed": json.dumps(raw["missed"])}


def _write(connection: sqlite3.Connection, one: Schedule) -> None:
    columns = _columns(one)
    changes = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE schedules SET {changes} WHERE id = ?", (*columns.values(), one.id))  # noqa: S608


def _schedule(row: sqlite3.Row) -> Schedule:
    values = dict(row)
    values |= {"request": json.loads(values["request"]), "missed": tuple(json.loads(values["missed"]))}
    values |= {"made_by": person_of(values["made_by"])}
    return Schedule(**values | {name: bool(values[name]) for name in ("catch_up", "is_on", "is_listed")})
