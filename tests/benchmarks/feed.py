"""From a catalogue's files to shuffled, decoded batches, by either reader: ``python -m tests.benchmarks.feed --json``.

Fashion-MNIST's 60,000 train pictures lie in a Delta table as PNGs, in row groups of about 1 MB. Arms take turns. Before
any time counts, both readers' pixel tables are compared with each other and with the original pixels, and so are the
batches of an epoch. Then, for each reader:

1. cold: from opening the catalogue to the decoded pixel table on disk;
2. first epoch: from opening the catalogue to the last of an epoch's class-balanced float32 batches;
3. steady: further epochs of such batches from the pixel table;
4. waiting: the share of a training step spent waiting for its batch, with a step that keeps both cores busy.

``ratio`` is Arrow against Petastorm in the first epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import fashion_mnist
from backend.feeding.arrow import decode_split
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.feeding.prefetch import Prefetched
from backend.feeding.readers import READERS
from backend.feeding.shards import Shard, shard_plan
from backend.imaging import pixels
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.settings import load_settings
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.stored_catalogues import store

if TYPE_CHECKING:
    from backend.feeding.arrow import PixelTable
    from backend.feeding.feed import Feed

SPEC = PixelSpec(28, 28, 1, "dark")
ROWS_PER_GROUP = 2048
CLASSES, EXAMPLES, SEED = 10, 16, 7
ASKED = {"images_per_second": 50_000, "waiting_share": 0.03}
Times = dict[str, list[float]]


@dataclass
class Bench:
    """One run."""

    home: Path
    pictures: np.ndarray
    labels: np.ndarray
    cold: Times = field(default_factory=lambda: {name: [] for name in READERS})
    first_epoch: Times = field(default_factory=lambda: {name: [] for name in READERS})

    def __post_init__(self) -> None:
        rows = [
            {
                "product_id": f"fashion-mnist-train-{number:05d}",
                "label": fashion_mnist.LABELS[label],
                "split": "train",
                "image": pixels.encode_png(picture),
                "width": 28,
                "height": 28,
            }
            for number, (picture, label) in enumerate(zip(self.pictures, self.labels, strict=True))
        ]
        half = len(rows) // 2
        store(self.home, rows[:half], rows[half:], rows_per_group=ROWS_PER_GROUP, name="feed")

    def decoded(self, reader: Any, **options: Any) -> PixelTable:
        """Open the catalogue and decode it."""
        snapshot = open_snapshot(self.home, "feed")
        path = self.home / f"{reader}.uint8"
        return decode_split(snapshot, "train", SPEC, path, progress=NullProgress(), reader=reader, **options)

    def check(self) -> bool:
        """Compare what both readers give, before any time counts."""
        tables = [self.decoded(name) for name in READERS]
        as_stored = [pixels.decode(pixels.encode_png(picture), SPEC).pixels for picture in self.pictures[:500]]
        batches = [_hash_of(feed_of(table)) for table in tables]
        return bool(
            all(len(table) == len(self.pictures) for table in tables)
            and np.array_equal(tables[0].pixels, tables[1].pixels)
            and np.array_equal(tables[0].pixels[:500], as_stored)
            and batches[0] == batches[1]
            and self._shards_are_right(tables[0])
        )

    def _shards_are_right(self, whole: PixelTable) -> bool:
        plan = shard_plan(open_snapshot(self.home, "feed"), "train", 2)
        shards = [self.decoded(name, shard=Shard(rank, 2)) for rank, name in enumerate(READERS)]
        ids = np.sort(np.concatenate([shard.product_ids for shard in shards]))
        facts = plan.facts
        found = facts.disjoint and facts.covering and facts.every_class_everywhere
        return bool(found and np.array_equal(ids, whole.product_ids))

    def round(self) -> None:
        """Both readers, one after the other: cold, then on to the end of the first epoch."""
        for name in READERS:
            start = time.perf_counter()
            table = self.decoded(name)
            self.cold[name].append(time.perf_counter() - start)
            _consume(Prefetched(feed_of(table)), 0)
            self.first_epoch[name].append(time.perf_counter() - start)


def feed_of(table: PixelTable, augmentation: Any = "none") -> PixelFeed:
    """Batches of 10 classes with 16 pictures each, one pass an epoch."""
    _, numbers = np.unique(table.labels, return_inverse=True)
    return PixelFeed(table.pixels, numbers.astype(np.int32), BatchPlan(CLASSES, EXAMPLES, 0, augmentation, SEED))


def _hash_of(feed: Feed) -> str:
    found = hashlib.sha256()
    for batch in feed.epoch(0):
        found.update(batch.pixels.tobytes() + batch.labels.tobytes())
    return found.hexdigest()


def _consume(feed: Feed, epoch: int) -> float:
    """Take every batch of an epoch; returns the seconds."""
    start = time.perf_counter()
    assert sum(1 for _ in feed.epoch(epoch)) == feed.steps
    return time.perf_counter() - start


def steady(tables: dict[str, PixelTable], rounds: int) -> Times:
    """Seconds of further epochs, arms in turn: each reader's table, and the first one's in other ways."""
    table = next(iter(tables.values()))
    arms: dict[str, Feed] = {name: Prefetched(feed_of(tables[name])) for name in tables}
    arms["not_made_ahead"] = feed_of(table)
    arms |= {kind: Prefetched(feed_of(table, kind)) for kind in ("flip", "flip-shift")}
    times: Times = {name: [] for name in arms}
    for number in range(rounds):
        for name, feed in arms.items():
            times[name].append(_consume(feed, number))
    return times


def waiting(table: PixelTable, step_ms: float, augmentation: Any, *, ahead: bool) -> float:
    """Share of an epoch's first 100 steps that is spent waiting, with a step of matrix products on all cores."""
    feed = feed_of(table, augmentation)
    batches = (Prefetched(feed) if ahead else feed).epoch(1)
    square = np.random.default_rng(1).random((512, 512), dtype=np.float32)
    waited, start = 0.0, time.perf_counter()
    for _ in range(100):
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
        end = time.perf_counter() + step_ms / 1e3
        while time.perf_counter() < end:
            square @ square
    share = waited / (time.perf_counter() - start)
    batches.close()
    return share


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all four."""
    pin()
    folder = fashion_mnist.obtain(load_settings(), NullProgress())
    pictures = fashion_mnist.read_images(folder / fashion_mnist.TRAIN_IMAGES)[: options.rows]
    labels = fashion_mnist.read_labels(folder / fashion_mnist.TRAIN_LABELS)[: options.rows]
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as place:
        bench = Bench(Path(place), pictures, labels)
        correct = bench.check()  # and both readers are warm
        for _ in range(options.rounds):
            bench.round()
        tables = {name: bench.decoded(name) for name in READERS}
        taken = len(pictures) // (CLASSES * EXAMPLES) * CLASSES * EXAMPLES
        epochs = steady(tables, options.rounds)
        share = {
            f"{kind}_{'ahead' if ahead else 'in_turn'}": round(
                waiting(tables["arrow"], options.step_ms, kind, ahead=ahead), 4
            )
            for kind in ("none", "flip", "flip-shift")
            for ahead in (False, True)
        }
    ratio, interval = ratio_of(bench.first_epoch["petastorm"], bench.first_epoch["arrow"])
    cold_ratio, cold_interval = ratio_of(bench.cold["petastorm"], bench.cold["arrow"])
    figures = {
        "asked": ASKED,
        "pictures": len(pictures),
        "cold_images_per_second": _rates(bench.cold, len(pictures)),
        "cold_ratio": cold_ratio,
        "cold_ci95": cold_interval,
        "first_epoch_images_per_second": _rates(bench.first_epoch, taken),
        "steady_ratio": ratio_of(epochs["petastorm"], epochs["arrow"])[0],
        "steady_images_per_second": _rates(epochs, taken),
        "waiting_share": share,
        "step_ms": options.step_ms,
        "batch": [CLASSES, EXAMPLES],
    }
    return {
        "bench": "feed",
        "ratio": ratio,
        "ci95": interval,
        "correct": correct,
        "figures": figures,
        "machine": machine(),
    }


def _rates(times: Times, images: int) -> dict[str, float]:
    return {name: round(images / float(np.median(seconds))) for name, seconds in times.items()}


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rows", type=int, default=60_000, help="pictures of the train split")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--step-ms", type=float, default=50.0, help="length of a training step")
    options = parser.parse_args()
    print(told(run(options), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
