"""What somebody may not do is not in their menu, off with the role that it needs, and refused by the backend all the same."""

from __future__ import annotations

import pytest

from app import identity, navigation
from app.components.jobs import panel
from app.services import explore
from backend.access.person import Person, Role
from backend.flow.requests import SimilarRequest, TrainRequest
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from tests.ui.conftest import assert_calm, texts


@pytest.fixture
def looks(monkeypatch):
    """Have somebody look, of a role, or nobody."""
    return lambda role: monkeypatch.setattr(
        identity, "ways", lambda: (lambda: Person("bo@shop.example", role, "app", "10.0.0.7"),)
    )


def test_a_viewer_sees_what_a_viewer_may_and_cannot_repeat_a_job(screen, looks):
    store = JobStore(screen.settings.jobs_db, logs_dir=screen.settings.logs_dir)
    job, _ = store.add("train", {})
    store.start(job.id, pid=1)
    store.finish(job.id, JobState.CANCELLED)
    looks(Role.VIEWER)
    assert {entry.name for entry in navigation.PAGES if navigation.has(entry.name)} == {
        *("recommend", "product", "story", "evaluate", "explore", "jobs")
    }
    test = screen.open("jobs", job=job.id)
    assert_calm(test)
    again = test.button(key=f"retry-{job.id}")
    assert again.disabled
    assert "needs the role engineer" in again.help
    looks(Role.ENGINEER)
    assert not screen.open("jobs", job=job.id).button(key=f"retry-{job.id}").disabled


def test_a_refusal_is_a_sentence_on_the_page_and_nothing_is_started(screen, looks, monkeypatch):
    said = []
    monkeypatch.setattr(panel.st, "toast", lambda text, **_: said.append(text))
    looks(Role.MERCHANDISER)
    screen.open("jobs")  # says who asks for the process
    panel.submit(TrainRequest())
    assert "needs the role engineer" in said[0]
    assert screen.runner.list() == []
    panel.submit(SimilarRequest())
    assert [(job.kind, job.asked_by.name) for job in screen.runner.list()] == [("similar", "bo@shop.example")]


def test_somebody_without_a_role_and_nobody_at_all_get_a_sentence(screen, looks, monkeypatch):
    looks(None)
    assert "needs the role viewer" in texts(screen.open("recommend"))
    monkeypatch.setattr(identity, "ways", lambda: (lambda: None,))
    assert "not signed in" in texts(screen.open("recommend"))


def test_a_download_is_made_for_whoever_looked_when_it_was_offered(screen, looks, monkeypatch):
    monkeypatch.setattr(explore.common, "settings", lambda: screen.settings)
    looks(Role.VIEWER)
    screen.open("jobs")
    make = identity.bound(lambda: explore.keep_selection(["a"]))
    monkeypatch.setattr(identity, "ways", lambda: (lambda: None,))  # as in the thread of a download
    assert len(make()) == 12
