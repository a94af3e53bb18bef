"""The one door to ``horovod.spark``: ranks started from Spark tasks, in the background, to be followed and stopped."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from backend.errors import EnvironmentUnready
from backend.errors.addresses import LOOPBACK
from backend.training.runtime import TENSORFLOW_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)
_START_TIMEOUT_S = 300
_one_at_a_time = threading.Lock()  # what a launch changes in Horovod holds for the whole process


@dataclass
class Running:
    """A launch under way.

    Attributes:
        results: What the ranks returned, in their order, once they are done.
        error: What Horovod raised instead.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        """Wait for its end, for so long at most, and tell whether it came."""
        return self._ended.wait(seconds)


def launch(archive: Path, folder: Path, ranks: int, stop: threading.Event, *, on_loopback: bool = False) -> Running:
    """Start ``run_rank(folder)`` on so many ranks, in tasks of the Spark session that is open.

    Args:
        archive: The package ``backend`` as a zip file that every machine sees.
        folder: The folder of the ranks.
        ranks: How many.
        stop: Set, it ends all ranks.
        on_loopback: Whether all of it is on this machine, so that nothing needs to be reached from another.

    Raises:
        EnvironmentUnready: Horovod is not installed.
    """
    try:
        import horovod.spark
    except ImportError as error:
        raise EnvironmentUnready("Horovod cannot be imported.", next_step="Run `make setup`.") from error
    running, run = Running(), horovod.spark.run
    entry = _entry(str(archive), str(folder))

    def work() -> None:
        try:
            with (
                _one_at_a_time,
                _as_we_launch(stop),
                _listening_on_loopback() if on_loopback else nullcontext() as nics,
            ):
                running.results = run(
                    entry,
                    num_proc=ranks,
                    start_timeout=_START_TIMEOUT_S,
                    use_gloo=True,
                    env=dict(TENSORFLOW_ENVIRONMENT),
                    stdout=_Logged(),
                    stderr=_Logged(),
                    verbose=0,
                    nics=nics,
                )
            # Of a process that it ends, Horovod reads the status in two threads; the one that comes late takes it for 0.
            if any(result is None for result in running.results):
                raise RuntimeError("a worker ended without a result")  # noqa: TRY301 - as Horovod says it otherwise
        except BaseException as error:  # noqa: BLE001 - raised again by whoever follows
            running.error = error
        finally:
            running._ended.set()  # noqa: SLF001 - its own

    threading.Thread(target=work, name="horovod", daemon=True).start()
    return running


def _entry(archive: str, folder: str) -> Callable[[], dict[str, Any]]:
    """Return what a rank runs; it is shipped by value, since ranks find ``backend`` only through it."""

    def on_rank() -> dict[str, Any]:
        import sys

        sys.path.insert(0, archive)
        from backend.training.ranks.ranks import run_rank

        return run_rank(folder)

    return on_rank


class _Logged(io.StringIO):
    """A stream whose lines go to the log: what a rank prints before it has a log of its own."""

    def write(self, text: str) -> int:
        if text.strip():
            logger.info("%s", text.rstrip())
        return len(text)


@contextmanager
def _as_we_launch(stop: threading.Event) -> Iterator[None]:
    """Have Horovod listen to ``stop`` instead of taking SIGTERM and SIGINT, which belong to the job, and start at once.

    Handlers can be set in the main thread only, which follows the ranks meanwhile. And to learn whether Gloo was built,
    which set-up sees to, Horovod would import TensorFlow in a copy of this process first: seconds, and its connections
    to Spark's JVM break when the copy ends.
    """
    from horovod.runner import gloo_run, launch

    before = gloo_run.register_shutdown_event, launch.gloo_built, threading.excepthook
    gloo_run.register_shutdown_event, launch.gloo_built = lambda: stop, lambda **_: True
    threading.excepthook = partial(_end_of_a_thread, otherwise=before[2])
    try:
        yield
    finally:
        gloo_run.register_shutdown_event, launch.gloo_built, threading.excepthook = before


@contextmanager
def _listening_on_loopback() -> Iterator[set[str]]:
    """Have driver, rendezvous and tasks listen on loopback only, and yield the interface that ranks shall use.

    Horovod's ``nics`` says which addresses are named to others; its servers listen on all of them none the less, and
    the rendezvous asks nobody who he is.
    """
    import horovod.spark.runner as spark_runner
    from horovod.runner.util.network import get_local_intfs

    make_mapper = spark_runner._make_mapper  # noqa: SLF001 - what a task runs; there is no other way into it
    undo = listen_on_loopback()
    spark_runner._make_mapper = lambda *told: _mapper_on_loopback(make_mapper(*told))  # noqa: SLF001
    try:
        yield get_local_intfs()
    finally:
        spark_runner._make_mapper = make_mapper  # noqa: SLF001
        undo()


def _mapper_on_loopback(mapper: Callable[[int, Any], Iterator[Any]]) -> Callable[[int, Any], Iterator[Any]]:
    def on_loopback(index: int, rows: Any) -> Iterator[Any]:
        listen_on_loopback()
        yield from mapper(index, rows)

    return on_loopback


def listen_on_loopback() -> Callable[[], None]:
    """Have the servers that Horovod starts in this process listen on loopback; returns what takes that back."""
    from horovod.runner.common.util import network
    from horovod.runner.http import http_server

    def port_on_loopback(server_at: Callable[[tuple[str, int]], Any]) -> tuple[Any, int]:
        server = server_at((LOOPBACK, 0))
        return server, int(server.server_address[1])

    def take_back() -> None:
        network.find_port, http_server.find_port = before

    before = network.find_port, http_server.find_port
    network.find_port = http_server.find_port = port_on_loopback
    return take_back


def _end_of_a_thread(ended: threading.ExceptHookArgs, *, otherwise: Callable[[threading.ExceptHookArgs], Any]) -> None:
    """Horovod's threads raise again what it tells us anyway, with all that Java has to say about it."""
    if any("horovod" in Path(frame.filename).parts for frame in extract_tb(ended.exc_traceback)):
        logger.debug("a thread of Horovod ended with %s", ended.exc_type.__name__)
        return
    otherwise(ended)
