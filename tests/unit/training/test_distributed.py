"""Which rank is said to have gone first, from what all of them left in their folder."""

from __future__ import annotations

import os
import threading

import pytest

from backend.errors import ConfigurationError, EnvironmentUnready, TrainingError
from backend.training.distributed import _Run
from backend.training.rank_folder import RankFolder, RankState
from backend.training.ranks import _let_compute, _threads
from backend.training.tracking import NullTracker
from tests.fixtures.models import Listener

LOST_PEER = {"phase": "failed", "error": "HorovodInternalError", "message": "Connection closed by peer"}


@pytest.fixture
def failure(tmp_path):
    """Say what became of two ranks; returns the error that the run raises."""

    def told(*states):
        folder = RankFolder(tmp_path / "ranks")
        folder.begin({})
        for rank, state in enumerate(states):
            folder.write_state(RankState(rank, **state))
            folder.log(rank).write_text(f"rank {rank} was here\n", "utf-8")
        return _Run(folder, len(states), NullTracker(), Listener())._failure(RuntimeError("one of them"))

    return told


def test_a_rank_that_says_nothing_was_killed_and_the_other_only_lost_it(failure):
    error = failure(LOST_PEER, {"phase": "working", "done": 7, "total": 40, "unit": "steps"})
    assert isinstance(error, TrainingError)
    assert error.message.startswith("Rank 1 of 2 was killed or crashed at step 7 of 40.")
    assert "rank 1 was here" in error.message


@pytest.mark.parametrize("other", [{"phase": "stopped"}, LOST_PEER])
def test_a_rank_that_failed_is_named_and_not_the_one_that_was_stopped_for_it(failure, other):
    error = failure(other, {"phase": "failed", "error": "MemoryError", "message": "no more"})
    assert error.message.startswith("Rank 1 of 2 failed with MemoryError: no more.")


def test_an_expected_error_comes_back_as_it_was(failure):
    state = {"phase": "failed", "error": "ConfigurationError", "message": "It is wrong.", "next_step": "Mend it."}
    error = failure({"phase": "stopped"}, state)
    assert isinstance(error, ConfigurationError)
    assert (error.message, error.next_step) == ("Rank 1: It is wrong.", "Mend it.")


def test_without_a_word_of_any_rank_it_is_horovod_that_could_not_run(failure):
    assert isinstance(failure({"phase": "stopped"}, {"phase": "stopped"}), EnvironmentUnready)


def test_threads_that_carry_messages_do_not_interrupt_what_computes():
    before, begun, done = _threads(), threading.Event(), threading.Event()
    messenger = threading.Thread(target=lambda: (begun.set(), done.wait(30)))
    messenger.start()
    try:
        assert begun.wait(30)
        assert messenger.native_id in _threads() - before
        _let_compute({messenger.native_id})
        assert os.sched_getscheduler(messenger.native_id) == os.SCHED_BATCH
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
    finally:
        done.set()
        messenger.join()
