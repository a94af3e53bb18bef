"""From files to a committed Delta table: ``python -m tests.benchmarks.ingest --json``.

Three questions, in one run and one Spark session:

1. The original design's path (byte loop, 785 integer columns, ``createDataFrame`` from pandas, Delta) against ours, on
   the same rows of Fashion-MNIST. The pixels of both tables are compared by hash before any time counts. Spark is as it
   comes, that is without Arrow for ``createDataFrame``; the figure with Arrow stands beside it.
2. A folder of photos to a committed table, against a bare loop that reads and decodes them with Pillow on the same
   cores. Photos are drawn unless ``--photos`` names a folder.
3. From a table of 60,000 rows to the first thumbnails of the Catalogue page, each time in a fresh process without a JVM.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from backend.catalogue.delta.delta_log import open_table, rows_of
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.built_in import FashionMnistSource
from backend.catalogue.sources.pictures.listing import FolderSource
from backend.imaging.pixels import decode
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.settings import load_settings
from backend.spark.session import open_spark
from tests.support.benchmarking import machine, pin, ratio_of, told

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from backend.catalogue.sources.sources import Picture
    from backend.settings import Settings

ARROW = "spark.sql.execution.arrow.pyspark.enabled"
SIDE = 28
FIRST_PAGE = """
import sys, time
from pathlib import Path
from app.components.shared.product_grid import product_card
from backend.catalogue.snapshot import list_catalogues, open_snapshot
start = time.perf_counter()
folder = Path(sys.argv[1])
snapshot = open_snapshot(folder, "large")
products, total = snapshot.page(offset=0, limit=24)
cards = [product_card(product).as_data() for product in products]
first_ms = (time.perf_counter() - start) * 1e3
summary = snapshot.summary()
assert not {"pyspark", "py4j"} & set(sys.modules), "a JVM's library was loaded"
print(first_ms, (time.perf_counter() - start) * 1e3, len(cards), total)
"""


@dataclass(frozen=True)
class First:
    """The first rows of another source."""

    source: FashionMnistSource
    count: int
    name: str = "fashion-mnist"

    def entries(self) -> pa.Table:
        """List them."""
        return self.source.entries().slice(0, self.count)

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Read them."""
        return self.source.read(entries)


# ------------------------------------------------------------------------------------------------- the original


def load_as_published(spark: SparkSession, folder: Path, count: int, target: Path, *, arrow: bool) -> float:
    """Parse byte by byte into a label and 784 integers, make a frame of it, write it; returns the seconds."""
    import pandas as pd

    start = time.perf_counter()
    with gzip.open(folder / fashion_mnist.TRAIN_IMAGES) as packed:
        images = io.BytesIO(packed.read())
    with gzip.open(folder / fashion_mnist.TRAIN_LABELS) as packed:
        labels = io.BytesIO(packed.read())
    images.read(16)
    labels.read(8)
    rows = []
    for _ in range(count):
        row = [ord(labels.read(1))]
        for _ in range(SIDE * SIDE):
            row.append(ord(images.read(1)))  # noqa: PERF401 - as it was
        rows.append(row)
    frame = pd.DataFrame(rows, columns=["label", *(f"pixel{number}" for number in range(SIDE * SIDE))])
    spark.conf.set(ARROW, str(arrow).lower())
    try:
        spark.createDataFrame(frame).write.format("delta").mode("overwrite").save(str(target))
    finally:
        spark.conf.set(ARROW, "true")
    return time.perf_counter() - start


def pixels_as_published(target: Path) -> str:
    """Hash label and pixels of all rows, whatever their order."""
    names = ["label", *(f"pixel{number}" for number in range(SIDE * SIDE))]
    table = rows_of(open_table(target)).table(names)
    values = np.stack([np.asarray(table[name]) for name in names], axis=1).astype(np.uint8)
    return _hashed(values[:, 0], values[:, 1:])


def pixels_as_ours(settings: Settings, catalogue: str) -> str:
    """The same of a catalogue."""
    spec, labels, pixels = PixelSpec(SIDE, SIDE, 1), [], []
    snapshot = open_snapshot(settings.catalogues_dir, catalogue)
    for batch in snapshot.batches(splits=None, columns=["label", "image"], batch_size=1024):
        labels += [fashion_mnist.LABELS.index(label) for label in batch.column("label").to_pylist()]
        pixels += [decode(image, spec).pixels.reshape(-1) for image in batch.column("image").to_pylist()]
    return _hashed(np.asarray(labels, np.uint8), np.stack(pixels))


def _hashed(labels: np.ndarray, pixels: np.ndarray) -> str:
    rows = sorted(bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True))
    return hashlib.sha256(b"".join(rows)).hexdigest()


# ------------------------------------------------------------------------------------------------- the photos


def draw_photos(folder: Path, count: int) -> Path:
    """Draw photos of 400 x 533 pixels with the grain of a camera, in ten kinds."""
    rng = np.random.default_rng(7)
    for number in range(count):
        coarse = rng.integers(0, 256, (8, 6, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((400, 533), Image.Resampling.BICUBIC)
        grain = np.asarray(smooth, np.int16) + rng.normal(0, 6, (533, 400, 1)).astype(np.int16)
        path = folder / f"kind-{number % 10}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=85)
    return folder


def decode_bare(folder: Path) -> float:
    """Read and decode every photo, and do nothing else; returns the seconds."""
    start = time.perf_counter()
    for path in sorted(folder.glob("*/*.jpg")):
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()
    return time.perf_counter() - start


# ------------------------------------------------------------------------------------------------- the run


@dataclass
class Bench:
    """One run: arms take turns."""

    spark: SparkSession
    settings: Settings
    source: FashionMnistSource
    photos: Path
    home: Path
    made: int = 0

    def ours(self, source: Any) -> tuple[float, str]:
        """Load a source into a fresh catalogue; returns the seconds and its name."""
        self.made += 1
        name = f"c{self.made}"
        start = time.perf_counter()
        ingest(self.spark, source, self.settings, catalogue=name, progress=NullProgress())
        return time.perf_counter() - start, name

    def original_against_ours(self, rows: int, rounds: int) -> dict[str, Any]:
        """Question 1."""
        target, theirs, with_arrow, mine, same = self.home / "original", [], [], [], True
        load_as_published(self.spark, self.source.folder, 200, target, arrow=False)  # warm
        self.ours(First(self.source, 200))
        for _ in range(rounds):
            theirs.append(load_as_published(self.spark, self.source.folder, rows, target, arrow=False))
            seconds, name = self.ours(First(self.source, rows))
            mine.append(seconds)
            same &= pixels_as_published(target) == pixels_as_ours(self.settings, name)
            with_arrow.append(load_as_published(self.spark, self.source.folder, rows, target, arrow=True))
        ratio, interval = ratio_of(theirs, mine)
        rate = {"original": theirs, "original_with_arrow": with_arrow, "ours": mine}
        return {
            "rows": rows,
            "ratio": ratio,
            "ci95": interval,
            "same_pixels": same,
            "ratio_to_original_with_arrow": ratio_of(with_arrow, mine)[0],
            "rows_per_second": {name: round(rows / float(np.median(times)), 1) for name, times in rate.items()},
        }

    def photos_against_bare_loop(self, rounds: int) -> dict[str, Any]:
        """Question 2."""
        source, bare, mine, kept = FolderSource(self.photos), [], [], set()
        self.ours(source)  # warm
        for _ in range(rounds):
            bare.append(decode_bare(self.photos))
            seconds, name = self.ours(source)
            mine.append(seconds)
            kept.add(open_snapshot(self.settings.catalogues_dir, name).summary().rows)
        count = source.entries().num_rows
        share, interval = ratio_of(bare, mine)
        median = {"bare_loop_s": float(np.median(bare)), "committed_s": float(np.median(mine))}
        return {
            "photos": count,
            "share_of_bare_loop": share,
            "ci95": interval,
            "all_kept": kept == {count},
            **{name: round(value, 2) for name, value in median.items()},
        }

    def first_page(self, rounds: int) -> dict[str, Any]:
        """Question 3."""
        started = time.perf_counter()
        ingest(self.spark, First(self.source, 60_000), self.settings, catalogue="large", progress=NullProgress())
        seconds = time.perf_counter() - started
        root, times = Path(__file__).resolve().parents[2], []
        for _ in range(rounds):
            command = [sys.executable, "-c", FIRST_PAGE, str(self.settings.catalogues_dir)]
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
            first, whole, cards, total = done.stdout.split()
            assert (cards, total) == ("24", "60000"), done.stdout
            times.append((float(first), float(whole)))
        first, whole = (round(float(np.median(column)), 1) for column in zip(*times, strict=True))
        return {"first_page_ms": first, "with_all_counts_ms": whole, "ingest_60000_s": round(seconds, 1)}


def run(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Answer all three."""
    from pyspark import cloudpickle

    pin()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # executors have no tests
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as place:
        home = Path(place)
        settings = replace(settings, home=home / "home", spark_master="local[2]")
        photos = Path(options.photos) if options.photos else draw_photos(home / "photos", 1000)
        source = FashionMnistSource(fashion_mnist.obtain(settings, NullProgress()))
        with open_spark(settings, app_name="bench ingest") as spark:
            bench = Bench(spark, settings, source, photos, home)
            original = bench.original_against_ours(options.rows, options.rounds)
            folder = bench.photos_against_bare_loop(2 * options.rounds)
            page = bench.first_page(2 * options.rounds)
    return {
        "bench": "ingest",
        "ratio": original["ratio"],
        "ci95": original["ci95"],
        "correct": bool(original["same_pixels"] and folder["all_kept"]),
        "figures": {"original": original, "photos": folder, "page": page},
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rows", type=int, default=10_000, help="rows that both paths load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", default="", help="folder of photos, one subfolder per label; drawn when left out")
    options = parser.parse_args()
    print(told(run(load_settings(), options), as_json=options.json))
    return 0


if __name__ == "__main__":
    # Under its own name, so that what is shipped to the executors by value is this module.
    from tests.benchmarks import ingest as itself

    sys.exit(itself.main())
