"""A result is moved to another place in a real browser: dragged, or by the menu below it; and its own page is opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from backend.merchandising.draft import Drafts
from backend.merchandising.rule_store import RuleStore
from backend.serving.gateway import build_app
from backend.serving.tokens import ensure_app_token
from tests.fixtures.base import settings_for
from tests.fixtures.endpoint import http_to, served
from tests.support.browsing import app_running
from tests.support.pages import answers, assert_fits, expect_in_address, expect_pictures, ids
from tests.ui.conftest import write_catalogue

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def walked(tmp_path_factory, projection_recommender):
    """The app over the shop of the endpoint fixtures, and its rules."""
    settings = settings_for(tmp_path_factory.mktemp("moved") / "home")
    write_catalogue(settings, "shop")
    ensure_app_token(settings)
    with http_to(build_app(settings, load=lambda: served(projection_recommender))) as client:
        settings = replace(settings, endpoint_url=str(client.base_url).rstrip("/"))
        with app_running(settings) as (found, _):
            yield found, RuleStore(settings.rules_dir, "shop")


def test_a_dragged_result_is_pinned_where_it_was_dropped(page, walked):
    address, store = walked
    page.goto(f"{address}?product=b017&k=12")
    expect(answers(page)).to_have_count(12)
    plain = ids(answers(page))
    answers(page).nth(7).drag_to(answers(page).nth(1))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Place", exact=True)).to_have_value("2")  # nobody gave a name yet: it is asked for first
    dialog.get_by_role("textbox", name="Your name").fill("Ada")
    dialog.get_by_role("textbox", name="Your name").press("Enter")
    dialog.get_by_role("button", name="Add to my draft").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("1 change in your draft")).to_be_visible()
    answers(page).nth(4).drag_to(answers(page).nth(0))
    expect(answers(page).nth(0)).to_have_attribute("data-product-id", plain[4])
    expect(answers(page).nth(1)).to_have_attribute("data-product-id", plain[7])
    expect(answers(page).nth(0).locator(".moved")).to_have_text("Moved from 5 to 1: pinned")
    answers(page).nth(0).get_by_text("More", exact=True).click()
    answers(page).nth(0).get_by_label("Move to place").select_option("3")
    expect(answers(page).nth(2)).to_have_attribute("data-product-id", plain[4])
    found = Drafts(store).open("Ada").put
    assert sorted((rule.products[0], rule.slot) for rule in found) == sorted([(plain[7], 2), (plain[4], 3)])
    assert store.newest() == 0  # no shopper sees any of it


@pytest.mark.parametrize("tab", ["page", "phone"])
def test_the_page_of_a_product_is_opened_from_a_card(request, tab, walked):
    page = request.getfixturevalue(tab)
    page.goto(f"{walked[0]}?product=b017&k=12")
    card = answers(page).nth(3)
    name = card.get_attribute("data-product-id")
    card.get_by_role("button", name="Details").click()
    expect_in_address(page, f"product={name}")
    expect(page.get_by_text(f"Product id: {name}")).to_be_visible()
    expect(page.locator("ol.grid > li")).to_have_count(12)
    expect_pictures(page.locator("ol.grid > li img"))
    assert_fits(page)
    page.locator("ol.grid > li").first.locator("button.card").click()
    expect(page.get_by_text(f"Product id: {name}")).to_have_count(0)
