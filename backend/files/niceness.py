"""Letting others go first: work in the background gets the processor time that the endpoint and the app leave.

Niceness alone does nothing between sessions where Linux groups processes by session for its scheduler (autogroup): each
session gets the same share, however nice its processes are. So the group is made as nice as the process; what a process
starts inherits its niceness, but not that of the group where it opens a session of its own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_GROUP, _THREADS = Path("/proc/self/autogroup"), Path("/proc/self/task")


def yield_to_others(niceness: int) -> None:
    """Let this process, which leads its session, and all that it starts go after others from now on.

    Args:
        niceness: How far, as Linux counts it: 10 is a weight of 110 beside the usual 1,024, and 0 changes nothing.
    """
    if niceness == 0:
        return
    niceness = max(niceness, os.getpriority(os.PRIO_PROCESS, 0))
    threads = [int(path.name) for path in _THREADS.iterdir()] if _THREADS.is_dir() else [0]
    for thread in threads:  # Linux keeps it for each
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
        if hasattr(os, "SCHED_BATCH"):  # does not interrupt others when it wakes up
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    keep_yielding()


def keep_yielding() -> None:
    """Make this process's session as nice as the process itself; for who may be in a session of their own."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness > 0:
        with suppress(OSError):  # no such groups here, or they were changed a moment ago
            _GROUP.write_text(str(niceness), encoding="ascii")
