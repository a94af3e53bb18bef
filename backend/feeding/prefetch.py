"""What is needed next, made in a thread of its own, so that a training step does not wait while a batch is made."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from backend.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from backend.feeding.feed import Batch, Feed

T = TypeVar("T")


class Prefetched:
    """A feed whose next batches are made while the current one is used; the same batches as without.

    Args:
        feed: What makes the batches.
        depth: Batches that may wait to be taken, at least 1; one more is being made meanwhile.

    ``waited_s`` is how long the taker of batches has waited for them in the epoch under way, or in the last one.
    """

    def __init__(self, feed: Feed, depth: int = 2) -> None:
        if depth < 1:
            raise ConfigurationError(f"The prefetch depth must be at least 1, got {depth}.", next_step="Use 2.")
        self._feed, self._depth = feed, depth
        self.waited_s = 0.0

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._feed.steps

    def epoch(self, number: int) -> Generator[Batch]:
        """Yield the batches of an epoch, numbered from 0; the thread ends with the iterator, wherever that is left."""
        self.waited_s = 0.0
        yield from made_ahead(lambda: self._feed.epoch(number), depth=self._depth, on_wait=self._add)

    def _add(self, seconds: float) -> None:
        self.waited_s += seconds


def made_ahead(
    make: Callable[[], Iterable[T]], *, depth: int, on_wait: Callable[[float], None] | None = None
) -> Generator[T]:
    """Yield what ``make()`` yields, in its order, made by another thread up to ``depth`` items ahead.

    What the thread raises is raised here. It ends, and what ``make()`` returned is closed, when this iterator ends or is
    closed. ``on_wait`` hears how many seconds each item was waited for.
    """
    waiting: queue.Queue[_Item[T] | _Failed | None] = queue.Queue(depth)
    stop = threading.Event()
    maker = threading.Thread(target=_make, args=(make, waiting, stop), name="made-ahead", daemon=True)
    maker.start()
    try:
        while True:
            start = time.perf_counter()
            taken = waiting.get()
            if on_wait:
                on_wait(time.perf_counter() - start)
            if taken is None:
                return
            if isinstance(taken, _Failed):
                raise taken.error
            yield taken.value
    finally:
        stop.set()
        _empty(waiting)  # so that a thread that waits for room goes on, and sees that it should stop
        maker.join()


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


def _make(
    make: Callable[[], Iterable[T]], waiting: queue.Queue[_Item[T] | _Failed | None], stop: threading.Event
) -> None:
    """Put what is made, then None, or what went wrong; nothing more once it should stop."""
    last: _Failed | None = None
    try:
        for value in make():
            if stop.is_set():
                return
            waiting.put(_Item(value))
    except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
        last = _Failed(error)
    if not stop.is_set():
        waiting.put(last)


def _empty(waiting: queue.Queue[_Item[T] | _Failed | None]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
