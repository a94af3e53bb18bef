"""The processes of a job: which they are, and how all of them are ended.

A number alone does not identify a process, the system gives it to another one later. A worker is known by the job's id
in its command line, and whatever it starts by the same id in the environment that children inherit. Unlike start times,
both survive corrections of the clock, and unlike groups and parents, the environment still tells a dead job's orphans.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Not TWINSET_…: those are settings, and an unknown one is an error.
JOB_MARK = "_TWINSET_JOB"

_ROUNDS = 5  # a process may start another one while it is being ended
_KILL_WAIT_S = 2.0
_POLL_S = 0.01
_EXEC_WAIT_S = 0.5
_KERNEL = (0, 2)  # the parents of what never had a command line


def is_worker(pid: int | None, job_id: str) -> bool:
    """Tell whether a process is alive and the worker of that job."""
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        _await_program(process)
        return job_id in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@dataclass(frozen=True, slots=True)
class _Row:
    process: psutil.Process
    parent: int
    mark: str  # the id of the job it belongs to; empty when it carries none or hides it


def family(job_id: str, pid: int | None) -> Sequence[psutil.Process]:
    """List the living processes of a job: the marked ones, the worker's process group, and all their descendants.

    The group counts only while the worker leads it: after its death the number may belong to someone else.
    A descendant that carries another job's mark is that job's.
    """
    leads = is_worker(pid, job_id)
    rows = {row.process.pid: row for row in map(_look, psutil.process_iter()) if row is not None}
    found = {n for n, row in rows.items() if row.mark == job_id or (leads and not row.mark and _group_of(n) == pid)}
    newest = found
    while newest:
        newest = {n for n, row in rows.items() if row.parent in newest and not row.mark} - found
        found |= newest
    return [rows[number].process for number in sorted(found)]


def signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each process that is still the one that was listed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # ended by itself meanwhile
            process.send_signal(number)


def end_family(job_id: str, pid: int | None, *, grace_s: float = 0.0) -> int:
    """End every process of a job but the caller: ask, wait at most ``grace_s`` seconds, kill. Return how many there were.

    A few processes that cannot be ended (they hang in the kernel) stay; the caller is not held up by them.
    """
    ended = 0
    for _ in range(_ROUNDS):
        members = [process for process in family(job_id, pid) if process.pid != os.getpid()]
        if not members:
            break
        count = len(members)
        if grace_s > 0:
            signal_all(members, signal.SIGTERM)
            members = _wait(members, grace_s)
        signal_all(members, signal.SIGKILL)
        stuck = _wait(members, _KILL_WAIT_S)
        ended += count - len(stuck)
        if stuck:
            break
    return ended


def _wait(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes that are not our children; return those that are left."""
    deadline = time.monotonic() + timeout_s
    left = [process for process in processes if not _is_gone(process)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [process for process in left if not _is_gone(process)]
    return left


def _is_gone(process: psutil.Process) -> bool:
    """A zombie has ended; only its parent can remove what is left of it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _look(process: psutil.Process) -> _Row | None:
    """Read what tells a process's family; None for one that has ended."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        parent = process.ppid()
    except psutil.Error:
        return None
    try:
        _await_program(process)
        mark = process.environ().get(JOB_MARK, "")
    except (psutil.Error, OSError):  # another user's process: not ours
        mark = ""
    return _Row(process, parent, mark)


def _await_program(process: psutil.Process) -> None:
    """Wait until a process that has just been started shows what it runs.

    While the system replaces its program, command line and environment read as empty, and whoever started it may
    already go on: of processes looked at straight after their start on a busy machine, every fourth is in that state.
    """
    deadline = time.monotonic() + _EXEC_WAIT_S
    while not process.cmdline() and process.ppid() not in _KERNEL and time.monotonic() < deadline:
        time.sleep(0.001)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return -1
