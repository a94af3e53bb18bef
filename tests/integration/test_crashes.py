"""Forty jobs killed at random moments: nothing is lost, nothing is left behind, and the next job succeeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.base import settings_for
from tests.support import crash_home
from tests.support.crashes import LIGHT, Campaign

pytestmark = [pytest.mark.tf, pytest.mark.mlflow, pytest.mark.slow]

# Mostly kinds that start quickly; the bench kills all kinds, those on Spark, too.
ROUNDS = {
    "promote": (5, 4),
    "challenge": (4,),
    "rollback": (4,),
    "delete model": (5,),
    "delete sweep": (4,),
    "fidelity": (4,),
    "index": (3,),
    "evaluate": (3,),
    "train": (4,),
}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A home with something of everything, made once, and a place for temporary files that all processes see."""
    place = tmp_path_factory.mktemp("crash")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", "")
        patch.setattr("tempfile.tempdir", None)
        crash_home.own_temporary(place / "tmp")
        settings = replace(
            settings_for(place / "home"), endpoint_retries=0, source_roots=str(place), device="cpu", job_heartbeat_s=0.5
        )
        crash_home.build(settings, full=False)
        settings.home.rename(place / "warm")
        yield Campaign(settings, place / "warm", place / "tmp", seed=7)


def test_forty_kills_lose_nothing_and_leave_nothing(campaign):
    kinds = {kind.name: kind for kind in LIGHT}
    assert sum(map(sum, ROUNDS.values())) == 40
    for name, rounds in ROUNDS.items():
        for kills in rounds:
            campaign.round(kinds[name], kills)
    found = campaign.found
    assert (found.lost, found.left_behind, found.not_succeeded) == ([], [], [])
    assert found.succeeded == sum(map(len, ROUNDS.values()))
    assert found.count + found.came_late == 40
    assert found.count >= 25  # the others had ended, the machine being faster than before
