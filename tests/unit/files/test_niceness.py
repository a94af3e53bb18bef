"""Work in the background is nice in every thread, and so are the sessions that it and what it starts are in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.jobs.runner import REPOSITORY

WORK = """
import json, os, threading
from pathlib import Path
from backend.files.niceness import keep_yielding, yield_to_others

def group():
    path = Path("/proc/self/autogroup")
    return int(path.read_text().rpartition(" ")[2]) if path.is_file() else None

done = threading.Event()
threading.Thread(target=done.wait).start()  # as libraries have theirs before the work begins
keep_yielding()
before = [os.getpriority(os.PRIO_PROCESS, 0), group()]
yield_to_others(0)
assert os.sched_getscheduler(0) == 0
yield_to_others(10)
threads = [int(one.name) for one in Path("/proc/self/task").iterdir()]
after = [[os.getpriority(os.PRIO_PROCESS, one), os.sched_getscheduler(one)] for one in threads] + [group()]
done.set()
reader, writer = os.pipe()
if not os.fork():
    os.setsid()
    apart = group()
    keep_yielding()
    os.write(writer, json.dumps([os.getpriority(os.PRIO_PROCESS, 0), apart, group()]).encode())
    os._exit(0)
os.wait()
print(json.dumps([before, after, json.loads(os.read(reader, 100))]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux keeps it for each thread")
def test_all_threads_and_all_sessions_yield():
    ran = subprocess.run(
        [sys.executable, "-c", WORK], cwd=REPOSITORY, capture_output=True, check=True, start_new_session=True
    )
    before, (*threads, group), child = json.loads(ran.stdout)
    expected = max(10, before[0])
    assert len(threads) == 2
    assert {tuple(one) for one in threads} == {(expected, 3)}  # SCHED_BATCH
    if group is None:
        assert child == [expected, None, None]
    else:
        assert (before[1], group, child[0], child[2]) == (before[0], expected, expected, expected)
        assert child[1] == 0  # what a session of its own begins with, however nice the process is
