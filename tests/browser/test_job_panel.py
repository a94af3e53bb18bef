"""A job's panel in a real browser: it follows the job by itself, and survives a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.flow.requests import IngestRequest
from backend.jobs.runner import JobRunner
from backend.jobs.states import JobState
from tests.fixtures.base import settings_for
from tests.support.browsing import app_running
from tests.ui.conftest import WORKER

pytestmark = pytest.mark.browser


def badge(page, state: str):
    return page.locator(".stMarkdownBadge", has_text=state)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The settings of an app process over an empty home, its address, and a runner of the jobs in that home."""
    settings = settings_for(tmp_path_factory.mktemp("watched") / "home")
    with app_running(settings) as (address, _):
        yield address, JobRunner(settings, command=WORKER)


def test_the_panel_follows_a_job_to_its_end_without_a_reload(page, home, tmp_path):
    address, runner = home
    gate = tmp_path / "gate"
    job = runner.submit(IngestRequest(catalogue=f"gated:{gate}"))
    page.goto(f"{address}/catalogue")
    page.get_by_text("waiting · 1 of 2").wait_for()
    page.evaluate("window.stillTheSamePage = true")
    gate.touch()
    badge(page, "Done").first.wait_for()
    page.locator("[data-stale=true]").first.wait_for(state="detached")
    expect(badge(page, "Done")).to_have_count(1)
    expect(page.get_by_role("link", name="Next: learn from it")).to_have_count(1)
    assert page.evaluate("window.stillTheSamePage")
    assert runner.get(job.id).state is JobState.SUCCEEDED


def test_a_running_job_is_found_after_a_reload_and_cancelled_for_good(page, home):
    address, runner = home
    job = runner.submit(IngestRequest(catalogue="spin"))
    page.goto(f"{address}/jobs")
    page.get_by_text("spinning · 1 of 2").wait_for()
    page.reload()
    page.get_by_text("spinning · 1 of 2").wait_for()
    page.get_by_role("button", name="Cancel").click()
    badge(page, "Cancelled").wait_for()
    page.get_by_role("button", name="Try again").wait_for()
    assert runner.wait(job.id, 30).state is JobState.CANCELLED
