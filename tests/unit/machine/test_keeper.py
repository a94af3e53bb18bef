"""A server that dies is started again, later each time, and the others are left alone."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from app.__main__ import serve
from backend.access.sign_ins import sign_ins
from backend.errors import SettingsError
from backend.machine import keeper
from backend.machine.keeper import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, KeptService, Trouble, troubles
from backend.machine.supervisor import Service, answers, end
from tests.support.browsing import free_port
from tests.support.waiting import until

WEB = "import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
FAILING = "print('no licence found'); raise SystemExit(3)"


@contextmanager
def kept(settings, code=WEB, name="app"):
    port = free_port()
    one = KeptService(Service(name, f"The {name}", port, (sys.executable, "-c", code.format(port=port)), "/"), settings)
    try:
        yield one
    finally:
        if one.process is not None:
            end(one.process)


def ready(one, now):
    """Look until it answers; returns all that was said."""
    said = []
    until(lambda: said.append(one.look(now)) or one.is_ready)
    return "".join(said)


def dead(one, now):
    """Look until its death is noticed; returns what was said."""
    said = []
    until(lambda: said.append(one.look(now)) or one.process is None)
    return "".join(said)


@pytest.mark.slow
def test_one_that_is_killed_comes_back_and_the_others_keep_their_process(settings):
    with kept(settings) as killed, kept(settings, name="mlflow") as other:
        assert ready(killed, 0) == ready(other, 0) == ""
        pids = killed.process.pid, other.process.pid
        os.kill(pids[0], signal.SIGKILL)
        said = dead(killed, 1.0)
        assert "The app was stopped by signal 9" in said
        assert "it is started again in 1 s" in said
        assert killed.look(1.0 + FIRST_PAUSE_S / 2) == ""
        assert killed.process is None
        assert ready(killed, 1.0 + FIRST_PAUSE_S) == "The app is running again."
        assert killed.process.pid != pids[0]
        assert other.look(9) == ""
        assert other.process.pid == pids[1]
        assert answers(other.service)


@pytest.mark.slow
def test_one_that_dies_again_and_again_is_started_later_each_time(settings):
    with kept(settings, FAILING) as one:
        now, pauses = 0.0, []
        for _ in range(8):
            one.look(now)
            said = dead(one, now)
            pauses.append(one.due - now)
            now = one.due
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert "ended with status 3" in said
        assert "no licence found" in said
        assert f"it is started again in {LONGEST_PAUSE_S:g} s" in said


def test_one_that_ran_for_long_is_started_again_at_once(settings):
    with kept(settings) as one:
        one.deaths = 5
        ready(one, 0)
        one.look(STEADY_S + 1)
        os.kill(one.process.pid, signal.SIGKILL)
        assert "in 1 s" in dead(one, STEADY_S + 2)


@pytest.mark.slow
def test_what_a_dead_server_leaves_behind_does_not_keep_its_port(settings):
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {web!r}]); time.sleep(600)"
    with kept(settings, child.format(web=WEB)) as one:
        ready(one, 0)
        os.kill(one.process.pid, signal.SIGKILL)
        dead(one, 0)
        until(lambda: not answers(one.service))
        assert ready(one, FIRST_PAUSE_S) == "The app is running again."


def test_a_port_that_was_taken_meanwhile_is_one_more_death(settings):
    with kept(settings) as one, socket.create_server(("127.0.0.1", one.service.port)):
        said = one.look(0)
        assert f"cannot be started (Port {one.service.port} of the app is already in use." in said
        assert (one.process, one.deaths, one.due) == (None, 1, FIRST_PAUSE_S)


def test_one_that_never_answers_is_said_to_be_late_once_and_left_alone(settings):
    with kept(settings, "import time; time.sleep(600)") as one:
        one.look(0)
        process = one.process
        assert "does not answer yet" in one.look(keeper.READY_WITHIN_S + 1)
        assert one.is_settled
        assert one.look(keeper.READY_WITHIN_S + 2) == ""
        assert one.process is process


def test_a_page_hears_of_those_that_are_down_while_their_keeper_lives(settings):
    settings.home.mkdir(parents=True)
    path = settings.home / keeper.STATES_FILE
    assert troubles(settings.home) == []
    with kept(settings, FAILING) as down, kept(settings, name="mlflow") as fine:
        down.look(0)
        dead(down, 0)
        ready(fine, 0)
        keeper._write_states([down, fine], path)
        assert troubles(settings.home) == [Trouble("The app", 1)]
    gone = path.read_text().replace(str(os.getpid()), "999999999")
    path.write_text(gone)
    assert troubles(settings.home) == []


@pytest.mark.parametrize("start", [serve, keeper.run_everything])
def test_without_sign_in_nothing_starts_on_an_address_that_others_reach(settings, start):
    with pytest.raises(SettingsError, match=r"open to everyone who can reach 0\.0\.0\.0"):
        start(replace(settings, app_host="0.0.0.0"))
    assert not settings.logs_dir.exists()


def test_the_address_to_open_is_printed_to_a_terminal_and_not_into_a_file(settings, capsys, monkeypatch):
    asked = replace(settings, sign_in="address", app_port=8501)
    keeper._announce([], asked)
    said = capsys.readouterr().out
    assert "python -m backend sign-in" in said
    assert "key=" not in said
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    keeper._announce([], asked)
    (key,) = re.findall(r"^  http://127\.0\.0\.1:8501/sign-in\?key=(\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert sign_ins(asked).use(key).role == "admin"
    keeper._announce([], settings)
    assert "sign" not in capsys.readouterr().out
