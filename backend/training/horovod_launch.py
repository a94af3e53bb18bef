"""The one door to ``horovod.spark``: ranks started from Spark tasks, in the background, to be followed and stopped."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.errors import EnvironmentUnready
from backend.training.runtime import TENSORFLOW_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)
_START_TIMEOUT_S = 300


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


def launch(archive: Path, folder: Path, ranks: int, stop: threading.Event) -> Running:
    """Start ``run_rank(folder)`` on so many ranks, in tasks of the Spark session that is open.

    Args:
        archive: The package ``backend`` as a zip file that every machine sees.
        folder: The folder of the ranks.
        ranks: How many.
        stop: Set, it ends all ranks.

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
            with _own_signals(stop):
                running.results = run(
                    entry,
                    num_proc=ranks,
                    start_timeout=_START_TIMEOUT_S,
                    use_gloo=True,
                    env=dict(TENSORFLOW_ENVIRONMENT),
                    stdout=_Logged(),
                    stderr=_Logged(),
                    verbose=0,
                )
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
        from backend.training.ranks import run_rank

        return run_rank(folder)

    return on_rank


class _Logged(io.StringIO):
    """A stream whose lines go to the log: what a rank prints before it has a log of its own."""

    def write(self, text: str) -> int:
        if text.strip():
            logger.info("%s", text.rstrip())
        return len(text)


@contextmanager
def _own_signals(stop: threading.Event) -> Iterator[None]:
    """Have Horovod listen to ``stop`` instead of taking SIGTERM and SIGINT, which belong to the job.

    Handlers can be set in the main thread only, which follows the ranks meanwhile.
    """
    from horovod.runner import gloo_run

    before = gloo_run.register_shutdown_event
    gloo_run.register_shutdown_event = lambda: stop
    try:
        yield
    finally:
        gloo_run.register_shutdown_event = before
