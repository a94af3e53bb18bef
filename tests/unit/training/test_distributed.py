"""Which rank is said to have gone first, from what all of them left in their folder."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from backend.errors import ConfigurationError, EnvironmentUnready, TrainingError
from backend.training.ranks.distributed import _Run
from backend.training.ranks.rank_folder import RankFolder, RankState
from backend.training.ranks.ranks import _let_compute, _threads
from backend.training.tracking import NullTracker
from tests.fixtures.models import Listener

# What TensorFlow prints whenever it starts, below whatever level.
START_UP = """2026-11-27 03:23:06.569112: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:32] Could not find cuda drivers
2026-11-27 03:19:26.801714: E external/local_xla/xla/stream_executor/cuda/cuda_fft.cc:477] Unable to register cuFFT factory
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
E0000 00:00:1795749787.034209   18018 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to register
I0000 00:00:1795749787.042519   18018 gpu_device.cc:2022] Created device
To enable the following instructions: AVX2 AVX512F FMA, in other operations, rebuild TensorFlow.
Your CPU supports instructions that this binary was not compiled to use: AVX2
For maximum performance, you can install NMSLIB from sources
pip install --no-binary :all: nmslib
Extension modules: numpy.core._multiarray_umath, horovod (total: 118)
"""
LOST_PEER = {"phase": "failed", "error": "HorovodInternalError", "message": "Connection closed by peer"}


@pytest.fixture
def failure(tmp_path):
    """Say what became of two ranks; returns the error that the run raises."""

    def told(*states):
        folder = RankFolder(tmp_path / "ranks")
        folder.begin({})
        for rank, state in enumerate(states):
            folder.write_state(RankState(rank, **state))
            folder.log(rank).write_text(f"rank {rank} was here\n{START_UP}", "utf-8")
        return _Run(folder, len(states), NullTracker(), Listener())._failure(RuntimeError("one of them"))

    return told


def test_a_rank_that_says_nothing_was_killed_and_the_other_only_lost_it(failure):
    error = failure(LOST_PEER, {"phase": "working", "done": 7, "total": 40, "unit": "steps"})
    assert isinstance(error, TrainingError)
    assert error.message.startswith("Rank 1 of 2 was killed or crashed at step 7 of 40.")
    assert error.message.endswith("Its last lines:\nrank 1 was here")


def test_a_rank_is_named_with_its_host(failure):
    told = {"host": "far-away", "done": 7, "total": 40, "unit": "steps"}
    error = failure(LOST_PEER, {"phase": "working", **told})
    assert error.message.startswith("Rank 1 of 2 on far-away was killed or crashed at step 7 of 40.")
    error = failure({"phase": "failed", "error": "EnvironmentUnready", "message": "No.", "host": "far-away"})
    assert error.message == "Rank 0 on far-away: No."


def test_resume_is_advised_where_there_is_a_checkpoint_and_nowhere_else(failure, tmp_path):
    gone = {"phase": "working", "host": "here"}
    assert "no checkpoint to resume from" in failure(gone).next_step
    (tmp_path / "state-001.npz").touch()
    assert failure(gone).next_step == "Resume the training; it continues from its last checkpoint."


def test_a_rank_that_printed_nothing_of_its_own_has_no_last_lines(tmp_path):
    folder = RankFolder(tmp_path)
    folder.log(0).write_text(START_UP, "utf-8")
    assert folder.last_lines(0) == ""
    folder.log(0).write_text(f"{START_UP}E0000 00:00:17957 1 cuda_driver.cc:12] failed to allocate 4.2 GiB\n", "utf-8")
    assert "failed to allocate" in folder.last_lines(0)


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


def test_ranks_that_never_get_a_slot_are_ended_and_the_number_is_told(tmp_path, monkeypatch):
    """A worker may leave between the look at the slots and the start; Horovod would wait for minutes."""
    from backend.training.ranks import distributed

    folder, heard = RankFolder(tmp_path / "ranks"), Listener()
    folder.begin({})
    run = _Run(
        folder, 2, NullTracker(), heard, SimpleNamespace(sparkContext=SimpleNamespace(master="spark://far:7077"))
    )
    offered, waits_s = [1], [3600]
    monkeypatch.setattr(distributed, "slots", lambda _: offered[0])
    monkeypatch.setattr(distributed, "patience", lambda _: waits_s[0])
    run._end_without_slots()
    assert heard.reports[-1][3] == "waiting for Spark: 1 of 2 slots"
    waits_s[0] = 0
    with pytest.raises(
        ConfigurationError, match=r"2 workers were requested, but Spark on spark://far:7077 has 1 slots"
    ):
        run._end_without_slots()
    offered[0] = 2
    run._end_without_slots()
    offered[0] = 0
    for rank in range(2):
        folder.write_state(RankState(rank, host="here"))
    run._end_without_slots()  # they have begun: a machine that leaves now takes a rank with it, which is told otherwise
