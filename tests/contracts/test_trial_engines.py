"""What every engine of a sweep must do, with real trainings: Hyperopt's serial Trials, and SparkTrials on real Spark."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from backend.errors import Cancelled, ConfigurationError
from backend.tuning.engines import SerialEngine, SparkEngine
from backend.tuning.folder import SweepFolder
from backend.tuning.plan import Budget, Objective, SweepPlan
from backend.tuning.records import TrialState
from backend.tuning.space import Dimension, Space
from backend.tuning.sweep import result_of, run_sweep
from backend.tuning.trial import Surroundings
from tests.fixtures.models import TINY
from tests.support.sweeps import NullSweepTracker

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SPACE = Space(
    {
        "learning_rate": Dimension("loguniform", low=1e-4, high=1e-2),
        "loss": Dimension("choice", ("multi-similarity", "triplet")),
        "examples_per_class": Dimension("quniform", low=3, high=5, step=1),
    }
)
PLAN = SweepPlan("s", "small", 1, replace(TINY, epochs=3), SPACE, budget=Budget(4, halving=0))
FINISHED = {TrialState.DONE, TrialState.HALTED}


@pytest.fixture(params=["serial", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request):
    if request.param == "serial":
        return SerialEngine()
    return SparkEngine(request.getfixturevalue("spark"), "cpu")


@dataclass
class Listener:
    """Hears how a sweep goes; cancels it, or does something else, once so many trials are done."""

    at: int = 10**6
    act: object = None
    job: str = ""
    notes: list[str] = field(default_factory=list)
    done: float = 0.0

    def report(self, done, _total, *, unit="", note=""):
        self.done = max(self.done, done) if unit == "trials" else self.done
        self.notes.append(note)

    def metric(self, name, value, *, step):
        raise AssertionError("a sweep has no metrics of its own")

    def check_cancelled(self):
        if self.done < self.at:
            return
        if self.act is None:
            raise Cancelled("The user asked to stop.")
        self.act()


@dataclass
class Diary(NullSweepTracker):
    """Remembers what it was told."""

    kept: list = field(default_factory=list)
    ended: list = field(default_factory=list)

    def begin(self, _plan, *, run_id):
        return run_id or "parent"

    def trial(self, _plan, record, *, parent):
        assert parent == "parent"
        self.kept.append(record.number)
        return f"child-{record.number}"

    def end(self, run_id, *, status, best):
        self.ended.append((run_id, status, best.number if best else 0))


def swept(engine, snapshot, path, plan=PLAN, *, progress=None, tracker=None, unseen=()):
    folder = SweepFolder(path / plan.name)
    if not folder.path.exists():
        folder.create(plan)
    around = Surroundings(str(snapshot.catalogues_dir), 1, "cpu", unseen)
    status = run_sweep(folder, engine, around, tracker=tracker or Diary(), progress=progress or Listener())
    return folder, status


def test_all_trials_are_run_recorded_and_told(engine, small_snapshot, tmp_path):
    diary, listener = Diary(), Listener()
    folder, status = swept(engine, small_snapshot, tmp_path, tracker=diary, progress=listener)
    records = folder.trials()
    assert [record.number for record in records] == [1, 2, 3, 4]
    assert {record.state for record in records} == {TrialState.DONE}
    assert (status.phase, status.reason) == ("finished", "All 4 trials have run.")
    for record in records:
        config = folder.plan().config_of(record.number, record.values)
        assert (record.seed, record.planned_epochs, len(record.epochs)) == (config.seed, 3, 3)
        assert 3 <= record.values["examples_per_class"] <= 5
        best = max(
            record.epochs, key=lambda e: (e.metrics["seen.precision_at_1"] + e.metrics["seen.map_at_r"], -e.epoch)
        )
        assert (record.best_epoch, record.value) == (best.epoch, best.value)
        assert record.seconds > 0
    assert (sorted(diary.kept), diary.ended[0][:2]) == ([1, 2, 3, 4], ("parent", "FINISHED"))
    assert status.child_runs == {str(n): f"child-{n}" for n in (1, 2, 3, 4)}
    assert listener.done == 4
    assert 0 < status.shipped_bytes <= 1_000_000
    assert result_of(folder, status)["best_value"] == max(record.value for record in records)


def test_a_failed_trial_is_a_sentence_and_never_ends_the_sweep(engine, small_snapshot, tmp_path):
    plan = replace(PLAN, space=Space({**SPACE.dimensions, "learning_rate": Dimension("choice", (1.0, 0.001))}))
    plan = replace(plan, config=replace(plan.config, loss="multi-similarity+proxy", weight_decay=1.0, optimizer="sgd"))
    plan = replace(plan, budget=Budget(5, halving=0))
    folder, status = swept(engine, small_snapshot, tmp_path, plan)
    assert status.phase == "finished"
    assert len(folder.trials()) == 5
    for record in folder.trials():
        assert record.state.is_finished
        assert bool(record.reason) == (record.state is TrialState.FAILED)


def test_a_hopeless_trial_costs_a_fraction(engine, small_snapshot, tmp_path):
    plan = replace(PLAN, budget=Budget(6, halving=2, parallelism=1), config=replace(PLAN.config, epochs=4))
    folder, _ = swept(engine, small_snapshot, tmp_path, plan)
    halted = [record for record in folder.trials() if record.state is TrialState.HALTED]
    assert halted
    assert all(len(record.epochs) in {1, 2} and "other trials were better" in record.reason for record in halted)
    assert all(record.value is not None for record in halted)


def test_pause_lets_running_trials_end_and_a_resumed_sweep_goes_on(engine, small_snapshot, tmp_path):
    folder = SweepFolder(tmp_path / "s")
    listener = Listener(at=1, act=folder.ask_to_pause)
    _, status = swept(engine, small_snapshot, tmp_path, progress=listener)
    first = {record.number: record for record in folder.trials()}
    assert status.phase == "paused"
    assert 1 <= sum(record.state.is_finished for record in first.values()) < 4
    assert all(record.state.is_finished or record.state is TrialState.WAITING for record in first.values())
    _, status = swept(engine, small_snapshot, tmp_path)
    assert status.phase == "finished"
    after = {record.number: record for record in folder.trials()}
    assert list(after) == [1, 2, 3, 4]
    for number, record in first.items():
        assert after[number].values == record.values
        assert not record.state.is_finished or after[number] == record


def test_cancel_keeps_what_is_done(engine, small_snapshot, tmp_path):
    long = replace(PLAN, config=replace(PLAN.config, epochs=200, steps_per_epoch=20), budget=Budget(2, halving=0))
    folder, diary = SweepFolder(tmp_path / "s"), Diary()

    class Impatient(Listener):
        def check_cancelled(self):
            if any(record.epochs for record in folder.trials()):
                raise Cancelled("The user asked to stop.")

    with pytest.raises(Cancelled):
        swept(engine, small_snapshot, tmp_path, long, progress=Impatient(), tracker=diary)
    assert folder.status().phase == "cancelled"
    assert diary.ended[0][1] == "KILLED"
    assert not any(record.state.is_finished for record in folder.trials())


def test_the_same_sweep_gives_the_same_figures(engine, small_snapshot, tmp_path):
    plan = replace(PLAN, algorithm="random", budget=Budget(3, halving=0))
    runs = [swept(engine, small_snapshot, tmp_path / name, plan)[0].trials() for name in ("one", "two")]
    told = [[(r.number, r.values, r.seed, r.value, [e.loss for e in r.epochs]) for r in run] for run in runs]
    assert told[0] == told[1]


def test_labels_are_kept_from_learning_where_the_objective_says_so(engine, small_snapshot, tmp_path):
    plan = replace(PLAN, objective=Objective("map_at_r", "mean", 0.34), budget=Budget(1))
    folder, _ = swept(engine, small_snapshot, tmp_path, plan, unseen=("Handbag",))
    (record,) = folder.trials()
    last = record.epochs[-1]
    assert set(last.metrics) == {f"{p}.{r}" for p in ("seen", "unseen") for r in ("precision_at_1", "map_at_r")}
    assert last.value == pytest.approx((last.metrics["seen.map_at_r"] + last.metrics["unseen.map_at_r"]) / 2)


def test_more_trials_at_a_time_than_slots_are_refused(engine, small_snapshot, tmp_path):
    plan = replace(PLAN, budget=Budget(2, parallelism=3))
    with pytest.raises(ConfigurationError, match=f"has {engine.slots} slots"):
        swept(engine, small_snapshot, tmp_path, plan)
