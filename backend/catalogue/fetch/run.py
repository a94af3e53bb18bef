"""Fetch the pictures of a source: many at a time, a few from each host, noted one by one, and stopped at any moment.

Addresses come from the list page by page and what became of each goes back to it at once: memory does not grow with the
number of pictures, and a fetch that was killed goes on with those that have no answer yet.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Self

from backend.catalogue.fetch.gate import can_be_asked
from backend.catalogue.fetch.slot import Slot, take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backend.catalogue.fetch.exchange import Line
    from backend.catalogue.fetch.fetcher import Fetcher
    from backend.catalogue.fetch.gate import Hosts
    from backend.catalogue.fetch.records import Fetched, HostCount, Records, Which
    from backend.progress import Progress

_MOST_THREADS = 32
_LOOK_S = 0.05
_UNCHANGED = 304
_REPORT_S = 0.5
_SAMPLE = 6  # pictures of a host that are fetched to say how long all take


@dataclass(slots=True)
class Tally:
    """What a fetch did, counted.

    Attributes:
        asked: Addresses that were asked.
        fetched: Pictures that came, with their bytes in ``n_bytes``.
        unchanged: Pictures that are still the ones in the store, those that were sent once more among them.
        failed: Addresses without a picture, by the code of the reason.
    """

    asked: int = 0
    fetched: int = 0
    n_bytes: int = 0
    unchanged: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, found: Fetched) -> None:
        """Count one more."""
        self.asked += 1
        if found.reason:
            code = found.reason.partition(":")[0]
            self.failed[code] = self.failed.get(code, 0) + 1
        elif found.status == _UNCHANGED:
            self.unchanged += 1
        else:
            self.fetched += 1
            self.n_bytes += found.n_bytes


class _Shared:
    """An iterator that many threads take from."""

    def __init__(self, items: Iterable[tuple[str, Fetched | None]]) -> None:
        self._items, self._lock = iter(items), threading.Lock()

    def take(self) -> tuple[str, Fetched | None] | None:
        with self._lock:
            return next(self._items, None)


class Lanes:
    """The threads of a fetch; a context manager, after which all have ended.

    A thread goes on once its answer was noted: of a fetch that is killed, only what was still being sent is asked again.

    Args:
        fetcher: Fetches one.
        note: Keeps what became of some addresses.
    """

    def __init__(self, fetcher: Fetcher, note: Callable[[list[Fetched]], None]) -> None:
        self._fetcher, self._note = fetcher, note
        self._pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="fetch")
        self._open: list[Future[None]] = []
        self._found: Queue[tuple[Fetched, threading.Event]] = Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._fetcher.stop()
        try:
            while not all(lane.done() for lane in self._open):
                self._drain(_LOOK_S)
            self._drain(0.0)
        finally:
            if not all(lane.done() for lane in self._open):
                self._fetcher.stop()
                self._drop()
            self._pool.shutdown()

    def start(self, host: str, items: Iterable[tuple[str, Fetched | None]], *, most: int) -> None:
        """Have the addresses of a host fetched, by as many threads as it may be asked at once, and are worth while."""
        shared = _Shared(items)
        at_once = self._fetcher.manners.at_once(is_own=self._fetcher.hosts.is_own(host))
        self._open += [self._pool.submit(self._work, shared) for _ in range(max(1, min(at_once, most)))]

    def run(self, progress: Progress) -> None:
        """Note what becomes of addresses until all are done; errors of the threads are raised here."""
        while not all(lane.done() for lane in self._open):
            progress.check_cancelled()
            self._drain(_LOOK_S)
        self._drain(0.0)
        for lane in self._open:
            lane.result()

    def _drain(self, wait_s: float) -> None:
        """Note all answers that there are by now, in one transaction, and have their threads go on."""
        found: list[tuple[Fetched, threading.Event]] = []
        with suppress(Empty):
            found.append(self._found.get(timeout=wait_s) if wait_s else self._found.get_nowait())
            while True:
                found.append(self._found.get_nowait())
        if found:
            self._note([one for one, _ in found])
            for _, noted in found:
                noted.set()

    def _drop(self) -> None:
        """Have threads go on whose answers cannot be noted, as where the disk is full."""
        while not all(lane.done() for lane in self._open):
            with suppress(Empty):
                self._found.get(timeout=_LOOK_S)[1].set()

    def _work(self, shared: _Shared) -> None:
        line, slot = self._fetcher.line(), Slot(self._fetcher.store)
        try:
            self._fetch_all(shared, line, slot)
        except BaseException:
            self._fetcher.stop()  # the others need not go on, as where the disk is full
            raise
        finally:
            line.close()
            slot.close()

    def _fetch_all(self, shared: _Shared, line: Line, slot: Slot) -> None:
        stopped = self._fetcher.manners.clock.stopped
        while not stopped.is_set() and (item := shared.take()) is not None:
            found = self._fetcher.fetch(item[0], line, item[1], before_kept=slot.write)
            if not found.reason or not stopped.is_set():  # what was cut says nothing about the picture
                noted = threading.Event()
                self._found.put((found, noted))
                noted.wait()


def fetch_due(fetcher: Fetcher, records: Records, source: str, which: Which, progress: Progress) -> Tally:
    """Fetch the addresses of a source that are due.

    Args:
        fetcher: Fetches one.
        records: Where the source's addresses are listed, and what becomes of them is noted.
        source: Its name there.
        which: Which of them.
        progress: Told how many are done; asked whether to stop.

    Raises:
        Cancelled: The user asked to stop; what was fetched stays.
        StorageFull: No space is left.
    """
    take_over(records, fetcher.store)
    hosts = [host for host in records.hosts(source, which) if host.due and fetcher.hosts.allow(host.host)]
    items = {host.host: (records.due(source, host.host, which), host.due) for host in hosts}
    return _fetched(fetcher, records, items, progress, note="Fetching pictures")


def fetch_sample(fetcher: Fetcher, records: Records, source: str, which: Which, progress: Progress) -> dict[str, Any]:
    """Fetch a few pictures of each host, and estimate from them what all would take.

    Returns:
        ``hosts``: for each its name, ``addresses``, ``due``, whether it is ``allowed`` and whether it ``can_be_asked`` at
        all; ``n_bytes`` and ``seconds`` for all that are due, None where nothing could be fetched.
    """
    take_over(records, fetcher.store)
    hosts = records.hosts(source, which)
    allowed = {host.host: fetcher.hosts.allow(host.host) for host in hosts}
    picked = {
        host.host: (first(records.due(source, host.host, which), _SAMPLE), _SAMPLE)
        for host in hosts
        if host.due and allowed[host.host]
    }
    started = time.monotonic()
    tally = _fetched(fetcher, records, picked, progress, note="Fetching a sample")
    taken = time.monotonic() - started
    due = sum(host.due for host in hosts if allowed[host.host])
    rest = max(0, due - tally.asked)
    return {
        "hosts": host_rows(hosts, fetcher.hosts),
        "due": rest,
        "n_bytes": round(tally.n_bytes / tally.fetched * rest) if tally.fetched else None,
        "seconds": round(taken / tally.asked * rest, 1) if tally.fetched else None,
    }


def host_rows(counts: Iterable[HostCount], hosts: Hosts) -> list[dict[str, Any]]:
    """Return what is known of each host of a source, as JSON values."""
    return [
        {**one._asdict(), "allowed": hosts.allow(one.host), "can_be_asked": can_be_asked(one.host)} for one in counts
    ]


def first(items: Iterable[tuple[str, Fetched | None]], count: int) -> list[tuple[str, Fetched | None]]:
    """Return the first of what is due; the rest is not read."""
    return [item for item, _ in zip(items, range(count), strict=False)]


def _fetched(
    fetcher: Fetcher,
    records: Records,
    items: Mapping[str, tuple[Iterable[tuple[str, Fetched | None]], int]],
    progress: Progress,
    *,
    note: str,
) -> Tally:
    total = sum(count for _, count in items.values())
    tally, reported = Tally(), 0.0

    def noted(found: list[Fetched]) -> None:
        nonlocal reported
        records.add(found)
        for one in found:
            tally.add(one)
        if time.monotonic() - reported > _REPORT_S:
            reported = time.monotonic()
            progress.report(tally.asked, max(total, tally.asked), unit="pictures", note=note)

    with records.held_open(), Lanes(fetcher, noted) as lanes:
        for host, (due, count) in items.items():
            lanes.start(host, due, most=count)
        lanes.run(progress)
    return tally
