"""Services start, are waited for, and end with everything they started."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from backend.errors import EnvironmentUnready
from backend.machine import supervisor
from backend.machine.supervisor import Service, running


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def service(port: int, code: str, path: str = "/") -> Service:
    return Service("app", "A service", port, (sys.executable, "-c", code), path)


def web(port: int, *, with_child: bool = False) -> str:
    child = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)'])\n"
    serve = f"import http.server as h; h.HTTPServer(('127.0.0.1',{port}), h.BaseHTTPRequestHandler).serve_forever()"
    return (child if with_child else "") + serve.replace("h.BaseHTTPRequestHandler", "h.SimpleHTTPRequestHandler")


def test_a_service_is_ready_when_it_answers_and_gone_with_its_children(settings, free_port):
    with running(service(free_port, web(free_port, with_child=True)), settings) as process:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(family) == 2
        assert supervisor.port_in_use("127.0.0.1", free_port)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_one_that_ends_by_itself_is_told_with_the_end_of_its_log(settings, free_port):
    failing = service(free_port, "import sys; print('no licence found'); sys.exit(3)")
    with (
        pytest.raises(EnvironmentUnready, match=r"ended with status 3[\s\S]*no licence found"),
        running(failing, settings),
    ):
        pytest.fail("it never was ready")


def test_a_taken_port_is_told_with_the_setting_that_moves_it(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = service(server.getsockname()[1], "pass")
        with pytest.raises(EnvironmentUnready, match="is already in use") as error, running(taken, settings):
            pytest.fail("it was started beside another")
    assert "TWINSET_APP_PORT" in error.value.next_step


def test_one_that_will_not_listen_is_killed(settings, free_port, monkeypatch):
    monkeypatch.setattr(supervisor, "END_WITHIN_S", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + web(free_port)
    with running(service(free_port, deaf), settings) as process:
        assert process.poll() is None
    assert process.returncode == -9


def test_everything_listens_where_the_settings_say(settings):
    for item in supervisor.services(settings):
        assert "0.0.0.0" not in item.command
        assert item.name in {"mlflow", "endpoint", "app"}


def test_no_secret_is_on_a_command_line(settings):
    from dataclasses import replace

    from backend.settings import SecretStr

    secret = replace(settings, endpoint_token=SecretStr("t0p-s3cret"))
    assert "t0p-s3cret" not in str([item.command for item in supervisor.services(secret)])
    assert secret.environment()["TWINSET_ENDPOINT_TOKEN"] == "t0p-s3cret"


def test_ending_what_has_ended_is_no_error():
    process = subprocess.Popen([sys.executable, "-c", "pass"], start_new_session=True)
    process.wait()
    supervisor.end(process)


@pytest.mark.slow
def test_the_app_runs_where_its_log_cannot_be_written(settings, free_port):
    log = settings.logs_dir / "app.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    app = next(found for found in supervisor.services(replace(settings, app_port=free_port)) if found.name == "app")
    with running(app, replace(settings, app_port=free_port)) as process:
        assert process.poll() is None
