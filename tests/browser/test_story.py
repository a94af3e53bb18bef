"""The story as it is presented: arrow keys, a second window with notes, full screen, and nothing left for the next visit."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from app.components.story import bar
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import http_to, served
from tests.support.browsing import app_running
from tests.support.pages import assert_fits, expect_in_address, expect_pictures, ids
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory, projection_bundle, projection_recommender):
    """The story over the shop of the endpoint fixtures."""
    settings = settings_for(tmp_path_factory.mktemp("told") / "home")
    write_catalogue(settings, "shop")
    shutil.copytree(projection_bundle, settings.models_dir / projection_bundle.name)
    ensure_app_token(settings)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield f"{found}/story"


def cards(page, key):
    return page.locator(f".st-key-{key} ol.grid > li")


def heading(page):
    return page.get_by_test_id("stMain").get_by_role("heading", level=2).first


def find(page, address):
    """Act one, answered."""
    page.goto(address)
    cards(page, "story_examples").first.locator("button").click()
    expect(cards(page, "story_found")).to_have_count(8)


@pytest.mark.parametrize("tab", ["page", "phone"])
def test_three_acts_with_a_click_each(request, tab, address):
    page = request.getfixturevalue(tab)
    find(page, address)
    expect_pictures(cards(page, "story_found").locator("img"))
    assert_fits(page)
    found = ids(cards(page, "story_found"))
    page.get_by_role("button", name="Next").click()
    expect(heading(page)).to_have_text("Know when to trust it")
    cards(page, "story_strange").nth(1).locator("button").click()
    expect_pictures(cards(page, "story_refused").locator("img"))
    assert_fits(page)
    page.get_by_role("button", name="Next").click()
    cards(page, "story_choice").nth(3).locator("button").click()
    expect(cards(page, "story_after").first).to_have_attribute("data-product-id", found[4])
    expect(cards(page, "story_after").first.locator(".moved")).to_have_text("Pinned")
    assert ids(cards(page, "story_before")) == found
    assert_fits(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("Counted in the catalogue shop").wait_for()
    assert_fits(page)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Start again").click()
    expect(cards(page, "story_examples")).to_have_count(6)


def test_arrow_keys_turn_the_acts_but_not_in_a_field(page, address):
    find(page, address)
    page.keyboard.press("ArrowLeft")  # there is none before the first
    page.keyboard.press("ArrowRight")
    expect(heading(page)).to_have_text("Know when to trust it")
    expect_in_address(page, "act=2")
    expect(page.locator(".story [role=status]")).to_have_text("Trust")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")  # at once: no act is lost
    expect_in_address(page, "act=4")
    page.keyboard.press("ArrowLeft")
    expect_in_address(page, "act=3")
    expect(page.locator(".story [aria-current]")).to_have_text("Change")
    page.go_back()
    expect_in_address(page, "act=4")
    expect(page.locator(".story [aria-current]")).to_have_text("Your products")
    page.evaluate("document.body.append(Object.assign(document.createElement('input'), { id: 'field' }))")
    page.locator("#field").focus()
    page.keyboard.press("ArrowLeft")
    page.evaluate("document.querySelector('#field').remove()")
    page.keyboard.press("ArrowLeft")
    expect_in_address(page, "act=3")


def test_the_notes_follow_in_a_second_window_and_lead(page, address):
    find(page, address)
    page.keyboard.press("ArrowRight")
    expect_in_address(page, "act=2")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Notes").click()
    notes = opened.value
    expect(notes.locator(".story-notes h2")).to_have_text("Trust")
    expect(notes.get_by_text(bar.NOTES[2][0])).to_be_visible()
    expect(notes.get_by_test_id("stSidebar")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(notes.locator(".story-notes h2")).to_have_text("Change")
    expect_in_address(notes, "act=3")
    notes.keyboard.press("ArrowLeft")
    expect(heading(page)).to_have_text("Know when to trust it")
    late = page.context.new_page()
    late.goto(f"{address}?notes=1")  # its address says nothing: it asks
    expect(late.locator(".story-notes h2")).to_have_text("Trust")
    page.close()
    late.keyboard.press("ArrowRight")  # nobody is there to follow
    expect(late.locator(".story-notes h2")).to_have_text("Change")


def test_full_screen_hides_the_frame_until_escape_or_another_page(page, address):
    find(page, address)
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    page.keyboard.press("PageDown")
    expect(heading(page)).to_have_text("Know when to trust it")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.evaluate("document.fullscreenElement && document.exitFullscreen()")  # a browser keeps Escape for itself then
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_role("link", name="Try with your own products").click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()


def test_another_visit_begins_at_act_one(page, address):
    find(page, address)
    page.keyboard.press("ArrowRight")
    expect_in_address(page, "act=2")
    menu = page.get_by_test_id("stSidebarNav")
    menu.get_by_role("link", name="Rules").click()
    page.get_by_text("There are no rules yet").wait_for()
    menu.get_by_role("link", name="Story").click()
    expect(cards(page, "story_examples")).to_have_count(6)
    page.goto(f"{address}?act=3")
    expect(cards(page, "story_examples")).to_have_count(6)
    expect(page.locator(".story [aria-current]")).to_have_text("Find")
