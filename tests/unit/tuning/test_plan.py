"""Plans: JSON and back, budgets, seeds, and what is refused before anything starts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.components.tune import words
from backend.errors import ConfigurationError
from backend.flow.requests import TuneRequest
from backend.flow.tune import final_request, tune_step
from backend.progress import NullProgress
from backend.training.presets import preset
from backend.training.ranks.preflight import Machine
from backend.tuning.budget import Clock, ending_of, planned_s, remaining_s, since_best, trained_share
from backend.tuning.checks import check_sweep, examples, slots_of
from backend.tuning.plan import ALGORITHMS, Budget, Objective, SweepPlan, trial_seed
from backend.tuning.records import TrialState
from backend.tuning.report import comparison, summary_of
from backend.tuning.space import Dimension, Space
from tests.support.sweeps import record, stored_sweep

RATE = Dimension("loguniform", low=1e-4, high=1e-2)
PLAN = SweepPlan("autumn", "shop", 3, preset("resnet", epochs=9), Space({"learning_rate": RATE}), budget=Budget(10))
COUNTS = {name: {"train": 20, "validation": 5} for name in "abcdefgh"}
MACHINE = Machine(cores=2, memory_bytes=8_000_000_000, disk_free_bytes=10**12)


def changed(**changes) -> SweepPlan:
    parts = {"budget": Budget, "objective": Objective}
    values = {
        name: replace(getattr(PLAN, name), **value) if name in parts else value for name, value in changes.items()
    }
    return replace(PLAN, **values)


def vary(**dimensions) -> SweepPlan:
    return replace(PLAN, space=Space(dimensions))


def test_a_plan_survives_json():
    plan = changed(objective={"labels": "mean"}, budget={"minutes": 2.5}, algorithm="random", engine="serial")
    assert SweepPlan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "is not a valid sweep name"),
        ({"name": "../x"}, "is not a valid sweep name"),
        ({"algorithm": "grid"}, "algorithm must be one of tpe"),
        ({"objective": {"metric": "loss"}}, "metric must be one of precision_at_1"),
        ({"objective": {"unseen_share": 0.9}}, "unseen_share must be between"),
        ({"budget": {"trials": 0}}, "trials must be between 1"),
        ({"budget": {"halving": 1}}, "Halving by 1"),
        ({"budget": {"parallelism": 2}, "engine": "serial"}, "without Spark only one is possible"),
        ({"space": Space()}, "The space is empty"),
    ],
)
def test_what_cannot_be_done_is_said_first(changes, said):
    (problem,) = check_sweep(changed(**changes), COUNTS, MACHINE).problems
    assert said in problem.message
    assert problem.next_step


def test_an_unknown_field_is_named():
    with pytest.raises(ConfigurationError, match="no field 'trails'"):
        SweepPlan.from_dict({"budget": {"trails": 3}})


def test_seeds_are_fixed_by_sweep_and_number():
    seeds = [trial_seed(seed, number) for seed in (7, 8) for number in range(1, 200)]
    assert len(set(seeds)) == len(seeds)
    assert PLAN.config_of(3, {"learning_rate": 0.001}).seed == trial_seed(7, 3)


def test_impossible_combinations_are_refused_with_what_makes_them():
    plan = vary(backbone=Dimension("choice", ("resnet", "mobilenet-v2")), learning_rate=RATE)
    (problem,) = check_sweep(plan, COUNTS, MACHINE).problems
    assert "trials of this space would fail: backbone mobilenet-v2" in problem.message
    assert "accepts only colour pictures" in problem.message
    losses = vary(
        loss=Dimension("choice", ("triplet", "circle")), distance=Dimension("choice", ("cosine", "squared-euclidean"))
    )
    assert "loss circle, distance squared-euclidean" in check_sweep(losses, COUNTS, MACHINE).problems[0].message
    assert check_sweep(vary(loss=Dimension("choice", ("triplet", "circle"))), COUNTS, MACHINE).problems == ()


def test_a_batch_that_does_not_fit_is_found_at_the_ends_of_the_ranges():
    large = vary(height=Dimension("quniform", low=28, high=256, step=4), width=Dimension("choice", (28, 256)))
    assert "memory" in check_sweep(large, COUNTS, replace(MACHINE, memory_bytes=1_000_000_000)).problems[0].message


def test_trials_at_a_time_must_fit_into_memory_together():
    small = replace(MACHINE, memory_bytes=1_200_000_000)
    assert check_sweep(PLAN, COUNTS, small, slots=1).problems == ()
    (problem,) = check_sweep(PLAN, COUNTS, small, slots=2).problems
    assert "2 trials at a time need up to" in problem.message


def test_more_trials_at_a_time_than_slots_are_refused():
    plan = changed(budget={"parallelism": 3})
    assert "there are 2 slots" in check_sweep(plan, COUNTS, MACHINE, slots=2).problems[0].message
    assert check_sweep(plan, COUNTS, MACHINE, slots=0).problems == ()


def test_labels_that_no_trial_learns_are_said_and_too_few_are_refused():
    found = check_sweep(changed(objective={"labels": "unseen"}), COUNTS, MACHINE)
    assert len(found.unseen) == 2
    assert found.unseen[0] in found.notes[0]
    few = {name: COUNTS[name] for name in "ab"}
    (problem,) = check_sweep(changed(objective={"labels": "unseen"}), few, MACHINE).problems
    assert "too few to hold out 1" in problem.message


def test_adaptive_tpe_is_not_offered_and_a_sweep_that_had_it_is_read_but_not_gone_on_with(settings):
    assert "adaptive-tpe" not in ALGORITHMS
    asked = changed(algorithm="adaptive-tpe")
    (problem,) = check_sweep(asked, COUNTS, MACHINE).problems
    assert "no longer offered" in problem.message
    assert "tpe or random" in problem.next_step
    stored = stored_sweep(settings.sweeps_dir, record(1, value=0.5), plan=asked)
    found = summary_of(stored)
    assert (found.plan, found.best.value) == (asked, 0.5)
    assert comparison(found, found)["first"]["algorithm"] in words.ALGORITHMS
    assert final_request(settings, stored.name, 1).config.learning_rate == 1e-4
    for resume in (True, False):
        with pytest.raises(ConfigurationError, match="no longer offered"):
            tune_step(TuneRequest(asked, resume=resume), settings, NullProgress())
    assert stored.plan() == asked


def test_a_space_smaller_than_the_budget_is_said():
    found = check_sweep(vary(loss=Dimension("choice", ("triplet", "pn"))), COUNTS, MACHINE)
    assert any("has 2 combinations" in note for note in found.notes)


def test_what_a_sweep_will_take_shrinks_with_halving_and_with_slots():
    def seconds(**budget):
        return check_sweep(changed(budget=budget), COUNTS, MACHINE, slots=2).seconds

    assert seconds(halving=3) < seconds(halving=0)
    assert seconds(halving=0, parallelism=2) == pytest.approx(seconds(halving=0, parallelism=1) / 2)
    assert seconds(minutes=0.5, halving=0) == 30


def test_the_share_of_epochs_that_is_trained():
    assert trained_share(9, 0) == 1.0
    assert trained_share(9, 3) == pytest.approx((1 + 2 / 3 + 6 / 9) / 9)
    assert planned_s(Budget(10, halving=0), 6.0, epochs=9, parallelism=2) == 30.0


@pytest.mark.parametrize(
    ("master", "slots"), [("local[3]", 3), ("local[*]", 2), ("local", 1), ("local[2,4]", 2), ("spark://a:1", 0)]
)
def test_slots_of_a_master(master, slots):
    assert slots_of(master, 2) == slots


def test_examples_are_the_same_for_the_same_seed():
    assert examples(PLAN, 3) == examples(PLAN, 3)
    assert examples(PLAN, 3) != examples(replace(PLAN, seed=8), 3)


def test_a_sweep_ends_by_trials_by_time_and_by_patience():
    records = [record(1, value=0.5), record(2, value=0.7), record(3, value=0.6), record(4, state=TrialState.FAILED)]
    still, over = Clock(Budget(minutes=1), 0.0), Clock(Budget(minutes=1), 61.0)
    assert ending_of(Budget(5), 5, records, still) == ""
    assert ending_of(Budget(4), 5, records, still) == "All 4 trials have run."
    assert ending_of(Budget(9), 5, records, over) == "The time limit of 1 minutes is reached."
    assert since_best(records) == 2
    assert "last 2 trials" in ending_of(Budget(9, patience=2), 5, records, still)
    assert ending_of(Budget(9, patience=3), 5, records, still) == ""
    assert since_best([]) == since_best([record(1, state=TrialState.FAILED)]) == 0


def test_the_rest_is_estimated_from_trials_that_are_done():
    records = [record(1, value=0.5, seconds=10), record(2, value=0.7, seconds=20), record(3, state=TrialState.RUNNING)]
    assert remaining_s(Budget(6), [], parallelism=2, spent_s=0.0) is None
    assert remaining_s(Budget(6), records, parallelism=2, spent_s=0.0) == 30.0
    assert remaining_s(Budget(6, minutes=1), records, parallelism=2, spent_s=50.0) == 10.0
