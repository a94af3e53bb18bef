"""Alerts on the System page: none without an address, what is open, an address that fails, and a real trial."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backend.jobs.alerts.watch import Alerts
from backend.jobs.states import JobState
from backend.jobs.store import JobStore
from backend.settings import SecretStr
from tests.support.scripted_server import scripted
from tests.ui.conftest import assert_calm, texts


def read(markdown):
    """What is seen of an escaped text."""
    return markdown.replace(":small[]", "").replace("\\", "")


@pytest.mark.slow
def test_alerts_are_shown_and_tried_from_the_page(screen):
    assert "Alerts are not sent." in texts(screen.open("system", view="Alerts"))
    with scripted((204, {}, b"")) as (url, seen):
        addresses = f"{url}/s3cret http://127.0.0.1:1/s3cret"
        screen.settings = replace(screen.settings, alert_urls=SecretStr(addresses), alert_disk_mb=0)
        alerts, store = Alerts(screen.settings), JobStore(screen.settings.jobs_db)
        alerts.run()
        job, _ = store.add("quality", {"catalogue": "shop"})
        store.start(job.id, pid=1)
        store.finish(job.id, JobState.FAILED, error="**The** disk is full.")
        alerts.run()
        test = screen.open("system", view="Alerts")
        assert_calm(test)
        shown = texts(test)
        assert shown.count(":green[All well]") == 5
        assert "\\*\\*The\\*\\*" in shown
        shown = read(shown)
        assert f"Job quality {job.id} failed: **The** disk is full. First seen just now." in shown
        assert "http://127.0.0.1:1/…: It cannot be reached. 1 alert not sent; next attempt at" in shown
        assert "s3cret" not in shown
        test.button(key="try_alert_disk").click().run()
        assert [read(one.value) for one in test.error] == ["http://127.0.0.1:1/…: It cannot be reached."]
        assert [read(one.value) for one in test.success] == [f"{url}/…: the sample arrived."]
    assert [json.loads(one["body"])["state"] for one in seen] == ["problem", "trial"]
