"""Two ranks against one process: ``python -m tests.benchmarks.distributed --json``.

The same network, batches and products of Fashion-MNIST: one process on one core, and two ranks of Horovod on Spark, each
on a core of its own, with a batch each. Counted are pictures a second of the steps alone, after the first one. That both
learn the same is what tests/integration/test_distributed.py proves; here the runs must hold their own proof.

Beside it, two plain processes at once, which shows how much of the two cores there was to have; and how long it takes from
the launch to the end of the first step: ranks on a warm Spark session, against a
plain process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources import fashion_mnist
from backend.progress import NullProgress
from backend.settings import load_settings
from backend.spark.session import open_spark
from backend.training.preparation import ModelPlace, Workers
from backend.training.presets import preset
from backend.training.ranks.distributed import train_on_spark
from backend.training.tracking import NullTracker
from tests.benchmarks.ingest import First
from tests.support.benchmarking import machine, pin, ratio_of, told

if TYPE_CHECKING:
    from backend.settings import Settings
    from backend.training.config import TrainConfig

ROWS = 6_000
ALONE = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
from backend.catalogue.snapshot import open_snapshot
from backend.progress import NullProgress
from backend.training.config import TrainConfig
from backend.training.fit import train
from backend.training.preparation import ModelPlace, Workers
from backend.training.tracking import NullTracker

class Clock(NullProgress):
    first = 0.0
    def report(self, done, total, *, unit="", note=""):
        if unit == "steps" and not self.first:
            self.first = time.perf_counter() - started

class Speed(NullTracker):
    def log(self, metrics, *, step):
        self.rate = metrics["examples_per_second"]

home, config, name = Path(sys.argv[1]), TrainConfig.from_dict(json.loads(sys.argv[2])), sys.argv[3]
clock, speed = Clock(), Speed()
train(open_snapshot(home / "catalogues", "bench"), config, place=ModelPlace(home / "models", name),
      tracker=speed, progress=clock, workers=Workers(threads=1, device="cpu"))
print(json.dumps({"rate": speed.rate, "first_step_s": clock.first}))
"""


def alone(home: Path, config: TrainConfig, name: str, core: int) -> dict[str, float]:
    """Train in one process on one core."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(home), json.dumps(config.as_dict()), name],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def apart(home: Path, config: TrainConfig, name: str, cores: list[int]) -> float:
    """Train at once in two processes that know nothing of each other; returns twice the slower one's rate.

    Ranks take every step together, so this is what they could reach if talking cost nothing: where something else runs on
    one of the cores, it is less than twice the rate of one.
    """
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(alone, home, config, f"{name}-{core}", core) for core in cores[:2]]
        return 2 * min(found.result()["rate"] for found in runs)


def run(settings: Settings, rounds: int, config: TrainConfig) -> dict[str, Any]:
    """Let the arms take turns."""
    pin()
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as place:
        settings = replace(settings, home=Path(place), spark_master="local[2]")
        source = First(fashion_mnist_source(settings), ROWS)
        with open_spark(settings, app_name="bench distributed") as spark:
            ingest(spark, source, settings, catalogue="bench", progress=NullProgress())
            snapshot = open_snapshot(settings.catalogues_dir, "bench")
            one, two, proofs, free = [], [], [], []
            cores = sorted(os.sched_getaffinity(0))
            for number in range(rounds):
                one.append(alone(settings.home, config, f"one-{number}", cores[0]))
                free.append(apart(settings.home, config, f"apart-{number}", cores))
                _, proof = train_on_spark(
                    spark,
                    snapshot,
                    config,
                    place=ModelPlace(settings.models_dir, f"two-{number}"),
                    tracker=NullTracker(),
                    progress=NullProgress(),
                    workers=Workers(2, threads=1, device="cpu"),
                )
                proofs.append(proof)
                two.append(sum(proof.examples_per_second))
    ratio, interval = ratio_of([1 / found["rate"] for found in one], [1 / rate for rate in two])
    return {
        "bench": "distributed",
        "ratio": ratio,
        "ci95": interval,
        "correct": all(proof.holds for proof in proofs),
        "figures": {
            "batch": config.batch_size,
            "one_process_pictures_per_second": round(float(np.median([found["rate"] for found in one])), 1),
            "two_ranks_pictures_per_second": round(float(np.median(two)), 1),
            "two_processes_apart_pictures_per_second": round(float(np.median(free)), 1),
            "share_of_two_apart": round(float(np.median(two) / np.median(free)), 3),
            "one_process_first_step_s": round(float(np.median([found["first_step_s"] for found in one])), 1),
            "two_ranks_first_step_s": round(float(np.median([proof.first_step_s for proof in proofs])), 1),
            "waiting_share": max(max(proof.waiting_share) for proof in proofs),
        },
        "machine": machine(),
    }


def fashion_mnist_source(settings: Settings) -> Any:
    """Return the official files as a source."""
    from backend.catalogue.sources.built_in import FashionMnistSource

    return FashionMnistSource(fashion_mnist.obtain(settings, NullProgress()))


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60, help="steps that each arm takes in a round")
    parser.add_argument("--preset", default="resnet", help="the network, by its training preset")
    parser.add_argument("--examples-per-class", type=int, default=24, help="of the ten classes in each batch")
    options = parser.parse_args()
    sizes = {"steps_per_epoch": options.steps, "examples_per_class": options.examples_per_class}
    config = preset(options.preset, epochs=1, **sizes)
    print(told(run(load_settings(), options.rounds, config), as_json=options.json))
    return 0


if __name__ == "__main__":
    # Under its own name, so that what is shipped to the executors by value is its source of rows.
    from pyspark import cloudpickle

    from tests.benchmarks import distributed as itself
    from tests.benchmarks import ingest as rows

    cloudpickle.register_pickle_by_value(rows)
    sys.exit(itself.main())
