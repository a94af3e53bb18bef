"""Spaces and plans on the command line, and what is said of a sweep."""

from __future__ import annotations

import json

import pytest

from backend.cli.main import main, parser
from backend.cli.tune import plan_of, space_of
from backend.errors import ConfigurationError, InUse, UsageError
from backend.files.holding import lock_of
from backend.flow.requests import TuneRequest
from backend.flow.tune import tune_step
from backend.progress import NullProgress
from backend.training.presets import preset
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, Objective
from backend.tuning.records import TrialState
from backend.tuning.saved_spaces import save_space
from backend.tuning.space import Dimension
from tests.support.holding import held_elsewhere
from tests.support.sweeps import SPACE, plan_for, record, stored_sweep


def test_fields_vary_as_they_are_written():
    found = space_of(
        [
            "learning_rate=loguniform:0.0005..0.02",
            "epochs=quniform:4..12/2",
            "loss=choice:triplet,circle",
            "deterministic=choice:true,false",
            "channels=choice:1,3",
        ]
    ).dimensions
    assert found == {
        "learning_rate": Dimension("loguniform", low=0.0005, high=0.02),
        "epochs": Dimension("quniform", low=4, high=12, step=2.0),
        "loss": Dimension("choice", ("triplet", "circle")),
        "deterministic": Dimension("choice", (True, False)),
        "channels": Dimension("choice", (1, 3)),
    }


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("learning_rate", "cannot be read"),
        ("learning_rate=normal:1..2", "cannot be read"),
        ("learning_rate=uniform:1", "range 1 of learning_rate cannot be read"),
        ("epochs=quniform:2..8", "range 2..8 of epochs cannot be read"),
        ("learning_rate=uniform:0.1..0.2/3", "cannot be read"),
        ("epochs=quniform:2..8/x", "step 'x' is not a number"),
        ("epochs=choice:2,many", "must be a whole number, got 'many'"),
        ("speed=choice:2", "has no field"),
    ],
)
def test_what_is_no_space_is_said(pair, said):
    with pytest.raises(UsageError, match=said):
        space_of([pair])


def test_a_command_line_becomes_a_plan(settings):
    save_space(settings.spaces_dir, "rates", SPACE)
    words = (
        "tune start --catalogue shop --name autumn --preset resnet --set epochs=9 --space rates --vary dropout=uniform:0..0.5 "
        "--metric map_at_r --labels mean --unseen-share 0.3 --trials 12 --minutes 5 --parallelism 2 --patience 4 --halving 2 "
        "--algorithm random --engine serial --seed 3"
    )
    plan = plan_of(parser().parse_args(words.split()), settings)
    assert (plan.name, plan.catalogue, plan.version, plan.config) == ("autumn", "shop", 0, preset("resnet", epochs=9))
    assert list(plan.space.dimensions) == [*SPACE.dimensions, "dropout"]
    assert plan.objective == Objective("map_at_r", "mean", 0.3)
    assert plan.budget == Budget(12, 5.0, 2, 4, 2)
    assert (plan.algorithm, plan.engine, plan.seed) == ("random", "serial", 3)


@pytest.fixture
def told(settings, monkeypatch, capsys):
    """Run a command in the test's home, and return what it printed as JSON."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str, status: int = 0):
        assert main(["tune", *words, "--json"]) == status
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_a_sweep_is_listed_shown_exported_and_compared(settings, told, tmp_path):
    failed = record(3, state=TrialState.FAILED, reason="The loss is no longer finite.")
    stored_sweep(settings.sweeps_dir, record(1, value=0.5), record(2, value=0.7), failed)
    (listed,) = told("list")["sweeps"]
    assert (listed["sweep"], listed["best_trial"], listed["phase"]) == ("autumn", 2, "finished")
    shown = told("show", "autumn")
    assert [row["state"] for row in shown["trials"]] == ["done", "done", "failed"]
    assert shown["trials"][2]["reason"] == "The loss is no longer finite."
    told("export", "autumn", "--to", str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text("utf-8").startswith("trial,state,value,learning_rate")
    assert told("compare", "autumn", "autumn")["difference"] == 0.0
    assert told("show", "winter", status=1)["error"]["code"] == "bad_configuration"


def test_a_sweep_is_steered_through_its_folder(settings, told):
    folder = stored_sweep(settings.sweeps_dir, record(1, value=0.5), phase="running")
    assert told("list")["sweeps"][0]["phase"] == "interrupted"
    with folder.held():
        assert told("pause", "autumn") == {"sweep": "autumn", "pausing": True}
        assert folder.is_to_pause
        assert told("cancel", "autumn") == {"sweep": "autumn", "cancelling": True, "jobs": []}
        assert folder.is_to_stop


def test_spaces_are_kept_and_forgotten(told):
    told("save-space", "rates", "--vary", "dropout=uniform:0..0.5")
    assert told("spaces")["spaces"] == [{"space": "rates", "dropout": {"kind": "uniform", "low": 0.0, "high": 0.5}}]
    assert told("forget-space", "rates") == {"spaces": []}


def test_a_name_that_another_sweep_has_is_refused_from_the_start(settings):
    lock = lock_of(settings.sweeps_dir / "autumn")
    with held_elsewhere(lock, "is already running", job="j-1"), pytest.raises(InUse) as refused:
        tune_step(TuneRequest(plan_for()), settings, NullProgress())
    assert refused.value.message.startswith("The sweep 'autumn' is already running by job j-1")
    assert "jobs cancel j-1" in refused.value.next_step
    assert not (settings.sweeps_dir / "autumn").exists()


@pytest.mark.parametrize("name", ["../autumn", ".locks", "a/b", "a b", "-x", "x" * 81])
@pytest.mark.parametrize("resume", [False, True])
def test_a_name_that_is_no_sweeps_leaves_nothing_behind(settings, name, resume):
    with pytest.raises(ConfigurationError):
        tune_step(TuneRequest(plan_for(name), resume=resume), settings, NullProgress())
    assert not settings.home.exists()


def test_a_sweep_folder_that_a_killed_process_left_half_made_is_used(settings):
    folder = SweepFolder(settings.sweeps_dir / "autumn")
    (folder.path / "trials").mkdir(parents=True)
    assert folder.taken() is None
    folder.create(plan_for())
    assert folder.plan() == plan_for()
