from __future__ import annotations

from itertools import product

import pytest

from backend.errors import IllegalTransition
from backend.jobs.states import ACTIVE_STATES, JobState, check_transition

PAIRS = list(product(JobState, JobState))
ALLOWED = {
    ("QUEUED", "RUNNING"),
    ("QUEUED", "CANCELLED"),
    ("QUEUED", "FAILED"),
    ("RUNNING", "SUCCEEDED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "CANCELLED"),
    ("RUNNING", "LOST"),
}


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_exactly_the_allowed_moves_are_allowed(source, target):
    if (source, target) in ALLOWED:
        check_transition(source, target)
    else:
        with pytest.raises(IllegalTransition) as caught:
            check_transition(source, target)
        assert caught.value.next_step


@pytest.mark.parametrize("state", JobState)
def test_a_finished_state_is_one_without_a_way_out(state):
    assert state.is_finished == all(source != state for source, _ in ALLOWED)
    assert (state in ACTIVE_STATES) != state.is_finished


def reachable(state):
    targets = {target for source, target in PAIRS if source == state and (source, target) in ALLOWED}
    return targets.union(*(reachable(target) for target in targets))


@pytest.mark.parametrize("state", ACTIVE_STATES)
def test_every_life_ends_and_none_comes_back(state):
    assert any(target.is_finished for target in reachable(state))
    assert state not in reachable(state)


def test_every_state_can_be_reached():
    assert reachable(JobState.QUEUED) == set(JobState) - {JobState.QUEUED}


@pytest.mark.parametrize("state", [state for state in JobState if state.is_finished])
def test_a_finished_job_is_told_so(state):
    with pytest.raises(IllegalTransition, match=f"already ended: {state}"):
        check_transition(state, JobState.CANCELLED)
