"""Sweeps end to end: on real Spark, killed and resumed, beside a single trial, out of reach of the test split, in MLflow."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace

import numpy as np
import psutil
import pytest

from backend import __version__
from backend.bundles import bundle
from backend.errors import ConfigurationError, EnvironmentUnready
from backend.feeding.content_cache import CacheFolder
from backend.flow.kinds import run_request
from backend.flow.requests import TuneRequest
from backend.flow.tune import final_request, trial_again
from backend.progress import NullProgress
from backend.tuning.engines import SparkEngine
from backend.tuning.folder import SweepFolder, list_sweeps
from backend.tuning.plan import Budget, SweepPlan
from backend.tuning.records import TrialState
from backend.tuning.snapshot import open_for_choice
from backend.tuning.space import Dimension, Space
from backend.tuning.sweep import run_sweep
from backend.tuning.trial import Surroundings
from tests.fixtures.models import TINY, StoredProduct, store_catalogue
from tests.support.standalone import CONF, standalone
from tests.support.sweeps import NullSweepTracker, started
from tests.support.waiting import LONG_S, until

pytestmark = [pytest.mark.tf, pytest.mark.slow]
SPACE = Space(
    {
        "learning_rate": Dimension("loguniform", low=1e-4, high=1e-2),
        "loss": Dimension("choice", ("multi-similarity", "triplet")),
    }
)
PLAN = SweepPlan("s", "small", 1, replace(TINY, epochs=3), SPACE, budget=Budget(4), algorithm="random")
IN_SPLITS = 39  # pictures to learn from and to judge by
LONG = replace(PLAN, config=replace(TINY, epochs=200, steps_per_epoch=10), budget=Budget(3, halving=0))


@pytest.fixture
def home(mlflow_settings, small_snapshot):
    """Settings whose home holds the small catalogue and an MLflow store."""
    settings = replace(mlflow_settings, device="cpu", log_level="INFO")
    settings.catalogues_dir.symlink_to(small_snapshot.catalogues_dir)
    return settings


def here(snapshot, path, plan=PLAN):
    """Run a sweep in this process, without Spark and MLflow."""
    from backend.tuning.engines import SerialEngine

    folder = SweepFolder(path / plan.name)
    folder.create(plan)
    around = Surroundings(str(snapshot.catalogues_dir), 1, "cpu")
    run_sweep(folder, SerialEngine(), around, tracker=NullSweepTracker(), progress=NullProgress())
    return folder


def figures(folder):
    return [(r.number, r.values, r.value, [(e.loss, e.metrics) for e in r.epochs]) for r in folder.trials()]


# ------------------------------------------------------------------------------------------------- the test split


def test_a_choice_sees_no_row_of_the_test_split(small_snapshot, small_products):
    snapshot = open_for_choice(small_snapshot.catalogues_dir, "small")
    assert set(snapshot.summary().by_split) == {"train", "validation"}
    expected = sorted(p.product_id for p in small_products if p.split != "test")
    assert sorted(snapshot.columns(["product_id"])["product_id"].to_pylist()) == expected
    assert snapshot.columns(["product_id"], splits=["test"]).num_rows == 0
    assert not list(snapshot.batches(splits=["test"], columns=["image"], batch_size=8))
    (gone,) = (p.product_id for p in small_products[-1:])
    assert snapshot.products([gone]) == []


def test_rows_that_were_deleted_stay_deleted_for_a_choice(small_snapshot):
    from backend.tuning.snapshot import _only

    rows = small_snapshot.rows
    gone = np.arange(len(rows)) % 5 != 0  # as a deletion vector masks them
    before = rows.table(["product_id", "split"]).to_pylist()
    found = _only(rows.masked({rows.files[0]: gone})).table(["product_id", "split"]).to_pylist()
    assert found == [row for row, there in zip(before, gone, strict=True) if there and row["split"] != "test"]


def test_whatever_the_test_split_holds_a_sweep_comes_to_the_same_figures(tmp_path, small_products, small_snapshot):
    """Its pictures are no pictures, its labels are new ones, and there are more of them: nothing changes."""
    rest = [product for product in small_products if product.split != "test"]
    junk = [StoredProduct(f"zz{n:03d}", f"junk-{n % 4}", "test", b"no picture") for n in range(40)]
    other = store_catalogue(tmp_path / "other", [*rest, *junk])
    without = store_catalogue(tmp_path / "without", rest)
    plan = replace(PLAN, budget=Budget(2, halving=0))
    told = [
        figures(here(s, tmp_path / name, plan)) for name, s in (("a", small_snapshot), ("b", other), ("c", without))
    ]
    assert told[0] == told[1] == told[2]
    assert all(value is not None for _, _, value, _ in told[0])


# ------------------------------------------------------------------------------------------------- one trial


def test_a_trial_run_again_alone_gives_the_same_figure_and_so_does_its_final_training(home, decoded):
    plan = replace(PLAN, engine="serial", budget=Budget(3, halving=2))
    result = run_request(TuneRequest(plan), home, NullProgress())
    records = SweepFolder(home.sweeps_dir / "s").trials()
    assert [record.number for record in records] == [1, 2, 3]
    for record in records:
        again = trial_again(home, "s", record.number, NullProgress())
        assert again["same"]
        assert again["value"] == record.value
        assert again["epochs"] == [figures.value for figures in record.epochs]

    best = result["best_trial"]
    request = final_request(home, "s", 0, model="final")
    trained = run_request(request, replace(home, threads=1), NullProgress())
    manifest = bundle.verify(home.models_dir / "final")
    assert manifest.origin == {"sweep": "s", "trial": best}
    assert manifest.config == plan.config_of(best, records[best - 1].values).as_dict()
    assert trained["metrics"]["val.precision_at_1"] == pytest.approx(result["best_value"], abs=1e-6)
    with pytest.raises(ConfigurationError, match="has no trial 9"):
        final_request(home, "s", 9)
    assert set(decoded.values()) == {1}  # the first trial decoded for all others, and for the final training
    assert len(decoded) == IN_SPLITS


@pytest.mark.mlflow
def test_mlflow_holds_a_parent_and_a_child_for_every_trial(home):
    from backend.registry.store import open_store

    wrong = Space({**SPACE.dimensions, "pretrained": Dimension("choice", ("none",))})
    plan = replace(PLAN, engine="serial", budget=Budget(3, halving=2), space=wrong)
    result = run_request(TuneRequest(plan), home, NullProgress())
    records = {str(record.number): record for record in SweepFolder(home.sweeps_dir / "s").trials()}
    with open_store(home) as client:
        parent = client.get_run(result["run_id"])
        experiment = client.get_experiment_by_name("small").experiment_id
        children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{result['run_id']}'")
        assert (parent.info.status, parent.data.tags["best.trial"]) == ("FINISHED", str(result["best_trial"]))
        assert parent.data.metrics["best.value"] == pytest.approx(result["best_value"])
        assert {child.data.tags["trial"] for child in children} == set(records)
        for child in children:
            record = records[child.data.tags["trial"]]
            assert child.data.tags["state"] == str(record.state)
            assert child.data.tags["twinset.version"] == parent.data.tags["twinset.version"] == __version__
            assert float(child.data.params["learning_rate"]) == record.values["learning_rate"]
            told = client.get_metric_history(child.info.run_id, "value")
            assert [(m.step, m.value) for m in told] == [(e.epoch, e.value) for e in record.epochs]


def test_the_same_request_again_takes_the_sweep_up_and_another_is_refused(home):
    plan = replace(PLAN, engine="serial", budget=Budget(1))
    first = run_request(TuneRequest(plan), home, NullProgress())
    again = run_request(TuneRequest(plan), home, NullProgress())
    assert (again["trials"], again["best_value"], again["run_id"]) == (1, first["best_value"], first["run_id"])
    with pytest.raises(ConfigurationError, match="already a sweep 's'"):
        run_request(TuneRequest(replace(plan, seed=8)), home, NullProgress())
    more = run_request(TuneRequest(replace(plan, budget=Budget(2)), resume=True), home, NullProgress())
    assert more["trials"] == 2


def test_a_sweep_ends_when_its_minutes_are_over_and_goes_on_with_more(tmp_path, small_snapshot):
    plan = replace(LONG, budget=Budget(3, minutes=0.05, halving=0))
    folder = here(small_snapshot, tmp_path, plan)
    status = folder.status()
    assert (status.phase, status.reason) == ("finished", "The time limit of 0.05 minutes is reached.")
    assert {record.state for record in folder.trials()} <= {TrialState.INTERRUPTED, TrialState.WAITING}


def test_a_trial_that_runs_out_of_memory_is_said_and_the_next_one_runs(tmp_path, small_snapshot, monkeypatch):
    """The machine's own refusal: a process that may not grow any more gets MemoryError for its next large array."""
    from backend.tuning import trial

    real, calls = trial.prepare_trial, []

    def hungry(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            np.empty((1 << 46,), dtype=np.uint8)  # 64 TB
        return real(*args, **kwargs)

    monkeypatch.setattr(trial, "prepare_trial", hungry)
    folder = here(small_snapshot, tmp_path, replace(PLAN, budget=Budget(2, halving=0)))
    first, second = folder.trials()
    assert (first.state, first.reason) == (TrialState.FAILED, "The trial ran out of memory.")
    assert "Lower classes_per_batch" in first.next_step
    assert second.state is TrialState.DONE


# ------------------------------------------------------------------------------------------------- Spark


@pytest.mark.spark
def test_python_workers_live_on_from_trial_to_trial(spark, small_snapshot, tmp_path, monkeypatch):
    """Of several idle workers Spark takes the one that has waited longest: with those of other tests it would take turns."""
    monkeypatch.setitem(spark.sparkContext.environment, "WORKERS_OF", "this test")  # Spark pools workers by environment
    folder = SweepFolder(tmp_path / "s")
    folder.create(replace(PLAN, budget=Budget(5, parallelism=1, halving=0)))
    around = Surroundings(str(small_snapshot.catalogues_dir), 1, "cpu")
    run_sweep(folder, SparkEngine(spark, "cpu"), around, tracker=NullSweepTracker(), progress=NullProgress())
    assert len({record.pid for record in folder.trials()}) == 1


@pytest.mark.spark
def test_what_spark_ships_for_a_trial_is_small(spark, small_snapshot, tmp_path, monkeypatch):
    from pyspark.core import rdd

    real, sizes = rdd._prepare_for_python_RDD, []

    def measured(context, command):
        prepared = real(context, command)
        sizes.append(len(prepared[0]))
        return prepared

    monkeypatch.setattr(rdd, "_prepare_for_python_RDD", measured)
    folder = SweepFolder(tmp_path / "s")
    folder.create(replace(PLAN, budget=Budget(2, halving=0)))
    cache = CacheFolder(tmp_path / "cache", 10**9)
    around = Surroundings(str(small_snapshot.catalogues_dir), 1, "cpu", cache=cache)
    status = run_sweep(folder, SparkEngine(spark, "cpu"), around, tracker=NullSweepTracker(), progress=NullProgress())
    assert cache.n_bytes == IN_SPLITS * (36 + math.prod(TINY.pixels.shape))  # on this machine, trials share it
    assert len(sizes) >= 2
    assert max(sizes) <= 1_000_000
    assert status.shipped_bytes <= max(sizes) + 2_000


class Killer(NullProgress):
    """Kills the process of the first trial that has come to an epoch."""

    def __init__(self, folder):
        self.folder, self.victim = folder, 0

    def check_cancelled(self):
        running = [r for r in self.folder.trials() if r.state is TrialState.RUNNING and r.epochs]
        if running and not self.victim:
            self.victim = running[0].number
            os.kill(running[0].pid, signal.SIGKILL)


@pytest.mark.spark
def test_a_trial_whose_process_is_killed_is_said_and_the_sweep_goes_on(spark, small_snapshot, tmp_path):
    """What the system does to a process when memory runs out."""
    folder = SweepFolder(tmp_path / "s")
    plan = replace(
        PLAN, config=replace(TINY, epochs=60, steps_per_epoch=10), budget=Budget(3, parallelism=1, halving=0)
    )
    folder.create(plan)
    killer = Killer(folder)
    around = Surroundings(str(small_snapshot.catalogues_dir), 1, "cpu")
    status = run_sweep(folder, SparkEngine(spark, "cpu"), around, tracker=NullSweepTracker(), progress=killer)
    assert status.phase == "finished"
    states = {record.number: record.state for record in folder.trials()}
    assert states.pop(killer.victim) is TrialState.FAILED
    assert set(states.values()) == {TrialState.DONE}
    assert "was killed or crashed, possibly because it ran out of memory" in folder.trial(killer.victim).reason


@pytest.mark.spark
@pytest.mark.mlflow
def test_a_killed_driver_loses_no_finished_trial_and_a_resumed_sweep_goes_on_from_them(home):
    plan = replace(
        PLAN, budget=Budget(6, halving=0), algorithm="tpe", config=replace(TINY, epochs=12, steps_per_epoch=20)
    )
    folder = SweepFolder(home.sweeps_dir / "s")
    process = started(home, plan)
    until(lambda: sum(r.state.is_finished for r in folder.trials()) >= 2 and any(r.epochs for r in folder.trials()[2:]))
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE])
    before = {record.number: record for record in folder.trials()}
    assert not folder.is_running
    assert folder.status().phase == "running"  # nobody could say otherwise
    assert any(not record.state.is_finished for record in before.values())

    process = started(home, plan)
    output, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, errors[-3000:]
    assert json.loads(output.splitlines()[-1])["trials"] == 6
    after = {record.number: record for record in folder.trials()}
    assert list(after) == [1, 2, 3, 4, 5, 6]
    assert all(record.state is TrialState.DONE for record in after.values())
    for number, record in before.items():
        assert after[number].values == record.values
        assert not record.state.is_finished or after[number] == record
    assert len(folder.status().child_runs) == 6


@pytest.mark.spark
def test_a_master_whose_workers_go_away_ends_the_sweep_with_a_sentence_and_keeps_what_is_done(
    home, tmp_path, monkeypatch
):
    """Its JVM dies, as with a cluster that is switched off."""
    folder = SweepFolder(home.sweeps_dir / "s")
    with standalone(tmp_path) as address:
        changes = {"TWINSET_SPARK_MASTER": address, "TWINSET_SPARK_CONF": CONF}
        process = started(home, replace(LONG, config=replace(TINY, epochs=40, steps_per_epoch=10)), **changes)
        until(lambda: any(r.state.is_finished for r in folder.trials()) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1][-3000:]
        java = [p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == "java"]
        java[0].kill()
        _, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == 1
    assert "became unavailable during the sweep; finished trials are kept" in errors
    assert any(record.state.is_finished for record in folder.trials())
    assert (folder.status().phase, folder.status().next_step) == ("failed", "Start it again, then resume the sweep.")
    assert not any(record.state is TrialState.FAILED for record in folder.trials())


@pytest.mark.spark
def test_a_cluster_without_executors_is_given_up_after_a_while(spark, monkeypatch):
    engine = SparkEngine(spark, "cpu", patience_s=0.0)
    monkeypatch.setattr(SparkEngine, "_is_local", property(lambda _: False))
    monkeypatch.setattr(SparkEngine, "_executors", lambda _: 0)
    assert "became unavailable during the sweep" in engine.trouble()
    engine.patience_s = 3600.0
    assert engine.trouble() == ""


@pytest.mark.spark
def test_a_master_that_no_longer_answers_is_given_up_although_executors_go_on(spark, monkeypatch):
    from backend.tuning import engines

    engine, said = SparkEngine(spark, "cpu"), ["127.0.0.1:7077, Connection refused"]
    monkeypatch.setattr(engines, "unanswered", lambda _master, *, within_s: said[0])
    monkeypatch.setattr(engines, "_KNOCK_EVERY_S", 0.0)
    assert engine.trouble() == ""
    monkeypatch.setattr(engines, "_WITHOUT_MASTER_S", 0.0)
    assert "became unavailable during the sweep" in engine.trouble()
    said[0] = ""
    assert engine.trouble() == ""


@pytest.mark.spark
def test_trials_that_nobody_starts_are_noticed(spark):
    from hyperopt import SparkTrials

    engine = SparkEngine(spark, "cpu", patience_s=0.01)
    engine._trials = SparkTrials(1, spark_session=spark)
    assert engine.trouble() == ""
    engine._trials._dynamic_trials = [{"state": 0}]
    until(engine.trouble)
    assert "Hyperopt starts no more trials" in engine.trouble()
    engine._trials._dynamic_trials = [{"state": 0}, {"state": 1}]
    assert engine.trouble() == ""


def test_more_trials_at_a_time_than_slots_are_refused_before_spark_starts(home):
    plan = replace(PLAN, budget=Budget(2, parallelism=9))
    with pytest.raises(ConfigurationError, match="9 trials at a time were requested, but there are 2 slots"):
        run_request(TuneRequest(plan), home, NullProgress())
    assert list_sweeps(home.sweeps_dir) == []


def test_a_missing_spark_says_what_to_do_and_the_sweep_can_be_run_later(home, monkeypatch):
    plan = replace(PLAN, budget=Budget(1))
    bad = replace(home, spark_master="spark://127.0.0.1:1", cache_dir=home.home / "none")
    with pytest.raises(EnvironmentUnready):
        run_request(TuneRequest(plan), bad, NullProgress())
    assert SweepFolder(home.sweeps_dir / "s").plan() == plan
