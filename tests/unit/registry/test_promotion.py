"""Aliases of a real registry move through the gate, past it with a reason that is kept, and back."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from backend.bundles import bundle
from backend.bundles.bundle import CatalogueRef
from backend.errors import PromotionRefused, Protected, RegistryError
from backend.files.holding import held, holder_of, lock_of
from backend.flow.deploy import deploy_step
from backend.flow.kinds import run_request
from backend.flow.requests import DeleteRequest, DeployRequest, IndexRequest, PromoteRequest, RollbackRequest, to_json
from backend.jobs.runner import active_jobs
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.jobs.tidying import own_process
from backend.progress import NullProgress
from backend.registry.fetching import fetch_champion
from backend.registry.history import REASON_TAG, load_ledger
from backend.registry.ledger import read_ledger
from backend.registry.promotion import promote, roll_back
from backend.registry.store import open_store
from backend.settings import ROOT
from tests.fixtures.registry import register_projection

pytestmark = pytest.mark.mlflow


@pytest.fixture
def home(mlflow_settings, evaluated_home):
    """A registry with three versions: a good model, a worse one, and the good one again."""
    shutil.copytree(evaluated_home.models_dir, mlflow_settings.models_dir)
    for name in ("large", "small", "large"):
        register_projection(mlflow_settings, mlflow_settings.models_dir / name)
    return mlflow_settings


def to(home, number, **options):
    return promote(home, number, progress=NullProgress(), **options)


def champion(home):
    return fetch_champion(home)[0].version


def test_a_version_that_passes_becomes_champion_and_that_is_noted(home):
    done = to(home, 1)
    assert (done.before, done.reason, champion(home)) == (None, "", 1)
    ledger = read_ledger(home.home, "twinset")
    assert ledger == load_ledger(home)
    assert ledger.at("champion").version == 1
    assert [check.passed for check in ledger.version(1).checks] == [True, True, True]
    assert [(event.action, event.version, event.before) for event in ledger.events] == [("promote", 1, None)]


def test_a_worse_version_is_refused_with_its_figures_and_the_champion_stays(home):
    to(home, 1)
    with pytest.raises(PromotionRefused, match=r"Version 2 was not made champion\. Metrics: Worse") as caught:
        to(home, 2)
    assert "models promote 2 --reason" in caught.value.next_step
    assert champion(home) == 1
    ledger = read_ledger(home.home, "twinset")
    assert [check.passed for check in ledger.version(2).checks] == [False, True, True]
    assert len(ledger.events) == 1


@pytest.mark.parametrize("reason", ["", "   "])
def test_an_empty_reason_is_none(home, reason):
    to(home, 1)
    with pytest.raises(PromotionRefused):
        to(home, 2, reason=reason)


def test_a_written_reason_overrules_the_gate_and_is_kept_as_a_tag_and_in_the_history(home):
    to(home, 1)
    assert to(home, 2, reason=" The photographer changed. ").reason == "The photographer changed."
    assert champion(home) == 2
    with open_store(home) as client:
        assert client.get_model_version("twinset", "2").tags[REASON_TAG] == "The photographer changed."
    ledger = load_ledger(home)
    assert (ledger.version(2).reason, ledger.events[0].reason) == ("The photographer changed.",) * 2


def test_a_reason_that_was_not_needed_is_not_kept_as_an_overruling(home):
    to(home, 1)
    assert to(home, 3, reason="Just in case.").reason == ""
    assert load_ledger(home).version(3).reason == ""


def test_it_goes_back_step_by_step_and_says_when_there_is_nothing_left(home):
    to(home, 1)
    to(home, 3)
    to(home, 2, reason="Trying.")
    assert roll_back(home, progress=NullProgress()).version.version == 3
    assert roll_back(home, progress=NullProgress()).version.version == 1
    with pytest.raises(RegistryError, match="No other version was champion before version 1"):
        roll_back(home, progress=NullProgress())
    assert champion(home) == 1
    assert [event.action for event in load_ledger(home).events] == ["rollback"] * 2 + ["promote"] * 3


def test_there_is_nothing_to_go_back_to_before_there_is_a_champion(home):
    with pytest.raises(RegistryError, match="has the alias champion yet"):
        roll_back(home, progress=NullProgress())


def test_a_challenger_has_no_gate_and_is_none_any_more_once_it_is_champion(home):
    to(home, 1)
    assert to(home, 2, alias="challenger").checks == ()
    assert load_ledger(home).at("challenger").version == 2
    to(home, 2, reason="It may.")
    assert load_ledger(home).at("challenger") is None
    assert champion(home) == 2


def test_a_version_that_is_not_there_is_said(home):
    with pytest.raises(RegistryError, match="no version 9"):
        to(home, 9)


def test_what_stands_at_an_alias_is_the_same_with_and_without_mlflow(home):
    from backend.registry.quick_look import look

    assert look(home, "champion") is None
    to(home, 1)
    to(home, 3)
    found = look(home, "champion")
    with open_store(home) as client:
        told = client.get_model_version_by_alias("twinset", "champion")
        uri = client.get_model_version_download_uri("twinset", "3")
    assert (found.version, found.run_id, found.tags) == (int(told.version), told.run_id or "", told.tags)
    assert found.uri == uri
    assert look(replace(home, tracking_uri="http://elsewhere"), "champion") is None
    (home.home / "mlflow.db").write_bytes(b"no database at all" * 100)
    assert look(home, "champion") is None


def test_the_steps_say_what_moved_and_what_the_gate_said(home):
    promoted = run_request(PromoteRequest(1), home, NullProgress())
    assert promoted == {
        "model": "large",
        "registered_model": "twinset",
        "version": 1,
        "alias": "champion",
        "before": None,
        "checks": [
            "metrics: There is no champion to compare with.",
            "fidelity: The index is exact.",
            "golden queries: There are no golden queries for its catalogue.",
        ],
        "reason": "",
        "endpoint": "not running",
    }
    run_request(PromoteRequest(3), home, NullProgress())
    assert run_request(RollbackRequest(), home, NullProgress())["version"] == 1


@pytest.fixture
def registering(monkeypatch):
    """A bundle is registered without TensorFlow's trial in a fresh process."""
    from backend.registry.fetching import ModelVersion

    def register(settings, folder, *, progress):
        number = register_projection(settings, folder)
        return ModelVersion("twinset", number, "", "", folder.name)

    monkeypatch.setattr("backend.registry.model_registry.register_bundle", register)


@pytest.fixture
def other(home):
    """A model of another catalogue, worse than the champion by its figures."""
    path = home.models_dir / "small"
    manifest = bundle.read_manifest(path)
    ref = CatalogueRef("photos", 1)
    index = replace(manifest.index, catalogue=ref)
    bundle.write_manifest(path, replace(manifest, catalogue=ref, index=index))
    return path


def test_another_catalogue_is_asked_about_before_anything_is_registered_and_is_no_regression(home, other, registering):
    to(home, 1)
    with pytest.raises(PromotionRefused, match="would replace the wardrobe catalogue by photos") as caught:
        run_request(DeployRequest("small"), home, NullProgress())
    assert "--replace-catalogue" in caught.value.next_step
    assert len(load_ledger(home).versions) == 3
    deployed = run_request(DeployRequest("small", replace_catalogue=True), home, NullProgress())
    assert (deployed["version"], deployed["before"], deployed["reason"]) == (4, 1, "")
    assert deployed["checks"][0].startswith("metrics: It searches photos, the champion wardrobe")
    assert [check.name for check in load_ledger(home).version(4).checks] == ["metrics", "fidelity", "golden queries"]
    with pytest.raises(PromotionRefused, match="would replace the photos catalogue by wardrobe"):
        to(home, 1)
    assert (champion(home), load_ledger(home).version(1).checks[0].passed) == (4, True)
    assert to(home, 1, replace_catalogue=True).before == 4


def test_what_may_replace_a_catalogue_still_passes_the_other_checks(home, other, registering):
    to(home, 1)
    manifest = bundle.read_manifest(other)
    metrics = {f"{bundle.INDEX_METRICS}fidelity_at_10": 0.5}
    bundle.write_manifest(other, replace(manifest, metrics=metrics, index=replace(manifest.index, kind="approximate")))
    with pytest.raises(PromotionRefused, match="Fidelity: "):
        run_request(DeployRequest("small", replace_catalogue=True), home, NullProgress())
    assert champion(home) == 1


def test_a_deployment_waits_for_the_index_that_is_being_built(home, registering):
    store = JobStore(home.jobs_db, logs_dir=home.logs_dir)
    job, _ = store.add("index", to_json(IndexRequest("small")))
    another, _ = store.add("index", to_json(IndexRequest("large")))
    notes = []

    class Building(NullProgress):
        def report(self, done, total, *, unit="", note=""):
            notes.append(note)
            if note == "Waiting until the index is built":
                assert holder_of(lock_of(home.models_dir / "small")) is None, "the job could not begin"
                store.finish(job.id, JobState.CANCELLED, source=JobState.QUEUED)

    assert run_request(DeployRequest("small"), home, Building(), active=active_jobs(home))["version"] == 4
    assert notes.index("Waiting until the index is built") < notes.index("Moving the alias champion")
    assert not store.get(another.id).state.is_finished


class Impatient(NullProgress):
    """Whoever holds a model and waits for a job that waits for the model waits for ever."""

    def report(self, done, total, *, unit="", note=""):
        assert note != "Waiting until the index is built"


def test_whoever_holds_a_model_deploys_it_before_an_index_that_waits_for_it(home, registering):
    store = JobStore(home.jobs_db, logs_dir=home.logs_dir)
    job, _ = store.add("index", to_json(IndexRequest("small")))
    with held(lock_of(home.models_dir / "small"), "The model", "is being brought up to date", NullProgress()):
        assert deploy_step(DeployRequest("small"), home, Impatient())["version"] == 4
    assert store.get(job.id).state is JobState.QUEUED


def test_a_deployment_that_the_gate_refuses_leaves_a_challenger(home, registering):
    to(home, 1)
    with pytest.raises(PromotionRefused, match="is now the challenger"):
        run_request(DeployRequest("small"), home, NullProgress())
    ledger = load_ledger(home)
    assert (ledger.at("champion").version, ledger.at("challenger").version) == (1, 4)
    assert [check.passed for check in ledger.version(4).checks] == [False, True, True]
    assert run_request(DeployRequest("small", reason="Asked for."), home, NullProgress())["version"] == 5


def test_the_champion_cannot_be_deleted_and_a_model_that_only_its_versions_name_can(home):
    to(home, 1)
    with pytest.raises(Protected, match=r"The model 'large' cannot be deleted\. Version 1 of it is champion\."):
        run_request(DeleteRequest(model="large"), home, NullProgress())
    assert bundle.verify(home.models_dir / "large")
    assert run_request(DeleteRequest(model="small"), home, NullProgress())["freed_bytes"] > 1_000
    assert [version.model for version in load_ledger(home).versions] == ["large", "small", "large"]
    assert not (home.models_dir / "small").exists()


@pytest.mark.parametrize("steps", range(4))
def test_a_move_that_a_kill_broke_off_is_finished_by_the_next_start_or_never_was(home, steps):
    """Alias, challenger, history and the file that screens read, killed after each."""
    to(home, 1)
    to(home, 3, alias="challenger")
    done = subprocess.run(
        [sys.executable, "-c", MOVING, str(home.home), str(steps)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(home.open_runs_dir.iterdir())) == 1
    with own_process(home):
        assert list(home.open_runs_dir.iterdir()) == []
    ledger, is_moved = load_ledger(home), steps > 0
    assert read_ledger(home.home, "twinset") == ledger
    assert ledger.at("champion").version == (3 if is_moved else 1)
    assert ledger.at("challenger") is None if is_moved else ledger.at("challenger").version == 3
    moves = [(event.alias, event.version, event.before) for event in ledger.events]
    assert moves == [("champion", 3, 1)] * is_moved + [("challenger", 3, None), ("champion", 1, None)]


# Kills itself before the step of that number.
MOVING = """
import os, signal, sys
from pathlib import Path
from mlflow import MlflowClient
from backend.progress import NullProgress
from backend.registry import alias_moves
from backend.registry.promotion import promote
from tests.fixtures.base import settings_for
steps = [(MlflowClient, "set_registered_model_alias"), (MlflowClient, "delete_registered_model_alias"),
         (alias_moves, "note_event"), (alias_moves, "synchronise")]
setattr(*steps[int(sys.argv[2])], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
promote(settings_for(Path(sys.argv[1])), 3, reason="A test.", progress=NullProgress())
"""


def test_the_same_move_again_within_a_second_is_noted_again(home):
    to(home, 1)
    for _ in range(2):
        to(home, 3, reason="A test.")
        to(home, 1, reason="A test.")
    assert [event.version for event in load_ledger(home).events] == [1, 3, 1, 3, 1]
