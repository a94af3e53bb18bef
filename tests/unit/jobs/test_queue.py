"""Whose turn it is: limits hold, nobody waits for ever, and a starter that is killed loses and doubles nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import JobError
from backend.flow.requests import KINDS
from backend.jobs.clock import Clock
from backend.jobs.database import LAYOUT
from backend.jobs.job import Job, Priority
from backend.jobs.queue import LANES, OUTWEIGHS_S, beside, in_order, is_waiting, lane_of, limits_of, may_start, waits
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.jobs.tending import LOOK_EVERY_S, Tending
from backend.jobs.verdict import Patience, judge

LIMITS = {"training": 1, "catalogue": 1, "models": 2, "quick": 4}
SOME = ("train", "tune", "catalogue", "renew", "index", "refresh", "export")
jobs = st.lists(st.tuples(st.sampled_from(SOME), st.floats(0, 5000), st.sampled_from("wcr")), max_size=12)


def job(number, kind, at=0.0, state="w", **fields):
    values = {"w": {}, "c": {"claimed_tick": 1.0}, "r": {"state": JobState.RUNNING, "pid": 1}}[state] | fields
    values = {"state": JobState.QUEUED, "created_at": at, "priority": lane_of(kind).priority} | values
    return Job(str(number), kind, {}, log_path=Path("log"), **values)


def made(rows):
    return [job(number, kind, at, state) for number, (kind, at, state) in enumerate(rows)]


def test_every_kind_has_a_lane_and_every_lane_a_limit(settings):
    assert LANES.keys() == KINDS.keys()
    assert limits_of(settings) == LIMITS
    assert lane_of("of a later version").name == "quick"


@given(jobs)
def test_what_may_start_fits_and_nothing_that_fits_is_left(rows):
    active = made(rows)
    chosen = may_start(active, LIMITS)
    busy = Counter(lane_of(one.kind).name for one in active if not is_waiting(one))
    taken = Counter(lane_of(one.kind).name for one in chosen)
    waiting = Counter(lane_of(one.kind).name for one in active if is_waiting(one))
    for lane, limit in LIMITS.items():
        assert taken[lane] == min(waiting[lane], max(limit - busy[lane], 0))


@given(jobs)
def test_turns_go_by_priority_and_age_until_age_outweighs_it(rows):
    order = in_order(made(rows))
    for earlier, later in pairwise(order):
        weight = OUTWEIGHS_S * (earlier.priority - later.priority)
        assert earlier.created_at + weight <= later.created_at


def test_a_job_says_what_it_waits_for_and_its_place():
    first, second, third = job(1, "train", state="r"), job(2, "tune", 10), job(3, "train", 20)
    other = job(4, "export", 5)
    active = [first, second, third, other]
    assert waits(first, active) is None
    assert waits(third, active).said(lambda one: f"{one.kind} {one.id}") == "Waits for: train 1; 2nd in the queue"
    assert waits(other, active).said(str) == "Waits for: its start; 1st in the queue"
    places = [waits(second, active)._replace(place=place).said(lambda _: "x") for place in (3, 4, 11, 12, 21, 113)]
    assert [text.split()[3] for text in places] == ["3rd", "4th", "11th", "12th", "21st", "113th"]


def test_a_command_says_what_runs_beside_it_only_where_it_would_have_to_wait(settings):
    active = [job(1, "train", state="r"), job(2, "index", state="r"), job(3, "tune")]
    assert [one.id for one in beside("rebuild", active, settings)] == ["1"]
    assert beside("evaluate", active, settings) == []


class Home:
    """A store with a clock of its own, and starters that may be killed between any two steps."""

    def __init__(self, folder):
        self.tick = 100.0
        clock = Clock(now=lambda: self.tick, tick=lambda: self.tick)
        self.stores = [JobStore(folder / "jobs.db", clock=clock) for _ in range(2)]
        self.claimed, self.spawned, self.begun, self.late = [], [], Counter(), set()

    def submit(self, kind, number):
        self.stores[0].add(kind, {"number": number})

    def claim(self, starter, *, killed):
        found = self.stores[starter].claim(LIMITS)
        self.claimed += [] if killed else found

    def spawn(self, *, killed):
        if self.claimed:
            job = self.claimed.pop()
            self.spawned.append(job.id)
            if not killed:
                self.stores[0].set_pid(job.id, 7)

    def report(self):
        if self.spawned:
            job_id = self.spawned.pop(0)
            is_late = is_waiting(self.stores[1].get(job_id))  # it took longer than anybody waits, and has no place
            if self.stores[1].start(job_id, pid=7):
                self.begun[job_id] += 1
                self.late |= {job_id} if is_late else set()

    def end(self):
        for one in self.stores[1].list(-1, active=True):
            if one.state is JobState.RUNNING:
                self.stores[1].finish(one.id, JobState.SUCCEEDED)

    def look(self):
        self.tick += 30
        for one in self.stores[0].list(-1, active=True):
            if one.state is JobState.QUEUED and one.pid is None:
                verdict = judge(one, is_alive=False, now=0, tick=self.tick, patience=Patience(60, 8))
                if verdict is not None:
                    self.stores[0].unclaim(one)

    def check(self):
        active = [one for one in self.stores[0].list(-1, active=True) if one.id not in self.late]
        busy = Counter(lane_of(one.kind).name for one in active if not is_waiting(one))
        assert all(busy[lane] <= limit for lane, limit in LIMITS.items())
        assert all(count == 1 for count in self.begun.values())


steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from(SOME)),
        st.tuples(st.just("claim"), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("spawn"), st.booleans()),
        st.tuples(st.sampled_from(["report", "end", "look"])),
    ),
    min_size=8,
    max_size=16,
)


@given(steps)
@settings(max_examples=5, deadline=None)
def test_starters_that_are_killed_lose_and_double_nothing(tmp_path_factory, told):
    home = Home(tmp_path_factory.mktemp("home"))
    for number, (what, *more) in enumerate(told):
        if what == "submit":
            home.submit(more[0], number)
        elif what == "claim":
            home.claim(more[0], killed=more[1])
        elif what == "spawn":
            home.spawn(killed=more[0])
        else:
            getattr(home, what)()
        home.check()
    for _ in range(200):
        if not home.stores[0].list(1, active=True):
            break
        home.look()
        home.claim(0, killed=False)
        for _ in range(8):
            home.spawn(killed=False)
            home.report()
        home.check()
        home.end()
    submitted = sum(what == "submit" for what, *_ in told)
    done = home.stores[0].list(-1)
    assert home.stores[0].count() == Counter((one.kind, JobState.SUCCEEDED) for one in done)
    assert len(home.begun) == len(done) == submitted


def test_a_moved_job_is_next_and_one_that_has_begun_stays(tmp_path):
    store = JobStore(tmp_path / "jobs.db")
    first, _ = store.add("train", {"n": 1})
    assert [one.id for one in store.claim(LIMITS)] == [first.id]
    assert store.claim(LIMITS) == []
    last = [store.add("train", {"n": number})[0] for number in (2, 3)][-1]
    assert store.set_priority(last.id, Priority.FIRST)
    assert not store.set_priority(first.id, Priority.FIRST)
    assert in_order(store.list(-1, active=True))[0].id == last.id


def test_a_queue_moves_and_schedules_run_although_nobody_looks(settings, monkeypatch, caplog):
    looked, now = [], [0.0]

    def look(_settings):
        looked.append(now[0])
        if now[0]:
            raise JobError("It is busy.")

    monkeypatch.setattr("backend.jobs.tending.JobRunner", look)
    monkeypatch.setattr("backend.jobs.tending.Schedules.look", lambda _: looked.append("schedules"))
    tending = Tending(settings, tick=lambda: now[0])
    for at in (0.0, LOOK_EVERY_S / 2, LOOK_EVERY_S):
        now[0] = at
        tending.look()
    assert looked == ["schedules", 0.0, "schedules", LOOK_EVERY_S]
    assert "It is busy." in caplog.text


def test_an_old_list_of_jobs_opens_and_its_jobs_wait(tmp_path):
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as old:
        for statement in LAYOUT.schema:
            old.execute(statement)
        old.execute(
            "INSERT INTO jobs (id, kind, request, state, created_at) VALUES ('a', 'train', '{}', 'QUEUED', 1.0)"
        )
        old.execute("PRAGMA user_version = 1")
    old.close()
    assert [one.id for one in JobStore(path).claim(LIMITS)] == ["a"]
