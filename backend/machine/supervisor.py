"""The server processes: MLflow's UI, the endpoint and the app; how each is started, waited for and ended."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from backend.access.logs import JSON
from backend.errors import EnvironmentUnready
from backend.errors.addresses import LOOPBACK, connectable, port_in_use
from backend.machine import logfile
from backend.machine.hosts import added_hosts, local_hosts
from backend.settings import ROOT, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backend.settings import Settings

READY_WITHIN_S = 90.0
END_WITHIN_S = 10.0
_MLFLOW_LOG = Path(__file__).with_name("mlflow_log.json")
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "2"}  # one query is quickest on few threads, however many cores there are


@dataclass(frozen=True, slots=True)
class Service:
    """One server process.

    Attributes:
        name, title: What it is called in settings and logs, and for people.
        port, host: Where it listens.
        command: What starts it.
        ready_path: What answers once it is ready.
        path: Below which a browser finds it.
        environment: What it alone is told; may hold passwords.
    """

    name: str
    title: str
    port: int
    command: tuple[str, ...]
    ready_path: str
    host: str = LOOPBACK
    path: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        return f"http://{connectable(self.host)}:{self.port}{self.path}"


def services(settings: Settings) -> list[Service]:
    """The servers of ``make run``, in the order in which they start.

    MLflow has no sign-in, so it listens on loopback whatever the settings say. Its UI is left out where a tracking
    server, which has its own, keeps the runs.
    """
    health = f"{settings.app_path}/_stcore/health"
    command = (sys.executable, "-m", "app")
    app = Service("app", "Twinset", settings.app_port, command, health, settings.app_host, path=settings.app_path)
    ours = [] if is_tracking_server(settings) else [_mlflow(settings)]
    return [*ours, endpoint_service(settings), app]


def _mlflow(settings: Settings) -> Service:
    """MLflow's UI; the addresses of its stores may hold passwords, and a command line is read by everybody."""
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(settings.mlflow_port)),
        *("--workers", "1", "--x-frame-options", "DENY", "--no-serve-artifacts"),
        *(("--uvicorn-opts", f"--log-config {quote(str(_MLFLOW_LOG))}") if settings.log_format == JSON else ()),
    )
    environment = {
        "MLFLOW_BACKEND_STORE_URI": settings.effective_tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": settings.effective_artifact_uri,
        "MLFLOW_SERVER_ALLOWED_HOSTS": _patterns(local_hosts(settings)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"https://{name}" for name in sorted(added_hosts(settings))),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # we have our own jobs; its runner costs a process
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_CONFIGURE_LOGGING": str(settings.log_format != JSON).lower(),
    }
    title = "Runs and models (MLflow)"
    return Service("mlflow", title, settings.mlflow_port, command, "/health", environment=environment)


def _patterns(hosts: frozenset[str]) -> str:
    """Write host names, with any port or none, as MLflow reads them."""
    return ",".join(text for name in sorted(hosts) for text in (name, f"{name.replace('[', '[[]')}:*"))


def is_tracking_server(settings: Settings) -> bool:
    """Whether the runs are kept by a server elsewhere, and not in a database that MLflow's UI could open."""
    return settings.tracking_uri.startswith(("http://", "https://", "databricks"))


def endpoint_service(settings: Settings) -> Service:
    """The recommendation endpoint as a process of its own."""
    command = (sys.executable, "-m", "backend", "serve")
    port, host = settings.endpoint_port, settings.host
    return Service("endpoint", "Recommendation endpoint", port, command, "/ping", host)


@contextmanager
def running(service: Service, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start one service, wait until it answers, and end it and its children on the way out.

    Raises:
        EnvironmentUnready: As for ``started`` and ``await_ready``.
    """
    with started(service, settings) as process:
        await_ready(service, settings, process)
        yield process


@contextmanager
def started(service: Service, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start one service without waiting for it, and end it and its children on the way out.

    Raises:
        EnvironmentUnready: As for ``start``.
    """
    process = start(service, settings)
    try:
        yield process
    finally:
        end(process)


def start(service: Service, settings: Settings) -> subprocess.Popen[bytes]:
    """Start one service, the leader of a process group of its own.

    Raises:
        EnvironmentUnready: Its port is taken.
    """
    check_port(service)
    logfile.turn_over(log_of(service, settings))
    with logfile.opened(log_of(service, settings)) as stream:
        return subprocess.Popen(
            service.command,
            cwd=ROOT,
            env={**os.environ, **settings.environment(), **service.environment, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )


def check_port(service: Service) -> None:
    """Refuse a port that is taken.

    Raises:
        EnvironmentUnready: It is.
    """
    if port_in_use(service.host, service.port):
        raise EnvironmentUnready(
            f"Port {service.port} of the {service.name} is already in use.",
            next_step=f"Stop what uses it, or set TWINSET_{service.name.upper()}_PORT to a free port.",
        )


def log_of(service: Service, settings: Settings) -> Path:
    """The file that holds what a service prints."""
    return settings.logs_dir / f"{service.name}.log"


def await_ready(service: Service, settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """Wait until a started service answers.

    Raises:
        EnvironmentUnready: It ended or stayed silent; the message holds the end of its log.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not answers(service):
        if process.poll() is not None or time.monotonic() > deadline:
            what = f"ended with status {process.poll()}" if process.poll() is not None else "does not answer"
            log = log_of(service, settings)
            raise EnvironmentUnready(
                f"The {service.name} {what}. The end of {log}:\n{logfile.tail(log, 15)}",
                next_step="`make doctor` may show more.",
            )
        time.sleep(0.1)


def answers(service: Service) -> bool:
    """Tell whether a service is ready."""
    connection = http.client.HTTPConnection(connectable(service.host).strip("[]"), service.port, timeout=2)
    try:
        connection.request("GET", service.ready_path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a service's whole process group to end, and kill what has not ended in time."""
    for signum, patience_s in ((signal.SIGTERM, END_WITHIN_S), (signal.SIGKILL, END_WITHIN_S)):
        try:
            os.killpg(process.pid, signum)
            process.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def endpoint_running(settings: Settings) -> Iterator[None]:
    """Have an endpoint for a while: the one that runs, a remote one, or one started and ended here."""
    if settings.endpoint_url or port_in_use(settings.host, settings.endpoint_port):
        yield
        return
    with running(endpoint_service(settings), settings):
        yield


if __name__ == "__main__":  # the health check of a container: `python -m backend.machine.supervisor app`
    sys.exit(not all(answers(one) for one in services(load_settings()) if one.name == sys.argv[1]))
