"""Real work of every kind, good and bad, for the real worker: ``python -m tests.support.worker JOB_ID``.

The request's catalogue names the kind of work, and an argument after a colon.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import CatalogueError
from backend.worker import main

if TYPE_CHECKING:
    from backend.flow.requests import IngestRequest
    from backend.progress import Progress
    from backend.settings import Settings

SLEEPER = "import time; time.sleep(600)"
# Starts a grandchild in a session of its own, as daemons do, then ignores SIGTERM like a busy program.
STUBBORN_PARENT = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
own_session = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
print(own_session.pid, flush=True)
time.sleep(600)
"""


def succeed(argument: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Report ten steps, two metrics, and a result with the types that numeric code returns."""
    import numpy as np

    print("hello from the work")
    for step in range(1, 11):
        progress.check_cancelled()
        progress.report(step, 10, unit="rows", note="counting")
        progress.metric("loss", 1 / step, step=step)
    progress.metric("diverged", float("nan"), step=1)
    return {"argument": argument, "precision": np.float32(0.5), "folder": Path("a")}


def fail(_argument: str, _settings: Settings, _progress: Progress) -> dict[str, Any]:
    """Fail as use cases do."""
    raise CatalogueError("The shelf is empty.", next_step="Fill the shelf.")


def crash(_argument: str, _settings: Settings, _progress: Progress) -> dict[str, Any]:
    """Fail as mistakes do."""
    raise RuntimeError("the secret inner reason")


def mumble(_argument: str, _settings: Settings, _progress: Progress) -> dict[str, Any]:
    """Fail with an error that has no text, as Spark's errors when the JVM was killed."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise ConnectionError("the JVM is gone")

    raise MuteError


def leave(_argument: str, _settings: Settings, _progress: Progress) -> dict[str, Any]:
    """End the process as some libraries do."""
    sys.exit(0)


def babble(_argument: str, _settings: Settings, _progress: Progress) -> dict[str, Any]:
    """Return what is no JSON."""
    return {"result": object()}


def spin(_argument: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Work until cancelled."""
    progress.report(1, 2, note="spinning")
    while True:
        progress.check_cancelled()
        time.sleep(0.005)


def gated(gate: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Work until a file appears."""
    progress.report(1, 2, note="waiting")
    while not Path(gate).exists():
        progress.check_cancelled()
        time.sleep(0.005)
    return {"gate": gate}


def deaf(_argument: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Never look whether the user wants to stop."""
    progress.report(1, 2, note="deaf")
    while True:
        time.sleep(0.005)


def breed(_argument: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Have a child, a grandchild in its own session, and a forked child; tell their numbers in the note."""
    child = subprocess.Popen([sys.executable, "-c", STUBBORN_PARENT], stdout=subprocess.PIPE, text=True)
    grandchild = child.stdout.readline().strip()
    forked = os.fork()
    if not forked:
        signal.pause()
        os._exit(0)
    progress.report(1, 2, note=f"{child.pid} {grandchild} {forked}")
    while True:
        progress.check_cancelled()
        time.sleep(0.005)


def litter(_argument: str, _settings: Settings, progress: Progress) -> dict[str, Any]:
    """Succeed, and leave a child behind."""
    return {"pid": subprocess.Popen([sys.executable, "-c", SLEEPER]).pid}


def fill_disk(_argument: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Write until nothing fits any more."""
    progress.metric("loss", 1.0, step=1)
    with (settings.home / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"\1" * 4096)


def spark(_argument: str, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Run a Spark job that does not end by itself, on the product's own session."""
    from backend.spark.session import open_spark

    sign = settings.home / "spark-task"

    def hold(_element: int) -> None:
        sign.write_text(str(os.getpid()), encoding="ascii")
        time.sleep(600)

    with open_spark(settings, app_name="a job to be cancelled") as session:
        progress.report(1, 2, note="holding")
        session.sparkContext.parallelize([0], 1).foreach(hold)
    return {}


WORK = {
    work.__name__: work
    for work in (succeed, fail, crash, mumble, leave, babble, spin, gated, deaf, breed, litter, fill_disk, spark)
}


def run(request: IngestRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    name, _, argument = request.catalogue.partition(":")
    return WORK[name](argument, settings, progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], run=run))
