"""Sweeps against plain ``SparkTrials``: ``python -m tests.benchmarks.sweep --json``.

Products of Fashion-MNIST, trials of one thread each on Spark with two slots, in one session.

- ``parallel``: the same trials one at a time and two at a time, with Python workers that are warm for both.
- ``reach``: 24 trials as ``SparkTrials`` runs them by itself (every trial to its last epoch, Hyperopt's own settings), and how long
  ours takes, with the same space and seeds, until a trial has a figure as good as the best of those 24. Median of the seeds.
- ``overhead``: a trial in a sweep against the same training alone, one after the other in a warm process.
- bytes: what Spark is given to ship for each trial.

Before anything is timed, the figures of trials one and two at a time must be equal to the last bit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.catalogue.loading.ingest import ingest
from backend.progress import NullProgress
from backend.settings import load_settings
from backend.spark.session import open_spark
from backend.training.presets import preset
from backend.tuning import search
from backend.tuning.engines import SparkEngine
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, Objective, SweepPlan
from backend.tuning.space import Dimension, Space
from backend.tuning.sweep import run_sweep
from backend.tuning.trial import Surroundings
from tests.benchmarks.distributed import fashion_mnist_source
from tests.benchmarks.ingest import First
from tests.support.benchmarking import machine, pin, ratio_of, told
from tests.support.sweeps import NullSweepTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.settings import Settings
    from backend.tuning.records import TrialRecord

SPACE = Space(
    {
        "learning_rate": Dimension("loguniform", low=1e-4, high=5e-2),
        "loss": Dimension(
            "choice", ("multi-similarity+proxy", "multi-similarity", "triplet", "soft-nearest-neighbour")
        ),
        "embedding_size": Dimension("quniform", low=16, high=128, step=16),
        "augmentation": Dimension("choice", ("none", "flip", "flip-shift", "flip-crop")),
        "detail_share": Dimension("uniform", low=0.0, high=0.6),
    }
)
MOST = 3  # times as many trials ours may take, before it counts as not having reached the figure
ALONE = """
import json, sys, time
from pathlib import Path
from backend.catalogue.snapshot import open_snapshot
from backend.progress import NullProgress
from backend.training.config import TrainConfig
from backend.training.fit import train
from backend.training.preparation import ModelPlace, Workers
from backend.training.tracking import NullTracker
home, seconds = Path(sys.argv[1]), []
for number, raw in enumerate(json.loads(sys.argv[2])):
    started = time.perf_counter()
    train(open_snapshot(home / "catalogues", "bench"), TrainConfig.from_dict(raw), tracker=NullTracker(),
          place=ModelPlace(home / "models", f"{sys.argv[3]}-{number}"), progress=NullProgress(),
          workers=Workers(threads=1, device="cpu"))
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds))
"""


@dataclass
class PlainEngine(SparkEngine):
    """``SparkTrials`` and TPE as they come: fresh Python workers, twenty trials at random."""

    def search(self, task: Any, suggestions: Any, records: list[TrialRecord], *, parallelism: int) -> None:
        """Run trials."""
        from hyperopt import SparkTrials, tpe

        suggestions._algorithm = tpe.suggest
        self._trials = search.filled(SparkTrials(parallelism, spark_session=self.spark), suggestions.plan, records)
        search.minimise(task, suggestions, self._trials)


class UntilAsGood(NullProgress):
    """Ends a sweep once a trial has a figure as good as this one."""

    def __init__(self, folder: SweepFolder, target: float) -> None:
        self._folder, self._target = folder, target

    def check_cancelled(self) -> None:
        if any(record.value is not None and record.value >= self._target for record in self._folder.trials()):
            self._folder.ask_to_stop()


@dataclass
class Bench:
    """What all parts share."""

    home: Path
    engine: SparkEngine
    plan: SweepPlan

    def swept(
        self, name: str, plan: SweepPlan, engine: SparkEngine | None = None, target: float = 2.0
    ) -> tuple[list[TrialRecord], float, float]:
        """Run a sweep; return its trials, when it began (seconds since the epoch), and how long it took."""
        folder = SweepFolder(self.home / "sweeps" / name)
        folder.create(replace(plan, name=name))
        around, began, clock = Surroundings(str(self.home / "catalogues"), 1, "cpu"), time.time(), time.perf_counter()
        progress = UntilAsGood(folder, target)
        run_sweep(
            folder, engine or self.engine, around, tracker=NullSweepTracker(), progress=progress, log_level="ERROR"
        )
        return folder.trials(), began, time.perf_counter() - clock

    def parallel(self, rounds: int, trials: int) -> dict[str, Any]:
        """Let one and two trials at a time take turns."""
        plan = replace(self.plan, algorithm="random")
        self.swept("warm", replace(plan, budget=Budget(4, parallelism=2, halving=0)))
        seconds: dict[int, list[float]] = {1: [], 2: []}
        figures = []
        for number in range(rounds):
            for count in (1, 2):
                budget = Budget(trials, parallelism=count, halving=0)
                found, _, took = self.swept(f"parallel-{number}-{count}", replace(plan, budget=budget))
                seconds[count].append(took)
                figures.append([(record.number, record.value) for record in found])
        ratio, interval = ratio_of(seconds[1], seconds[2])
        return {
            "ratio": ratio,
            "ci95": interval,
            "correct": all(one == figures[0] for one in figures) and all(value for _, value in figures[0]),
            "one_at_a_time_s": round(float(np.median(seconds[1])), 1),
            "two_at_a_time_s": round(float(np.median(seconds[2])), 1),
        }

    def reach(self, seeds: list[int], trials: int) -> dict[str, Any]:
        """Ask both, seed by seed."""
        plain_engine = PlainEngine(self.engine.spark, "cpu")
        rows = []
        for seed in seeds:
            plan = replace(self.plan, seed=seed)
            plain, began, whole = self.swept(
                f"plain-{seed}", replace(plan, budget=Budget(trials, parallelism=2, halving=0)), plain_engine
            )
            best = max((record for record in plain if record.value is not None), key=lambda record: record.value or 0.0)
            target = best.value or 0.0
            budget = Budget(trials * MOST, parallelism=2, halving=3)
            ours, start, all_of_it = self.swept(f"ours-{seed}", replace(plan, budget=budget), target=target)
            as_good = [
                record.finished_at - start for record in ours if record.value is not None and record.value >= target
            ]
            reached = min(as_good, default=all_of_it)
            rows.append(
                {
                    "seed": seed,
                    "figure": round(target, 4),
                    "plain_s": round(whole, 1),
                    "plain_itself_had_it_after_s": round(best.finished_at - began, 1),
                    "ours_s": round(reached, 1),
                    "reached": bool(as_good),
                    "share": round(reached / whole, 3),
                    "ours_trials": len(ours),
                    "ours_epochs": sum(len(record.epochs) for record in ours),
                    "plain_epochs": sum(len(record.epochs) for record in plain),
                }
            )
        return {"median_share": float(np.median([row["share"] for row in rows])), "seeds": rows}

    def overhead(self, rounds: int, trials: int) -> dict[str, Any]:
        """Run the same trainings in a sweep, one at a time, and alone."""
        plan = replace(self.plan, algorithm="random", budget=Budget(trials, parallelism=1, halving=0))
        shares = []
        for number in range(rounds):
            records, _, took = self.swept(f"overhead-{number}", plan)
            configs = [plan.config_of(record.number, record.values).as_dict() for record in records]
            alone = self._alone([configs[0], *configs], f"alone-{number}")[1:]
            shares.append((took / trials, float(np.mean(alone))))
        in_sweep, on_its_own = (float(np.median(column)) for column in zip(*shares, strict=True))
        return {
            "overhead": round(in_sweep / on_its_own - 1, 3),
            "trial_in_a_sweep_s": round(in_sweep, 2),
            "training_alone_s": round(on_its_own, 2),
        }

    def _alone(self, configs: list[dict[str, Any]], name: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", ALONE, str(self.home), json.dumps(configs), name],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
        return seconds


@contextmanager
def shipped() -> Iterator[list[int]]:
    """Note the size of each function that Spark is given to ship."""
    from pyspark.core import rdd

    real, sizes = rdd._prepare_for_python_RDD, []

    def measured(context: Any, command: Any) -> Any:
        prepared = real(context, command)
        sizes.append(len(prepared[0]))
        return prepared

    rdd._prepare_for_python_RDD = measured
    try:
        yield sizes
    finally:
        rdd._prepare_for_python_RDD = real


def run(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Run the parts that were asked for."""
    cores = pin()
    config = preset("resnet", epochs=options.epochs, classes_per_batch=10, examples_per_class=10)
    plan = SweepPlan("bench", "bench", 1, config, SPACE, Objective("map_at_r"))
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="twinset-bench-") as place:
        settings = replace(settings, home=Path(place), spark_master=f"local[{cores}]")
        with open_spark(settings, app_name="bench sweep") as spark:
            source = First(fashion_mnist_source(settings), options.rows)
            ingest(spark, source, settings, catalogue="bench", progress=NullProgress())
            bench = Bench(settings.home, SparkEngine(spark, "cpu"), plan)
            with shipped() as sizes:
                figures["parallel"] = bench.parallel(options.rounds, options.few)
            figures["bytes_a_trial"] = max(sizes)
            if "overhead" in options.parts:
                figures["overhead"] = bench.overhead(options.rounds, options.few)
            if "reach" in options.parts:
                figures["reach"] = bench.reach(list(range(7, 7 + options.seeds)), options.trials)
    parallel = figures["parallel"]
    return {
        "bench": "sweep",
        "ratio": parallel["ratio"],
        "ci95": parallel["ci95"],
        "correct": parallel["correct"] and figures["bytes_a_trial"] <= 1_000_000,
        "figures": figures,
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--parts", nargs="*", default=["overhead", "reach"], choices=["overhead", "reach"])
    parser.add_argument("--rows", type=int, default=1_500, help="products")
    parser.add_argument("--epochs", type=int, default=9, help="of every trial that is not ended early")
    parser.add_argument("--trials", type=int, default=24, help="of plain SparkTrials, in reach")
    parser.add_argument("--seeds", type=int, default=3, help="in reach")
    parser.add_argument("--few", type=int, default=4, help="trials of a sweep in parallel and overhead")
    parser.add_argument("--rounds", type=int, default=3, help="of parallel and overhead")
    options = parser.parse_args()
    print(told(run(load_settings(), options), as_json=options.json))
    return 0


if __name__ == "__main__":
    # Under its own name, so that what is shipped to the executors by value is its source of rows.
    from pyspark import cloudpickle

    from tests.benchmarks import ingest as rows
    from tests.benchmarks import sweep as itself

    cloudpickle.register_pickle_by_value(rows)
    sys.exit(itself.main())
