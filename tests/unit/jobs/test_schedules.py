"""Jobs recur when their rule says so: once each, whatever clocks, keepers and summer time do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from backend.access.asking import Asking, asked_by
from backend.access.edges import by_account, journal_of
from backend.access.people import People
from backend.access.person import Person, Role
from backend.errors import AccessDenied, JobError, JobNotFound
from backend.jobs import timing
from backend.jobs.clock import Clock
from backend.jobs.schedules import SCHEDULED, Schedules, request_for
from backend.jobs.states import JobState
from backend.jobs.store import JobStore

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 11, 28, 12, tzinfo=BERLIN).timestamp()
DAY_S, HOUR_S = 86_400.0, 3_600.0
RULES = ("0 3 * * *", "30 2 * * *", "0 */6 * * *", "0 * * * *", "0 3 * * 1,4", "0 3 L * *", "15 3 31 * *")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(lambda at: at.replace(tzinfo=UTC).timestamp())  # noqa: DTZ001
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])


def local(epoch_s, zone=BERLIN):
    return f"{datetime.fromtimestamp(epoch_s, zone):%d %H:%M}"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


# --- when


@pytest.mark.parametrize(
    ("text", "rule", "said"),
    [
        ("daily 03:00", "0 3 * * *", "At 03:00 every day"),
        ("Mon, Thursday 3:05", "5 3 * * 1,4", "At 03:05 on Monday and Thursday"),
        ("monthly 31 03:00", "0 3 31 * *", "At 03:00 on day 31 of every month"),
        ("monthly last 03:00", "0 3 L * *", "At 03:00 on the last day of every month"),
        ("every 6 hours", "0 */6 * * *", "Every 6 hours"),
        ("hourly", "0 * * * *", "Every hour"),
        ("0 3 * * 1-5", "0 3 * * 1-5", "At 03:00 on Monday through Friday"),
    ],
)
def test_a_rule_is_read_and_said_in_plain_words(text, rule, said):
    assert (timing.parsed(text), timing.said(rule)) == (rule, said)


def test_a_form_shows_a_rule_as_it_was_made():
    shapes = {
        text: timing.shape_of(timing.parsed(text))
        for text in ("sun,mon 04:15", "monthly last 03:00", "hourly", "0 3 * 5 *")
    }
    assert shapes["sun,mon 04:15"] == timing.Shape(is_plain=True, at=time(4, 15), days=("Monday", "Sunday"))
    assert shapes["monthly last 03:00"] == timing.Shape(is_plain=True, day="last")
    assert shapes["hourly"].hours == 1
    assert not shapes["0 3 * 5 *"].is_plain


@pytest.mark.parametrize(
    "text", ["", "daily", "daily 24:00", "every 5 hours", "soon 03:00", "monthly 32 03:00", "0 3 30 2 *"]
)
def test_what_is_no_rule_or_never_comes_is_refused(text):
    with pytest.raises(JobError, match=r"not a rule|never comes") as caught:
        timing.parsed(text)
    assert "daily 03:00" in caught.value.next_step


def test_summer_time_skips_no_run_and_doubles_none():
    def times(rule, first, days):
        return [local(one) for one in timing.within(rule, "Europe/Berlin", at(first), at(first) + days * DAY_S)]

    assert times("30 2 * * *", "2027-03-27T12:00", 3) == ["28 03:00", "29 02:30", "30 02:30"]
    assert times("30 2 * * *", "2027-10-30T12:00", 3) == ["31 02:30", "01 02:30", "02 02:30"]
    assert times("0 * * * *", "2027-10-31T00:30", 0.25) == [f"31 0{hour}:00" for hour in (1, 2, 2, 3, 4, 5)]
    assert times("0 3 31 * *", "2027-01-15T00:00", 100) == ["31 03:00", "31 03:00"]
    assert times("0 3 L * *", "2028-01-15T00:00", 60) == ["31 03:00", "29 03:00"]


@given(st.sampled_from(RULES), zones, moments, st.floats(0, 40 * DAY_S))
@tuned(max_examples=40)
def test_moments_follow_each_other_and_none_is_left_out_or_told_twice(rule, zone, start, length):
    found = timing.within(rule, zone, start, start + length)
    assert found == sorted(set(found))
    middle = start + length / 3
    halves = timing.within(rule, zone, start, middle) + timing.within(rule, zone, middle, start + length)
    assert halves == found
    assert all(start < one <= start + length for one in found)


@given(st.sampled_from(RULES), zones, moments, st.floats(0, 20 * DAY_S), st.booleans())
@tuned(max_examples=40)
def test_however_long_nothing_ran_one_job_is_started_at_most_and_all_moments_are_accounted_for(
    rule, zone, start, late, catch_up
):
    first = timing.next_after(rule, zone, start)
    now = first + late
    due = timing.due(rule, zone, first, now, catch_up=catch_up)
    passed = [first, *timing.within(rule, zone, first, now)]
    is_on_time = now - passed[-1] <= timing.ON_TIME_S
    assert list(due.missed) == (passed[:-1] if is_on_time else passed)
    assert due.runs_for == (passed[-1] if is_on_time or catch_up else None)
    assert due.next_at > now


# --- that


class World:
    """A home with a clock that is set at will, and any number of keepers."""

    def __init__(self, settings):
        self.now = START
        self.settings = settings
        self.clock = Clock(now=lambda: self.now, tick=lambda: self.now)
        self.jobs = JobStore(settings.jobs_db, clock=self.clock)
        self.schedules = self.keeper()

    def keeper(self):
        return Schedules(self.settings, clock=self.clock)

    def add(self, kind="refresh", rule="daily 03:00", role=Role.ENGINEER, **more):
        with self.by(role):
            return self.schedules.add(request_for(kind, "shop"), rule, "Europe/Berlin", **more)

    def by(self, role):
        return asked_by(Asking(Person("ada@shop.example", role, "app"), journal_of(self.settings)))

    def started_in(self, days, *, step=HOUR_S, keepers=1):
        """Look every ``step`` seconds, have each job end at once; returns when they were started."""
        looking, started = [self.keeper() for _ in range(keepers)], []
        for _ in range(int(days * DAY_S / step)):
            self.now += step
            started += [local(self.now) for keeper in looking for _ in keeper.look()]
            self.end_jobs()
        return started

    def end_jobs(self):
        for job in self.jobs.list(-1, active=True):
            self.jobs.finish(job.id, JobState.CANCELLED, source=JobState.QUEUED)


@pytest.fixture
def world(settings):
    return World(settings)


def test_two_keepers_start_each_job_once_and_in_the_name_of_who_made_it(world):
    added = world.add()
    assert local(added.next_at) == "29 03:00"
    assert world.started_in(2, keepers=2) == ["29 03:00", "30 03:00"]
    job = world.jobs.list(1)[0]
    assert (job.kind, job.asked_by) == ("refresh", Person("ada@shop.example", Role.ENGINEER, "job"))
    now = world.schedules.get(added.id)
    assert (local(now.last_at), now.last_job, local(now.next_at)) == ("30 03:00", job.id, "01 03:00")


@pytest.mark.parametrize("catch_up", [True, False])
def test_what_was_missed_is_said_and_runs_once_if_the_rule_says_so(world, catch_up):
    added = world.add(catch_up=catch_up)
    world.now += 3 * DAY_S
    assert len(world.schedules.look()) == catch_up
    assert world.schedules.look() == []
    now = world.schedules.get(added.id)
    assert [local(one) for one in now.missed] == ["29 03:00", "30 03:00", "01 03:00"]
    assert now.said_missed(world.now) == "Missed 3 runs: Sun 29 Nov 03:00, Mon 30 Nov 03:00, Tue 1 Dec 03:00"
    world.end_jobs()
    assert world.started_in(1) == ["02 03:00"]
    assert world.schedules.get(added.id).said_missed(world.now + 8 * DAY_S) == ""


def test_a_paused_one_runs_again_from_its_next_time_on_and_misses_nothing(world):
    added = world.add()
    with world.by(Role.ENGINEER):
        world.schedules.change(added.id, is_on=False)
    assert world.started_in(3) == []
    assert world.schedules.get(added.id).coming(world.now, world.now + 7 * DAY_S) == []
    with world.by(Role.ENGINEER):
        changed = world.schedules.change(added.id, is_on=True, rule="daily 04:30")
    assert (changed.rule, changed.missed, local(changed.next_at)) == ("30 4 * * *", (), "02 04:30")
    assert len(changed.coming(world.now, world.now + 7 * DAY_S)) == 7
    assert world.started_in(1, step=HOUR_S / 2) == ["02 04:30"]


def test_a_clock_that_is_set_back_repeats_nothing_and_one_that_was_far_ahead_stops_nothing(world):
    added = world.add()
    assert world.started_in(1) == ["29 03:00"]
    world.now -= 10 * HOUR_S
    assert world.started_in(1) == []
    world.now += 365 * DAY_S
    assert len(world.schedules.look()) == 1
    world.end_jobs()
    world.now = START
    assert world.started_in(2) == ["29 03:00", "30 03:00"]
    assert world.schedules.get(added.id).is_on


def test_one_that_still_runs_is_not_started_again(world):
    added = world.add("similar", "hourly")
    world.now += HOUR_S
    (job,) = world.schedules.look()
    world.now += HOUR_S
    assert [one.id for one in world.schedules.look()] == [job.id]
    assert "still running" in world.schedules.get(added.id).note
    assert len(world.jobs.list()) == 1


def test_the_job_of_somebody_who_lost_their_role_is_refused_and_that_is_said(world):
    added = world.add()
    people = People(world.settings.home)
    with asked_by(by_account(world.settings, "command")):
        version = people.set("root@shop.example", "admin", seen=0).version
        people.set("ada@shop.example", "viewer", seen=version)
    assert world.started_in(2) == []
    now = world.schedules.get(added.id)
    assert now.note == "It was not started: ada@shop.example may not do this: it needs the role engineer."
    assert local(now.next_at) == "01 03:00"


def test_only_who_may_start_a_job_may_have_it_recur(world):
    mine = world.add("similar", role=Role.MERCHANDISER)
    with pytest.raises(AccessDenied):
        world.add("evaluate", role=Role.MERCHANDISER)
    with world.by(Role.VIEWER), pytest.raises(AccessDenied):
        world.schedules.change(mine.id, is_on=False)
    with world.by(Role.VIEWER), pytest.raises(AccessDenied):
        world.schedules.remove(mine.id)
    with world.by(Role.MERCHANDISER):
        world.schedules.remove(mine.id)
    assert world.schedules.list() == []
    with pytest.raises(JobNotFound):
        world.schedules.get(mine.id)


@pytest.mark.parametrize(
    ("kind", "catalogue", "rule", "zone"),
    [
        ("train", "shop", "hourly", "UTC"),
        ("renew", "", "hourly", "UTC"),
        ("renew", "shop", "never", "UTC"),
        ("renew", "shop", "hourly", "Atlantis"),
    ],
)
def test_what_cannot_recur_is_refused(settings, kind, catalogue, rule, zone):
    with asked_by(by_account(settings, "command")), pytest.raises(JobError):
        Schedules(settings).add(request_for(kind, catalogue), rule, zone)


@pytest.mark.parametrize("kind", SCHEDULED)
def test_each_kind_that_may_recur_has_a_request(kind):
    assert request_for(kind, "shop").kind == kind


def test_a_kill_between_schedule_and_job_leaves_neither_changed(world, monkeypatch):
    added = world.add()
    world.now = added.next_at
    with monkeypatch.context() as broken:
        broken.setattr("backend.jobs.schedules._write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.schedules.look()
    assert (world.jobs.list(), world.schedules.get(added.id)) == ([], added)
    assert len(world.schedules.look()) == 1


def test_the_coming_week_is_in_the_order_of_time_and_goes_by_each_ones_zone(world):
    world.add("refresh", "daily 03:00")
    world.add("similar", "mon 02:00")
    coming = world.schedules.coming(7)
    assert [local(moment) for moment, _ in coming][:4] == ["29 03:00", "30 02:00", "30 03:00", "01 03:00"]
    assert coming[-1][0] <= world.now + timedelta(days=7).total_seconds()
    assert len(coming) == 8
