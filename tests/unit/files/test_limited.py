from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import psutil
import pytest

from backend.errors import Cancelled, CatalogueNotFound, ImageRejected
from backend.files.limited import REPOSITORY, LimitedProcess, LimitExceeded, Limits
from tests.support.waiting import until

LIMITS = Limits(memory_bytes=400_000_000, cpu_s=20, wall_s=120)


def working(function, limits=LIMITS):
    return LimitedProcess(f"tests.support.limited_work:{function}", limits)


def exceeded(function, question, **limits):
    with working(function, replace(LIMITS, **limits)) as process, pytest.raises(LimitExceeded) as caught:
        process.ask(question)
    assert not psutil.pid_exists(process.pid)
    assert caught.value.message.endswith(".")
    return caught.value.limit


def test_one_process_answers_many_questions_of_any_size():
    with working("twice") as process:
        assert process.ask(b"") == b""
        assert process.ask(b"ab") == b"abab"
        assert len(process.ask(bytes(3_000_000))) == 6_000_000
    assert not psutil.pid_exists(process.pid)


def test_what_a_library_prints_is_no_answer():
    with working("chatter") as process:
        assert process.ask(b"ok") == b"ok"


def test_it_gets_neither_settings_nor_secrets(monkeypatch):
    monkeypatch.setenv("TWINSET_ENDPOINT_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with working("environment") as process:
        names = process.ask(b"").decode().split()
    assert "PATH" in names
    assert not [name for name in names if "TOKEN" in name or "SECRET" in name]


def test_refusals_come_back_as_what_they_are():
    with working("refuse") as process:
        with pytest.raises(CatalogueNotFound) as caught:
            process.ask(b"table")
        assert (caught.value.message, caught.value.next_step) == ("There is none.", "Load one.")
        with pytest.raises(ImageRejected) as caught:
            process.ask(b"picture")
        assert (caught.value.code, caught.value.status) == ("damaged", 422)


def test_a_mistake_of_ours_comes_back_with_its_traceback():
    with working("fail") as process, pytest.raises(RuntimeError, match="a mistake of ours"):
        process.ask(b"")


def test_too_much_memory_is_refused():
    assert exceeded("eat_in_between", b"500000000") == "memory"
    with working("eat_in_between") as process:
        assert process.ask(b"100000000") == b"100000000"


def test_too_large_an_answer_is_refused():
    assert exceeded("eat", b"3000000", answer_bytes=2_999_999) == "answer"


def test_a_process_that_hangs_is_ended_in_time():
    assert exceeded("sleep", b"600", wall_s=0.5) == "time"


@pytest.mark.slow
def test_a_process_that_computes_on_is_ended_by_the_system():
    assert exceeded("spin", b"", cpu_s=1) == "time"


@pytest.mark.parametrize(("signal", "limit"), [("SIGSEGV", "damage"), ("SIGABRT", "memory"), ("SIGKILL", "memory")])
def test_a_process_that_breaks_down_is_a_refusal(signal, limit):
    assert exceeded("die", signal.encode()) == limit


def test_whoever_waits_can_look_up_meanwhile_and_let_go():
    with working("sleep") as process:
        process.send(b"600")
        assert process.answer(0.05) is None
        timer = threading.Timer(0.1, process.cancel)
        timer.start()
        with pytest.raises(Cancelled):
            process.answer(60)
        timer.join()
    assert not psutil.pid_exists(process.pid)


@pytest.mark.parametrize("work", ["sleep", "spin"])
def test_it_ends_when_its_owner_is_killed(work):
    code = (
        "from backend.files.limited import *\n"
        "limits = Limits(400_000_000, 600, 600)\n"
        f"process = LimitedProcess('tests.support.limited_work:{work}', limits)\n"
        "process.send(b'600')\nprint(process.pid, flush=True)\nprocess.answer(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE)
    pid = int(owner.stdout.readline())
    child = psutil.Process(pid)
    until(lambda: work == "sleep" or child.cpu_times().user > 0.3)  # in the middle of its work, not at its start
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
