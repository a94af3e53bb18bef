"""What nobody needs any more can be deleted; what something still names cannot, and says by what it is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.cli import main
from backend.errors import BundleError, ConfigurationError, InUse, Protected
from backend.files.holding import lock_of
from backend.flow.remove import delete_step, removal
from backend.flow.requests import DeleteRequest, EvaluateRequest, TrainRequest, TuneRequest, from_json, to_json
from backend.jobs.runner import active_jobs
from backend.jobs.store import JobStore
from backend.progress import NullProgress
from backend.registry.card import card_of
from backend.registry.golden import GoldenQuery, approve
from backend.registry.ledger import Ledger, RegisteredVersion
from backend.registry.usage import versions_in_use
from backend.training.config import TrainConfig
from backend.training.preparation import ModelPlace, note_training
from tests.fixtures.endpoint import write_projection_bundle
from tests.support.holding import held_elsewhere
from tests.support.sweeps import plan_for, record, stored_sweep

QUIET = NullProgress()
AUTUMN = DeleteRequest(model="autumn")


@pytest.fixture
def autumn(settings):
    """A model with a map and checkpoints of an earlier version."""
    write_projection_bundle(settings.models_dir / "autumn")
    for folder in (settings.maps_dir / "autumn", settings.models_dir / "autumn.checkpoints"):
        folder.mkdir(parents=True)
        (folder / "epoch-001.npz").write_bytes(b"x" * 1_000)
    write_projection_bundle(settings.models_dir / "autumn-2")
    return settings


def registered(settings, *aliases, model="autumn", sweep="", trial=""):
    card = card_of(settings.models_dir / "autumn", bundle.read_manifest(settings.models_dir / "autumn"))
    card = replace(card, sweep=sweep, trial=trial)
    return Ledger("twinset", (RegisteredVersion(3, model, aliases, "2026-11-25T12:00:00+00:00", "r3", card),))


def looked_at(settings, request=AUTUMN, ledger=Ledger("twinset"), jobs=(), serving=""):  # noqa: B008 - immutable
    return removal(request, settings, ledger, jobs, serving=serving)


def job(settings, request):
    store = JobStore(settings.jobs_db, logs_dir=settings.logs_dir)
    return store.add(request.kind, to_json(request))[0]


def test_a_model_goes_with_all_that_is_its_own_and_says_what_it_freed(autumn):
    size = sum(file.stat().st_size for file in autumn.models_dir.glob("autumn/*"))
    told = delete_step(AUTUMN, autumn, QUIET)
    assert told == {"deleted": "model 'autumn'", "freed_bytes": size + 2_000, "runs": 0, "is_sweep": False}
    assert [folder.name for folder in autumn.models_dir.glob("[!.]*")] == ["autumn-2"]
    assert not list(autumn.models_dir.glob(".autumn*"))
    assert not list(autumn.maps_dir.iterdir())


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ({"serving": "autumn"}, "The endpoint answers with it."),
        ({"ledger": ("champion", "challenger")}, "Version 3 of it is champion and challenger."),
        ({"job": EvaluateRequest("winter", against=("autumn",))}, "(evaluate) is using it."),
        ({"job": TrainRequest("shop", name="autumn")}, "(train) is using it."),
        ({"golden": "twinset version 3"}, "The golden query 'coat' was approved with its answer."),
    ],
)
def test_a_model_that_something_needs_stays(autumn, around, said):
    ledger = registered(autumn, *around.get("ledger", ()))
    jobs = [job(autumn, around["job"])] if "job" in around else []
    if "golden" in around:
        approve(autumn.home, GoldenQuery("coat", "shop", b"picture", ("p1",), (), 5, approved_with=around["golden"]))
    (reason,) = looked_at(autumn, ledger=ledger, jobs=jobs, serving=around.get("serving", "")).protected
    assert reason.endswith(said)


def test_what_names_others_protects_nothing(autumn):
    approve(autumn.home, GoldenQuery("coat", "shop", b"p", ("p1",), (), 5, approved_with="twinset version 2"))
    jobs = [job(autumn, EvaluateRequest("autumn-2")), job(autumn, TrainRequest("autumn", name="other"))]
    jobs += [job(autumn, AUTUMN)]
    assert looked_at(autumn, ledger=registered(autumn), jobs=jobs, serving="autumn-2").protected == ()
    assert looked_at(autumn, ledger=registered(autumn, "champion", model="autumn-2")).protected == ()


def test_a_job_that_works_with_a_model_and_a_process_that_holds_it_are_both_in_the_way(autumn):
    waiting = job(autumn, EvaluateRequest("autumn"))
    with pytest.raises(Protected, match=f"The model 'autumn' cannot be deleted. The job {waiting.id}"):
        delete_step(AUTUMN, autumn, QUIET, active=active_jobs(autumn))
    lock = lock_of(autumn.models_dir / "autumn")
    with held_elsewhere(lock, "is being indexed"), pytest.raises(InUse, match="is being indexed by process 4711"):
        delete_step(AUTUMN, autumn, QUIET, active=active_jobs(autumn))
    assert bundle.verify(autumn.models_dir / "autumn")


def test_an_unfinished_training_and_a_folder_that_is_no_model_go_too(settings):
    place = ModelPlace(settings.models_dir, "left")
    place.checkpoints.mkdir(parents=True)
    note_training(place, CatalogueRef("shop", 2), TrainConfig(), workers=1)
    (place.checkpoints / "state-001.npz").touch()
    assert versions_in_use(settings, "shop") == {2: ["unfinished training left"]}
    assert delete_step(DeleteRequest(model="left"), settings, QUIET)["deleted"] == "unfinished training 'left'"
    place.bundle.mkdir()
    assert delete_step(DeleteRequest(model="left"), settings, QUIET)["freed_bytes"] == 0
    assert versions_in_use(settings, "shop") == {}
    with pytest.raises(BundleError, match="no model 'left'"):
        delete_step(DeleteRequest(model="left"), settings, QUIET)


@pytest.mark.parametrize("name", ["..", "../catalogues", "", ".", ".locks", "a/../../catalogues", "/etc"])
@pytest.mark.parametrize("field", ["model", "sweep"])
def test_nothing_outside_can_be_named(autumn, name, field):
    autumn.catalogues_dir.mkdir(parents=True)
    autumn.sweeps_dir.mkdir(parents=True)
    with pytest.raises((ConfigurationError, BundleError)):
        delete_step(DeleteRequest(**{field: name}), autumn, QUIET)
    assert autumn.catalogues_dir.exists()
    assert autumn.models_dir.exists()
    assert autumn.sweeps_dir.exists()


def test_a_sweep_goes_unless_it_runs_or_made_a_model_that_an_alias_names(autumn):
    folder = stored_sweep(autumn.sweeps_dir, record(1, value=0.5), plan=plan_for("rates"))
    stored_sweep(autumn.sweeps_dir, record(1, value=0.5), plan=plan_for("others"))
    rates = DeleteRequest(sweep="rates")
    ledger = registered(autumn, "champion", sweep="rates", trial="7")
    assert looked_at(autumn, rates, ledger).protected == ("Its trial 7 became autumn, which is champion.",)
    assert looked_at(autumn, rates, registered(autumn, sweep="rates", trial="7")).protected == ()
    for asked in (TuneRequest(plan_for("rates")), TrainRequest("shop", origin={"sweep": "rates", "trial": 1})):
        assert "is using it" in looked_at(autumn, rates, jobs=[job(autumn, asked)]).protected[0]
    with held_elsewhere(lock_of(folder.path), "is already running"), pytest.raises(InUse, match="'rates' is already"):
        delete_step(rates, autumn, QUIET)
    for one in JobStore(autumn.jobs_db, logs_dir=autumn.logs_dir).list(-1, active=True):
        JobStore(autumn.jobs_db, logs_dir=autumn.logs_dir).finish(one.id, "CANCELLED", source=one.state)
    assert delete_step(rates, autumn, QUIET, active=active_jobs(autumn))["deleted"] == "sweep 'rates'"
    assert [found.name for found in autumn.sweeps_dir.glob("[!.]*")] == ["others"]
    with pytest.raises(ConfigurationError, match="no sweep 'rates'"):
        delete_step(rates, autumn, QUIET)


@pytest.mark.mlflow
def test_the_runs_of_a_sweep_go_to_the_trash_with_it(mlflow_settings):
    from backend.registry.runs.sweep_tracking import MlflowSweepTracker
    from backend.registry.store import open_store

    tracker, plan = MlflowSweepTracker(mlflow_settings), plan_for("rates")
    parent = tracker.begin(plan, run_id="")
    children = {str(n): tracker.trial(plan, record(n, value=0.5), parent=parent) for n in (1, 2)}
    stored_sweep(mlflow_settings.sweeps_dir, plan=plan, run_id=parent, child_runs={**children, "3": "f" * 32})
    assert delete_step(DeleteRequest(sweep="rates"), mlflow_settings, QUIET)["runs"] == 3
    with open_store(mlflow_settings) as client:
        stages = {client.get_run(run_id).info.lifecycle_stage for run_id in (parent, *children.values())}
    assert stages == {"deleted"}


def test_commands_name_what_they_delete(autumn, monkeypatch, capfd):
    for name, value in autumn.environment().items():
        monkeypatch.setenv(name, value)
    assert main.main(["models", "delete", "winter"]) == 1
    assert "There is no model 'winter'" in capfd.readouterr().err
    assert main.main(["models", "delete", "--model", "autumn"]) == 0
    assert "model 'autumn'" in capfd.readouterr().out
    assert main.main(["models", "delete"]) == 2
    assert "No model is given" in capfd.readouterr().err
    assert bundle.verify(autumn.models_dir / "autumn-2")
    stored_sweep(autumn.sweeps_dir, plan=plan_for("rates"))
    assert main.main(["tune", "delete", "rates"]) == 0
    assert not (autumn.sweeps_dir / "rates").exists()
    assert from_json("delete", to_json(AUTUMN)) == AUTUMN
