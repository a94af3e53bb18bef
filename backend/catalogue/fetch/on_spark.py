"""The same fetch on a cluster: the addresses of each host in a few slices, which executors fetch into the one store.

The places that a host has are divided among its slices, so that it is asked by no more than from one machine. An executor
writes what became of its addresses to a file of its own in the store's folder, a line a picture, and the driver takes the
lines over into the list: while the slices are fetched, at the end, and before the next fetch, should it be killed.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from backend.catalogue.fetch.fetcher import Fetcher
from backend.catalogue.fetch.manners import Clock, Manners
from backend.catalogue.fetch.records import Fetched
from backend.catalogue.fetch.run import Lanes, Tally
from backend.catalogue.fetch.slot import NOTES, take_over
from backend.progress import NullProgress
from backend.spark.executors import spare_zip_imports
from backend.spark.jobs import run_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from backend.catalogue.fetch.gate import Hosts, Network
    from backend.catalogue.fetch.records import Records, Which
    from backend.catalogue.fetch.store import PictureStore
    from backend.progress import Progress

_TAKE_OVER_S = 1.0


class _Slice(NamedTuple):
    """A share of a host's addresses, and how many of them are asked at a time."""

    host: str
    at_once: int
    items: list[tuple[str, Fetched | None]]


@dataclass(frozen=True, slots=True)
class Executing:
    """What executors need to fetch; small when pickled.

    Attributes:
        hosts: Which may be asked.
        store: Where pictures are kept; every executor and the driver must see it at the same path.
        max_pixels: Largest width x height that is accepted.
        own: Questions to one of the operator's hosts at the same time, from all executors together.
        network: What is below the gate.
    """

    hosts: Hosts
    store: PictureStore
    max_pixels: int
    own: int
    network: Network | None = None

    def __call__(self, slices: Iterable[_Slice]) -> None:
        """Fetch slices on an executor."""
        spare_zip_imports()
        notes = self.store.folder / NOTES / f"{uuid4().hex}.jsonl"
        for one in slices:
            with notes.open("a", encoding="utf-8") as stream:
                self._fetch(one, stream.write, stream.flush)

    def manners(self, at_once: int | None = None) -> Manners:
        """Return how hosts are treated, by one slice or by all together."""
        return Manners(Clock(), own=self.own) if at_once is None else Manners(Clock(), own=at_once, foreign=at_once)

    def _fetch(self, one: _Slice, write: Callable[[str], object], flush: Callable[[], object]) -> None:
        def note(found: list[Fetched]) -> None:
            write("".join(f"{json.dumps(asdict(each))}\n" for each in found))
            flush()

        fetcher = Fetcher(
            self.hosts,
            self.store,
            max_pixels=self.max_pixels,
            network=self.network,
            manners=self.manners(one.at_once),
        )
        with fetcher, Lanes(fetcher, note) as lanes:
            lanes.start(one.host, one.items, most=one.at_once)
            lanes.run(NullProgress())


def fetch_on_spark(
    spark: SparkSession, executing: Executing, records: Records, source: str, which: Which, progress: Progress
) -> Tally:
    """Fetch the addresses of a source that are due, as :func:`backend.catalogue.fetch.run.fetch_due` does.

    Raises:
        Cancelled: The user asked to stop; what was fetched stays.
    """
    notes = executing.store.folder / NOTES
    notes.mkdir(parents=True, exist_ok=True)
    _Taking(notes, records).finish()  # of a fetch that was killed
    take_over(records, executing.store)
    slices = _slices(executing, records, source, which, int(spark.sparkContext.defaultParallelism))
    total, taking = sum(len(one.items) for one in slices), _Taking(notes, records)

    def on_share(_: float) -> None:
        if taking.look():
            progress.report(
                taking.tally.asked, max(total, taking.tally.asked), unit="pictures", note="Fetching pictures"
            )

    try:
        if slices:
            numbered = spark.sparkContext.parallelize(slices, len(slices))
            run_watched(
                spark,
                lambda: numbered.foreachPartition(executing),
                tasks=len(slices),
                on_share=on_share,
                progress=progress,
            )
    finally:
        taking.finish()
    return taking.tally


def _slices(executing: Executing, records: Records, source: str, which: Which, slots: int) -> list[_Slice]:
    """Divide the addresses and the places of every host among at most as many slices as there are slots."""
    found, manners = [], executing.manners()
    for host in records.hosts(source, which):
        if not host.due or not executing.hosts.allow(host.host):
            continue
        items = list(records.due(source, host.host, which))
        at_once = manners.at_once(is_own=executing.hosts.is_own(host.host))
        count = max(1, min(slots, at_once, len(items)))
        places = [at_once // count + (number < at_once % count) for number in range(count)]
        found += [_Slice(host.host, place, items[number::count]) for number, place in enumerate(places)]
    return found


class _Taking:
    """Takes lines of the executors' files over, each once."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder, self._records = folder, records
        self._read: dict[Path, int] = {}
        self._looked = 0.0
        self.tally = Tally()

    def look(self) -> bool:
        """Take over what is new, now and then; whether it did."""
        if time.monotonic() - self._looked < _TAKE_OVER_S:
            return False
        self._looked = time.monotonic()
        for path in self._folder.glob("*.jsonl"):
            self._take(path)
        return True

    def finish(self) -> None:
        """Take over all there is, and remove the files."""
        for path in list(self._folder.glob("*.jsonl")):
            self._take(path)
            path.unlink(missing_ok=True)

    def _take(self, path: Path) -> None:
        with path.open("rb") as stream:
            stream.seek(self._read.get(path, 0))
            lines, _, _ = stream.read().rpartition(b"\n")  # what follows the last end of a line is not written yet
        found = [Fetched(**json.loads(line)) for line in lines.splitlines()]
        self._read[path] = self._read.get(path, 0) + (len(lines) + 1 if lines else 0)
        self._records.add(found)
        for one in found:
            self.tally.add(one)
