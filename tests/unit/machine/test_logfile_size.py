"""A log stays small while somebody writes it, and the newest lines are there."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest

from backend.machine import logfile
from backend.machine.keeper import KeptService
from backend.machine.logfile import turn_over
from backend.machine.supervisor import Service, end, log_of
from tests.support.browsing import free_port
from tests.support.waiting import until

WRITER = """
import sys
for line in sys.stdin:
    print("x" * 99, line.strip(), flush=True)
    print("done", file=sys.stderr, flush=True)
"""


def test_a_log_is_emptied_under_its_writer_and_the_earlier_ones_are_few(tmp_path):
    path = tmp_path / "app.log"
    with path.open("ab") as stream:
        path.chmod(0o600)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.PIPE, text=True
        )
    for number in range(60):
        writer.stdin.write(f"line {number}\n")
        writer.stdin.flush()
        assert writer.stderr.readline() == "done\n"
        turn_over(path, largest=500, earlier=3)
        assert path.stat().st_size <= 500
    writer.communicate(timeout=30)
    files = sorted(tmp_path.iterdir())
    assert [one.name for one in files] == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    told = "".join(one.read_text() for one in (files[3], files[2], files[1], files[0]))
    numbers = [int(line.rsplit(" ", 1)[1]) for line in told.splitlines()]
    assert numbers == list(range(60 - len(numbers), 60))  # the newest, none lost, none twice, no holes
    assert "\0" not in told


def test_a_small_log_and_one_that_is_not_there_are_left_alone(tmp_path):
    turn_over(tmp_path / "app.log")
    (tmp_path / "app.log").write_text("a line\n")
    turn_over(tmp_path / "app.log")
    assert [one.name for one in tmp_path.iterdir()] == ["app.log"]


def test_where_no_copy_can_be_made_the_log_is_small_all_the_same(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * 600)
    (tmp_path / "app.log.1").mkdir()
    turn_over(path, largest=500)
    assert path.stat().st_size == 0


@pytest.mark.slow
def test_whoever_keeps_a_service_running_keeps_its_log_small(settings, monkeypatch):
    monkeypatch.setattr(logfile, "turn_over", partial(turn_over, largest=20_000, earlier=2))
    chatty = "while True: print('x' * 999, flush=True)"
    one = KeptService(Service("app", "The app", free_port(), (sys.executable, "-c", chatty), "/"), settings)
    try:
        until(lambda: one.look(0.0) or log_of(one.service, settings).with_name("app.log.2").is_file())
    finally:
        end(one.process)
    assert len(list(settings.logs_dir.glob("app.log.*"))) == 2
