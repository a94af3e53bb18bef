"""What is due is started once, and what cannot be started ends nothing."""

from __future__ import annotations

import pytest

from backend.errors import CatalogueError
from backend.flow.current.renew import Remembered, forget, remember, remembered
from backend.flow.requests import IngestRequest
from backend.jobs import renewals
from backend.jobs.renewals import LOOK_EVERY_S, Renewals


class Runner:
    """Notes what is submitted."""

    submitted: list[object]

    def __init__(self, _settings):
        pass

    def submit(self, request):
        Runner.submitted.append(request.catalogue)


@pytest.fixture
def submitted(monkeypatch):
    Runner.submitted = []
    monkeypatch.setattr(renewals, "JobRunner", Runner)
    return Runner.submitted


def test_a_catalogue_is_loaded_again_when_it_is_due(settings, submitted):
    load = IngestRequest(source="csv", path="/feed.csv", catalogue="shop")
    remember(settings, "shop", Remembered(load, every_hours=2.0, renewed_at=1000.0))
    remember(settings, "still", Remembered(load, renewed_at=0.0))
    now = [1000.0]
    tending = Renewals(settings, now=lambda: now[0])
    assert tending.look() == []
    now[0] = 1000.0 + 2 * 3600
    assert tending.look() == ["shop"]
    assert tending.look() == []
    now[0] += LOOK_EVERY_S
    assert tending.look() == []
    now[0] += 2 * 3600
    assert tending.look() == ["shop"]
    assert submitted == ["shop", "shop"]
    assert remembered(settings, "shop").load == load


def test_an_error_ends_nothing(settings, monkeypatch):
    def fail(_settings):
        raise CatalogueError("It is damaged.")

    monkeypatch.setattr(renewals, "all_remembered", fail)
    assert Renewals(settings, now=lambda: 5.0).look() == []


def test_what_is_forgotten_is_not_known(settings):
    remember(settings, "shop", Remembered(IngestRequest(source="sample")))
    forget(settings, "shop")
    forget(settings, "shop")
    assert remembered(settings, "shop") is None


@pytest.mark.parametrize("name", ["../shop", "", "a/b"])
def test_a_name_that_no_catalogue_can_have_is_refused(settings, name):
    with pytest.raises(CatalogueError):
        remembered(settings, name)
