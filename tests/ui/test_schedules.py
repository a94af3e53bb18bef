"""The Jobs page lets jobs recur, and says what is planned and what was missed."""

from __future__ import annotations

from dataclasses import replace

from backend.jobs.schedules import Schedules
from tests.ui.conftest import assert_calm, texts


def button(test, label):
    return next(found for found in test.button if found.label == label)


def test_a_schedule_is_added_changed_paused_and_removed_on_the_page(screen, shop_catalogue):
    schedules = Schedules(screen.settings)
    test = screen.open("jobs")
    assert "Nothing is planned." in texts(test)
    test.selectbox(key="schedule-often").set_value("Every few hours").run()
    button(test, "Add schedule").click().run()
    assert_calm(test)
    (one,) = schedules.list()
    assert (one.kind, one.request["catalogue"], one.rule, one.zone) == ("renew", "shop", "0 */6 * * *", "UTC")
    shown = texts(test)
    assert "Loading products again: shop" in shown.replace("\\", "")
    assert "Every 6 hours (UTC), added by" in shown.replace("\\", "")
    test.selectbox(key=f"edit-{one.id}-often").set_value("On days of the week").run()
    button(test, "Save").click().run()
    assert schedules.get(one.id).rule == "0 3 * * 1"
    button(test, "Pause").click().run()
    assert not schedules.get(one.id).is_on
    assert "Paused" in texts(test)
    schedules._update(replace(schedules.get(one.id), missed=(one.made_at,)))
    assert "Missed 1 run: " in texts(test.run()).replace("\\", "")
    test.button(key=f"remove-{one.id}").click().run()
    assert schedules.list() == []
