"""A cluster that loses one machine after the other: what goes on, and what is said before anything hangs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, SweepPlan
from backend.tuning.records import TrialState
from backend.tuning.space import Dimension, Space
from tests.fixtures.models import TINY
from tests.support.standalone import CONF, standalone
from tests.support.sweeps import started
from tests.support.waiting import LONG_S, until

pytestmark = [pytest.mark.spark, pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]
PLAN = SweepPlan(
    "s",
    "small",
    1,
    replace(TINY, epochs=25, steps_per_epoch=10),
    Space({"learning_rate": Dimension("loguniform", low=1e-4, high=1e-2)}),
    budget=Budget(1, parallelism=1, halving=0),
)
IMPATIENT = "; spark.scheduler.maxRegisteredResourcesWaitingTime=12s"  # a busy machine starts executors slowly


@pytest.fixture
def home(mlflow_settings, small_snapshot):
    """Settings whose home holds the small catalogue and an MLflow store."""
    settings = replace(mlflow_settings, device="cpu")
    settings.catalogues_dir.symlink_to(small_snapshot.catalogues_dir)
    return settings


def switch_off(pid):
    """End the machine that a trial's process runs on: Spark's worker there, then its executor with all it started."""
    lineage = [process for process in psutil.Process(pid).parents() if process.name() == "java"]
    executor, worker = lineage[:2]
    assert "org.apache.spark.deploy.worker.Worker" in worker.cmdline()
    worker.kill()  # first, or it would start another executor
    for process in (executor, *executor.children(recursive=True)):
        process.send_signal(signal.SIGKILL)


def test_a_trial_is_run_again_elsewhere_and_what_no_longer_fits_the_cluster_is_said(home, repository, tmp_path):
    with standalone(tmp_path) as address:
        cluster = {"TWINSET_SPARK_MASTER": address, "TWINSET_SPARK_CONF": CONF}

        def train(*options):
            command = [
                sys.executable,
                "-m",
                "backend",
                "train",
                "--catalogue",
                "small",
                "--preset",
                "seed-cnn",
                *options,
            ]
            changed = {**os.environ, **home.environment(), **cluster, "TWINSET_SPARK_CONF": CONF + IMPATIENT}
            return subprocess.run(command, cwd=repository, env=changed, capture_output=True, text=True, check=False)

        folder = SweepFolder(home.sweeps_dir / "s")
        sweep = started(home, PLAN, **cluster)
        until(lambda: sweep.poll() is not None or any(record.epochs for record in folder.trials()))
        (first,) = folder.trials()
        switch_off(first.pid)
        _, errors = sweep.communicate(timeout=LONG_S)
        assert sweep.returncode == 0, errors[-3000:]
        (record,) = folder.trials()
        assert (record.state, record.tries) == (TrialState.DONE, 2)
        assert record.pid != first.pid
        assert "py4j" not in errors

        refused = train("--workers", "2")
        assert refused.returncode != 0
        assert re.search(
            r"2 workers were requested, but Spark on \S+ has [01] slots|no worker with a free", refused.stderr
        )
        assert not list(home.models_dir.glob("*.checkpoints"))
    alone = train("--workers", "2")
    assert alone.returncode != 0
    assert f"The Spark master {address} does not answer: {address.removeprefix('spark://')}, Connection" in alone.stderr
    assert not list(home.models_dir.glob("*.checkpoints"))
