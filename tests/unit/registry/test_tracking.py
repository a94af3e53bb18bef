"""Runs land in MLflow with parameters, tags, metrics by step and their end; the process is left as it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from backend import __version__
from backend.errors import RegistryError, StorageFull
from backend.jobs.tidying import own_process
from backend.registry.relocation import ROOT_FILE
from backend.registry.runs.left_open import close_left
from backend.registry.runs.open_runs import PARENT_TAG, hold_run, registering
from backend.registry.runs.tracking import MlflowTracker, log_metrics_to_run
from backend.registry.runs.unowned import Unowned, unowned
from backend.registry.store import open_store

pytestmark = pytest.mark.mlflow

PARAMS = {"epochs": 4, "learning_rate": 0.003, "seed": 7, "catalogue.name": "shop", "catalogue.version": 3}
TAGS = {"git_commit": "c0ffee", "notes": "", "library.numpy": "1.26.4"}


@pytest.fixture
def tracker(mlflow_settings):
    return MlflowTracker(mlflow_settings)


def test_a_run_keeps_all_it_was_told(tracker, mlflow_settings):
    run_id = tracker.start(name="shop-resnet", params=PARAMS, tags=TAGS)
    for step, loss in enumerate([0.9, 0.5, 0.4], 1):
        tracker.log({"loss": loss, "val.precision_at_1": 1 - loss}, step=step)
    tracker.finish(status="FINISHED")
    log_metrics_to_run(mlflow_settings, run_id, {"test.map_at_r": 0.75})

    with open_store(mlflow_settings) as client:
        run = client.get_run(run_id)
        assert client.get_experiment(run.info.experiment_id).name == "shop"
        assert run.info.artifact_uri.startswith(str(mlflow_settings.home / "artifacts"))
        losses = [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")]
    assert (run.info.run_name, run.info.status) == ("shop-resnet", "FINISHED")
    assert run.data.params == {name: str(value) for name, value in PARAMS.items()}
    expected = {
        **TAGS,
        "catalogue": "shop",
        "catalogue_version": "3",
        "seed": "7",
        "mlflow.source.git.commit": "c0ffee",
        "twinset.version": __version__,
    }
    assert expected.items() <= run.data.tags.items()
    assert losses == [(1, 0.9), (2, 0.5), (3, 0.4)]
    assert run.data.metrics == {"loss": 0.4, "val.precision_at_1": 0.6, "test.map_at_r": 0.75}


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_tells_how_it_ended_and_the_next_can_start(tracker, mlflow_settings, status):
    run_id = tracker.start(name="a", params={}, tags={})
    tracker.finish(status=status)
    second = tracker.start(name="b", params={}, tags={})
    with open_store(mlflow_settings) as client:
        assert client.get_run(run_id).info.status == status
        assert client.get_run(second).info.status == "RUNNING"
        assert client.get_experiment(client.get_run(second).info.experiment_id).name == "twinset"


def test_out_of_turn_is_refused(tracker):
    for call in (lambda: tracker.log({"loss": 1.0}, step=1), lambda: tracker.finish(status="FINISHED")):
        with pytest.raises(RegistryError, match="No run is open"):
            call()
    tracker.start(name="a", params={}, tags={})
    with pytest.raises(RegistryError, match="already open"):
        tracker.start(name="b", params={}, tags={})


def test_figures_without_a_run_go_nowhere_and_those_of_an_unknown_run_are_refused(settings, mlflow_settings):
    log_metrics_to_run(replace(settings, tracking_uri="sqlite:////nowhere/at.db"), "", {"a": 1.0})
    with pytest.raises(RegistryError, match="The MLflow operation failed"):
        log_metrics_to_run(mlflow_settings, "0" * 32, {"a": 1.0})


def test_the_process_is_left_as_it_was(mlflow_settings):
    import mlflow

    def ask():
        with open_store(mlflow_settings) as client:
            assert mlflow.get_tracking_uri() == mlflow_settings.effective_tracking_uri
            client.get_run("0" * 32)

    before = mlflow.get_tracking_uri()
    with pytest.raises(RegistryError):
        ask()
    assert mlflow.get_tracking_uri() == before


def test_a_store_that_is_not_there_is_said_without_its_password(settings):
    gone = replace(settings, tracking_uri="sqlite://user:hunter2@/nowhere/at/all.db")
    with pytest.raises(RegistryError) as caught:
        MlflowTracker(gone).start(name="a", params={}, tags={})
    assert "hunter2" not in str(caught.value)


def test_a_damaged_store_is_said(settings):
    settings.home.mkdir(parents=True)
    (settings.home / "mlflow.db").write_bytes(b"certainly no database" * 100)
    with pytest.raises(RegistryError, match="The MLflow operation failed"):
        MlflowTracker(settings).start(name="a", params={}, tags={})


def test_a_full_disk_is_said(mlflow_settings):
    with pytest.raises(StorageFull), open_store(mlflow_settings):
        raise OSError(28, "No space left on device")


def test_a_moved_home_takes_its_artifacts_along(tracker, mlflow_settings, tmp_path):
    run_id = tracker.start(name="a", params={}, tags={"catalogue": "shop"})
    tracker.finish(status="FINISHED")
    database = mlflow_settings.home / "mlflow.db"
    with sqlite3.connect(database) as connection:  # an experiment that is not ours stays where it is
        connection.execute("UPDATE experiments SET artifact_location = '/elsewhere' WHERE name = 'Default'")
    connection.close()
    moved = replace(mlflow_settings, home=mlflow_settings.home.rename(tmp_path / "moved here"))

    with open_store(moved) as client:
        assert client.get_run(run_id).info.artifact_uri == f"{moved.home}/artifacts/{run_id}/artifacts"
        assert client.get_experiment_by_name("shop").artifact_location == f"{moved.home}/artifacts"
        assert client.get_experiment_by_name("Default").artifact_location == "/elsewhere"
    again = MlflowTracker(moved).start(name="b", params={}, tags={"catalogue": "shop"})
    with open_store(moved) as client:
        assert client.get_run(again).info.artifact_uri.startswith(f"{moved.home}/artifacts/")


OPENING = """
import sys
from pathlib import Path
from backend.registry.runs.tracking import MlflowTracker
from tests.fixtures.base import settings_for
tracker = MlflowTracker(settings_for(Path(sys.argv[1])))
print(tracker.start(name="a", params={}, tags={"catalogue": "shop"}), flush=True)
sys.stdin.read()
"""


def test_the_run_of_a_killed_process_is_closed_by_the_next_start_and_others_are_not(tracker, mlflow_settings):
    process = subprocess.Popen(
        [sys.executable, "-c", OPENING, str(mlflow_settings.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    killed = process.stdout.readline().strip()
    mine = tracker.start(name="b", params={}, tags={"catalogue": "shop"})
    with open_store(mlflow_settings) as client:
        experiment = client.get_run(killed).info.experiment_id
        foreign = client.create_run(experiment).info.run_id  # of another machine, or made by hand
        child = client.create_run(experiment, tags={PARENT_TAG: killed}).info.run_id
    assert close_left(mlflow_settings) == []
    process.kill()
    process.communicate()
    with own_process(mlflow_settings):  # the next start, of whatever
        pass
    expected = {killed: "KILLED", child: "KILLED", mine: "RUNNING", foreign: "RUNNING"}
    with open_store(mlflow_settings) as client:
        assert {run: client.get_run(run).info.status for run in expected} == expected
        assert "process was killed" in client.get_run(killed).data.tags["closed"]
    tracker.finish(status="FINISHED")
    assert list(mlflow_settings.open_runs_dir.iterdir()) == []
    assert tracker.start(name="a", params={}, tags={}, run_id=killed) == killed  # resumed
    with open_store(mlflow_settings) as client:
        assert client.get_run(killed).info.status == "RUNNING"
    tracker.finish(status="FINISHED")


def test_a_run_that_is_gone_or_whose_store_does_not_answer_stops_no_start(mlflow_settings, caplog):
    hold_run(mlflow_settings, "0" * 32).hold.close()
    (mlflow_settings.home / "file").touch()
    unreachable = replace(mlflow_settings, tracking_uri=f"sqlite:///{mlflow_settings.home}/file/at.db")
    with own_process(unreachable):
        assert "stay open for now" in caplog.text
    assert close_left(mlflow_settings) == ["0" * 32]
    assert list(mlflow_settings.open_runs_dir.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "mysql", "postgresql"])
def test_a_password_of_the_store_is_in_no_message(settings, monkeypatch, caplog, scheme):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    secret = replace(settings, tracking_uri=f"{scheme}://ada:s3cret@127.0.0.1:1/runs")
    with pytest.raises(RegistryError, match="The MLflow operation failed") as caught, open_store(secret) as client:
        client.search_experiments()
    assert f"{scheme}://127.0.0.1:1/runs" in caught.value.next_step
    assert "s3cret" not in f"{caught.value} {caught.value.args} {caplog.text}"


def test_nothing_is_left_in_the_working_directory(settings, tmp_path, repository):
    place = tmp_path / "elsewhere"
    place.mkdir()
    program = (
        "import sys; from pathlib import Path; from tests.fixtures.base import settings_for;"
        "from backend.registry.store import open_store; settings = settings_for(Path(sys.argv[1]));"
        "client = open_store(settings).__enter__(); run = client.create_run('0');"
        "client.log_text(run.info.run_id, 'a', 'a.txt'); print(run.info.artifact_uri)"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", program, str(settings.home)]
    told = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip().startswith(f"{settings.home}/artifacts/0/")
    assert list(place.iterdir()) == []
    assert list((settings.home / "artifacts").rglob("a.txt"))
    database = sqlite3.connect(settings.home / "mlflow.db")  # as earlier versions left it
    with database:
        database.execute("UPDATE experiments SET artifact_location = '/checkout/mlruns/0' WHERE experiment_id = 0")
    database.close()
    (settings.home / ROOT_FILE).unlink()
    with open_store(settings) as client:
        assert client.get_experiment("0").artifact_location == f"{settings.home}/artifacts/0"


def test_the_first_use_prints_nothing(tmp_path):
    program = (
        "from pathlib import Path; from tests.fixtures.base import settings_for;"
        "from backend.registry.runs.tracking import MlflowTracker;"
        f"t = MlflowTracker(settings_for(Path({str(tmp_path / 'home')!r})));"
        "t.start(name='a', params={'a': 1}, tags={}); t.log({'loss': 1.0}, step=1); t.finish(status='FINISHED')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_resumed_training_goes_on_in_its_own_run_and_says_what_changed(tracker, mlflow_settings):
    run_id = tracker.start(name="autumn", params=PARAMS, tags=TAGS)
    tracker.log({"loss": 0.9}, step=1)
    tracker.finish(status="KILLED")
    assert tracker.start(name="autumn", params={**PARAMS, "epochs": 9}, tags=TAGS, run_id=run_id) == run_id
    with open_store(mlflow_settings) as client:
        assert client.get_run(run_id).info.status == "RUNNING"
    tracker.log({"loss": 0.5}, step=2)
    tracker.finish(status="FINISHED")
    with open_store(mlflow_settings) as client:
        run = client.get_run(run_id)
        assert [metric.step for metric in client.get_metric_history(run_id, "loss")] == [1, 2]
        assert len(client.search_runs([run.info.experiment_id])) == 1
    assert (run.info.status, run.data.params["epochs"], run.data.tags["resumed.epochs"]) == ("FINISHED", "4", "9")
    assert not {tag for tag in run.data.tags if tag.startswith("resumed.")} - {"resumed.epochs"}


@pytest.mark.parametrize("gone", ["removed", "never there"])
def test_a_run_that_is_gone_is_replaced_by_a_new_one(tracker, mlflow_settings, gone):
    run_id = "f" * 32
    if gone == "removed":
        run_id = tracker.start(name="autumn", params=PARAMS, tags=TAGS)
        tracker.finish(status="KILLED")
        with open_store(mlflow_settings) as client:
            client.delete_run(run_id)
    fresh = tracker.start(name="autumn", params=PARAMS, tags=TAGS, run_id=run_id)
    tracker.finish(status="FINISHED")
    assert fresh != run_id


# A process that logs three models, makes versions of two, signs one, and is killed.
REGISTERING = """
import sys
from pathlib import Path
from tests.fixtures.base import settings_for
from backend.registry.runs.open_runs import registering
from backend.registry.signing import sign
from backend.registry.store import open_store
from backend.registry.runs.tracking import ensure_experiment
settings = settings_for(Path(sys.argv[1]))
with open_store(settings) as client, registering(client, settings) as work:
    client.create_registered_model("twinset")
    shop = ensure_experiment(client, settings, "shop")
    for number in range(3):
        run = client.create_run(shop, tags={**work.tags, "catalogue_version": "1"}).info.run_id
        model = client.create_logged_model(shop, "twinset", source_run_id=run, tags=work.tags)
        client.log_model_artifacts(model.model_id, sys.argv[2])
        if number:
            made = client.create_model_version("twinset", f"models:/{model.model_id}", run)
    sign(client, settings, "twinset", int(made.version), "0" * 64)
    print(model.model_id, flush=True)
    sys.stdin.read(int(sys.argv[3]))
"""


def logged_models(settings):
    with open_store(settings) as client:
        every = [one.experiment_id for one in client.search_experiments()]
        known = [one.model_id for one in client.search_logged_models(every)]
        open_ones = client.search_runs(every, "attributes.status = 'RUNNING'")
    return known, sorted(path.name for path in (settings.home / "artifacts").rglob("m-*")), len(open_ones)


@pytest.fixture
def registering_process(mlflow_settings, tmp_path, repository):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1" * 1000)
    command = [sys.executable, "-c", REGISTERING, str(mlflow_settings.home), str(tmp_path / "model"), "1"]
    process = subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_what_was_logged_and_not_registered_goes_after_a_kill_and_what_a_version_names_stays(
    registering_process, mlflow_settings
):
    process, registered = registering_process
    for remove in (False, True):
        assert unowned(mlflow_settings, remove=remove) == Unowned()  # a living process has it
    assert close_left(mlflow_settings) == []
    known, folders, open_runs = logged_models(mlflow_settings)
    assert (len(known), len(folders), open_runs) == (3, 3, 3)
    process.kill()
    process.communicate()
    (mlflow_settings.home / "aside").mkdir()
    for folder in mlflow_settings.open_runs_dir.iterdir():
        folder.rename(mlflow_settings.home / "aside" / folder.name)  # as if nobody had noted it
    found = unowned(mlflow_settings, remove=False)
    assert (len(found.runs), found.models) == (3, (1000,))
    for folder in (mlflow_settings.home / "aside").iterdir():
        folder.rename(mlflow_settings.open_runs_dir / folder.name)
    assert len(close_left(mlflow_settings)) == 1
    assert logged_models(mlflow_settings) == ([registered], [registered], 0)
    assert unowned(mlflow_settings, remove=True) == Unowned()


def test_what_nobody_noted_is_found_by_looking_and_what_others_log_is_left_alone(registering_process, mlflow_settings):
    process, registered = registering_process
    process.kill()
    process.communicate()
    shutil.rmtree(mlflow_settings.open_runs_dir)
    with open_store(mlflow_settings) as client:
        client.create_run("0")  # made by hand
        foreign = client.create_logged_model("0", "another").model_id
    assert len(unowned(mlflow_settings, remove=True).runs) == 3
    known, folders, open_runs = logged_models(mlflow_settings)
    assert {*known} > {registered, foreign}
    assert (len(known), len(folders), open_runs) == (3, 2, 1)  # with the version that was not signed: a person decides
    shared = replace(mlflow_settings, tracking_uri=mlflow_settings.effective_tracking_uri)
    assert unowned(shared, remove=True) == Unowned()  # a store that is told may be others', too


def fail_to_register(client, settings):
    with registering(client, settings) as work:
        client.create_logged_model("0", "twinset", tags=work.tags)
        raise RegistryError("It does not answer.")


def test_a_registration_that_fails_leaves_no_model(mlflow_settings):
    with open_store(mlflow_settings) as client:
        with pytest.raises(RegistryError, match="does not answer"):
            fail_to_register(client, mlflow_settings)
        assert list(client.search_logged_models(["0"])) == []
    assert list(mlflow_settings.open_runs_dir.iterdir()) == []
