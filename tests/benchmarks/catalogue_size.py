"""A catalogue that is larger than its driver: ``python -m tests.benchmarks.catalogue_size --json``.

Photos are generated, loaded into a catalogue in a process of its own with a small driver, and the most memory that the
Python driver, the JVM and a Python worker ever had is read. The same with a fraction of the photos; ``ratio`` is the
smaller run's peak of driver and JVM over the larger one's, so that 1 means flat.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.pictures.listing import FolderSource
from backend.progress import NullProgress
from backend.settings import load_settings
from backend.spark.session import open_spark
from tests.support.benchmarking import machine, peak_mb, pin, told

BASES = 64
SIDE = 620  # a photo of about 100 kB


def make_photos(folder: Path, n_bytes: int) -> int:
    """Write photos of about 100 kB until they come to ``n_bytes``; each differs from all others. Returns how many."""
    rng = np.random.default_rng(7)
    bases = []
    for _ in range(BASES):
        smooth = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((SIDE, SIDE))
        grain = np.asarray(smooth, np.int16) + rng.normal(0, 12, (SIDE, SIDE, 1)).astype(np.int16)
        buffer = io.BytesIO()
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=86)
        bases.append(buffer.getvalue())
    written = count = 0
    while written < n_bytes:
        base, comment = bases[count % BASES], f"{count:012d}".encode()
        # A comment behind the start mark makes another file of the same picture.
        photo = base[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + base[2:]
        path = folder / f"kind-{count % 10}" / f"{count:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
        written, count = written + len(photo), count + 1
    return count


def load(photos: Path, home: Path, memory: str) -> dict[str, Any]:
    """Load the photos in this process and read everybody's peak."""
    import psutil

    pin()
    settings = replace(load_settings(), home=home, spark_master="local[2]", spark_driver_memory=memory)
    start = time.perf_counter()
    with open_spark(settings, app_name="bench size") as spark:
        report = ingest(spark, FolderSource(photos), settings, catalogue="large", progress=NullProgress())
        family = psutil.Process().children(recursive=True)
        peaks = {
            kind: max((peak_mb(child.pid) for child in family if kind in child.name()), default=0.0)
            for kind in ("java", "python")
        }
    stored = sum(
        len(batch)
        for batch in open_snapshot(settings.catalogues_dir, "large").batches(
            splits=None, columns=["product_id"], batch_size=4096
        )
    )
    return {
        "rows": report.kept,
        "stored": stored,
        "seconds": round(time.perf_counter() - start, 1),
        "driver_mb": peak_mb(psutil.Process().pid),
        "jvm_mb": peaks["java"],
        "worker_mb": peaks["python"],
    }


def run(megabytes: int, fraction: int, memory: str) -> dict[str, Any]:
    """Load a fraction, then all."""
    found = {}
    for name, size in (("small", megabytes // fraction), ("large", megabytes)):
        with tempfile.TemporaryDirectory(prefix="twinset-bench-") as place:
            count = make_photos(Path(place) / "photos", size * 1_000_000)
            command = [sys.executable, "-m", "tests.benchmarks.catalogue_size", "--load", place, "--memory", memory]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = {"megabytes": size, "photos": count, **json.loads(done.stdout.splitlines()[-1])}
    small, large = found["small"], found["large"]
    ratio = (small["driver_mb"] + small["jvm_mb"]) / (large["driver_mb"] + large["jvm_mb"])
    correct = all(part["photos"] == part["rows"] == part["stored"] for part in found.values())
    return {
        "bench": "catalogue_size",
        "ratio": round(ratio, 3),
        "ci95": None,
        "correct": correct,
        "figures": {**found, "driver_memory": memory},
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--megabytes", type=int, default=4000)
    parser.add_argument("--fraction", type=int, default=8, help="the small run has this part of it")
    parser.add_argument("--memory", default="2g", help="memory of the driver")
    parser.add_argument("--load", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        place = Path(options.load)
        print(json.dumps(load(place / "photos", place / "home", options.memory)))
        return 0
    print(told(run(options.megabytes, options.fraction, options.memory), as_json=options.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
