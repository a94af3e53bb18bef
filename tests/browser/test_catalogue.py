"""The catalogue page in a real browser: every view on a phone, what changed, and links to a version."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import encoded, picture
from tests.support.browsing import app_running
from tests.support.pages import assert_settled_and_fits, expect_pictures
from tests.ui.conftest import add_version, shop_row, write_catalogue

pytestmark = pytest.mark.browser
VIEWS = ("Products", "Labels", "Quality", "Changes", "History", "Rejected")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The app over a shop with five versions; the newest changed a picture and withdrew a product."""
    settings = settings_for(tmp_path_factory.mktemp("shop") / "home")
    write_catalogue(settings, "shop")
    withdrawn = shop_row("c003", withdrawn_at=datetime(2026, 11, 23, tzinfo=UTC))
    add_version(settings, "shop", shop_row("b002", image=encoded(picture("checks", 77))), withdrawn)
    with app_running(settings) as (address, _):
        yield address


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone(phone, shop, view):
    phone.goto(f"{shop}/catalogue?view={view}")
    phone.get_by_role("tab", name=view, selected=True).wait_for()
    assert_settled_and_fits(phone)


def test_a_changed_picture_stands_beside_the_one_before(page, shop):
    page.goto(f"{shop}/catalogue?view=Changes")
    pair = page.locator("ol.grid > li[data-product-id=b002] .side")
    pair.first.wait_for()
    left, right = (pair.nth(position).bounding_box() for position in range(2))
    assert [round(left[name]) for name in ("y", "width")] == [round(right[name]) for name in ("y", "width")]
    assert left["x"] < right["x"]
    expect(pair.locator("figcaption")).to_have_text(["Version 4", "Version 5"])
    expect_pictures(pair.locator("img"))


def test_bytes_that_are_no_picture_are_a_placeholder(page, shop):
    page.goto(f"{shop}/catalogue?view=Rejected")
    expect(page.locator("ol.grid .missing")).to_have_text(["No picture"])


def test_a_link_opens_a_version_and_its_banner_leads_back(page, shop):
    page.goto(f"{shop}/catalogue?catalogue=shop&version=4")
    page.get_by_text("You are viewing version 4 of 5").wait_for()
    page.get_by_role("button", name="Back to the newest version").click()
    page.get_by_text("You are viewing version 4 of 5").wait_for(state="detached")
    expect(page).not_to_have_url(re.compile("version="))
