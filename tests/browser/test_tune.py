"""The Tune page in a real browser: every view on a phone, and trials picked in a plot are the ones in the table."""

from __future__ import annotations

import pytest

from backend.catalogue.snapshot import open_snapshot
from tests.fixtures.base import settings_for
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits
from tests.support.sweeps import plan_for, record, stored_sweep
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser
PLOTS = ("History", "Fields together", "Field by field", "Epochs", "Timeline")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The app over a catalogue and two sweeps that have ended; yields its address."""
    settings = settings_for(tmp_path_factory.mktemp("tuned") / "home")
    write_catalogue(settings, "shop")
    assert open_snapshot(settings.catalogues_dir, "shop").version
    for name in ("winter", "autumn"):
        trials = [record(number, value=0.5 + 0.03 * number) for number in range(1, 9)]
        stored_sweep(settings.sweeps_dir, *trials, plan=plan_for(name), reason="All 8 trials have run.")
    with app_running(settings) as (address, _):
        yield address


@pytest.mark.parametrize("view", ["New sweep", "Two sweeps"])
def test_every_view_fits_a_phone(phone, tuned, view):
    phone.goto(f"{tuned}/tune?view={view}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)


@pytest.mark.parametrize("plot", PLOTS)
def test_every_plot_fits_a_phone(phone, tuned, plot):
    phone.goto(f"{tuned}/tune?view=Trials&sweep=autumn")
    phone.get_by_role("radio", name=plot).click()
    phone.locator(".js-plotly-plot").first.wait_for()
    assert_settled_and_fits(phone)


def test_a_box_in_the_history_picks_its_trials_in_the_table(page, tuned):
    page.goto(f"{tuned}/tune?view=Trials&sweep=autumn")
    marks = page.locator(".js-plotly-plot").first.locator(".scatterlayer path.point")
    marks.nth(7).wait_for()
    page.get_by_test_id("stStatusWidget").wait_for(state="detached")
    page.get_by_text(
        "Draw a box around points"
    ).scroll_into_view_if_needed()  # the mouse reaches no further than the eye
    first, last = marks.nth(0).bounding_box(), marks.nth(1).bounding_box()
    page.mouse.move(first["x"] - 14, last["y"] - 20)
    page.mouse.down()
    page.mouse.move(last["x"] + 20, first["y"] + 14, steps=8)
    page.mouse.up()
    page.get_by_text("2 trials picked").wait_for()
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("2 trials picked").wait_for(state="detached")
