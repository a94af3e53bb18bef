from __future__ import annotations

from pathlib import Path

import pytest

from backend.jobs.states import ACTIVE_STATES, JobState
from backend.jobs.store import Job
from backend.jobs.verdict import Patience, judge

PATIENCE = Patience(lost_after_s=15.0, grace_s=8.0)
NOW, TICK = 1_000_000.0, 5_000.0


def verdict_of(state, *, is_alive, **fields):
    values = {"created_at": NOW - 60, "pid": 42, "heartbeat_tick": TICK - 1} | fields
    job = Job("a", "catalogue", {}, JobState(state), log_path=Path("log"), **values)
    verdict = judge(job, is_alive=is_alive, now=NOW, tick=TICK, patience=PATIENCE)
    return verdict and verdict.state


@pytest.mark.parametrize(
    ("fields", "is_alive", "expected"),
    [
        ({}, True, None),
        ({"heartbeat_tick": TICK - 15.0}, True, None),
        ({"heartbeat_tick": TICK - 15.1}, True, "LOST"),
        ({"heartbeat_at": NOW - 9999}, True, None),  # the wall clock jumped, or the machine slept
        ({}, False, "LOST"),
        ({"cancel_requested_at": NOW - 7.9}, True, None),
        ({"cancel_requested_at": NOW - 8.1}, True, "CANCELLED"),
        ({"cancel_requested_at": NOW - 0.1}, False, "CANCELLED"),
        ({"cancel_requested_at": NOW - 0.1, "heartbeat_tick": TICK - 16}, True, "LOST"),
        ({"heartbeat_tick": TICK + 9000}, False, "LOST"),  # the machine was started again
    ],
)
def test_a_running_job(fields, is_alive, expected):
    assert verdict_of("RUNNING", is_alive=is_alive, **fields) == expected


@pytest.mark.parametrize(
    ("fields", "is_alive", "expected"),
    [
        ({}, True, None),
        ({}, False, "FAILED"),
        ({"pid": None, "created_at": NOW - 9999}, False, None),  # it waits for its turn
        ({"pid": None, "claimed_tick": TICK - 14.9}, False, None),
        ({"pid": None, "claimed_tick": TICK - 15.1}, False, "QUEUED"),  # whoever claimed it was killed
        ({"pid": None, "claimed_tick": TICK + 1.0}, False, "QUEUED"),  # the machine was started again
    ],
)
def test_a_queued_job(fields, is_alive, expected):
    assert verdict_of("QUEUED", is_alive=is_alive, **fields) == expected


@pytest.mark.parametrize("state", ACTIVE_STATES)
def test_bad_news_tells_what_happened_and_what_to_do(state):
    job = Job("a", "catalogue", {}, state, created_at=NOW, log_path=Path("log"), pid=42)
    verdict = judge(job, is_alive=False, now=NOW, tick=TICK, patience=PATIENCE)
    assert verdict.error
    assert verdict.next_step
