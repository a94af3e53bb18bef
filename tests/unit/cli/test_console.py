"""A command is cancelled by Ctrl-C and by SIGTERM alike, and ended by the second one."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

import pytest

from backend.cli.console import ConsoleProgress
from backend.errors import Cancelled, JobError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Waits in a loop that never looks whether it is cancelled, as a hanging library would.
DEAF = """
import time
from backend.cli.console import ConsoleProgress
with ConsoleProgress().cancelled_by_signals():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(600)
        except BaseException:
            print("asked", flush=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_handlers_are_put_back(number, capfd):
    before = [signal.getsignal(one) for one in SIGNALS]
    with ConsoleProgress().cancelled_by_signals() as progress:
        progress.check_cancelled()
        os.kill(os.getpid(), number)
        with pytest.raises(Cancelled, match="Stopped at your request"):
            progress.check_cancelled()
    assert [signal.getsignal(one) for one in SIGNALS] == before
    assert "Stopping …" in capfd.readouterr().err


@pytest.mark.parametrize(("first", "second"), [*itertools.product(SIGNALS, SIGNALS)])
def test_the_second_signal_ends_the_work_whatever_it_does(first, second):
    with pytest.raises(KeyboardInterrupt), ConsoleProgress().cancelled_by_signals():  # noqa: PT012 - the second raises
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)


def test_whatever_fails_after_the_wish_is_the_cancellation(capfd):
    """Who sends SIGTERM may send it to a JVM below as well, whose death is then no error of its own."""
    with pytest.raises(Cancelled) as told, ConsoleProgress().cancelled_by_signals():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        raise JobError("The JVM is gone.")
    assert isinstance(told.value.__cause__, JobError)
    with pytest.raises(JobError), ConsoleProgress().cancelled_by_signals():
        raise JobError("The JVM is gone.")


def test_a_third_sigterm_kills_what_does_not_listen(repository):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", DEAF], cwd=repository, text=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert "Stopping …" in process.stderr.readline()
        process.terminate()
        assert process.stdout.readline() == "asked\n"
        process.terminate()
    assert process.returncode == -signal.SIGTERM
