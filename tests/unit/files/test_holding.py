"""One piece of work at a time on a name: who holds it is said, and the death of the holder frees it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from backend.errors import Cancelled, InUse
from backend.files.holding import held, holder_of, lock_of
from backend.progress import NullProgress
from tests.support.holding import held_elsewhere

QUIET = NullProgress()
WHAT, DOING = "The model 'autumn'", "is being trained"
HOLDER = """
import sys, time
from pathlib import Path
from backend.files.holding import held
from backend.progress import NullProgress
with held(Path(sys.argv[1]), "it", "is being trained", NullProgress()):
    print("held", flush=True)
    time.sleep(600)
"""


class Waiting(NullProgress):
    """Cancels once it heard for whom it waits; or lets go of what is waited for."""

    def __init__(self, then=None):
        self.notes, self._then = [], then

    def report(self, done, total, *, unit="", note=""):
        self.notes.append(note)
        if self._then:
            self._then()

    def check_cancelled(self):
        if self.notes and not self._then:
            raise Cancelled("Stopped.")


def test_who_holds_a_name_is_said_with_what_to_do(tmp_path):
    lock = lock_of(tmp_path / "models" / "autumn")
    with held_elsewhere(lock), pytest.raises(InUse) as refused, held(lock, WHAT, DOING, QUIET, otherwise="go home"):
        pass
    assert (
        refused.value.message == "The model 'autumn' is being trained by process 4711 on far, since 27 Nov 03:12 UTC."
    )
    assert refused.value.next_step == "Wait until it has finished, or stop it with `kill 4711`, or go home."
    with (
        held_elsewhere(lock, job="j-1"),
        pytest.raises(InUse, match="by job j-1") as refused,
        held(lock, WHAT, DOING, QUIET),
    ):
        pass
    assert "jobs cancel j-1" in refused.value.next_step


def test_the_same_piece_of_work_is_let_in_and_another_thread_is_not(tmp_path):
    lock = lock_of(tmp_path / "autumn")
    refused = []

    def other():
        with pytest.raises(InUse) as found, held(lock, WHAT, DOING, QUIET):
            pass
        refused.append(found.value)

    with held(lock, WHAT, DOING, QUIET):
        with held(lock, WHAT, "is being indexed", QUIET):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert holder_of(lock).doing == DOING  # what is further in ends, and the lock stays held
    assert len(refused) == 1
    assert holder_of(lock) is None


def test_whoever_waits_says_for_whom_and_goes_on_when_it_is_free(tmp_path):
    lock = lock_of(tmp_path / "autumn")
    elsewhere = held_elsewhere(lock, "is being indexed")
    elsewhere.__enter__()
    progress = Waiting(then=lambda: elsewhere.__exit__(None, None, None))
    with held(lock, WHAT, DOING, progress, wait=True):
        assert holder_of(lock).doing == DOING
    assert progress.notes == [
        "Waiting: The model 'autumn' is being indexed by process 4711 on far, since 27 Nov 03:12 UTC"
    ]


def test_waiting_can_be_cancelled(tmp_path):
    lock = lock_of(tmp_path / "autumn")
    with held_elsewhere(lock), pytest.raises(Cancelled), held(lock, WHAT, DOING, Waiting(), wait=True):
        pass


def test_a_lock_whose_holder_was_killed_is_free(tmp_path, repository):
    lock = lock_of(tmp_path / "autumn")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], cwd=repository, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        assert holder_of(lock).pid == process.pid
        process.send_signal(signal.SIGKILL)
    assert holder_of(lock) is None
    with held(lock, WHAT, DOING, QUIET):
        pass


@pytest.mark.parametrize("content", ["", "{", '{"colour": "red"}', "[]"])
def test_a_signature_that_cannot_be_read_is_no_reason_to_fail(tmp_path, content):
    lock = lock_of(tmp_path / "autumn")
    with held_elsewhere(lock):
        lock.write_text(content, encoding="utf-8")
        with pytest.raises(InUse, match="The model 'autumn' is in use") as refused, held(lock, WHAT, DOING, QUIET):
            pass
    assert refused.value.next_step
