"""What every part of Twinset relies on when it reads or writes jobs; SQLite on disk is the one implementation."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from backend.access.person import Person, Role
from backend.errors import IllegalTransition, JobError, JobNotFound, StorageFull
from backend.jobs.clock import Clock
from backend.jobs.runner import REPOSITORY
from backend.jobs.states import JobState, check_transition
from backend.jobs.store import JobProgress, JobStore, MetricPoint
from backend.settings import ROOT

REQUEST = {"source": "sample", "catalogue": "shop", "seed": 7}
START = 1_700_000_000.0


class FakeTime:
    def __init__(self):
        self.now, self.tick = START, 50.0

    def pass_(self, seconds):
        self.now += seconds
        self.tick += seconds

    @property
    def clock(self):
        return Clock(now=lambda: self.now, tick=lambda: self.tick)


@pytest.fixture
def time_():
    return FakeTime()


@pytest.fixture
def store(tmp_path, time_):
    return JobStore(tmp_path / "home" / "jobs.db", clock=time_.clock)


@pytest.fixture
def running(store):
    job, _ = store.add("catalogue", REQUEST)
    assert store.start(job.id, pid=4242)
    return store.get(job.id)


def test_a_list_of_an_earlier_version_opens_and_then_holds_who_asked(tmp_path):
    shutil.copy(ROOT / "tests" / "stored" / "before-rooms" / "jobs.db", tmp_path)
    store = JobStore(tmp_path / "jobs.db")
    before = store.list()
    assert {job.state for job in before} == {JobState.SUCCEEDED, JobState.FAILED}
    assert {job.asked_by for job in before} == {None}
    anna = Person("anna@shop.example", Role.MERCHANDISER, "app", "192.0.2.7")
    job, _ = store.add("similar", {}, asked_by=anna)
    assert JobStore(tmp_path / "jobs.db").get(job.id).asked_by == anna
    assert store.list()[1:] == before


def in_state(store, state, number):
    job, _ = store.add("catalogue", {"number": number})
    if state is JobState.QUEUED:
        return job
    if state is not JobState.FAILED:
        store.start(job.id, pid=1)
    if state is not JobState.RUNNING:
        store.finish(job.id, state, source=store.get(job.id).state)
    return store.get(job.id)


def test_a_new_job(store, tmp_path):
    job, is_new = store.add("catalogue", REQUEST)
    assert is_new
    assert (job.kind, job.request, job.state, job.created_at) == ("catalogue", REQUEST, JobState.QUEUED, START)
    assert (job.started_at, job.finished_at, job.pid, job.result, job.error) == (None, None, None, None, None)
    assert job.progress == JobProgress()
    assert job.log_path == tmp_path / "home" / "logs" / f"{job.id}.log"
    assert store.get(job.id) == job


def test_a_whole_life(store, time_):
    job, _ = store.add("train", REQUEST)
    time_.pass_(1)
    assert store.start(job.id, pid=77)
    time_.pass_(2)
    store.record(job.id, progress=JobProgress(5, 10, "rows", "counting", 2.5, 2.0))
    time_.pass_(0.5)
    read = store.get(job.id)
    assert (read.state, read.pid, read.started_at, read.heartbeat_at) == ("RUNNING", 77, START + 1, START + 3)
    assert read.progress == JobProgress(5, 10, "rows", "counting", 2.5, 1.5)
    assert read.progress.fraction == 0.5
    assert store.finish(job.id, JobState.SUCCEEDED, result={"rows": 10, "share": np.float64(0.1)})
    read = store.get(job.id)
    assert (read.state, read.finished_at, read.result) == ("SUCCEEDED", START + 3.5, {"rows": 10, "share": 0.1})
    assert read.progress.eta_s is None


def test_remaining_time_runs_out_and_not_below_nothing(store, running, time_):
    store.record(running.id, progress=JobProgress(1, 2, eta_s=3.0))
    time_.pass_(100)
    assert store.get(running.id).progress.eta_s == 0.0


def test_an_unknown_job(store):
    with pytest.raises(JobNotFound):
        store.get("nobody")


@pytest.mark.parametrize(("source", "target"), list(product(JobState, JobState)))
def test_only_legal_moves_and_only_from_where_the_job_is(store, source, target):
    job = in_state(store, source, 1)
    try:
        check_transition(source, target)
    except IllegalTransition:
        with pytest.raises(IllegalTransition):
            store.finish(job.id, target, source=source)
        assert store.get(job.id) == job
        return
    others = {JobState.QUEUED, JobState.RUNNING} - {source}
    for other in others:
        try:
            assert not store.finish(job.id, target, source=other)
        except IllegalTransition:
            continue
    assert store.get(job.id) == job
    assert store.finish(job.id, target, source=source)
    assert store.get(job.id).state is target


def test_a_job_starts_once(store):
    job, _ = store.add("catalogue", REQUEST)
    assert store.start(job.id, pid=1)
    assert not store.start(job.id, pid=2)
    assert store.get(job.id).pid == 1


def test_the_spawned_process_does_not_overwrite_the_one_that_reported(store, running):
    store.set_pid(running.id, 1)
    assert store.get(running.id).pid == 4242


def test_an_identical_active_request_is_the_same_job(store):
    first, _ = store.add("catalogue", REQUEST)
    again, is_new = store.add("catalogue", dict(reversed(REQUEST.items())))
    assert (again.id, is_new) == (first.id, False)
    store.start(first.id, pid=1)
    assert store.add("catalogue", REQUEST)[0].id == first.id
    assert store.add("train", REQUEST)[1]
    assert store.add("catalogue", REQUEST | {"seed": 8})[1]


@pytest.mark.parametrize("state", [state for state in JobState if state.is_finished])
def test_a_finished_request_may_run_again(store, state):
    first = in_state(store, state, 1)
    again, is_new = store.add(first.kind, first.request, retry_of=first.id)
    assert is_new
    assert again.retry_of == first.id


def test_the_database_itself_refuses_a_second_active_job(store, running, tmp_path):
    with sqlite3.connect(tmp_path / "home" / "jobs.db") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO jobs (id, kind, request, state, created_at) "
            "SELECT 'other', kind, request, 'QUEUED', 0 FROM jobs"
        )
    connection.close()


def test_lists_newest_first_with_limit_kind_and_activity(store, time_):
    ids = []
    for number, kind in enumerate(["catalogue", "train", "catalogue"]):
        time_.pass_(1)
        ids.append(store.add(kind, {"number": number})[0].id)
    store.finish(ids[2], JobState.CANCELLED, source=JobState.QUEUED)
    assert [job.id for job in store.list()] == ids[::-1]
    assert [job.id for job in store.list(2)] == ids[:0:-1]
    assert [job.id for job in store.list(kind="catalogue")] == [ids[2], ids[0]]
    assert [job.id for job in store.list(active=True)] == [ids[1], ids[0]]
    assert [job.id for job in store.list(kind="catalogue", active=True)] == [ids[0]]


def test_metrics_come_back_in_order_even_when_training_diverged(store, running):
    store.record(running.id, metrics=[MetricPoint("loss", 1, 0.5), MetricPoint("val.map_at_r", 1, 0.25)])
    store.record(running.id, metrics=[MetricPoint("loss", 2, math.nan), MetricPoint("loss", 3, math.inf)])
    names_and_steps = [(name, step) for name, step, _ in store.metrics(running.id)]
    values = [value for _, _, value in store.metrics(running.id)]
    assert names_and_steps == [("loss", 1), ("val.map_at_r", 1), ("loss", 2), ("loss", 3)]
    assert values[:2] == [0.5, 0.25]
    assert math.isnan(values[2])
    assert values[3] == math.inf


def test_a_sign_of_life_changes_nothing_else_and_tells_what_is_wanted(store, running, time_):
    time_.pass_(5)
    assert store.record(running.id) == (True, False)
    read = store.get(running.id)
    assert (read.heartbeat_at, read.heartbeat_tick, read.progress) == (START + 5, 55.0, running.progress)
    store.request_cancel(running.id)
    assert store.record(running.id) == (True, True)


def test_the_first_request_to_cancel_counts(store, running, time_):
    store.request_cancel(running.id)
    time_.pass_(5)
    store.request_cancel(running.id)
    read = store.get(running.id)
    assert read.cancel_requested_at == START
    assert read.is_stopping


def test_nothing_can_be_added_to_a_finished_job(store, running):
    store.finish(running.id, JobState.LOST, error="Silence.", next_step="Retry it.")
    ended = store.get(running.id)
    assert not store.record(running.id, progress=JobProgress(9, 9), metrics=[MetricPoint("loss", 1, 1.0)]).is_running
    store.request_cancel(running.id)
    assert not store.finish(running.id, JobState.SUCCEEDED, result={})
    assert store.get(running.id) == ended
    assert store.metrics(running.id) == []
    assert (ended.error, ended.next_step) == ("Silence.", "Retry it.")


def test_a_result_that_is_no_json_is_refused_and_changes_nothing(store, running):
    with pytest.raises(TypeError, match="plain JSON values, not set"):
        store.finish(running.id, JobState.SUCCEEDED, result={"labels": {"bag"}})
    assert store.get(running.id) == running


def test_another_store_on_the_same_file_sees_everything(store, running, tmp_path, time_):
    store.record(running.id, progress=JobProgress(1, 2), metrics=[MetricPoint("loss", 1, 0.5)])
    other = JobStore(tmp_path / "home" / "jobs.db", clock=time_.clock)
    assert other.get(running.id) == store.get(running.id)
    assert other.metrics(running.id) == store.metrics(running.id)


def test_a_home_that_was_deleted_meanwhile_is_made_again(store, running, tmp_path):
    for path in (tmp_path / "home").iterdir():
        path.unlink()
    (tmp_path / "home").rmdir()
    assert store.list() == []
    assert store.add("catalogue", REQUEST)[1]


def test_threads_that_submit_the_same_at_once_get_one_job(store):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.add("catalogue", REQUEST), range(24)))
    assert sum(is_new for _, is_new in answers) == 1
    assert len({job.id for job, _ in answers}) == 1


PROCESS = """
import sys
from pathlib import Path
from backend.jobs.store import JobStore, MetricPoint
sys.stdin.readline()  # all start at once
store = JobStore(Path(sys.argv[1]))
job, is_new = store.add("catalogue", {"same": True})
won = store.start(job.id, pid=int(sys.argv[2]))
for step in range(50):
    store.record(job.id, metrics=[MetricPoint(sys.argv[2], step, 0.0)])
print(int(is_new), int(won))
"""


def test_processes_that_begin_at_once_on_no_file_at_all(tmp_path):
    path, count = tmp_path / "new" / "jobs.db", 4
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, path, str(number)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, count + 1)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    assert sum(int(is_new) for is_new, _ in answers) == 1
    assert sum(int(won) for _, won in answers) == 1
    store = JobStore(path)
    [job] = store.list()
    assert {(name, step) for name, step, _ in store.metrics(job.id)} >= {(str(job.pid), step) for step in range(50)}


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "jobs.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(JobError, match="damaged") as caught:
        JobStore(tmp_path / "jobs.db").list()
    assert "Move the file away" in caught.value.next_step


def test_a_file_of_the_future_is_left_alone(store, running, tmp_path):
    connection = sqlite3.connect(tmp_path / "home" / "jobs.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JobError, match="newer Twinset"):
        store.list()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JobError, match="cannot be used"):
        JobStore(tmp_path / "file" / "jobs.db").list()


def test_a_file_that_stays_locked_is_told(store, running, tmp_path, monkeypatch):
    monkeypatch.setattr("backend.files.database.BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(tmp_path / "home" / "jobs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JobError, match="busy"):
        store.record(running.id)
    assert store.get(running.id) == running  # readers are not held up
    other.close()


def test_a_full_database_is_told_and_undone(store, running, tmp_path, monkeypatch):
    connect = sqlite3.connect

    def small(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite allows no growth beyond what is there
        return connection

    monkeypatch.setattr("backend.files.database.sqlite3.connect", small)
    with pytest.raises(StorageFull, match="full"):
        store.record(running.id, metrics=[MetricPoint("x" * 20_000, 1, 1.0)])
    monkeypatch.undo()
    assert store.metrics(running.id) == []
