"""The folder of a sweep, halving, importance, tables: from files to what people read."""

from __future__ import annotations

import csv
import io
import json
import threading
from dataclasses import replace

import pytest

from backend.errors import Cancelled, ConfigurationError, InUse
from backend.files.holding import lock_of
from backend.tuning import task
from backend.tuning.folder import SweepFolder, list_sweeps
from backend.tuning.gpus import _HELD, own_gpu
from backend.tuning.halving import is_hopeless, rungs
from backend.tuning.importance import importances
from backend.tuning.records import TrialRecord, TrialState, best_of
from backend.tuning.report import comparison, export, history, row_of, summary_of
from backend.tuning.saved_spaces import delete_space, load_space, save_space, saved_spaces
from backend.tuning.space import Dimension, Space
from backend.tuning.trial import Surroundings
from tests.support.holding import held_elsewhere
from tests.support.sweeps import SPACE, plan_for, record, stored_sweep


def test_a_trial_survives_its_file():
    one = record(3, value=0.8)
    assert TrialRecord.from_dict(json.loads(json.dumps(one.as_dict()))) == one


def test_the_folder_gives_back_what_was_written(tmp_path):
    folder = stored_sweep(tmp_path, record(1, value=0.5), record(2), held_out=("Hat",))
    assert [one.number for one in folder.trials()] == [1, 2]
    assert folder.trial(1).value == 0.5
    assert folder.plan() == plan_for()
    assert folder.status().held_out == ("Hat",)
    assert [found.name for found in list_sweeps(tmp_path)] == ["autumn"]
    with pytest.raises(ConfigurationError, match="already a sweep 'autumn'"):
        folder.create(plan_for())
    with pytest.raises(ConfigurationError, match="has no trial 9"):
        folder.trial(9)
    with pytest.raises(ConfigurationError, match="no sweep 'winter'"):
        SweepFolder(tmp_path / "winter").plan()


def test_a_half_written_trial_hides_no_other(tmp_path, caplog):
    folder = stored_sweep(tmp_path, record(1, value=0.5), record(2, value=0.6))
    (folder.path / "trials" / "0001.json").write_text('{"number": 1', "utf-8")
    assert [one.number for one in folder.trials()] == [2]
    assert "Trial 0001 of autumn cannot be read" in caplog.text


def test_one_process_runs_a_sweep_and_its_lock_goes_with_it(tmp_path):
    folder = stored_sweep(tmp_path)
    assert not folder.is_running
    with folder.held():
        assert folder.is_running
    with held_elsewhere(lock_of(folder.path)):
        assert folder.is_running
        with pytest.raises(InUse, match="The sweep 'autumn' is being trained by process 4711"), folder.held():
            pass
    assert not folder.is_running


def test_wishes_are_heard_until_they_are_forgotten(tmp_path):
    folder = stored_sweep(tmp_path)
    folder.check_stopped()
    folder.ask_to_pause()
    assert (folder.is_to_pause, folder.is_to_stop) == (True, False)
    folder.ask_to_stop()
    with pytest.raises(Cancelled):
        folder.check_stopped()
    folder.forget_wishes()
    assert not folder.is_to_pause


def test_rungs_are_powers_below_the_last_epoch():
    assert rungs(9, 3) == (1, 3)
    assert rungs(10, 3) == (1, 3, 9)
    assert rungs(8, 2) == (1, 2, 4)
    assert rungs(1, 3) == rungs(9, 0) == ()


@pytest.mark.parametrize(
    ("value", "others", "halving", "hopeless"),
    [
        (0.1, [], 3, False),  # the first to come
        (0.5, [0.4], 3, False),
        (0.3, [0.4], 3, True),  # of two, the best goes on
        (0.5, [0.5, 0.5], 3, False),  # equals are not better
        (0.3, [0.4, 0.1, 0.1, 0.1, 0.1], 3, False),  # second of six
        (0.3, [0.4, 0.5, 0.1, 0.1, 0.1], 3, True),  # third of six
        (0.3, [0.4, 0.5, 0.1, 0.1, 0.1], 2, False),
    ],
)
def test_a_trial_goes_on_if_it_is_among_the_best_share(value, others, halving, hopeless):
    assert is_hopeless(value, others, halving) is hopeless


def test_the_best_trial_is_the_earliest_of_equals_and_never_one_without_a_figure():
    found = best_of([record(1), record(2, value=0.7), record(3, value=0.7), record(4, state=TrialState.FAILED)])
    assert found.number == 2
    assert best_of([record(1)]) is None


def test_the_field_that_decides_is_the_important_one():
    def values(number: int) -> dict:
        return {
            "loss": ("triplet", "multi-similarity")[number % 2],
            "learning_rate": 1e-4 * (1 + number * 7 % 20),
            "embedding_size": 16 * (1 + number // 2 % 4),
        }

    records = [
        record(n, value=0.9 if values(n)["loss"] == "triplet" else 0.5 + 0.01 * (n % 3), values=values(n))
        for n in range(1, 21)
    ]
    found = importances(SPACE, records)
    assert next(iter(found)) == "loss"
    assert found["loss"] > 0.9
    assert max(found["learning_rate"], found["embedding_size"]) < 0.3
    assert importances(SPACE, records[:3]) == {}
    assert set(importances(SPACE, [replace(one, value=0.5) for one in records]).values()) == {0.0}


def test_numbers_are_grouped_by_rank():
    space = Space({"dropout": Dimension("uniform", low=0, high=0.9)})
    records = [record(n, value=0.5 + 0.02 * n, values={"dropout": 0.9 * n / 16}) for n in range(1, 17)]
    assert importances(space, records)["dropout"] > 0.7


def test_trials_are_exported_with_their_values_and_reasons(tmp_path):
    failed = record(2, state=TrialState.FAILED, reason="The trial ran out of memory.")
    folder = stored_sweep(tmp_path, record(1, value=0.5), failed)
    rows = list(csv.DictReader(io.StringIO(export(folder, "csv"))))
    assert [(row["trial"], row["state"], row["value"]) for row in rows] == [("1", "done", "0.5"), ("2", "failed", "")]
    assert (rows[0]["loss"], rows[0]["seen.precision_at_1"]) == ("multi-similarity", "0.5")
    assert rows[1]["reason"] == "The trial ran out of memory."
    told = json.loads(export(folder, "json"))
    assert told["plan"] == plan_for().as_dict()
    assert [TrialRecord.from_dict(one) for one in told["trials"]] == folder.trials()
    assert row_of(failed)["value"] is None


def test_the_history_grows_in_the_order_of_ends():
    late = replace(record(1, value=0.9), finished_at=record(3, value=0.1).finished_at + 1)
    found = history([late, record(2, value=0.5), record(3, value=0.4), record(4)])
    assert [(one.number, best) for one, best in found] == [(2, 0.5), (3, 0.5), (1, 0.9)]


def test_two_sweeps_are_set_side_by_side_and_what_cannot_be_compared_is_said(tmp_path):
    one = stored_sweep(tmp_path, record(1, value=0.5), record(2, value=0.7))
    other = stored_sweep(tmp_path, record(1, value=0.8), plan=plan_for("winter", "boutique"))
    told = comparison(summary_of(one), summary_of(other))
    assert told["difference"] == pytest.approx(0.1)
    assert told["first"]["best_trial"] == 2
    assert told["notes"] == ["They ran on different catalogue versions, so their figures cannot be compared."]


def test_spaces_are_kept_by_name(tmp_path):
    save_space(tmp_path, "rates and losses", SPACE)
    assert saved_spaces(tmp_path) == ["rates and losses"]
    assert load_space(tmp_path, "rates and losses") == SPACE
    for name in ("", "../x", ".x"):
        with pytest.raises(ConfigurationError, match="is not a valid space name"):
            save_space(tmp_path, name, SPACE)
    with pytest.raises(ConfigurationError, match="The space is empty"):
        save_space(tmp_path, "none", Space())
    delete_space(tmp_path, "rates and losses")
    with pytest.raises(ConfigurationError, match="no space 'rates and losses'"):
        load_space(tmp_path, "rates and losses")


def test_two_holders_never_get_the_same_gpu(tmp_path, monkeypatch):
    from backend.errors import EnvironmentUnready

    numbers = []
    for preferred in ((1,), (1,)):
        _HELD.clear()  # as in a process of its own
        numbers.append(own_gpu(2, preferred, folder=tmp_path))
        assert own_gpu(2, (0,), folder=tmp_path) == numbers[-1]  # and it stays with this one
    assert numbers == [1, 0]
    _HELD.clear()
    with pytest.raises(EnvironmentUnready, match="All 2 GPUs"):
        own_gpu(2, folder=tmp_path)
    _HELD.clear()


def test_readers_never_see_half_a_record(tmp_path):
    folder, seen = stored_sweep(tmp_path, record(1, value=0.5)), []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(len(folder.trials()))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(8):
        folder.write_trial(record(1, value=0.5, epochs=1 + number))
    stop.set()
    reader.join()
    assert set(seen) <= {1}


def test_the_version_that_a_sweep_trains_on_is_in_use(settings):
    from backend.registry.usage import versions_in_use

    stored_sweep(settings.sweeps_dir, record(1, value=0.5), plan=plan_for(version=3))
    assert versions_in_use(settings, "shop") == {3: ["sweep autumn"]}
    assert versions_in_use(settings, "boutique") == {}


@pytest.mark.parametrize(("tries", "fails"), [(1, False), (2, True)])
def test_a_trial_whose_machine_died_is_begun_once_more_and_then_failed(tmp_path, monkeypatch, tries, fails):
    """Spark's cluster runs the task again; what the trial would do is not of interest here."""
    begun = []

    def trained(_plan, number, *_, keep, progress):
        begun.append(number)
        raise Cancelled("The sweep was stopped.")

    monkeypatch.setattr(task, "attempt", lambda: tries)
    monkeypatch.setattr("backend.tuning.trial.train_trial", trained)
    folder = stored_sweep(tmp_path, record(1, state=TrialState.RUNNING))
    folder.write_trial(replace(folder.trial(1), tries=tries))
    told = task.TrialTask(str(folder.path), Surroundings(str(tmp_path)))({"number": 1})
    after = folder.trial(1)
    if fails:
        assert (after.state, begun, told["status"]) == (TrialState.FAILED, [], "fail")
        assert after.reason.startswith("The trial's process was killed or crashed, 2 times")
    else:
        assert (after.state, begun, after.tries) == (TrialState.INTERRUPTED, [1], 2)
