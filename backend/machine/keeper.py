"""``make run``: all servers are started, and whichever dies is started again, until Ctrl-C.

A service that dies is started again after a second, and after twice as long each time it dies again, a minute at most.
The others go on: an endpoint answers without MLflow, and the app shows what it can.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from backend.access.edges import new_address
from backend.access.way_in import app_url, way_in
from backend.errors import EnvironmentUnready, InUse
from backend.errors.addresses import shown
from backend.files.holding import LOCKS, held
from backend.files.storage import write_atomically
from backend.machine import logfile
from backend.machine.processes import JOB_MARK, end_family
from backend.machine.supervisor import (
    END_WITHIN_S,
    READY_WITHIN_S,
    answers,
    check_port,
    end,
    is_tracking_server,
    log_of,
    services,
    start,
)
from backend.progress import NullProgress

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backend.machine.supervisor import Service
    from backend.settings import Settings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0  # whoever ran so long died of something new
STATES_FILE = "services.json"
_LOOK_EVERY_S = 0.2
_TAIL_BYTES, _LAST_LINES = 4096, 3


class KeptService:
    """One service that is started again whenever it dies.

    Attributes:
        service: Which.
        process: Its process; None while none runs.
        deaths: How often it died in a row.
        is_ready: Whether it has answered since it was started.
        due: When it is started, as ``time.monotonic`` counts.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service, self._settings = service, settings
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths, self.is_ready, self.due = 0, False, 0.0
        self._since, self._is_late = 0.0, False

    @property
    def is_settled(self) -> bool:
        """Whether nothing is gained by waiting for it."""
        return self.is_ready or self.deaths > 0 or self._is_late

    def look(self, now: float) -> str:
        """Do what is due now, and return what there is to say about it, if anything."""
        if self.process is None:
            return self._start(now) if now >= self.due else ""
        if (status := self.process.poll()) is not None:
            return self._died(now, _ending(status))
        logfile.turn_over(log_of(self.service, self._settings))
        if self.is_ready:
            self.deaths = 0 if now - self._since > STEADY_S else self.deaths
            return ""
        if answers(self.service):
            self.is_ready, self._since = True, now
            return f"The {self.service.name} is running again." if self.deaths else ""
        if not self._is_late and now - self._since > READY_WITHIN_S:
            self._is_late = True
            return f"The {self.service.name} does not answer yet; its log is {log_of(self.service, self._settings)}."
        return ""

    def _start(self, now: float) -> str:
        self.is_ready, self._is_late, self._since = False, False, now
        try:
            self.process = start(self.service, self._settings)
        except (EnvironmentUnready, OSError) as error:
            return self._died(now, f"cannot be started ({error})")
        return ""

    def _died(self, now: float, how: str) -> str:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # what it leaves behind would keep its port
        pause_s = min(FIRST_PAUSE_S * 2**self.deaths, LONGEST_PAUSE_S)
        self.process, self.is_ready, self.due = None, False, now + pause_s
        self.deaths += 1
        return f"The {self.service.name} {how}; it is started again in {pause_s:g} s.{self._last_words()}"

    def _last_words(self) -> str:
        log = log_of(self.service, self._settings)
        if not log.is_file():
            return ""
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
        last = [f"  {shown(line)[:300]}" for line in lines if line.strip()][-_LAST_LINES:]
        return "\n".join([f" The end of {log}:", *last]) if last else ""


def _ending(status: int) -> str:
    if status < 0:
        return f"was stopped by signal {-status}"
    return f"ended with status {status}"


def run_everything(settings: Settings, *, tend: Callable[[], object] = bool) -> int:
    """Start all services, print their addresses and keep them running until Ctrl-C; returns the exit status.

    ``tend`` is called again and again meanwhile.

    Raises:
        EnvironmentUnready: A port is taken; nothing was started.
        SettingsError: The app would be open to other machines; nothing was started.
    """
    way_in(settings)
    mark = {JOB_MARK: f"run of {settings.home}"}
    marked = (replace(one, environment={**one.environment, **mark}) for one in services(settings))
    kept = [KeptService(service, settings) for service in marked]
    with _only_one(settings, mark[JOB_MARK]), _stopping() as stop:
        for one in kept:
            check_port(one.service)
        print("Starting the app, the endpoint and MLflow …", flush=True)
        try:
            _keep(kept, settings, stop, tend)
            print("\nStopping Twinset …", flush=True)
        finally:
            for one in reversed(kept):
                if one.process is not None:
                    end(one.process)
            (settings.home / STATES_FILE).unlink(missing_ok=True)
    return 0


@contextmanager
def _only_one(settings: Settings, mark: str) -> Iterator[None]:
    """End what an earlier run of this home left running when it was killed: it would keep the ports."""
    with ExitStack() as stack:
        with suppress(InUse):  # another run lives; it has other ports, or this one is refused for them
            lock = settings.home / LOCKS / "run"
            stack.enter_context(held(lock, "Twinset", "is running", NullProgress()))
            end_family(mark, None, grace_s=END_WITHIN_S)
        yield


def _keep(kept: list[KeptService], settings: Settings, stop: list[int], tend: Callable[[], object]) -> None:
    is_announced = False
    while not stop:
        said = [text for one in kept if not stop and (text := one.look(time.monotonic()))]
        if said:
            print("\n".join(said), flush=True)
            _write_states(kept, settings.home / STATES_FILE)
        if not is_announced and all(one.is_settled for one in kept):
            is_announced = True
            _announce(kept, settings)
        tend()
        time.sleep(_LOOK_EVERY_S)


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and the end of the terminal, which would leave the servers without anybody to end them."""
    stop: list[int] = []
    is_detached = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as nohup has it
    signals = (signal.SIGINT, signal.SIGTERM, *(() if is_detached else (signal.SIGHUP,)))
    before = {one: signal.signal(one, lambda number, _frame: stop.append(number)) for one in signals}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _announce(kept: list[KeptService], settings: Settings) -> None:
    print("\nTwinset is running. Press Ctrl-C to stop it.\n")
    for one in reversed(kept):
        url = app_url(settings) if one.service.name == "app" else one.service.url
        print(f"  {one.service.title:26} {url}")
    if is_tracking_server(settings):
        print(f"  {'Runs and models (MLflow)':26} {shown(settings.tracking_uri)}")
    print(f"\n  Logs are in {settings.logs_dir}")
    if told := _how_to_sign_in(settings):
        print(f"\n{told}")
    print(end="", flush=True)


def _how_to_sign_in(settings: Settings) -> str:
    """Return what opens the app; the secret goes to a terminal only, since a file may be read by others."""
    if way_in(settings) != "address":
        return ""
    if not sys.stdout.isatty():
        return "  To sign in, run `python -m backend sign-in` and open the address that it prints."
    return f"  To sign in, open this address; it works once, for an hour:\n\n  {new_address(settings)}"


# ---------------------------------------------------------------------------------------- what a page shows of it


@dataclass(frozen=True, slots=True)
class Trouble:
    """A service that does not run: its title, and how often it died in a row."""

    title: str
    deaths: int


def troubles(home: Path) -> list[Trouble]:
    """Return the services that died and have not answered since, as their keeper noted; none where none runs."""
    try:
        noted = json.loads((home / STATES_FILE).read_text("utf-8"))
        return [Trouble(**one) for one in noted["troubles"]] if psutil.pid_exists(noted["keeper"]) else []
    except FileNotFoundError:
        return []


def _write_states(kept: list[KeptService], path: Path) -> None:
    dead = [{"title": one.service.title, "deaths": one.deaths} for one in kept if one.deaths and not one.is_ready]
    with suppress(OSError):  # a full disk ends no service
        write_atomically(path, json.dumps({"keeper": os.getpid(), "troubles": dead}).encode(), lasting=False)
