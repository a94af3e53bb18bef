"""The door to Hyperopt: its points and our values, whatever the field; and a memory rebuilt from files is the memory."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from backend.training.config import RANGES, TrainConfig
from backend.tuning.records import TrialState
from backend.tuning.search import Suggestions, algorithm, documents, filled, hyperopt_space, values_at
from backend.tuning.space import FIELDS, KINDS, Dimension, Space, is_whole, offered
from tests.support.sweeps import plan_for, stored_sweep

pytestmark = pytest.mark.slow  # the import of Hyperopt takes seconds


def usual(name: str) -> Dimension:
    """A dimension over what a field may be."""
    if name not in RANGES:
        return Dimension("choice", offered(name))
    low, high = RANGES[name]
    if is_whole(name):
        return Dimension("quniform", low=low, high=high, step=1)
    return Dimension("loguniform", low=low or 1e-4, high=high)


def drawn_points(space: Space, count: int) -> list[dict]:
    """Points as Hyperopt draws them, with its indices."""
    from hyperopt.base import Domain, Trials, spec_from_misc

    domain, trials = Domain(lambda _: 0.0, hyperopt_space(space)), Trials()
    docs = [algorithm("random", trials=count)([n], domain, trials, 100 + n)[0] for n in range(count)]
    return [spec_from_misc(doc["misc"]) for doc in docs]


@pytest.mark.parametrize("name", FIELDS)
def test_what_hyperopt_draws_becomes_a_configurations_value_and_goes_back(name):
    space = Space({name: usual(name)})
    space.check()
    default = getattr(TrainConfig(), name)
    for point in drawn_points(space, 8):
        values = values_at(space, point)
        assert type(values[name]) is type(default)
        if name in RANGES:
            low, high = RANGES[name]
            assert low <= values[name] <= high
        else:
            assert values[name] in offered(name)
        back = space.point_of(json.loads(json.dumps(values)))
        assert values_at(space, back) == values
        if name not in RANGES:
            assert back == point


def test_a_choice_is_its_value_and_not_its_place():
    space = Space({"channels": Dimension("choice", (3, 1)), "deterministic": Dimension("choice", (False, True))})
    assert values_at(space, {"channels": 0, "deterministic": 1}) == {"channels": 3, "deterministic": True}
    assert space.point_of({"channels": 1, "deterministic": False}) == {"channels": 1, "deterministic": 0}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_numbers_stay_in_their_range_and_quantised_ones_on_their_grid(kind):
    step = 0.05 if kind.startswith("q") else 0.0
    dimension = Dimension(kind, low=0.02, high=0.43, step=step)
    space = Space({"dropout": dimension})
    space.check()
    rng = np.random.default_rng(1)
    found = [values_at(space, p)["dropout"] for p in drawn_points(space, 40)] + [
        space.draw(rng)["dropout"] for _ in range(200)
    ]
    assert all(0.02 <= value <= 0.43 for value in found)
    if step:
        inner = [value for value in found if value not in {0.02, 0.43}]
        assert all(math.isclose(value / step, round(value / step), abs_tol=1e-9) for value in inner)


@pytest.fixture
def sweep(tmp_path):
    return stored_sweep(tmp_path, plan=plan_for(algorithm="tpe", budget=replace(plan_for().budget, trials=30)))


def run(folder, suggestions, trials, count, *, leave_out=()):
    """Have so many points suggested, and write down what they came to; some are left without an end."""
    for _ in range(count):
        (doc,) = suggestions(trials.new_trial_ids(1), None, trials, 0)
        trials.insert_trial_docs([doc])
        trials.refresh()
        record = folder.trial(doc["tid"] + 1)
        if record.number in leave_out:
            continue
        value = 1.0 - abs(math.log10(record.values["learning_rate"]) + 3) / 4
        ended = replace(record, state=TrialState.DONE, value=value, finished_at=record.proposed_at + 1)
        folder.write_trial(ended)
        doc = trials._dynamic_trials[-1]
        doc["state"], doc["result"] = 2, {"status": "ok", "loss": 1.0 - value}
        trials.refresh()


def test_a_memory_rebuilt_from_files_suggests_what_the_lost_one_would_have(sweep):
    from hyperopt import Trials

    suggestions, kept = Suggestions(sweep.plan(), sweep, lambda _: True), Trials()
    run(sweep, suggestions, kept, 14)
    rebuilt = filled(Trials(), sweep.plan(), sweep.trials())
    assert [doc["misc"]["vals"] for doc in rebuilt.trials] == [doc["misc"]["vals"] for doc in kept.trials]
    assert rebuilt.losses() == kept.losses()
    next_points = []
    for trials in (kept, rebuilt):
        (doc,) = suggestions(trials.new_trial_ids(1), None, trials, 0)
        next_points.append((doc["tid"], doc["misc"]["vals"]))
    assert next_points[0] == next_points[1]
    (at_random,) = algorithm("random", trials=30)(
        [14], suggestions._domain, kept, suggestions.plan.seed * 15_485_863 + 15
    )
    assert at_random["misc"]["vals"]["learning_rate"] != next_points[0][1]["learning_rate"]  # it has learnt


def test_unfinished_trials_run_first_and_keep_their_numbers(sweep):
    from hyperopt import Trials, base

    suggestions = Suggestions(sweep.plan(), sweep, lambda _: True)
    run(sweep, suggestions, Trials(), 4, leave_out={2, 4})
    docs = documents(sweep.plan(), sweep.trials())
    assert [doc["state"] for doc in docs] == [base.JOB_STATE_DONE, base.JOB_STATE_NEW] * 2
    assert [doc["misc"]["vals"]["number"] for doc in docs] == [[1], [2], [3], [4]]
    assert filled(Trials(), sweep.plan(), sweep.trials()).new_trial_ids(1) == [4]


def test_the_number_of_a_trial_is_nothing_that_the_algorithm_learns_from(sweep):
    suggestions = Suggestions(sweep.plan(), sweep, lambda _: True)
    assert set(suggestions._domain.params) == set(sweep.plan().space.dimensions)


def test_nothing_is_suggested_once_there_is_enough(sweep):
    from hyperopt import Trials

    trials = Trials()
    suggestions = Suggestions(sweep.plan(), sweep, lambda number: number <= 2)
    run(sweep, suggestions, trials, 2)
    assert suggestions(trials.new_trial_ids(1), None, trials, 0) == []
    assert [record.number for record in sweep.trials()] == [1, 2]
