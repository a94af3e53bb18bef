from __future__ import annotations

import logging
import threading
import time

import pytest

from backend.errors import Cancelled
from backend.jobs.reporter import JobReporter
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from tests.support import waiting


def until(condition, timeout_s=5.0):
    waiting.until(condition, timeout_s, look_every_s=0.002)


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs.db")


@pytest.fixture
def job(store):
    job, _ = store.add("catalogue", {})
    store.start(job.id, pid=1)
    return job


@pytest.fixture
def overdue():
    return threading.Event()


@pytest.fixture
def reporter(store, job, overdue):
    return JobReporter(store, job.id, heartbeat_s=0.02, grace_s=0.1, on_overdue=overdue.set)


def test_what_was_reported_last_is_written_at_the_latest_at_the_end(store, job, reporter):
    with reporter:
        for done in range(1, 1001):
            reporter.report(done, 1000, unit="rows", note="counting")
            reporter.metric("loss", 1.0, step=done)
    progress = store.get(job.id).progress
    assert (progress.done, progress.total, progress.unit, progress.note) == (1000, 1000, "rows", "counting")
    assert [step for _, step, _ in store.metrics(job.id)] == list(range(1, 1001))


def test_reports_show_while_the_work_goes_on_and_silence_is_no_death(store, job, reporter):
    with reporter:
        reporter.report(1, 2)
        until(lambda: store.get(job.id).progress.done == 1)
        beat = store.get(job.id).heartbeat_at
        until(lambda: store.get(job.id).heartbeat_at > beat)


def test_rate_and_remaining_time_are_told(store, job, reporter):
    with reporter:
        reporter.report(0, 100)
        time.sleep(0.05)
        reporter.report(50, 100)
    progress = store.get(job.id).progress
    assert 0 < progress.rate <= 1000
    assert progress.eta_s is not None


def test_reporting_is_cheap(reporter):
    with reporter:
        start = time.perf_counter()
        for done in range(10_000):
            reporter.report(done, 10_000)
            reporter.check_cancelled()
        assert time.perf_counter() - start < 1.0  # seen: 0.03 s


def test_a_signal_stops_the_work_and_the_record_tells(store, job, reporter, overdue):
    with reporter:
        reporter.check_cancelled()
        reporter.ask_to_stop()
        with pytest.raises(Cancelled):
            reporter.check_cancelled()
        until(lambda: store.get(job.id).cancel_requested_at is not None)


def test_the_record_alone_stops_the_work(store, job, reporter):
    with reporter:
        store.request_cancel(job.id)
        until(lambda: reporter._stop_asked)
        with pytest.raises(Cancelled):
            reporter.check_cancelled()


def test_a_failure_by_cancellation_is_known_before_any_signal(store, job, reporter):
    assert not reporter.is_cancelled()
    store.request_cancel(job.id)
    assert reporter.is_cancelled()


def test_work_that_does_not_stop_is_overdue_after_the_grace(store, job, reporter, overdue):
    with reporter:
        start = time.monotonic()
        reporter.ask_to_stop()
        assert overdue.wait(5)
        assert time.monotonic() - start >= 0.1


def test_work_that_others_declared_lost_has_to_end(store, job, reporter, overdue):
    with reporter:
        assert not overdue.is_set()
        store.finish(job.id, JobState.LOST)
        assert overdue.wait(5)


def test_a_record_that_cannot_be_written_for_a_while_loses_nothing(store, job, reporter, caplog, monkeypatch):
    path = store._database.path
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr("backend.files.database.BUSY_TIMEOUT_S", 0.01)
    import sqlite3

    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with reporter:
        reporter.metric("loss", 0.5, step=1)
        until(lambda: caplog.records)
        reporter.metric("loss", 0.4, step=2)
        reporter.report(1, 2)
        lock.execute("ROLLBACK")
        lock.close()
        monkeypatch.undo()  # what looks from here on may meet the reporter's own writing
        until(lambda: len(store.metrics(job.id)) == 2)
    assert [step for _, step, _ in store.metrics(job.id)] == [1, 2]
    assert store.get(job.id).progress.done == 1
    assert len(caplog.records) == 1  # said once, not five times a second
