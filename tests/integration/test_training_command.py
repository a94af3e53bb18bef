"""Real trainings from the command line: stopped as Kubernetes stops them, started twice under one name, gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.files.holding import holder_of, lock_of
from backend.registry.store import open_store
from backend.training.preparation import unfinished_trainings
from tests.fixtures.models import TINY

pytestmark = [pytest.mark.tf, pytest.mark.mlflow]

TIMEOUT_S = 240.0
FIELDS = [f"{name}={value}" for name, value in replace(TINY, epochs=200).as_dict().items() if name != "preset"]
CHANGES = [part for field in FIELDS for part in ("--set", field)]


@pytest.fixture
def home(mlflow_settings, small_snapshot):
    """Settings whose home holds the small catalogue and an MLflow store."""
    mlflow_settings.catalogues_dir.symlink_to(small_snapshot.catalogues_dir)
    return replace(mlflow_settings, device="cpu")


def started(settings, repository, *arguments):
    """Start ``train`` as a shell would."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "train", "--json", *arguments],
        cwd=repository,
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """Wait for its end: status, what it printed as JSON, and what it said."""
    output, errors = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, json.loads(output.splitlines()[-1]) if output else {}, errors


def until_an_epoch_is_done(settings, process):
    deadline = time.monotonic() + TIMEOUT_S
    while not unfinished_trainings(settings.models_dir):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(settings):
    """Status, and steps of the loss, of every run."""
    with open_store(settings) as client:
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = client.search_runs(experiments)
        return {
            run.info.run_id: (run.info.status, [m.step for m in client.get_metric_history(run.info.run_id, "loss")])
            for run in found
        }


def test_sigterm_stops_a_training_that_keeps_its_name_to_itself_and_goes_on_in_its_own_run(home, repository):
    begin = ("--catalogue", "small", "--preset", "seed-cnn", "--name", "autumn", *CHANGES)
    first = started(home, repository, *begin)
    until_an_epoch_is_done(home, first)
    assert holder_of(lock_of(home.models_dir / "autumn")).pid == first.pid

    status, told, _ = ended(started(home, repository, *begin))
    assert status == 1
    assert told["error"]["code"] == "in_use"
    assert f"The model 'autumn' is being trained by process {first.pid} on " in told["error"]["message"]
    assert f"kill {first.pid}" in told["error"]["next_step"]
    assert first.poll() is None

    first.send_signal(signal.SIGTERM)
    status, told, errors = ended(first)
    assert (status, told["error"]["code"]) == (130, "cancelled")
    (left,) = unfinished_trainings(home.models_dir)
    assert told["error"]["message"] == "Stopped at your request."
    assert f"{left.epochs_done} of 200 epochs are kept" in told["error"]["next_step"]
    assert "python -m backend train --resume autumn" in told["error"]["next_step"]
    assert "Stopping …" in errors
    assert "Traceback" not in errors
    ((run_id, (run_status, steps)),) = runs(home).items()
    assert (run_id, run_status) == (left.run_id, "KILLED")
    assert not list(home.models_dir.glob(".autumn.*"))

    longer = left.epochs_done + 2
    status, told, errors = ended(started(home, repository, "--resume", "autumn", "--set", f"epochs={longer}"))
    assert status == 0, errors[-3000:]
    assert told["run_id"] == run_id
    assert runs(home) == {run_id: ("FINISHED", list(range(1, longer + 1)))}
    assert steps == list(range(1, left.epochs_done + 1))
    assert bundle.verify(home.models_dir / "autumn").config["epochs"] == longer
    assert sorted(path.name for path in home.models_dir.iterdir()) == [".locks", "autumn"]
