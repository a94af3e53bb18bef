"""What trainings and sweeps leave when they end, are cancelled, or are killed, whole or in part: nothing, after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from backend.bundles.bundle import WORKPLACES
from backend.flow.requests import TrainRequest, TuneRequest
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from backend.registry.store import open_store
from backend.training.ranks.rank_folder import RankFolder
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget
from backend.tuning.records import TrialState
from tests.fixtures.models import TINY, store_catalogue
from tests.support.crash_home import processes
from tests.support.sweeps import plan_for
from tests.support.waiting import until

pytestmark = [pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]

ENDLESS = replace(TINY, epochs=200, steps_per_epoch=60)
AUTOGRAPH = "__autograph_generated_file"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for temporary files, as the processes that are started see it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def runner(mlflow_settings, small_products):
    store_catalogue(mlflow_settings.catalogues_dir, small_products)
    return JobRunner(replace(mlflow_settings, job_heartbeat_s=0.2))


def left(place, settings):
    """Count temporary files and folders, outside the home and in it."""
    named = {name for folder in (settings.models_dir, settings.uploads_dir) for name in folder.glob(WORKPLACES)}
    staged = {*settings.staging_dir.glob("*"), *settings.open_runs_dir.glob("*")}
    return len([*place.rglob("*"), *named, *staged])


def trained_for_a_while(runner, place, name):
    """Start a training and wait for its first epoch, and for what TensorFlow writes meanwhile."""
    job = runner.submit(TrainRequest("small", config=ENDLESS, name=name))
    deadline = time.monotonic() + 180
    while not (any(point.name == "loss" for point in runner.metrics(job.id)) and [*place.rglob(f"{AUTOGRAPH}*")]):
        assert time.monotonic() < deadline, runner.log_tail(job.id)
        assert not runner.get(job.id).state.is_finished, runner.log_tail(job.id)
        time.sleep(0.05)
    return runner.get(job.id)


def test_nothing_is_left_of_a_training_that_ended_was_cancelled_or_killed(runner, place, mlflow_settings, repository):
    job = trained_for_a_while(runner, place, "cancelled")
    assert left(place, mlflow_settings) > 3
    runner.cancel(job.id)
    assert runner.wait(job.id, 60).state is JobState.CANCELLED
    assert left(place, mlflow_settings) == 0

    job = trained_for_a_while(runner, place, "killed")
    os.kill(job.pid, signal.SIGKILL)
    assert runner.wait(job.id, 60).state is JobState.LOST
    assert left(place, mlflow_settings) > 3

    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, **mlflow_settings.environment(), "PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "backend", "jobs", "list", "--json"]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True)
    assert left(place, mlflow_settings) == 0
    assert list(elsewhere.iterdir()) == []
    with open_store(mlflow_settings) as client:
        (experiment,) = (one for one in client.search_experiments() if one.name == "small")
        runs = {run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert runs == {"cancelled": "KILLED", "killed": "KILLED"}

    finished = runner.submit(TrainRequest("small", config=TINY, name="finished"))
    assert runner.wait(finished.id, 180).state is JobState.SUCCEEDED
    assert left(place, mlflow_settings) == 0


def next_start(settings, repository):
    """What anybody does next."""
    command = [sys.executable, "-m", "backend", "jobs", "list", "--json"]
    environment = {**os.environ, **settings.environment()}
    subprocess.run(command, cwd=repository, env=environment, check=True, capture_output=True)


def rank(settings, number):
    return RankFolder(settings.models_dir / "ranks.checkpoints" / "ranks").state(number)


@pytest.mark.spark
def test_nothing_is_left_of_a_rank_that_was_killed(runner, place, mlflow_settings, repository):
    job = runner.submit(TrainRequest("small", config=ENDLESS, name="ranks", workers=2))
    until(lambda: rank(mlflow_settings, 1).unit == "steps" or runner.get(job.id).state.is_finished)
    folders = {*place.iterdir()}
    assert len(folders) >= 3, runner.log_tail(job.id)  # of the job, and of each rank
    os.kill(rank(mlflow_settings, 1).pid, signal.SIGKILL)
    ended = runner.wait(job.id, 120)
    assert (ended.state, "Rank 1 of 2" in ended.error) == (JobState.FAILED, True)
    assert {*place.iterdir()} & folders  # the killed one's
    next_start(mlflow_settings, repository)
    assert left(place, mlflow_settings) == 0
    until(lambda: not processes(mlflow_settings))  # a job's end is told before its process is gone


@pytest.mark.spark
def test_nothing_is_left_of_a_trial_whose_process_was_killed(runner, place, mlflow_settings, repository):
    config = replace(TINY, epochs=40, steps_per_epoch=10)
    plan = plan_for("s", "small", config=config, budget=Budget(2, parallelism=1, halving=0))
    folder = SweepFolder(mlflow_settings.sweeps_dir / "s")
    job = runner.submit(TuneRequest(plan))
    busy = until(lambda: [one for one in folder.trials() if one.state is TrialState.RUNNING and one.epochs])
    before = {*place.iterdir()}
    assert len(before) >= 2, runner.log_tail(job.id)  # of the job, and of the trial
    os.kill(busy[0].pid, signal.SIGKILL)
    assert runner.wait(job.id, 240).state is JobState.SUCCEEDED, runner.log_tail(job.id)
    assert [one.state for one in folder.trials()] == [TrialState.FAILED, TrialState.DONE]
    next_start(mlflow_settings, repository)
    assert left(place, mlflow_settings) == 0
    until(lambda: not processes(mlflow_settings))  # a job's end is told before its process is gone
