from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from backend.machine.processes import JOB_MARK, end_family, family, is_worker, signal_all

SLEEP = "import time; time.sleep(600)"
JOB_ID = "feedc0ffee00"


@pytest.fixture
def start():
    """Start sleeping processes that end with the test."""
    started = []

    def start(*arguments, mark=None, code=SLEEP, **options):
        env = {name: value for name, value in os.environ.items() if name != JOB_MARK}
        env |= {JOB_MARK: mark} if mark else {}
        command = [sys.executable, "-c", code, *arguments]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def numbers(job_id=JOB_ID, pid=None):
    return {process.pid for process in family(job_id, pid)}


def test_a_worker_is_known_by_the_job_in_its_command_line(start):
    process = start(JOB_ID)
    assert is_worker(process.pid, JOB_ID)
    assert not is_worker(process.pid, "another")
    assert not is_worker(os.getpid(), JOB_ID)  # the number was given to another process
    assert not is_worker(None, JOB_ID)


def test_a_worker_is_known_from_its_first_moment_on(start):
    """While the system replaces the program of a new process, its command line and environment read as empty."""
    for _ in range(8):
        worker = start(JOB_ID)
        assert is_worker(worker.pid, JOB_ID)
        marked = start(mark=JOB_ID)
        assert marked.pid in numbers()
        worker.kill()
        marked.kill()


def test_a_zombie_is_not_alive(start):
    process = start(JOB_ID)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but still in the table
    assert not is_worker(process.pid, JOB_ID)
    assert numbers(pid=process.pid) == set()


def test_the_family_is_mark_and_group(start):
    code = f"""
import subprocess, sys, time
helper = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}], stdout=subprocess.DEVNULL).pid)"
orphan = subprocess.run([sys.executable, "-c", helper], stdout=subprocess.PIPE, text=True).stdout
print(orphan, flush=True)
time.sleep(600)
"""
    worker = start(JOB_ID, code=code, start_new_session=True)
    orphan = int(worker.stdout.readline())  # no descendant any more, and without the mark: only the group tells
    marked = start(mark=JOB_ID, start_new_session=True)
    start(mark="another job")
    assert numbers(pid=worker.pid) == {worker.pid, marked.pid, orphan}
    assert end_family(JOB_ID, worker.pid) == 3


def test_a_descendant_that_hides_the_mark_belongs_to_it_and_another_job_does_not(start):
    code = f"""
import os, subprocess, sys, time
clean = {{name: value for name, value in os.environ.items() if name != {JOB_MARK!r}}}
hidden = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], env=clean, start_new_session=True)
other = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], env=clean | {{{JOB_MARK!r}: "other"}})
print(hidden.pid, other.pid, flush=True)
time.sleep(600)
"""
    worker = start(JOB_ID, mark=JOB_ID, code=code)
    hidden, other = map(int, worker.stdout.readline().split())
    assert numbers(pid=worker.pid) == {worker.pid, hidden}
    assert end_family(JOB_ID, worker.pid) == 2
    assert psutil.pid_exists(other)
    assert end_family("other", None) == 1


def test_the_group_of_a_dead_worker_is_not_trusted(start):
    stranger = start(start_new_session=True)  # now has the number that a worker once had
    assert numbers(pid=stranger.pid) == set()
    assert end_family(JOB_ID, stranger.pid) == 0
    assert stranger.poll() is None


def test_a_process_that_ends_when_asked_is_not_killed(start):
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); signal.pause()"
    process = start(mark=JOB_ID, code=code)
    process.stdout.readline()
    assert end_family(JOB_ID, None, grace_s=5) == 1
    assert process.wait(5) == 7


def test_a_process_that_does_not_listen_is_killed(start):
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    process = start(mark=JOB_ID, code=code)
    process.stdout.readline()
    assert end_family(JOB_ID, None, grace_s=0.05) == 1
    assert process.wait(5) == -9


def test_signalling_one_that_has_ended_is_no_error(start):
    process = start(mark=JOB_ID)
    [listed] = family(JOB_ID, None)
    process.kill()
    process.wait()
    signal_all([listed], 15)
