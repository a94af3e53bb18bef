"""A link in a real browser: it holds photo, part and filters; reload, Back and another browser have the same answer."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW
from tests.browser.test_query_photo import address, dragged, opened  # noqa: F401 - a fixture
from tests.support.pages import PATIENCE_MS, answers, assert_fits, expect_in_address, ids, upload
from tests.ui.test_region import pair

pytestmark = pytest.mark.browser
BRAND = "filter_brand=Ada"


def test_a_link_holds_the_question_through_reload_back_and_another_browser(page, browser, address):  # noqa: F811
    upload(opened(page, address), {"name": "two.png", "mimeType": "image/png", "buffer": pair()})
    expect_in_address(page, "photo=")
    whole = ids(answers(page))
    dragged(page, (0.02, 0.02), (0.49, 0.97))
    expect_in_address(page, "region=")
    expect(page.locator(".st-key-neighbours ol.grid > li").first).to_have_attribute("data-product-id", "c017")
    page.get_by_role("button", name="Filters").click()
    page.locator(".st-key-filter_brand input").fill("Ada")
    page.get_by_role("option", name="Ada").click()
    page.keyboard.press("Escape")
    expect_in_address(page, BRAND)
    chip = page.get_by_role("button", name="Brand: Ada")
    chip.wait_for()
    filtered = ids(answers(page))
    page.reload()
    assert ids(answers(page)) == filtered

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert {"photo=", "region=", BRAND, "rules=0", "model=1"} <= {*link.split("&"), *_names(link)}
    other = browser.new_context(viewport=NARROW)
    other.set_default_timeout(PATIENCE_MS)
    try:
        phone = other.new_page()
        phone.goto(link)
        assert ids(answers(phone)) == filtered
        phone.get_by_role("button", name="Brand: Ada").wait_for()
        assert_fits(phone)
    finally:
        other.close()

    page.go_back()  # before the filter
    expect(chip).to_be_hidden()
    expect(page.locator(".st-key-neighbours ol.grid > li").first).to_have_attribute("data-product-id", "c017")
    page.go_back()  # before the part
    page.wait_for_function("!location.search.includes('region')")
    expect(page.locator(".st-key-neighbours ol.grid > li").first).to_have_attribute("data-product-id", whole[0])
    assert ids(answers(page)) == whole
    page.go_forward()
    expect(page.locator(".st-key-neighbours ol.grid > li").first).to_have_attribute("data-product-id", "c017")

    page.get_by_role("button", name="Remove photo").click()
    page.wait_for_function("!location.search.includes('photo')")
    page.goto(link)
    page.get_by_text("no longer kept").wait_for()


def test_a_filter_whose_chip_was_removed_does_not_come_back_with_the_next_click(page, address):  # noqa: F811
    page.goto(f"{address}/?product=c017&k=4&{BRAND}")
    answers(page)
    chip = page.get_by_role("button", name="Brand: Ada")
    chip.click()
    expect(chip).to_be_hidden()
    page.get_by_text("Show figures").click()
    expect_in_address(page, "figures=true")
    answers(page)
    expect(chip).to_be_hidden()
    page.go_back()
    chip.wait_for()


def test_a_thumb_is_kept_shown_again_and_taken_back(page, address):  # noqa: F811
    page.goto(f"{address}/?product=c017&k=4")
    answers(page)
    thumb = page.get_by_role("button", name="Similar:", exact=False).and_(page.locator("[title='Similar']")).nth(1)
    thumb.click()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    page.reload()
    answers(page)
    expect(thumb).to_have_attribute("aria-pressed", "true")
    down = page.locator("[title='Not similar']").nth(1)
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(thumb).to_have_attribute("aria-pressed", "false")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "false")


def _names(link):
    return [f"{part.partition('=')[0]}=" for part in link.partition("?")[2].split("&")]
