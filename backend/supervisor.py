"""``make run``: the demo if there is none yet, then MLflow's UI, the endpoint and the app, until Ctrl-C."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.doctor import ROOT, port_in_use
from backend.errors import EnvironmentUnready
from backend.settings import connectable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backend.settings import Settings

READY_WITHIN_S = 90.0
END_WITHIN_S = 10.0
_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # we have our own jobs; its runner costs a process
    "OPENBLAS_NUM_THREADS": "2",  # one query is quickest on few threads, however many cores there are
}


@dataclass(frozen=True, slots=True)
class Service:
    """One server process: its name, the command that starts it, and the path that answers once it is ready."""

    name: str
    title: str
    port: int
    command: tuple[str, ...]
    ready_path: str


def services(settings: Settings) -> list[Service]:
    """The servers of ``make run``, in the order in which they start."""
    python, host = sys.executable, settings.host
    return [
        Service(
            "mlflow",
            "Runs and models (MLflow)",
            settings.mlflow_port,
            (
                *(python, "-m", "mlflow", "server", "--host", host, "--port", str(settings.mlflow_port)),
                *("--backend-store-uri", settings.effective_tracking_uri, "--workers", "1"),
                *("--default-artifact-root", settings.effective_artifact_uri),
            ),
            "/health",
        ),
        endpoint_service(settings),
        Service(
            "app",
            "Twinset",
            settings.app_port,
            (
                *(python, "-m", "streamlit", "run", str(ROOT / "app" / "main.py")),
                *("--server.address", host, "--server.port", str(settings.app_port), "--server.headless", "true"),
                # The larger of both limits; each uploader on a page has its own.
                *("--server.maxUploadSize", str(max(settings.max_upload_mb, settings.max_source_upload_mb))),
            ),
            "/_stcore/health",
        ),
    ]


def endpoint_service(settings: Settings) -> Service:
    """The recommendation endpoint as a process of its own."""
    command = (sys.executable, "-m", "backend", "serve")
    return Service("endpoint", "Recommendation endpoint", settings.endpoint_port, command, "/ping")


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
        EnvironmentUnready: Its port is taken.
    """
    if port_in_use(settings.host, service.port):
        raise EnvironmentUnready(
            f"Port {service.port}, meant for the {service.name}, is in use.",
            next_step=f"Stop what uses it, or set TWINSET_{service.name.upper()}_PORT to a free port.",
        )
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    with _log(service, settings).open("ab") as stream:
        process = subprocess.Popen(
            service.command,
            cwd=ROOT,
            env={**os.environ, **settings.environment(), **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end them in order
        )
    try:
        yield process
    finally:
        end(process)


def _log(service: Service, settings: Settings) -> Path:
    return settings.logs_dir / f"{service.name}.log"


def await_ready(service: Service, settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """Wait until a started service answers.

    Raises:
        EnvironmentUnready: It ended or stayed silent; the message holds the end of its log.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not _answers(settings.host, service.port, service.ready_path):
        if process.poll() is not None or time.monotonic() > deadline:
            what = f"ended with status {process.poll()}" if process.poll() is not None else "does not answer"
            log = _log(service, settings)
            tail = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-15:])
            raise EnvironmentUnready(
                f"The {service.name} {what}. The end of {log}:\n{tail}", next_step="`make doctor` may know more."
            )
        time.sleep(0.1)


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(connectable(host).strip("[]"), port, timeout=2)
    try:
        connection.request("GET", path)
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


def run_everything(settings: Settings) -> int:
    """Start all services, print their addresses and wait for Ctrl-C; returns the exit status."""
    with ExitStack() as stack:
        print("Starting the app, the endpoint and MLflow …", flush=True)
        running_now = [(service, stack.enter_context(started(service, settings))) for service in services(settings)]
        for service, process in running_now:
            await_ready(service, settings, process)
        print("\nTwinset is running. Press Ctrl-C to end it.\n")
        for service, _ in reversed(running_now):
            print(f"  {service.title:26} http://{connectable(settings.host)}:{service.port}")
        print(f"\n  Logs are in {settings.logs_dir}", flush=True)
        return _watch(running_now)


def _watch(running_now: list[tuple[Service, subprocess.Popen[bytes]]]) -> int:
    stop: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda number, _frame: stop.append(number))
    while not stop:
        for service, process in running_now:
            if process.poll() is not None:
                print(f"The {service.name} ended by itself with status {process.returncode}; see its log.")
                return 1
        time.sleep(0.3)
    print("\nEnding Twinset …", flush=True)
    return 0
