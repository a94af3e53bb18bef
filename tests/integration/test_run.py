"""All servers as ``make run`` has them, on an open address: who reaches what, who may ask, and what survives what."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from backend.machine.keeper import STATES_FILE
from backend.serving.tokens import token_store
from tests.fixtures.base import settings_for
from tests.support.browsing import free_port
from tests.support.listeners import listening_now, outside
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from backend.settings import Settings

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

RUN = "from backend.machine.keeper import run_everything as run; from backend.settings import load_settings as s; run(s())"
PASSWORD = "pa55-4711"
NAMES = ("mlflow", "endpoint", "app")


@dataclass
class Everything:
    """The keeper's process and what it keeps."""

    process: subprocess.Popen[bytes]
    settings: Settings
    console: Path
    token: str

    def said(self) -> str:
        return self.console.read_text()

    def port(self, name: str) -> int:
        return getattr(self.settings, f"{name}_port")

    def service(self, name: str) -> psutil.Process:
        """The process that the keeper started for a service."""
        mark = {"mlflow": "mlflow", "endpoint": "serve", "app": "app"}[name]
        return next(p for p in psutil.Process(self.process.pid).children() if mark in p.cmdline()[2:5])

    def ask(self, name: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """What a service answers to a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(name), timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def answers(self, name: str) -> bool:
        path = {"mlflow": "/health", "endpoint": "/ping", "app": "/_stcore/health"}[name]
        try:
            return self.ask(name, path)[0] == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def everything(fresh_store, tmp_path_factory):
    """All three servers of a new home, with ``TWINSET_HOST=0.0.0.0`` and a password in an address."""
    home = tmp_path_factory.mktemp("run") / "home"
    home.mkdir()
    shutil.copy(fresh_store, home / "mlflow.db")
    settings = replace(
        settings_for(home),
        host="0.0.0.0",
        log_format="json",
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}?timeout=30&password={PASSWORD}",
        **{f"{name}_port": free_port() for name in NAMES},
    )
    token = token_store(settings).issue("till").reveal()
    console = home.parent / "console"
    with console.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env={**os.environ, **settings.environment()},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    found = Everything(process, settings, console, token)
    try:
        until(lambda: process.poll() is not None or "Twinset is running" in found.said())
        assert process.poll() is None, found.said()
        assert all(found.answers(name) for name in NAMES)
        yield found
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, found.said()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []


def open_addresses():
    """IPv4 addresses of this machine that are not loopback."""
    every = (one for found in psutil.net_if_addrs().values() for one in found if one.family == socket.AF_INET)
    return [one.address for one in every if not one.address.startswith("127.")]


def test_only_the_endpoint_listens_to_others_and_answers_only_to_a_token(everything):
    seen = listening_now(everything.process.pid)
    assert {one.port for one in seen} >= {everything.port(name) for name in NAMES}
    assert {one.port for one in outside(seen)} == {everything.settings.endpoint_port}
    for address in open_addresses():
        near = {everything.port(name) + step for name in NAMES for step in range(4)}  # twelve, the three among them
        assert {port for port in near if connects(address, port)} == {everything.settings.endpoint_port}
        at = f"{address}:{everything.settings.endpoint_port}"
        assert everything.ask("endpoint", "/metrics", Host=at)[0] == 401
        assert everything.ask("endpoint", "/metrics", Host=at, Authorization=f"Bearer {everything.token}")[0] == 200


def connects(address, port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, port)) == 0


@pytest.mark.parametrize(
    ("name", "path", "refused"),
    [
        ("app", "/", 421),
        ("app", "/_stcore/health", 421),
        ("app", "/_stcore/host-config", 421),
        ("mlflow", "/", 403),
        ("mlflow", "/api/2.0/mlflow/experiments/search?max_results=1", 403),
        ("endpoint", "/ping", 421),
        ("endpoint", "/metrics", 421),
    ],
)
def test_a_rebound_name_gets_nothing(everything, name, path, refused):
    own = everything.ask(name, path, Authorization=f"Bearer {everything.token}")
    assert own[0] == 200
    status, _, body = everything.ask(
        name, path, Host=f"evil.example:{everything.port(name)}", Authorization=f"Bearer {everything.token}"
    )
    assert status == refused
    assert len(body) < 300


def test_no_page_but_the_apps_own_opens_its_web_socket(everything):
    port = everything.port("app")
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(address, origin=f"http://127.0.0.1:{port}") as socket_of_a_page:
        assert socket_of_a_page.response.status_code == 101
    for origin in ("http://evil.example", f"http://evil.example:{port}", "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):
            pytest.fail("a foreign page was let in")
    with (
        socket.create_connection(("127.0.0.1", port)) as line,
        pytest.raises(InvalidStatus, match="403"),
        connect(f"ws://evil.example:{port}/_stcore/stream", sock=line, origin=f"http://evil.example:{port}"),
    ):
        pytest.fail("a rebound name was let in")


def test_app_and_mlflow_cannot_be_framed(everything):
    for name, path in (("app", "/"), ("app", "/deploy"), ("app", "/_stcore/health"), ("mlflow", "/")):
        headers = everything.ask(name, path)[1]
        assert headers["x-frame-options"] == "DENY"
        assert name == "mlflow" or headers["content-security-policy"] == "frame-ancestors 'none'"


def test_a_password_in_an_address_is_on_no_command_line_and_in_no_log(everything):
    family = [psutil.Process(everything.process.pid), *psutil.Process(everything.process.pid).children(recursive=True)]
    assert len(family) >= 5  # MLflow has a process of its own for its server
    assert PASSWORD not in " ".join(" ".join(process.cmdline()) for process in family)
    logs = [path.read_text() for path in everything.settings.logs_dir.iterdir()]
    assert len(logs) >= 3
    assert PASSWORD not in everything.said() + "".join(logs)


def test_every_record_of_the_servers_is_a_line_of_json_and_a_request_is_found_by_its_id(everything):
    for name in NAMES:
        everything.ask(name, "/", **{"X-Request-Id": "grep-4711"})
    logs = {path.stem: path.read_text().splitlines() for path in everything.settings.logs_dir.iterdir()}
    plain = {name: [line for line in found if not line.startswith("{")] for name, found in logs.items()}
    assert plain["endpoint"] == []  # Streamlit and MLflow also print
    assert not re.search(r"\b(INFO|WARNING|ERROR)\b", "".join(plain["app"] + plain["mlflow"]))
    lines = {name: [json.loads(line) for line in found if line.startswith("{")] for name, found in logs.items()}
    assert lines.keys() == set(NAMES)
    assert all(found for found in lines.values())
    assert [line["message"].split()[2:4] for line in lines["endpoint"] if line.get("request") == "grep-4711"] == [
        ["GET", "other"]
    ]


def test_whichever_is_killed_comes_back_and_the_others_go_on(everything):
    for name in NAMES:
        before = {each: everything.service(each).pid for each in NAMES}
        os.kill(before[name], signal.SIGKILL)
        until(lambda name=name: f"The {name} was stopped by signal 9" in everything.said())
        until(lambda name=name: f"The {name} is running again." in everything.said())
        after = {each: everything.service(each).pid for each in NAMES}
        assert {each for each in NAMES if before[each] != after[each]} == {name}
        assert all(everything.answers(each) for each in NAMES)
    assert json.loads((everything.settings.home / STATES_FILE).read_text())["troubles"] == []
    assert {one.port for one in outside(listening_now(everything.process.pid))} == {everything.settings.endpoint_port}


def test_it_ends_at_once_while_a_server_waits_to_be_started_again(settings):
    settings.home.mkdir(parents=True)
    broken = replace(
        settings,
        tracking_uri=f"mysql://ada:{PASSWORD}@127.0.0.1:1/runs",  # no driver: MLflow ends at once
        endpoint_port=free_port(),
        app_port=free_port(),
        mlflow_port=free_port(),
    )
    code = f"import backend.machine.keeper as k; k.FIRST_PAUSE_S = k.LONGEST_PAUSE_S = 3600\n{RUN}"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **broken.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = b""
    while b"started again in 3600 s" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGHUP)  # the terminal was closed
    rest, _ = process.communicate(timeout=60)  # an hour, if the pause were waited for
    assert process.returncode == 0
    assert b"Stopping Twinset" in rest
    assert b"ended with status" in said
    assert PASSWORD.encode() not in said + rest
    assert PASSWORD not in "".join(path.read_text() for path in settings.logs_dir.iterdir())


def test_a_run_after_one_that_was_killed_ends_what_that_left_and_has_its_ports(fresh_store, tmp_path):
    (tmp_path / "home").mkdir()
    shutil.copy(fresh_store, tmp_path / "home" / "mlflow.db")
    settings = replace(settings_for(tmp_path / "home"), **{f"{name}_port": free_port() for name in NAMES})
    environment = {**os.environ, **settings.environment()}
    consoles = [tmp_path / name for name in ("first", "second")]
    runs = []
    for console in consoles:
        with console.open("wb") as stream:
            runs.append(subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdout=stream, stderr=stream))
        until(lambda: runs[-1].poll() is not None or "Twinset is running" in consoles[len(runs) - 1].read_text())
        assert runs[-1].poll() is None, console.read_text()
        if len(runs) == 1:
            family = psutil.Process(runs[0].pid).children(recursive=True)
            runs[0].kill()
            runs[0].wait()
            assert all(one.is_running() for one in family)
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert Everything(runs[1], settings, consoles[1], "").answers("endpoint")
    runs[1].terminate()
    assert runs[1].wait(60) == 0
